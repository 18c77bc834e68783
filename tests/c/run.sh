#!/bin/sh
# The C side under AddressSanitizer and UndefinedBehaviorSanitizer: every test_*.c here with all of csrc/, and every libFuzzer target
# over what fuzzing found (findings/TARGET/). A file that is mapped has exactly its own bytes (exact.c).
set -e
cd "$(dirname "$0")/../.."
CC=${CC:-gcc}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
includes="$(find csrc -type d | sed 's/^/-I/' | tr '\n' ' ')"
flags="-std=gnu11 -g -O1 -Wall -Wextra -Werror -fsanitize=address,undefined -fno-sanitize-recover=all -DMB_DECLARATIONS=$(${PYTHON:-python3} csrc/number.py) $includes -Itests/c"
exact="-Dmmap=exact_mmap -Dmunmap=exact_munmap -Dmadvise=exact_madvise"
for source in $(find csrc -name '*.c'); do
	$CC $flags $exact -fPIC -c "$source" -o "$work/$(basename "$source" .c).o" &
	[ $(($(jobs -p | wc -l) % 4)) -eq 0 ] && wait
done
$CC $flags -c tests/c/exact.c -o "$work/exact.o"
wait
for test in tests/c/test_*.c; do
	name=$(basename "$test" .c)
	$CC $flags "$test" "$work"/*.o -lm -lpthread -o "$work/$name"
	"$work/$name"
	echo "$name: passed"
done
for target in tests/c/fuzz_*.c; do
	name=$(basename "$target" .c)
	$CC $flags "$target" tests/c/each_input.c "$work"/*.o -lm -lpthread -o "$work/$name"
	inputs=$(find tests/c/findings -path "*/$name/*")
	ASAN_OPTIONS="allocator_may_return_null=1:$ASAN_OPTIONS" "$work/$name" $inputs
	echo "$name: $(echo $inputs | wc -w) findings of the past passed"
done
