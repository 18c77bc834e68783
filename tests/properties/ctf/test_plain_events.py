"""Blocks of events that patterns take are those that the parser makes, whatever the text."""

from __future__ import annotations

import random

import pytest

from bridge.trace.ctf import metadata, plain_events
from bridge.trace.ctf.parse import MetadataError, parse

HEAD = """/* CTF 1.8 */
typealias integer { size = 8; align = 8; signed = false; } := uint8_t;
trace { major = 1; minor = 8; byte_order = le;
  packet.header := struct { uint8_t stream_id; }; };
env { hostname = "x"; };
clock { name = "monotonic"; freq = 1000000000; /* Frequency, in Hz */ };
stream { id = 0; event.header := struct { uint8_t id; }; };
"""
_NUMBER = "integer { size = %d; align = %d; signed = %d; encoding = %s; base = %d; }"
PIECES = (
    f"\t\t{_NUMBER % (32, 8, 1, 'none', 10)} _n;\n",
    f"\t\t{_NUMBER % (64, 64, 0, 'none', 16)} _address;\n",
    "\t\tstring _item;\n",
    f"\t\t{_NUMBER % (8, 8, 1, 'UTF8', 10)} _name[ 17 ];\n",
    f"\t\t{_NUMBER % (32, 8, 0, 'none', 10)} __k_length;\n"
    f"\t\t{_NUMBER % (16, 16, 1, 'none', 8)} _k[ __k_length ];\n",
    "\t\tfloating_point { exp_dig = 11; mant_dig = 53; align = 8; } _price;\n",
    f'\t\tenum : {_NUMBER % (8, 8, 0, "none", 10)} {{ "a" = 0, "b" = 1 ... 3, }} _kind;\n',
)


def _event(number: int, chance: random.Random) -> str:
    body = "".join(chance.sample(PIECES, chance.randrange(len(PIECES))))
    level = "\tloglevel = 13;\n" if chance.random() < 0.5 else ""
    return (
        f'event {{\n\tname = "shop:e{number}";\n\tid = {number};\n\tstream_id = 0;\n{level}'
        f"\tfields := struct {{\n{body}\t}};\n}};\n\n"
    )


def _text(chance: random.Random) -> str:
    return HEAD + "".join(_event(n, chance) for n in range(chance.randrange(1, 9)))


def _described(text: str) -> object:
    try:
        found = metadata.describe(text, "metadata")
    except MetadataError as error:
        return str(error)
    rows = [
        (e.stream_id, e.event.name, e.event.id, e.event.payload, e.event.attributes)
        for e in found.events
    ]
    return rows, found.environment, found.clocks, list(found.streams)


def test_what_lttng_writes_is_the_same_tree() -> None:
    for seed in range(30):
        text = _text(random.Random(seed))
        rest, blocks = plain_events.take(text)

        assert blocks or "floating" in text or "enum" in text
        assert rest.count("\n") == text.count("\n")
        items, whole = plain_events.items_of(text, "m"), parse(text, "m")
        assert [item.line for item in items] == [item.line for item in whole]


def test_changed_texts_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(2)
    letters = '{}[];=_:/*"\\\n\t 0198ax'
    texts = []
    for seed in range(400):
        text = list(_text(random.Random(seed)))
        for _ in range(chance.randrange(4)):
            at = chance.randrange(len(text))
            match chance.randrange(3):
                case 0:
                    text[at] = chance.choice(letters)
                case 1:
                    del text[at : at + chance.choice((1, 1, 30))]
                case _:
                    text.insert(
                        at, chance.choice((*letters, "// x", "/* ", " */", "event {\n"))
                    )
        texts.append("".join(text))
    with_patterns = [_described(text) for text in texts]
    taken = sum(bool(plain_events.take(text)[1]) for text in texts)
    monkeypatch.setattr(plain_events, "take", lambda text: (text, {}))

    for text, found in zip(texts, with_patterns, strict=True):
        assert found == _described(text)
    assert taken > 100
    assert sum(isinstance(found, str) for found in with_patterns) > 50
