"""Random patterns on random texts: the machine in C finds what trying in Python finds."""

from __future__ import annotations

import random

import pytest

from bridge._native import ffi, lib
from bridge.codegen.native.patterns import PatternCode, compile_pattern
from bridge.interpreter.patterns import search
from bridge.ir.patterns.parse import PatternError
from bridge.ir.patterns.tree import MAX_GROUPS

CAPACITY = 64
CHUNK = 500
ATOMS = (b"a", b"b", b"c", b"ab", b".", b"[ab]", b"[^a]", b"^", b"$", b"\\.", b"")
REPEATS = (b"*", b"+", b"?", b"{2}", b"{1,2}", b"{0,2}", b"{2,}", b"{0}")


def _pattern(pick: random.Random, depth: int) -> bytes:
    kind = pick.random() if depth else 0.0
    if kind < 0.3:
        return pick.choice(ATOMS)
    if kind < 0.5:
        return _pattern(pick, depth - 1) + _pattern(pick, depth - 1)
    if kind < 0.6:
        return pick.choice([b"(%b)", b"(?:%b)"]) % _pattern(pick, depth - 1)
    if kind < 0.8:
        return b"(%b|%b)" % (_pattern(pick, depth - 1), _pattern(pick, depth - 1))
    return b"(%b)%b" % (_pattern(pick, depth - 1), pick.choice(REPEATS))


def _session(code: PatternCode) -> object:
    limits = ffi.new("struct mb_limits *", {"maxstringlen": CAPACITY, "maxnesting": 1})
    session = ffi.gc(lib.mb_session_new(limits, 0), lib.mb_session_free)
    operations = ffi.new("struct mb_regex_op[]", code.operations)
    sets = ffi.from_buffer("uint8_t[]", b"".join(code.sets))
    counts = len(code.operations), sets, len(code.sets), code.groups
    assert lib.mb_session_add_regex(session, operations, *counts) == 0
    return session


def _held(session: object, groups: int) -> list[bytes]:
    text = ffi.new("char[]", CAPACITY)
    held = []
    for number in range(groups):
        assert lib.mb_do_matched(session, 0, text, ffi.new("int64_t[]", [number])) == 0
        held.append(ffi.string(text))
    return held


def _difference(pattern: bytes, texts: list[bytes]) -> str:
    code = compile_pattern(pattern)
    grouped, plain = _session(code), _session(compile_pattern(pattern, grouped=False))
    for text in texts:
        found = search(pattern, text)
        expected = [found.group(n) for n in range(found.groups)] if found else None
        matched = lib.mb_match(grouped, ffi.new("char[]", text), 0)
        given = _held(grouped, code.groups) if matched else None
        if given != expected or matched != lib.mb_match(plain, ffi.new("char[]", text), 0):
            return f"{pattern!r} on {text!r}: {given}, {expected} by trying"
    return ""


@pytest.mark.parametrize("first", range(0, 2000, CHUNK))
def test_machine_and_trying_agree(first: int) -> None:
    for seed in range(first, first + CHUNK):
        pick = random.Random(seed)
        pattern = _pattern(pick, pick.randint(1, 5))
        try:
            compile_pattern(pattern)
        except PatternError:
            continue
        texts = [bytes(pick.choices(b"abc.", k=pick.randint(0, 9))) for _ in range(5)]
        assert not _difference(pattern, texts)


def test_long_texts_and_all_bytes() -> None:
    every = bytes(range(1, CAPACITY))
    assert not _difference(b"[^a]*([[:punct:]]+)(.*)", [every, every[::-1], b"", b"a"])
    assert not _difference(b"\xc3\xa9([\x80-\xff]?)", [b"\xe9\xc3\xa9", b"\xc3\xa9\xc3"])
    assert not _difference(b"()" * (MAX_GROUPS - 1), [b"", b"a"])
    assert not _difference(b"(a{2,30}|b{30})+$", [b"a" * 50 + b"b" * 9, b"a" * 63])
