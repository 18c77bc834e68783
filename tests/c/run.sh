#!/bin/sh
# The C side under AddressSanitizer and UndefinedBehaviorSanitizer: every test_*.c here with all of csrc/.
set -e
cd "$(dirname "$0")/../.."
CC=${CC:-gcc}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags="-std=gnu11 -g -O1 -Wall -Wextra -Werror -fsanitize=address,undefined -fno-sanitize-recover=all -Icsrc -Icsrc/include"
for source in csrc/*/*.c; do
	$CC $flags -fPIC -c "$source" -o "$work/$(basename "$source" .c).o" &
	[ $(($(jobs -p | wc -l) % 4)) -eq 0 ] && wait
done
wait
for test in tests/c/test_*.c; do
	name=$(basename "$test" .c)
	$CC $flags -Itests/c "$test" "$work"/*.o -lm -lpthread -o "$work/$name"
	"$work/$name"
	echo "$name: passed"
done
