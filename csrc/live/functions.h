/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * BPF programs with functions that they give to others to call (bpf_loop): the kernel wants types of all functions
 * of such a program, which are made here.
 *
 * mb_functions_load: BPF_PROG_LOAD, where the code may have such functions. A file descriptor, or a negative errno.
 */
#ifndef MB_FUNCTIONS_H
#define MB_FUNCTIONS_H

#include <linux/bpf.h>

int mb_functions_load(union bpf_attr *attr);

#endif
