#!/bin/sh
# The main job: a SystemTap script runs on a program with markers, its events go into a CTF trace,
# and the same script runs again over that trace. Started by `make demo` from the top folder.
set -e
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
trace=$made/trace
${CC:-gcc} -O2 -Icsrc/include -o examples/shop examples/shop.c

show() {
	printf '\n$ %s\n' "$*"
}

if [ "$(id -u)" = 0 ]; then
	show markbridge run examples/orders.stp -c "'examples/shop 1000'" --trace trace/
	markbridge run examples/orders.stp -c 'examples/shop 1000 >&2' --trace "$trace" -o "$made/live"
	cat "$made/live"
else
	echo "Tracing a program needs root. Without it, markbridge replays a recorded trace:"
	echo "as root, 'make demo' also runs the script on the live program and records it."
	trace=examples/orders.trace
fi

show "markbridge read trace/ | head -n 5"
markbridge read "$trace" | head -n 5

show markbridge run examples/orders.stp --replay trace/
markbridge run examples/orders.stp --replay "$trace" | tee "$made/replay"

if [ "$(id -u)" = 0 ]; then
	cmp "$made/live" "$made/replay"
	echo "The replay printed the same as the live run."
fi
