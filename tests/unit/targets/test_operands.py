"""Operands of USDT notes, in all forms that compilers write."""

from __future__ import annotations

import pytest

from bridge.markers import Constant, Memory, Register
from bridge.probes.operands import OperandContext, UnreadableOperand, operand, split

SYMBOLS = {"foo": 0x4000, ".LC0": 0x100, "names": 0x404000}
MOVING = OperandContext(SYMBOLS.get, 0x1000, fixed=False)
FIXED = OperandContext(SYMBOLS.get, 0x1000, fixed=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8@%rax", Register("rax", 8, signed=False)),
        ("-8@%r15", Register("r15", 8, signed=True)),
        ("-4@%edi", Register("rdi", 4, signed=True)),
        ("4@%r8d", Register("r8", 4, signed=False)),
        ("-2@%dx", Register("rdx", 2, signed=True)),
        ("2@%r9w", Register("r9", 2, signed=False)),
        ("1@%sil", Register("rsi", 1, signed=False)),
        ("-1@%r10b", Register("r10", 1, signed=True)),
        ("1@%ah", Register("rax", 1, signed=False, high=True)),
        ("-1@%bh", Register("rbx", 1, signed=True, high=True)),
        ("4@%rax", Register("rax", 4, signed=False)),
        ("-4@%al", Register("rax", 1, signed=False)),
        ("%rbx", Register("rbx", 8, signed=True)),
        ("4@$5", Constant(5)),
        ("-4@$-5", Constant(-5)),
        ("4@$-1", Constant(0xFFFFFFFF)),
        ("-1@$255", Constant(-1)),
        ("8@$-1", Constant(-1)),
        ("8@$0x7fffffffffffffff", Constant(0x7FFFFFFFFFFFFFFF)),
        ("8@$0xffffffffffffffff", Constant(-1)),
        ("8@(%rax)", Memory("rax", None, 1, 0, 8, signed=False)),
        ("-4@-20(%rbp)", Memory("rbp", None, 1, -20, 4, signed=True)),
        ("8@0x10(%rdi)", Memory("rdi", None, 1, 16, 8, signed=False)),
        ("8@-8+16(%rsp)", Memory("rsp", None, 1, 8, 8, signed=False)),
        ("8@16(%rsp,%rax,8)", Memory("rsp", "rax", 8, 16, 8, signed=False)),
        ("8@16(%rsp, %rax, 8)", Memory("rsp", "rax", 8, 16, 8, signed=False)),
        ("1@(%rsi,%rcx)", Memory("rsi", "rcx", 1, 0, 1, signed=False)),
        ("8@foo(%rip)", Memory("rip", None, 1, 0x3000, 8, signed=False)),
        ("8@foo+4(%rip)", Memory("rip", None, 1, 0x3004, 8, signed=False)),
        ("8@16+foo(%rip)", Memory("rip", None, 1, 0x3010, 8, signed=False)),
        ("-4@.LC0-8(%rip)", Memory("rip", None, 1, -0xF08, 4, signed=True)),
        ("8@foo", Memory("rip", None, 1, 0x3000, 8, signed=False)),
        ("8@names(,%r10,8)", Memory("rip", "r10", 8, 0x403000, 8, signed=False)),
    ],
)
def test_x86_64(text: str, expected: object) -> None:
    assert operand(text, "x86_64", MOVING) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8@$foo", Constant(0x4000)),
        ("8@$foo+8", Constant(0x4008)),
        ("8@foo", Memory(None, None, 1, 0x4000, 8, signed=False)),
        ("8@names(,%r10,8)", Memory(None, "r10", 8, 0x404000, 8, signed=False)),
        ("4@names+4(%rax)", Memory("rax", None, 1, 0x404004, 4, signed=False)),
    ],
)
def test_symbols_of_a_program_at_fixed_addresses(text: str, expected: object) -> None:
    assert operand(text, "x86_64", FIXED) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-4@w0", Register("x0", 4, signed=True)),
        ("8@x30", Register("x30", 8, signed=False)),
        ("8@sp", Register("sp", 8, signed=False)),
        ("4@wzr", Constant(0)),
        ("8@xzr", Constant(0)),
        ("4@[sp, 12]", Memory("sp", None, 1, 12, 4, signed=False)),
        ("8@[x0]", Memory("x0", None, 1, 0, 8, signed=False)),
        ("8@[x29, -24]", Memory("x29", None, 1, -24, 8, signed=False)),
        ("8@[x0, #16]", Memory("x0", None, 1, 16, 8, signed=False)),
        ("8@[x0, x1]", Memory("x0", "x1", 1, 0, 8, signed=False)),
        ("8@[x0,x1,lsl 3]", Memory("x0", "x1", 8, 0, 8, signed=False)),
        ("8@[x0, x1, lsl #3]", Memory("x0", "x1", 8, 0, 8, signed=False)),
        ("4@5", Constant(5)),
        ("-4@#-5", Constant(-5)),
        ("-2@-3", Constant(-3)),
    ],
)
def test_aarch64(text: str, expected: object) -> None:
    assert operand(text, "aarch64") == expected


@pytest.mark.parametrize(
    ("text", "machine", "expected"),
    [
        ("8f@%rax", "x86_64", Register("rax", 8, signed=False)),
        ("4f@%ecx", "x86_64", Register("rcx", 4, signed=False)),
        ("-4f@-8(%rbp)", "x86_64", Memory("rbp", None, 1, -8, 4, signed=False)),
        ("8f@$4612811918334230528", "x86_64", Constant(4612811918334230528)),
        ("8f@[sp, 24]", "aarch64", Memory("sp", None, 1, 24, 8, signed=False)),
        ("4f@w1", "aarch64", Register("x1", 4, signed=False)),
    ],
)
def test_a_float_is_its_bits(text: str, machine: str, expected: object) -> None:
    assert operand(text, machine) == expected


@pytest.mark.parametrize(
    ("text", "machine", "reason"),
    [
        ("8f@%xmm0", "x86_64", "`xmm0`, a floating-point register"),
        ("4f@s3", "aarch64", "`s3`, a floating-point register"),
        ("8f@d0", "aarch64", "`d0`, a floating-point register"),
        ("16f@(%rax)", "x86_64", "floating-point number of 16 bytes"),
        ("8@%xmm1", "x86_64", "`xmm1`, a floating-point register"),
        ("8@%cr3", "x86_64", "`cr3`, which is not a general register"),
        ("16@(%rax)", "x86_64", "16 bytes"),
        ("3@%rax", "x86_64", "3 bytes"),
        ("8@bar(%rip)", "x86_64", "`bar` is not in the file's symbol table"),
        ("8@foo@GOTPCREL(%rip)", "x86_64", "`foo@GOTPCREL`"),
        ("8@16(%rip)", "x86_64", "instruction pointer"),
        ("8@$foo", "x86_64", "moves when loaded"),
        ("8@names(%rax)", "x86_64", "moves"),
        ("8@%fs:40", "x86_64", "segment register"),
        ("8@%fs:40(%rax)", "x86_64", "segment register"),
        ("8@%fs:(%rax)", "x86_64", "segment register"),
        ("4@(%eax)", "x86_64", "`eax`, which is not an address register"),
        ("8@[x0, w1, sxtw 3]", "aarch64", "`sxtw`"),
        ("8@[x0,#:lo12:foo]", "aarch64", "not understood"),
        ("8@x31", "aarch64", "`x31`"),
        ("8@", "x86_64", "not understood"),
        ("8@%rax junk", "x86_64", "not understood"),
        ("8@%rax", "riscv", "machine"),
    ],
)
def test_what_cannot_be_read_says_why(text: str, machine: str, reason: str) -> None:
    found = operand(text, machine, MOVING)

    assert isinstance(found, UnreadableOperand)
    assert reason in found.reason


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        ("  ", []),
        ("8@%rax", ["8@%rax"]),
        ("-4@%eax 8@16(%rsp, %rax, 8)  1@$3", ["-4@%eax", "8@16(%rsp, %rax, 8)", "1@$3"]),
        ("8@[sp, 16] -4@5", ["8@[sp, 16]", "-4@5"]),
        ("8f@%xmm0 -8@%rbx", ["8f@%xmm0", "-8@%rbx"]),
        ("%rax 8(%rdx, %rcx, 4) $1", ["%rax", "8(%rdx, %rcx, 4)", "$1"]),
    ],
)
def test_split(text: str, pieces: list[str]) -> None:
    assert split(text) == pieces
