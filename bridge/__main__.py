"""`python -m bridge` is the command `markbridge`."""

import sys

from bridge.cli import main

sys.exit(main())
