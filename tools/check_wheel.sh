#!/bin/sh
# sdist -> wheel -> a new virtual environment in another folder -> one script run from there.
set -e
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m build --outdir "$work/dist" . >"$work/build.log" 2>&1 || {
	tail -n 40 "$work/build.log" >&2
	exit 1
}
"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -q --disable-pip-version-check "$work"/dist/*.whl
cd "$work"
result=$("$work/venv/bin/markbridge" run -e 'probe begin { printf("%d\n", 6 * 7) exit() }')
if [ "$result" != 42 ]; then
	echo "the installed wheel printed '$result' instead of 42" >&2
	exit 1
fi
echo "wheel: built from the sdist, installed elsewhere, ran a script"
