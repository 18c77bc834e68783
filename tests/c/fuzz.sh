#!/bin/sh
# Fuzz the printers with libFuzzer (clang): tests/c/fuzz.sh [SECONDS]
set -e
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sources="string map map_sort stat stat_text printf output runtime session session_build session_merge regex"
for name in $sources builtin_output builtin_session builtin_string builtin_number; do
	files="$files csrc/$name.c"
done
${CLANG:-clang} -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
	-Icsrc -Itests/c tests/c/fuzz_text.c $files -lm -o "$work/fuzz_text"
"$work/fuzz_text" -max_total_time="${1:-60}" -timeout=10 -max_len=2048 -print_final_stats=1
