"""BPF code: what becomes of operands and captures, and that the kernel takes it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.artifact import Hook, Placed, Placement, RecordLayout, Where
from bridge.codegen.bpf.generate import generate
from bridge.codegen.bpf.object import Attach, MapType, error_word, split_error_word
from bridge.engine.kernel import attach
from bridge.ir import ops
from bridge.ir.program import (
    Argument,
    Array,
    BasicBlock,
    Buckets,
    Computed,
    Context,
    Function,
    Handler,
    IrProgram,
    Literal,
    Load,
    Reg,
    Scalar,
    StatShape,
    Value,
)
from bridge.markers import (
    Constant,
    Expansion,
    Kind,
    Marker,
    MarkerAttachment,
    Memory,
    Operand,
    RawArgument,
    Register,
    Site,
    TracepointField,
    ValueType,
    Variable,
)

LONG, STRING = Value.LONG, Value.STRING
SITES = (Site("/bin/x", 0x10, 0x10), Site("/bin/x", 0x20, 0x20))
RING = 1 << 16


def marker(*operands: Operand, kind: Kind = Kind.USDT, machine: str = "x86_64") -> Marker:
    variables = tuple(
        Variable(f"arg{n}", ValueType.LONG, (operand,), raw=operand if raw else None)
        for n, operand in enumerate(operands, 1)
        for raw in [isinstance(operand, RawArgument)]
    )
    sites = () if kind is Kind.TRACEPOINT else SITES[:1]
    return Marker(kind, "demo", "hit", sites, variables, machine, id=1)


def handler(at: Marker, captures: tuple, registers: list[Value], body: list) -> Handler:
    function = Function("h", 0, registers, None, [BasicBlock(body, ops.Return())])
    return Handler("p", "p", Expansion(MarkerAttachment(at), "p"), captures, function)


def sending(at: Marker, *captures: object, follow: bool = False) -> Placed:
    """A program that captures and sends."""
    attachment = MarkerAttachment(at, follow_target=follow)
    user = handler(at, captures, [], [])
    hook = Hook(0, attachment, (0,), (0,), RecordLayout(captures))
    return Placed(IrProgram(handlers=[user]), (Placement(Where.USER, ""),), (hook,))


def counting(
    at: Marker, declarations: list, captures: tuple, registers: list, body: list
) -> Placed:
    """A program whose handler runs in the kernel."""
    kernel = handler(at, captures, registers, body)
    hook = Hook(0, MarkerAttachment(at), (0,), (), RecordLayout(()))
    program = IrProgram(globals=declarations, handlers=[kernel], sites=[])
    accumulators = frozenset(range(len(declarations)))
    return Placed(program, (Placement(Where.KERNEL, ""),), (hook,), accumulators)


OPERANDS = {
    "register": Register("rdi", 8, True),
    "narrow": Register("rsi", 2, True),
    "high": Register("rbx", 1, False, high=True),
    "constant": Constant(-5),
    "memory": Memory("rbp", None, 1, -8, 4, True),
    "indexed": Memory("rax", "rcx", 8, 16, 8, False),
    "absolute": Memory(None, None, 1, 0x601040, 8, True),
    "rip": Memory("rip", None, 1, 0x2F00, 4, True),
}
CAPTURES = {
    "contexts": tuple(
        Context(name)
        for name in ("pid", "tid", "uid", "gid", "cpu", "realtime_ns", "monotonic_ns")
    ),
    "task": (Context("ppid"), Context("euid"), Context("egid")),
    "name": (Context("execname"),),
    "string": (Load("user", STRING, Argument("arg1", LONG)),),
    "short string": (Load("user", STRING, Argument("arg1", LONG), limit=20),),
    "kernel string": (Load("kernel", STRING, Argument("arg1", LONG)),),
    "strings": tuple(
        Load("user", STRING, Computed("+", Argument("arg1", LONG), Literal(n)))
        for n in range(12)
    ),
    "number": (Load("user", LONG, Argument("arg1", LONG), size=2, signed=True),),
    "through a pointer": (Load("user", STRING, Load("user", LONG, Argument("arg1", LONG))),),
    "computed": tuple(
        Computed(op, Argument("arg1", LONG), Literal(3))
        for op in ("+", "-", "*", "&", "|", "^", "<<", ">>", ">>>")
    ),
}


@pytest.mark.parametrize("operand", OPERANDS.values(), ids=OPERANDS)
def test_one_program_per_set_of_operands(operand: Operand) -> None:
    at = replace(marker(operand), sites=SITES)

    compiled = generate(sending(at, Argument("arg1", LONG)), RING)

    assert [program.sites for program in compiled.programs] == [SITES]
    assert compiled.programs[0].code
    assert len(compiled.programs[0].code) % 8 == 0


def test_sites_with_other_operands_get_programs_of_their_own() -> None:
    operands = (Register("rdi", 8, True), Register("rsi", 8, True))
    at = replace(marker(), sites=SITES, variables=(Variable("arg1", ValueType.LONG, operands),))

    used = generate(sending(at, Argument("arg1", LONG)), RING)
    unused = generate(sending(at, Context("pid")), RING)

    assert [program.sites for program in used.programs] == [SITES[:1], SITES[1:]]
    assert [program.sites for program in unused.programs] == [SITES]


def test_an_unknown_register_is_refused() -> None:
    with pytest.raises(Exception, match="x0"):
        generate(sending(marker(Register("x0", 8, True)), Argument("arg1", LONG)), RING)


def test_aarch64_registers_are_those_of_user_pt_regs() -> None:
    at = marker(Memory("sp", None, 1, 8, 4, True), machine="aarch64")

    assert generate(sending(at, Argument("arg1", LONG)), RING).programs[0].code


def test_programs_that_read_user_memory_may_sleep() -> None:
    at = marker(Register("rdi", 8, True))

    reading = generate(sending(at, *CAPTURES["string"]), RING).programs[0]
    plain = generate(sending(at, Argument("arg1", LONG)), RING).programs[0]

    assert (reading.sleepable, plain.sleepable) == (True, False)


def test_following_the_target_adds_its_programs() -> None:
    compiled = generate(sending(marker(), Context("pid"), follow=True), RING)

    assert [p.tracepoint for p in compiled.programs[1:]] == [
        "sched_process_fork",
        "sched_process_exit",
        "sched_process_exec",
    ]
    assert compiled.targets is not None


def test_nothing_is_sent_when_nobody_listens() -> None:
    placed = counting(
        marker(),
        [Scalar("n", LONG, 0)],
        (),
        [LONG],
        [ops.Const(Reg(0), 1), ops.GlobalAdd(0, Reg(0))],
    )

    compiled = generate(placed, RING)

    assert compiled.ring is None
    assert MapType.RINGBUF not in {spec.type for spec in compiled.maps}


def test_error_words_are_taken_apart_again() -> None:
    for facts in [(0, None, 0), (7, 0, 1), (1000, 4000, 40)]:
        assert split_error_word(error_word(*facts)) == facts
        assert 0 < error_word(*facts) < 1 << 63


# --- what the verifier says -------------------------------------------------------------------


def _load(placed: Placed) -> None:
    loaded = attach.load(generate(placed, RING), 0)
    try:
        assert len(loaded.programs) == len(loaded.object.programs) > 0
    finally:
        loaded.close()


@pytest.mark.bpf
@pytest.mark.parametrize("operand", OPERANDS.values(), ids=OPERANDS)
def test_the_kernel_takes_operands(operand: Operand) -> None:
    _load(sending(marker(operand), Argument("arg1", LONG)))


@pytest.mark.bpf
@pytest.mark.parametrize("captures", CAPTURES.values(), ids=CAPTURES)
@pytest.mark.parametrize("follow", [False, True])
def test_the_kernel_takes_captures(captures: tuple, follow: bool) -> None:
    _load(sending(marker(Register("rdi", 8, True)), *captures, follow=follow))


@pytest.mark.bpf
def test_the_kernel_takes_all_captures_in_one_record() -> None:
    captures = tuple({str(c): c for group in CAPTURES.values() for c in group}.values())

    _load(sending(marker(Register("rdi", 8, True)), *captures))


@pytest.mark.bpf
@pytest.mark.parametrize(
    "operand",
    [
        TracepointField(12, 4, True),
        TracepointField(8, 1, False),
        TracepointField(13, 4, True),
        TracepointField(4, 4, True),
        RawArgument(1),
        RawArgument(0, 4, True),
    ],
    ids=str,
)
def test_the_kernel_takes_fields_and_raw_arguments(operand: Operand) -> None:
    at = marker(operand, kind=Kind.TRACEPOINT)
    compiled = generate(sending(at, Argument("arg1", LONG)), RING)

    raw = isinstance(operand, RawArgument)
    assert compiled.programs[0].attach is (Attach.RAW_TRACEPOINT if raw else Attach.TRACEPOINT)
    _load(sending(at, Argument("arg1", LONG)))


@pytest.mark.bpf
@pytest.mark.parametrize("array", ["char", "data_loc", "rel_loc"])
def test_the_kernel_takes_strings_of_tracepoints(array: str) -> None:
    variable = Variable("comm", ValueType.STRING, (TracepointField(8, 16, False, array),))
    at = replace(marker(kind=Kind.TRACEPOINT), variables=(variable,))

    _load(sending(at, Argument("comm", STRING)))


@pytest.mark.bpf
@pytest.mark.parametrize(
    "buckets", [None, Buckets("log"), Buckets("linear", -10, 100, 7)], ids=str
)
def test_the_kernel_takes_statistics(buckets: Buckets | None) -> None:
    shape = StatShape(frozenset({"count"}), 0, buckets)
    declarations = [
        Array("a", (STRING, LONG), None, 100, stat=shape),
        Scalar("s", None, None, shape),
        Array("n", (STRING, STRING, LONG), LONG, 100),
    ]
    name, value = Reg(0), Reg(1)
    body = [
        ops.Capture(name, 0),
        ops.Capture(value, 1),
        ops.StatAdd(0, (name, value), value, 0),
        ops.StatAdd(1, (), value, 0),
        ops.ArrayAdd(2, (name, name, value), value, 0),
    ]
    captures = (Context("execname"), Argument("arg1", LONG))

    _load(
        counting(marker(Register("rdi", 8, True)), declarations, captures, [STRING, LONG], body)
    )


@pytest.mark.bpf
@pytest.mark.parametrize("op", ["==", "!=", "<", "<=", ">", ">="])
def test_the_kernel_takes_comparisons_of_strings(op: str) -> None:
    body = [
        ops.Capture(Reg(0), 0),
        ops.ConstString(Reg(1), b"bash"),
        ops.Compare(Reg(2), op, Reg(0), Reg(1)),
        ops.GlobalAdd(0, Reg(2)),
    ]

    _load(
        counting(
            marker(),
            [Scalar("n", LONG, 0)],
            (Context("execname"),),
            [STRING, STRING, LONG],
            body,
        )
    )


def _on_syscalls(*markers: Marker) -> Placed:
    hooks = tuple(
        Hook(number, MarkerAttachment(one), (number,), (number,), RecordLayout(()))
        for number, one in enumerate(markers)
    )
    handlers = [handler(one, (), [], []) for one in markers]
    placements = tuple(Placement(Where.USER, "") for _ in markers)
    return Placed(IrProgram(handlers=handlers), placements, hooks)


def test_programs_of_single_system_calls_are_put_into_arrays() -> None:
    names = [("sys_enter_close", 3), ("sys_enter_close", 3), ("sys_exit_close", 3), ("x", None)]
    close, again, left, other = (
        replace(marker(kind=Kind.TRACEPOINT), name=name, id=number, syscall=call)
        for number, (name, call) in enumerate(names, 1)
    )

    compiled = generate(_on_syscalls(close, again, left, other), RING)

    arrays = {
        spec.name: number
        for number, spec in enumerate(compiled.maps)
        if spec.type is MapType.PROGRAM_ARRAY
    }
    slots = [program.slot for program in compiled.programs if program.hook >= 0]
    assert slots == [(arrays["sys_enter"], 3), None, (arrays["sys_exit"], 3), None]
    dispatching = [program for program in compiled.programs if program.dispatches]
    names = [program.tracepoint for program in dispatching]
    assert names == ["raw_syscalls:sys_enter", "raw_syscalls:sys_exit"]


@pytest.mark.bpf
def test_the_kernel_takes_programs_that_dispatch() -> None:
    close = replace(marker(kind=Kind.TRACEPOINT), name="sys_enter_close", syscall=3)

    _load(_on_syscalls(close))
