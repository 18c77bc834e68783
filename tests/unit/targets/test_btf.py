"""BTF: a synthesised image with every shape that paths go through, and the running kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.markers import Access, NoAccess
from bridge.probes.btf import Btf, BtfError, BtfKind
from bridge.probes.members import TracepointMembers, raw_variables
from tests.support.kernel_types import Image


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
    pointer = image.add(BtfKind.PTR, value=forward)
    constant = image.add(BtfKind.CONST, value=pointer)
    node = image.struct(
        "node",
        48,
        ("id", int_, 0),
        ("", inner, 32),
        ("next", constant, 64),
        ("sizes", sizes, 128),
    )
    assert node == forward
    void = image.add(BtfKind.PTR, value=0)
    prototype = image.prototype(("__data", void), ("on", byte), ("node", pointer))
    image.add(BtfKind.FUNC, "__traceiter_walk", prototype)
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
    assert (access.offsets, access.size) == ((8, 16), 0)


@pytest.mark.parametrize(
    ("name", "path", "message"),
    [
        (
            "node",
            ["nope"],
            "unable to find member 'nope' for struct node"
            " (alternatives: mode, id, next, sizes, flags)",
        ),
        ("node", ["id", "x"], "invalid access '->x' vs. int"),
        ("node", ["id", 1], "invalid access '[1]' vs. int"),
        ("on", ["x"], "invalid access '->x' vs. unsigned char"),
        ("nope", ["x"], "unable to find tracepoint variable '$nope'"),
    ],
)
def test_what_is_not_there(
    members: TracepointMembers, name: str, path: list[str | int], message: str
) -> None:
    found = members.access(name, path)
    assert isinstance(found, NoAccess)
    assert found.message == message


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
