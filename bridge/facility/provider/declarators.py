"""Words of a C declaration -> type and name.

The rule: a name is the last word that is no keyword and has a type before it; what follows a
tag (`struct`, `union`, `enum`) is part of the type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.facility.provider.model import ProviderArgument

if TYPE_CHECKING:
    from collections.abc import Sequence

_TAGS = frozenset(("struct", "union", "enum"))
_KEYWORDS = _TAGS | frozenset(
    (
        "char", "short", "int", "long", "signed", "unsigned", "float", "double", "void",
        "_Bool", "const", "volatile", "restrict", "register", "static", "extern", "inline",
    )
)  # fmt: skip
_QUALIFIERS = frozenset(("const", "volatile", "restrict"))


def argument(words: Sequence[str]) -> ProviderArgument:
    """`const char *name[8]` -> its type `const char *[8]` and its name."""
    at = _name_at(words)
    if at is None:
        return ProviderArgument(joined(words))
    return ProviderArgument(joined([*words[:at], *words[at + 1 :]]), words[at])


def _name_at(words: Sequence[str]) -> int | None:
    """The place of the name; None where there is none."""
    # `void (*name)(int)`, `int (name)`: the name stands in the first group
    group = next((n for n, word in enumerate(words) if word == "("), None)
    if group is not None:
        end = next((n for n in range(group, len(words)) if words[n] == ")"), len(words))
        inner = [n for n in range(group + 1, end) if _is_name(words, n)]
        return inner[-1] if inner and "*" in words[group:end] else None
    end = next((n for n, word in enumerate(words) if word == "["), len(words))
    if end < 2 or not _is_name(words, end - 1):
        return None
    before = [word for word in words[: end - 1] if word not in _QUALIFIERS]
    return end - 1 if before and before[-1] not in _TAGS else None


def _is_name(words: Sequence[str], at: int) -> bool:
    word = words[at]
    return word not in _KEYWORDS and (word[0].isalpha() or word[0] in "_$")


def joined(words: Sequence[str]) -> str:
    """The words as people write a type: `const char *`, `int [4]`, `void (*)(int)`."""
    text = ""
    for word in words:
        closed = not text or text[-1] in "(*[" or (word in ")],(" and text[-1] in ")*")
        text += word if closed or word in ")]," else f" {word}"
    return text


def typedef(words: Sequence[str]) -> dict[str, str]:
    """The name that a typedef gives, with what it stands for; {} for anything else."""
    if not words or words[0] != "typedef":
        return {}
    rest = _without_blocks(words[1:])
    found = argument(rest)
    return {found.name: found.type} if found.name else {}


def _without_blocks(words: Sequence[str]) -> list[str]:
    """The words outside of braces and before the semicolon."""
    depth, kept = 0, []
    for word in words:
        depth += (word == "{") - (word == "}")
        if not depth and word not in ("}", ";"):
            kept.append(word)
    return kept


__all__ = ["argument", "joined", "typedef"]
