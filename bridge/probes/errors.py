"""What can be wrong with a binary input, as diagnostics with file and byte."""

from __future__ import annotations

from bridge.diagnostics import Diagnostic, FileOffset, Severity


def _fault(code: str, path: str, message: str, byte: int, *context: str) -> Diagnostic:
    return Diagnostic(code, f"{path}: {message}", file=FileOffset(path, byte, context))


def unreadable(path: str, error: OSError) -> Diagnostic:
    """The file cannot be opened: it is missing, a directory, or not permitted."""
    match error:
        case FileNotFoundError():
            return _fault("no-such-file", path, "no such file", 0)
        case IsADirectoryError():
            return _fault("is-a-directory", path, "is a directory, not a program", 0)
        case PermissionError():
            return _fault("no-permission", path, "permission denied", 0)
        case _:
            return _fault("unreadable", path, error.strerror or str(error), 0)


def no_btf(path: str) -> Diagnostic:
    """The kernel has no types, so what it traces has few variables or none."""
    message = (
        "cannot be read, so the kernel's types are not known; boot a kernel with"
        " CONFIG_DEBUG_INFO_BTF"
    )
    return _fault("no-btf", path, message, 0)


def not_elf(path: str) -> Diagnostic:
    """It is no ELF file at all."""
    return _fault("not-elf", path, "not an ELF file", 0)


def is_script(path: str) -> Diagnostic:
    """It is an interpreted script."""
    message = "is a script (`#!`), not an ELF file; name its interpreter instead"
    return _fault("not-elf", path, message, 0)


def in_multiarch(named: str, path: str) -> Diagnostic:
    """A library that is not where the script says, but where Debian has it."""
    message = f"{named} is no 64-bit program or library here; {path} is used"
    return Diagnostic("multiarch-path", message, severity=Severity.WARNING)


def elf_32(path: str) -> Diagnostic:
    """A 32-bit program."""
    return _fault("elf-32-bit", path, "a 32-bit ELF file; only 64-bit ones are supported", 4)


def elf_foreign(path: str, what: str, byte: int) -> Diagnostic:
    """An ELF file that is well-formed but not for us."""
    return _fault("elf-unsupported", path, what, byte)


def truncated(path: str, what: str, byte: int, size: int) -> Diagnostic:
    """Something lies beyond the end of the file."""
    message = f"truncated ELF file: {what} lies beyond its end (byte {size:#x})"
    return _fault("elf-truncated", path, message, byte, what)


def corrupt(path: str, what: str, byte: int, *context: str) -> Diagnostic:
    """Something contradicts the format."""
    return _fault("elf-corrupt", path, f"corrupt ELF file: {what}", byte, *context)


def no_markers(path: str) -> Diagnostic:
    """A good ELF file without USDT notes."""
    message = "has no markers (no .note.stapsdt section)"
    return _fault("no-markers", path, message, 0)


def no_symbols(path: str) -> Diagnostic:
    """A good ELF file without symbols of functions."""
    message = "has no symbols of functions (it is stripped)"
    return _fault("no-symbols", path, message, 0)


def no_plt_of(path: str, machine: str) -> Diagnostic:
    """A file whose table of calls into other files has a form that is not known."""
    message = f"the table of calls (PLT) of {machine or 'this machine'} is not read"
    return _fault("elf-unsupported", path, message, 0)


def by_source_file(path: str, pattern: str) -> Diagnostic:
    """A function named with its source file, as `main@main.c`, or its copies or labels."""
    message = (
        f"`{pattern}` by source file, inlined copy or label: the file has no debug information"
    )
    return _fault("needs-debug-information", path, message, 0)


def no_debug_information(path: str, kind: str) -> Diagnostic:
    """A statement, or a function by address, in a file that has only symbols."""
    message = f"has no debug information, which `.{kind}(...)` needs here"
    return _fault("needs-debug-information", path, message, 0)


def no_line(path: str, text: str) -> Diagnostic:
    """A line that no code comes from."""
    message = f"no line records for {text} [man error::dwarf]"
    return _fault("no-line-record", path, message, 0)


def not_a_statement(path: str, address: int, begin: int) -> Diagnostic:
    """An address in the middle of a statement."""
    hint = f" (try {begin:#x})" if begin else ""
    message = f"address {address:#x} does not match the beginning of a statement{hint}"
    return _fault("not-a-statement", path, message, 0)


def bad_specification(path: str, text: str) -> Diagnostic:
    """What is written in `function(...)` or `statement(...)` is not of the form f@file:line."""
    return _fault("bad-specification", path, f"`{text}` is no function@file:line", 0)


def unmapped(path: str, what: str, address: int, byte: int) -> Diagnostic:
    """An address that no loaded segment holds."""
    message = f"{what} at {address:#x} is outside of the loaded segments"
    return _fault("elf-unmapped", path, message, byte)


def split_debug_information(path: str, file: str) -> Diagnostic:
    """What it was compiled with left its debug information in files of its own."""
    message = (
        f"its debug information is in other files ({file}), which are not read: compile it"
        " without -gsplit-dwarf"
    )
    return _fault("split-debug-information", path, message, 0)


def bad_debug_information(path: str, why: str) -> Diagnostic:
    """Its debug information contradicts the format."""
    message = f"its debug information cannot be read ({why or 'damaged'})"
    return _fault("bad-debug-information", path, message, 0)
