"""A script's markers as breakpoints of gdb(1) that print the arguments and go on.

`gdb -q -batch -x FILE PROGRAM`; each hit is a line `provider:name $arg1=... $arg2=...`.
Source: the manual of gdb, "Static Probe Points" and "Breakpoint Command Lists".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.markers import Constant, Register

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.attachments import AttachedArgument, Attachment
    from bridge.export.model import Exported
    from bridge.source import Span

_HEAD = "# Breakpoints for the markers of a script: gdb -q -batch -x FILE PROGRAM\n"
_SETTINGS = ("set pagination off", "set confirm off", "set breakpoint pending on")


def export(exported: Exported) -> str:
    """The commands of gdb."""
    lines = list(_SETTINGS)
    for attachment, span in exported.hooks():
        lines += _breakpoint(attachment, span, exported)
    return _HEAD + "\n".join((*lines, "run", ""))


def _breakpoint(attachment: Attachment, span: Span, exported: Exported) -> Iterator[str]:
    match attachment.kind:
        case "usdt":
            yield f"break -probe-stap {attachment.provider}:{attachment.name}"
        case "function":
            for place in attachment.places:
                if attachment.name.isidentifier():
                    yield f"break {attachment.name}"
                    break
                exported.refuse(f"the place {place.address:#x}", span, "export to ftrace")
                return
        case _:
            exported.refuse(f"{attachment.kind} probes", span, "it sees one program only")
            return
    form, values = _shown(attachment, span, exported)
    yield "commands"
    yield "silent"
    yield f'printf "{form}\\n"{"".join(f", {value}" for value in values)}'
    yield "continue"
    yield "end"


def _shown(attachment: Attachment, span: Span, exported: Exported) -> tuple[str, list[str]]:
    """The format and the values of a hit's line: all arguments, and texts that are read."""
    words, values = [f"{attachment.provider}:{attachment.name}"], []
    if attachment.kind == "function":
        words = [attachment.name]
    starts = {}
    for number, argument in enumerate(attachment.arguments):
        value = _value(attachment, argument, number)
        if value is None:
            if argument.used:
                exported.refuse(f"${argument.name} at a function", span, "use the debugger")
            continue
        starts[argument.name] = value
        words.append(f"${argument.name}=%ld")
        values.append(value)
    for read in {r.text: r for h in attachment.handlers for r in h.reads}.values():
        if read.context or (read.variable and not read.offsets):
            continue
        if read.variable not in starts or len(read.offsets) != 1:
            exported.refuse(f"{read.text}", span, "print it with gdb's own expressions")
            continue
        address = f"({starts[read.variable]} + {read.offsets[0]})"
        if read.type == "string":
            words.append(f"{read.text}=%s".replace("%s", "%s"))
            values.append(f"(char *) {address}")
        else:
            words.append(f"{read.text}=%ld")
            values.append(f"*({_C[read.size, read.signed]} *) {address}")
    return " ".join(words), values


_C = {
    (size, signed): f"{'' if signed else 'unsigned '}{name}"
    for size, name in ((1, "char"), (2, "short"), (4, "int"), (8, "long"))
    for signed in (True, False)
}


def _value(attachment: Attachment, argument: AttachedArgument, number: int) -> str | None:
    if attachment.kind == "usdt":
        return f"(long) $_probe_arg{number}"
    match argument.operand(0):
        case Register(name=name, size=size, signed=signed):
            return f"(long) ({_C[size, signed]}) ${name}"
        case Constant(value=value):
            return f"{value}"
        case _:
            return None
