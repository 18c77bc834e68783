#!/bin/sh
# Run Python with the C library under sanitizers: tests/c/under.sh LIBRARY PYTHON ARGUMENTS...
#
# Python and what it starts as sys.executable have the sanitizers' run time preloaded; other programs that it starts, the traced
# ones among them, are as they always are.
set -e
library=$(realpath "$1")
python=$(realpath -s "$2")
shift 2
CC=${CC:-gcc}
folder=$(dirname "$library")/python
mkdir -p "$folder/site"
cat >"$folder/python" <<END
#!/bin/sh
LD_PRELOAD="$($CC -print-file-name=libasan.so) $($CC -print-file-name=libubsan.so)" exec "$python" "\$@"
END
chmod 755 "$folder/python"
cat >"$folder/site/sitecustomize.py" <<END
import os
import sys

os.environ.pop("LD_PRELOAD", None)
sys.executable = "$folder/python"
END
export PYTHONPATH="$folder/site${PYTHONPATH:+:$PYTHONPATH}"
# Small buffers of Python have bounds with PYTHONMALLOC=malloc only. Python keeps memory until it ends; handlers in machine code have no frames to walk.
export ASAN_OPTIONS="detect_leaks=0:allocator_may_return_null=1:abort_on_error=1:detect_stack_use_after_return=0:$ASAN_OPTIONS"
export UBSAN_OPTIONS="print_stacktrace=1:abort_on_error=1:$UBSAN_OPTIONS"
export MARKBRIDGE_LIBRARY="$library"
exec "$folder/python" "$@"
