#!/bin/sh
# Fuzz the front end for so many seconds, from a copy of the corpus; 1 if something was found.
# $1: seconds; $2: a folder for new inputs and findings.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$2/inputs" "$2/findings"
exec "${PYTHON:-python3}" "$here/front_end.py" -max_total_time="$1" -timeout=25 -rss_limit_mb=2048 \
	-max_len=4096 -print_final_stats=1 -verbosity=1 -dict="$here/front_end.dict" \
	-artifact_prefix="$2/findings/" "$2/inputs" "$here/corpus"
