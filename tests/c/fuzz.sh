#!/bin/sh
# Fuzz the C side with libFuzzer (clang, libclang-rt), one target after the other: tests/c/fuzz.sh [SECONDS-EACH [TARGET]]
set -e
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for target in ${2:-fuzz_text fuzz_regex}; do
	${CLANG:-clang} -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		-Icsrc -Icsrc/include -Itests/c "tests/c/$target.c" csrc/*/*.c -lm -lpthread -o "$work/$target"
	"$work/$target" -max_total_time="${1:-60}" -timeout=10 -max_len=2048 -print_final_stats=1
done
