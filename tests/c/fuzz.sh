#!/bin/sh
# Fuzz the printers with libFuzzer (clang, libclang-rt): tests/c/fuzz.sh [SECONDS]
set -e
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
${CLANG:-clang} -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
	-Icsrc -Icsrc/include -Itests/c tests/c/fuzz_text.c csrc/*.c -lm -lpthread -o "$work/fuzz_text"
"$work/fuzz_text" -max_total_time="${1:-60}" -timeout=10 -max_len=2048 -print_final_stats=1
