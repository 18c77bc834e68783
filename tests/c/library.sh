#!/bin/sh
# The C library with AddressSanitizer and UndefinedBehaviorSanitizer: tests/c/library.sh OUT.so
# A file that it maps has exactly its own bytes (exact.c), so that a read beyond the end is seen.
set -e
cd "$(dirname "$0")/../.."
out=$1
CC=${CC:-gcc}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
includes=$(find csrc -type d | sed 's/^/-I/' | tr '\n' ' ')
flags="-std=gnu11 -g -O1 -fno-omit-frame-pointer -fPIC -fsanitize=address,undefined -fno-sanitize-recover=all -DMB_DECLARATIONS=$(${PYTHON:-python3} csrc/number.py) $includes"
exact="-Dmmap=exact_mmap -Dmunmap=exact_munmap -Dmadvise=exact_madvise"
for source in $(find csrc -name '*.c'); do
	$CC $flags $exact -c "$source" -o "$work/$(basename "$source" .c).o"
done
$CC $flags -c tests/c/exact.c -o "$work/exact.o"
mkdir -p "$(dirname "$out")"
$CC $flags -shared "$work"/*.o -lm -lpthread -o "$out.new"
mv "$out.new" "$out"
