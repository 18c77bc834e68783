#!/bin/sh
# Run a command of Python with the C library under sanitizers: tests/c/under.sh LIBRARY COMMAND...
library=$(realpath "$1")
shift
CC=${CC:-gcc}
export LD_PRELOAD="$($CC -print-file-name=libasan.so) $($CC -print-file-name=libubsan.so)"
# Python keeps memory until it ends; handlers in machine code have no frames to walk.
export ASAN_OPTIONS="detect_leaks=0:allocator_may_return_null=1:abort_on_error=1:handle_segv=1:detect_stack_use_after_return=0:${ASAN_OPTIONS:-}"
export UBSAN_OPTIONS="print_stacktrace=1:abort_on_error=1:${UBSAN_OPTIONS:-}"
# Memory of Python through malloc, so that its small buffers have bounds, too.
export PYTHONMALLOC=malloc
export MARKBRIDGE_LIBRARY="$library"
exec "$@"
