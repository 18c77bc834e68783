#!/bin/sh
# sdist -> wheel for many Linux -> a new virtual environment in another folder -> scripts run from there,
# then without llvmlite. Then what pip says where there is no compiler. The wheel is left in dist/.
set -e
python=${PYTHON:-python3}
bin=$(dirname "$python")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
	echo "wheel: $1" >&2
	exit 1
}

unset MARKBRIDGE_DEVELOP
"$python" -m build --outdir "$work/plain" . >"$work/build.log" 2>&1 || {
	tail -n 40 "$work/build.log" >&2
	exit 1
}
PATH="$bin:$PATH" "$bin/auditwheel" repair --plat "manylinux_2_17_$(uname -m)" -w "$work/dist" "$work"/plain/*.whl \
	>"$work/repair.log" 2>&1 || {
	tail -n 20 "$work/repair.log" >&2
	exit 1
}
wheel=$(echo "$work"/dist/*.whl)
"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -q --disable-pip-version-check "$wheel"
mkdir "$work/elsewhere"
cd "$work/elsewhere"
PATH="$work/venv/bin:$PATH"

answer=$(markbridge run -e 'probe begin { printf("%d\n", 6 * 7) exit() }')
[ "$answer" = 42 ] || fail "the installed command printed '$answer' instead of 42"
for library in "$work"/venv/lib/python3*/site-packages/bridge/_markbridge.abi3.so; do
	if readelf -S "$library" | grep -qE '\.debug_info|\.symtab'; then
		fail "the library is not stripped"
	fi
done
gcc -Wall -I"$(markbridge --include-dir)" -o shop "$(markbridge --examples-dir)/shop.c"
markbridge list 'process("./shop").mark("order")' | grep -q 'shop").mark("order")' || fail "no marker in shop.c"
recorded="$(markbridge --examples-dir)/orders.trace"
markbridge run --replay "$recorded" "$(markbridge --examples-dir)/orders.stp" >replayed || fail "no replay of the example"
[ -s replayed ] || fail "the replay of the example printed nothing"

# What needs no compiler needs no llvmlite.
"$work/venv/bin/python" -m pip uninstall -q -y llvmlite
markbridge read "$recorded" | head -n 1 | grep -q shop || fail "reading needs llvmlite"
markbridge convert "$recorded" converted --to ltt-2.6 2>/dev/null || fail "converting needs llvmlite"
markbridge check -e 'probe begin { exit() }' || fail "checking needs llvmlite"
if markbridge run -e 'probe begin { exit() }' 2>refused; then
	fail "a script was compiled without llvmlite"
fi
grep -q 'pip install llvmlite' refused || fail "no remedy for a missing llvmlite: $(cat refused)"

# Without a compiler the last lines say what to install.
mkdir "$work/source" "$work/nothing"
tar -xzf "$work"/plain/*.tar.gz -C "$work/source" --strip-components=1
if CC=no-such-compiler PATH="$work/nothing:$work/venv/bin:/nonexistent" "$work/venv/bin/python" -m pip install --no-deps \
	--disable-pip-version-check "$work/source" >"$work/pip.log" 2>&1; then
	fail "it was built without a compiler"
fi
tail -n 20 "$work/pip.log" | grep -q 'apt-get install gcc libc6-dev' || {
	tail -n 20 "$work/pip.log" >&2
	fail "no remedy for a missing compiler"
}
cd - >/dev/null
mkdir -p dist
cp "$wheel" dist/
echo "wheel: $(basename "$wheel") ($(stat -c %s "$wheel") bytes), installed elsewhere, runs scripts, works without llvmlite"
