#!/bin/sh
# Fuzz the C side with libFuzzer (clang), one target after the other, each from its seeds and what was found before:
# tests/c/fuzz.sh [SECONDS-EACH [TARGET...]]
# FUZZ_C (build/fuzz-c) keeps the inputs that reach new code, by target, and what ends a target, as TARGET-crash-...;
# MARKBRIDGE_REFERENCE names a folder of genuine traces to start from; PYTHON runs seeds.py.
set -e
cd "$(dirname "$0")/../.."
seconds=${1:-60}
[ $# -eq 0 ] || shift
CLANG=${CLANG:-clang}
keep=${FUZZ_C:-build/fuzz-c}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
includes="$(find csrc -type d | sed 's/^/-I/' | tr '\n' ' ') -Itests/c"
flags="-std=gnu11 -g -O1 -fno-omit-frame-pointer -fno-sanitize-recover=all -DMB_DECLARATIONS=$(${PYTHON:-python3} csrc/number.py) $includes"
exact="-Dmmap=exact_mmap -Dmunmap=exact_munmap -Dmadvise=exact_madvise"

mkdir -p "$keep"
${PYTHON:-python3} -m tests.c.seeds "$work/seeds" $MARKBRIDGE_REFERENCE
for source in $(find csrc -name '*.c'); do
	$CLANG $flags -fsanitize=fuzzer-no-link,address,undefined $exact -c "$source" -o "$work/$(basename "$source" .c).o"
done
$CLANG $flags -fsanitize=fuzzer-no-link,address,undefined -c tests/c/exact.c -o "$work/exact.o"

export ASAN_OPTIONS="detect_leaks=1:allocator_may_return_null=1:$ASAN_OPTIONS"
for target in ${*:-$(cd tests/c && ls fuzz_*.c)}; do
	name=$(basename "$target" .c)
	$CLANG $flags -fsanitize=fuzzer,address,undefined "tests/c/$name.c" "$work"/*.o -lm -lpthread -o "$work/$name"
	mkdir -p "$keep/$name" "$work/seeds/$name"
	for finding in tests/c/findings/"$name"/*; do
		[ ! -f "$finding" ] || cp "$finding" "$work/seeds/$name/"
	done
	echo "== $name: $seconds s"
	"$work/$name" -max_total_time="$seconds" -timeout=300 -rss_limit_mb=2048 -max_len=24576 -verbosity=0 \
		-print_final_stats=1 -artifact_prefix="$keep/$name-" "$keep/$name" "$work/seeds/$name"
	echo "== $name: nothing found"
done
