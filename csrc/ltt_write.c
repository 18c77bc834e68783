// SPDX-License-Identifier: LGPL-2.1-or-later
#include "native.h"
#include "ltt.h"
