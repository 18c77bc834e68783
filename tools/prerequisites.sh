#!/bin/sh
# Says exactly what is missing on this host and how to install it. Argument: the Python to use.
python=${1:-python3}
packages=

need() { # need PACKAGE: remember a Debian package to install
	packages="$packages $1"
}

command -v "$python" >/dev/null 2>&1 || need python3
command -v gcc >/dev/null 2>&1 || need gcc
command -v make >/dev/null 2>&1 || need make
if command -v gcc >/dev/null 2>&1; then
	echo '#include <stdio.h>' | gcc -E - >/dev/null 2>&1 || need libc6-dev
fi
if command -v "$python" >/dev/null 2>&1; then
	"$python" -c 'import ensurepip, venv' >/dev/null 2>&1 || need python3-venv
	if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
		echo "markbridge needs Python 3.11 or newer; $python is $("$python" -V 2>&1)." >&2
		echo "Name another one: make PYTHON=/path/to/python3 ..." >&2
		exit 3
	fi
fi
if [ -n "$packages" ]; then
	echo "Something is missing on this host. Install it with:" >&2
	echo "    apt-get install$packages" >&2
	exit 3
fi
