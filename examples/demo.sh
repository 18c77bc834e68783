#!/bin/sh
# The main job: a SystemTap script runs on a program with markers, its events go into a CTF trace,
# and the same script runs again over that trace. Started by `make demo` from the top folder.
set -e
trace=${TMPDIR:-/tmp}/markbridge-demo.$$
trap 'rm -rf "$trace" "$trace.live" "$trace.replay"' EXIT
${CC:-gcc} -O2 -Icsrc/include -o examples/shop examples/shop.c

show() {
	printf '\n$ %s\n' "$*"
}

if [ "$(id -u)" = 0 ]; then
	show markbridge run examples/orders.stp -c "'examples/shop 1000'" --trace trace/
	markbridge run examples/orders.stp -c 'examples/shop 1000 >&2' --trace "$trace" -o "$trace.live"
	cat "$trace.live"
else
	echo "Tracing a program needs root. Without it, markbridge replays a recorded trace:"
	echo "as root, 'make demo' also runs the script on the live program and records it."
	trace=examples/orders.trace
fi

show "markbridge read trace/ | head -n 5"
markbridge read "$trace" | head -n 5

show markbridge run examples/orders.stp --replay trace/
markbridge run examples/orders.stp --replay "$trace" | tee "${TMPDIR:-/tmp}/markbridge-demo.$$.replay"

if [ "$(id -u)" = 0 ]; then
	cmp "$trace.live" "$trace.replay"
	echo "The replay printed the same as the live run."
fi
