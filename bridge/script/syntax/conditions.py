"""The conditions of `%( left op right %? … %)`: three tokens -> true or false.

Rule: what is not known of the kernel is an empty string, as in SystemTap. Spec: section 2.
"""

from __future__ import annotations

import gzip
import operator
import os
import re
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.script import errors
from bridge.script.syntax.tokens import IDENTIFIER, NUMBER, OPERATOR, STRING, Token

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.script.options import AnalyseOptions

_ORDERS: dict[str, Callable[[object, object], bool]] = {
    "<=": operator.le,  # type: ignore[dict-item] # applied to two ints or two strs
    ">=": operator.ge,  # type: ignore[dict-item] # likewise
    "<": operator.lt,  # type: ignore[dict-item] # likewise
    ">": operator.gt,  # type: ignore[dict-item] # likewise
    "==": operator.eq,
    "!=": operator.ne,
}
_LARGEST = (1 << 63) - 1
_PIECES = re.compile(r"[0-9]+|[^0-9]+")
_VERSIONS = frozenset({"kernel_v", "kernel_vr", "systemtap_v"})
_WORDS = frozenset({"arch", "runtime"})


def compare_versions(left: str, right: str) -> int:
    """Negative, 0 or positive, digits by value, as strverscmp does for version numbers."""

    def key(text: str) -> list[tuple[int, int, str]]:
        return [_by_value(p) for p in _PIECES.findall(text)]

    a, b = key(left), key(right)
    return (a > b) - (a < b)


def _by_value(piece: str) -> tuple[int, int, str]:
    """What orders a run of digits by its value, and other characters around it."""
    if piece[0].isdigit():
        digits = piece.lstrip("0")
        return 1, len(digits), digits
    return (2 if piece[0] > "9" else 0), 0, piece


@cache
def host_conditions() -> Mapping[str, str]:
    """What this machine answers: its kernel's version, its architecture, its configuration."""
    uname = os.uname()
    facts = {
        "kernel_vr": uname.release,
        "kernel_v": uname.release.split("-", maxsplit=1)[0],
        "arch": {"aarch64": "arm64"}.get(uname.machine, uname.machine),
    }
    for line in _configuration(uname.release).splitlines():
        name, found, value = line.partition("=")
        if found and name.startswith("CONFIG_"):
            facts[name] = value.strip('"')
    return facts


def _configuration(release: str) -> str:
    try:
        return gzip.decompress(Path("/proc/config.gz").read_bytes()).decode("latin-1")
    except OSError:
        pass
    try:
        return Path(f"/boot/config-{release}").read_text("latin-1")
    except OSError:
        return ""


def evaluate(left: Token, op: Token, right: Token, options: AnalyseOptions) -> bool:
    """Whether the condition holds; refused with SystemTap's message if it makes no sense."""
    known = options.conditions or host_conditions()
    word = left.text if left.kind == IDENTIFIER else ""
    if word in _VERSIONS:
        _require(right, STRING, _TEXT)
        value = options.compatible if word == "systemtap_v" else known.get(word, "")
        return _version(value, op, right)
    if word == "systemtap_privilege":
        _require(right, STRING, _TEXT)
        return _equal(op, options.privilege == right.text)
    if word == "guru_mode":
        _require(right, NUMBER, errors.unexpected("expected number"))
        if right.text not in {"0", "1"}:
            raise errors.Refused(errors.parse(errors.unexpected("expected 0 or 1"), op))
        return _equal(op, options.guru == (right.text == "1"))
    if word in _WORDS:
        _require(right, STRING, _TEXT)
        value = known.get("runtime", "kernel") if word == "runtime" else known.get(word, "")
        return _equal(op, fnmatchcase(value, right.text))
    if word.startswith("CONFIG_"):
        return _config(left, op, right, known)
    return _constants(left, op, right)


def _require(token: Token, kind: str, message: errors.Message) -> None:
    if token.kind != kind:
        raise errors.Refused(errors.parse(message, token))


def _equal(op: Token, same: bool) -> bool:
    if op.kind != OPERATOR or op.text not in {"==", "!="}:
        raise errors.Refused(errors.parse(errors.unexpected("expected '==' or '!='"), op))
    return same == (op.text == "==")


def _order(op: Token, left: object, right: object) -> bool:
    if op.kind != OPERATOR or op.text not in _ORDERS:
        raise errors.Refused(
            errors.parse(errors.unexpected("expected comparison operator"), op)
        )
    return _ORDERS[op.text](left, right)


def _version(value: str, op: Token, right: Token) -> bool:
    if re.search(r"[*?\[]", right.text):
        _order(op, 0, 0)
        if op.text not in {"==", "!="}:
            message = errors.Message(
                "wildcard-in-comparison", "wildcard not allowed with order comparison operators"
            )
            raise errors.Refused(errors.parse(message, op))
        return _equal(op, fnmatchcase(value, right.text))
    return _order(op, compare_versions(value, right.text), 0)


def _integer(text: str) -> int | None:
    """The value by C's strtoll with base 0 ("" is 0)."""
    try:
        return int(text, 0) if text else 0
    except ValueError:
        return int(text, 8) if re.fullmatch(r"0[0-7]+", text) else None


def _decimal(token: Token) -> int:
    """The value of a number, which is decimal here and has 63 bits."""
    digits = token.text.lstrip("0") or "0"
    if not digits.isdigit() or len(digits) > len(str(_LARGEST)) or int(digits) > _LARGEST:
        raise errors.Refused(errors.parse(errors.NUMBER_RANGE, token))
    return int(digits)


def _config(left: Token, op: Token, right: Token, known: Mapping[str, str]) -> bool:
    value = known.get(left.text, "")
    if right.kind == STRING:
        return _equal(op, fnmatchcase(value, right.text))
    number = _integer(value)
    if right.kind == NUMBER:
        if number is None:
            raise errors.Refused(errors.parse(_NO_NUMBER, left))
        return _order(op, number, _decimal(right))
    if right.kind == IDENTIFIER and right.text.startswith("CONFIG_"):
        other = known.get(right.text, "")
        second = _integer(other)
        if number is not None and second is not None:
            return _order(op, number, second)
        return _order(op, value, other)
    message = errors.unexpected(
        "expected string, number literal or other CONFIG_... as right side operand"
    )
    raise errors.Refused(errors.parse(message, right))


_TEXT = errors.unexpected("expected string literal")
_NO_NUMBER = errors.Message("config-not-a-number", "Config option value not a number")
_EXPECTED = errors.unexpected(
    "expected 'arch', 'kernel_v', 'kernel_vr', 'systemtap_v',\n"
    "             'runtime', 'systemtap_privilege', 'CONFIG_...', or\n"
    "             comparison between strings or integers"
)


def _constants(left: Token, op: Token, right: Token) -> bool:
    kinds = (left.kind, right.kind)
    if kinds == (STRING, STRING):
        return _order(op, left.text, right.text)
    if kinds == (NUMBER, NUMBER):
        return _order(op, _decimal(left), _decimal(right))
    if op.kind == OPERATOR and kinds == (STRING, NUMBER):
        raise errors.Refused(
            errors.parse(errors.unexpected("expected string literal as right value"), right)
        )
    if op.kind == OPERATOR and kinds == (NUMBER, STRING):
        raise errors.Refused(
            errors.parse(errors.unexpected("expected number literal as right value"), right)
        )
    raise errors.Refused(errors.parse(_EXPECTED, left))
