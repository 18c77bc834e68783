"""What describes the hit and does not depend on the script's state becomes a capture.

In handlers on markers: the built-ins of `contexts` (`pid()`, clocks), and reads of memory at
addresses that are known expressions over captures and constants (`user_string($arg1)`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bridge.ir import ops
from bridge.ir.program import (
    Argument,
    Capture,
    Computed,
    Context,
    Literal,
    Load,
    Reg,
    Value,
    capture_text,
)
from bridge.ir.values import analyse
from bridge.markers import BIAS, MarkerAttachment

if TYPE_CHECKING:
    from bridge.ir.ops import Op
    from bridge.ir.program import BasicBlock, Function, Handler, IrProgram
    from bridge.ir.values import Known, State, Values

Contexts = dict[str, tuple[str, int]]
"""By the name of the built-in: the context, and what to divide it by."""

STRINGS = {
    "user_string": "user",
    "user_string_n": "user",
    "kernel_string": "kernel",
    "kernel_string_n": "kernel",
}
"""Built-ins that read a string, and where; a second argument is the limit."""

LOADED_AT = "_loaded_at"
"""Where an address of a file is in the process: path, address, whether it is always there."""

NUMBERS = {
    **{
        f"{space}_{word}{bits}{end}": (space, bits // 8, word == "int")
        for space, end in (("user", "_error"), ("kernel", ""))
        for word in ("int", "uint")
        for bits in (8, 16, 32, 64)
    },
    "kernel_char": ("kernel", 1, True),
    "kernel_short": ("kernel", 2, True),
    "kernel_int": ("kernel", 4, True),
    "kernel_long": ("kernel", 8, True),
    "kernel_pointer": ("kernel", 8, False),
}
"""Built-ins that read a number: where, how many bytes, signed."""


_LARGEST_LIMIT = (1 << 63) - 2
"""With the NUL that SystemTap adds, more would be negative."""


def run(program: IrProgram, contexts: Contexts) -> IrProgram:
    """Form captures in all handlers on markers."""
    handlers = [
        _Forming(program, handler, contexts).run()
        if isinstance(handler.expansion.attachment, MarkerAttachment)
        else handler
        for handler in program.handlers
    ]
    return replace(program, handlers=handlers)


@dataclass(slots=True)
class _Forming:
    """A handler while its captures are formed."""

    program: IrProgram
    handler: Handler
    contexts: Contexts
    captures: list[Capture] = field(default_factory=list)
    registers: list[Value] = field(default_factory=list)

    def run(self) -> Handler:
        """Repeat until nothing is found: an address may depend on a capture just formed."""
        function = self.handler.body
        self.captures = list(self.handler.captures)
        while True:
            self.registers = list(function.registers)
            count = len(self.captures)
            changed = self._function(function)
            if changed == function:
                break
            function = changed
        assert count == len(self.captures)
        return replace(self.handler, body=function, captures=tuple(self.captures))

    def _function(self, function: Function) -> Function:
        values = analyse(function, tuple(self.captures))
        blocks = [
            self._block(values, number, block) if number in values.at_start else block
            for number, block in enumerate(function.blocks)
        ]
        return replace(function, blocks=blocks, registers=self.registers)

    def _block(self, values: Values, number: int, block: BasicBlock) -> BasicBlock:
        found: list[Op] = []
        for op, state in zip(block.ops, values.before(number), strict=False):
            found += self._op(op, state)
        return replace(block, ops=found)

    def _op(self, op: Op, state: State) -> list[Op]:
        if not isinstance(op, ops.CallBuiltin) or op.dest is None:
            return [op]
        if op.name in self.contexts and not op.arguments:
            return self._context(op.dest, op)
        if op.name == LOADED_AT:
            return self._loaded(op, [state.get(reg) for reg in op.arguments])
        load = self._load(op.name, [state.get(reg) for reg in op.arguments])
        if load is None:
            return [op]
        return [ops.Capture(op.dest, self._index(load), op.site)]

    def _loaded(self, op: ops.CallBuiltin, arguments: list[Known | None]) -> list[Op]:
        """An address of a file, where no one has to look for the file in memory."""
        assert op.dest is not None
        match arguments:
            case [_, Literal(value=address), Literal(value=fixed)] if fixed:
                return [ops.Const(op.dest, address)]
            case [bytes() as path, Literal(value=address), _] if self._is_in(path):
                place = Computed("+", Argument(BIAS, Value.LONG), Literal(address))
                return [ops.Capture(op.dest, self._index(place), op.site)]
        return [op]

    def _is_in(self, path: bytes) -> bool:
        """Whether the hook is in a file, and knows where that is loaded."""
        attachment = self.handler.expansion.attachment
        assert isinstance(attachment, MarkerAttachment)
        marker = attachment.marker
        knows = any(variable.name == BIAS for variable in marker.hidden)
        return knows and all(os.fsencode(site.path) == path for site in marker.sites)

    def _context(self, dest: Reg, op: ops.CallBuiltin) -> list[Op]:
        name, scale = self.contexts[op.name]
        index = self._index(Context(name))
        if scale == 1:
            return [ops.Capture(dest, index)]
        by = Reg(len(self.registers))
        self.registers.append(Value.LONG)
        return [
            ops.Capture(dest, index),
            ops.Const(by, scale),
            ops.Arith(dest, "/", dest, by, op.site),
        ]

    def _load(self, name: str, arguments: list[Known | None]) -> Load | None:
        address = arguments[0] if arguments else None
        if address is None or isinstance(address, bytes):
            return None
        if name in NUMBERS and len(arguments) == 1:
            space, size, signed = NUMBERS[name]
            return Load(space, Value.LONG, address, size=size, signed=signed)
        if name not in STRINGS:
            return None
        if len(arguments) == 1:
            return Load(STRINGS[name], Value.STRING, address)
        match arguments[1:]:
            case [Literal(value=limit)] if 0 < limit <= _LARGEST_LIMIT:
                space = STRINGS[name]
                longest = self.program.limits.maxstringlen - (2 if space == "user" else 1)
                kept = limit if limit < longest else None
                return Load(space, Value.STRING, address, kept)
            case _:
                return None

    def _index(self, capture: Capture) -> int:
        texts = [capture_text(known) for known in self.captures]
        text = capture_text(capture)
        if text not in texts:
            self.captures.append(capture)
            return len(texts)
        return texts.index(text)
