"""BTF: a synthesised image with every shape that paths go through, and the running kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.formats import btf as layout
from bridge.markers import Access
from bridge.targets.btf import Btf, BtfError, Kind
from bridge.targets.members import TracepointMembers, raw_variables


class Image:
    """Builds a BTF image type by type."""

    def __init__(self) -> None:
        self.strings, self.types, self.count = b"\0", b"", 0

    def name(self, text: str) -> int:
        if not text:
            return 0
        self.strings += text.encode() + b"\0"
        return len(self.strings) - len(text) - 1

    def add(
        self,
        kind: Kind,
        name: str = "",
        value: int = 0,
        *,
        count: int = 0,
        flag: int = 0,
        tail: bytes = b"",
    ) -> int:
        info = flag << 31 | kind << 24 | count
        self.types += layout.TYPE.build(
            {"name_off": self.name(name), "info": info, "size_or_type": value}
        )
        self.types += tail
        self.count += 1
        return self.count

    def integer(self, name: str, size: int, *, signed: bool) -> int:
        word = (1 << 24 if signed else 0) | size * 8
        return self.add(Kind.INT, name, size, tail=layout.WORD_FAST.pack(word))

    def struct(
        self,
        name: str,
        size: int,
        *members: tuple[str, int, int],
        flag: int = 0,
        kind: Kind = Kind.STRUCT,
    ) -> int:
        tail = b"".join(
            layout.MEMBER.build({"name_off": self.name(n), "type": t, "offset": o})
            for n, t, o in members
        )
        return self.add(kind, name, size, count=len(members), flag=flag, tail=tail)

    def prototype(self, *parameters: tuple[str, int]) -> int:
        tail = b"".join(
            layout.PARAMETER.build({"name_off": self.name(n), "type": t}) for n, t in parameters
        )
        return self.add(Kind.FUNC_PROTO, count=len(parameters), tail=tail)

    def array(self, element: int, count: int) -> int:
        tail = layout.ARRAY.build({"type": element, "index_type": 1, "nelems": count})
        return self.add(Kind.ARRAY, tail=tail)

    def build(self) -> bytes:
        header = {
            "version": 1,
            "flags": 0,
            "hdr_len": 24,
            "type_off": 0,
            "type_len": len(self.types),
            "str_off": len(self.types),
            "str_len": len(self.strings),
        }
        return layout.HEADER.build(header) + self.types + self.strings


@pytest.fixture(scope="module")
def members() -> TracepointMembers:
    """struct node { int id; struct { u8 flags:3, mode:5; }; node *next; long sizes[4]; }"""
    image = Image()
    int_ = image.integer("int", 4, signed=True)
    byte = image.integer("unsigned char", 1, signed=False)
    long_ = image.integer("long int", 8, signed=True)
    forward = image.count + 5
    sizes = image.array(long_, 4)
    inner = image.struct(
        "", 1, ("flags", byte, 3 << 24 | 0), ("mode", byte, 5 << 24 | 3), flag=1
    )
    pointer = image.add(Kind.PTR, value=forward)
    constant = image.add(Kind.CONST, value=pointer)
    node = image.struct(
        "node",
        48,
        ("id", int_, 0),
        ("", inner, 32),
        ("next", constant, 64),
        ("sizes", sizes, 128),
    )
    assert node == forward
    void = image.add(Kind.PTR, value=0)
    prototype = image.prototype(("__data", void), ("on", byte), ("node", pointer))
    image.add(Kind.FUNC, "__traceiter_walk", prototype)
    return TracepointMembers(Btf(image.build()), "walk")


def test_arguments_have_their_names_sizes_and_signs(members: TracepointMembers) -> None:
    on, node = raw_variables(members.btf, "walk")

    assert (on.name, on.ctype, on.raw.index, on.raw.size, on.raw.signed) == (
        "on",
        "unsigned char",
        0,
        1,
        False,
    )
    assert (node.name, node.ctype, node.raw.index) == ("node", "struct node*", 1)
    assert raw_variables(members.btf, "run") == ()


@pytest.mark.parametrize(
    ("path", "offsets", "size", "bits"),
    [
        (["id"], (0,), 4, (0, 0)),
        (["next", "id"], (8, 0), 4, (0, 0)),
        (["next", "next", "next"], (8, 8, 8), 8, (0, 0)),
        (["flags"], (4,), 1, (0, 3)),
        (["next", "mode"], (8, 4), 1, (3, 5)),
        (["sizes", 2], (32,), 8, (0, 0)),
        (["sizes"], (16,), 0, (0, 0)),
        ([2, "id"], (96,), 4, (0, 0)),
        (["next", 1, "id"], (8, 48), 4, (0, 0)),
    ],
)
def test_paths(
    members: TracepointMembers,
    path: list[str | int],
    offsets: tuple[int, ...],
    size: int,
    bits: tuple[int, int],
) -> None:
    access = members.access("node", path)

    assert isinstance(access, Access)
    assert (access.offsets, access.size, (access.shift, access.bits)) == (offsets, size, bits)


def test_address_of_a_member(members: TracepointMembers) -> None:
    access = members.access("node", ["next", "sizes"], address_of=True)

    assert isinstance(access, Access)
    assert (access.offsets, access.size, access.text) == ((8, 16), 0, "$node->next->sizes")


@pytest.mark.parametrize(
    ("name", "path", "message"),
    [
        ("node", ["nope"], "unable to find member 'nope' for struct node"),
        ("node", ["id", "x"], "unable to find member 'x' for int"),
        ("node", ["id", 1], "cannot index values of type int"),
        ("on", ["x"], "invalid access 'x' to a value of type unsigned char"),
        ("nope", ["x"], "unable to find tracepoint variable '$nope'"),
    ],
)
def test_what_is_not_there(
    members: TracepointMembers, name: str, path: list[str | int], message: str
) -> None:
    assert members.access(name, path) == message


@pytest.mark.parametrize("data", [b"", b"\x7fELF" + bytes(60), Image().build()[:20]])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(BtfError, match="not BTF"):
        Btf(data)


@pytest.mark.bpf
def test_the_running_kernel() -> None:
    btf = Btf(Path("/sys/kernel/btf/vmlinux").read_bytes())

    names = [variable.name for variable in raw_variables(btf, "sched_switch")]

    assert names[:3] == ["preempt", "prev", "next"]
    pid = TracepointMembers(btf, "sched_switch").access("next", ["pid"])
    assert isinstance(pid, Access)
    assert (pid.size, pid.signed, len(pid.offsets)) == (4, True, 1)
