"""All codes of diagnostics: what each means, and what to do about it.

Tools rely on the codes, so a code stays when the wording of its messages changes. The rule:
a test holds this table to the sources, and `docs/diagnostics.md` is made of it.
"""

from __future__ import annotations

from typing import NamedTuple

ERROR, WARNING, NOTE = "error", "warning", "note"
"""A note comes with another diagnostic: it says where or why."""


class Code(NamedTuple):
    """How bad it mostly is, what it means, what to do; sentences without their full stop."""

    severity: str
    meaning: str
    remedy: str


_SCRIPT = {
    # --- text and tokens
    "closed-backwards": Code(WARNING, "embedded C seems to be closed by `}%`", "write `%}`"),
    "empty-file": Code(ERROR, "the script is empty", "name another file"),
    "missing-argument": Code(
        ERROR,
        "the script uses `$N` or `@N`, and the command line has fewer arguments",
        "give the arguments behind the script",
    ),
    "nested-argument": Code(
        ERROR,
        "an argument of the command line contains `$N` or `@N` itself",
        "write the value instead",
    ),
    "nul-byte": Code(
        WARNING, "a NUL byte ends the text; the rest is not read", "remove the byte"
    ),
    "number-out-of-range": Code(
        ERROR, "a number does not fit into 64 bits, or is malformed", "write a smaller number"
    ),
    "text-too-large": Code(ERROR, "the script is larger than 8 MiB", "split it"),
    "unclosed-embedded-c": Code(ERROR, "`%{` without `%}`", "close the block of embedded C"),
    "unclosed-string": Code(
        ERROR, "a string does not end on its line", "add the quote that closes it"
    ),
    "unreadable-script": Code(ERROR, "the script cannot be read", "check its name and rights"),
    "unused-argument": Code(
        WARNING, "the script does not use an argument of the command line", "leave it out"
    ),
    # --- preprocessor
    "bad-conditional": Code(
        ERROR, "`%( ... %? ... %: ... %)` is incomplete", "complete the conditional"
    ),
    "config-not-a-number": Code(
        ERROR,
        "a kernel option that is compared with a number has no number",
        "compare it with a string",
    ),
    "define-inside-macro": Code(
        ERROR, "`@define` inside the body of a macro", "define the macro outside"
    ),
    "incomplete-macro": Code(ERROR, "the body of a macro has no end", "add `%)`"),
    "macro-arguments": Code(
        ERROR,
        "a macro is called with the wrong number of arguments, or its call has no end",
        "give it as many as its definition has",
    ),
    "macro-expansion-too-large": Code(
        ERROR, "macros expand to too much text", "look for macros that call each other"
    ),
    "macro-hides-operator": Code(
        WARNING, "a macro has the name of a built-in `@` operator", "rename the macro"
    ),
    "macro-redefined": Code(
        ERROR, "a macro is defined twice in one file", "rename or remove one of them"
    ),
    "stray-in-macro-file": Code(
        WARNING, "a macro file of the library has more than macros", "keep definitions only"
    ),
    "wildcard-in-comparison": Code(
        ERROR, "a version with wildcards is compared by order", "use `==` or `!=`"
    ),
    # --- grammar
    "address-twice": Code(ERROR, "`&` stands twice", "write it once"),
    "alias-with-suffix": Code(
        ERROR, "an alias is defined with `?` or `!`", "write the suffix where it is probed"
    ),
    "array-size": Code(ERROR, "the size of an array is out of range", "give a positive size"),
    "bad-format": Code(
        ERROR,
        "a format has an unknown or incomplete conversion",
        "see printf in docs/language.md",
    ),
    "bad-priority": Code(ERROR, "a priority is not positive", "use 1 or more"),
    "bare-histogram": Code(
        ERROR, "a histogram stands where a value must stand", "print it, or take one bucket"
    ),
    "combined-epilogue": Code(
        ERROR,
        "an alias with both a prologue and an epilogue is defined with `+=`",
        "use `=`",
    ),
    "condition-twice": Code(ERROR, "a probe point has two conditions", "join them with `&&`"),
    "duplicate-global": Code(
        ERROR, "a global variable is declared twice", "remove one declaration"
    ),
    "duplicate-parameter": Code(
        ERROR, "two parameters of a function have the same name", "rename one"
    ),
    "empty-string": Code(ERROR, "an empty string where a name must stand", "write the name"),
    "expression-list": Code(
        ERROR, "several values separated by commas where one must stand", "write one value"
    ),
    "initialized-array": Code(
        ERROR, "an array is declared with an initial value", "assign in `probe begin`"
    ),
    "needs-guru": Code(
        ERROR,
        "embedded C, a write to the program, or a privileged function without guru mode",
        "run with -g",
    ),
    "nested-too-deep": Code(ERROR, "too many levels of nesting", "split the expression"),
    "pretty-printed-path": Code(
        ERROR, "`->` or `[` behind a variable that ends in `$`", "print the member itself"
    ),
    "private-and-global": Code(
        ERROR, "a variable is declared both private and global", "remove one declaration"
    ),
    "return-outside-function": Code(
        ERROR, "`return` outside of a function", "use `next` to leave a handler"
    ),
    "sorted-twice": Code(ERROR, "`foreach` is sorted by two keys", "sort by one"),
    "suffix-inside": Code(
        ERROR, "`?`, `!` or a condition inside of a probe point", "write it at the end"
    ),
    "suffix-twice": Code(ERROR, "`?` or `!` stands twice", "write it once"),
    "too-many-points": Code(ERROR, "braces make too many probe points", "write several probes"),
    "unexpected-token": Code(
        ERROR, "the grammar expects something else here", "see docs/language.md"
    ),
    "unknown-operator": Code(ERROR, "there is no such `@` operator", "check its spelling"),
    # --- probe points
    "idle-probe": Code(
        WARNING, "a probe is left out because its handler does nothing", "remove the probe"
    ),
    "invalid-file-name": Code(
        ERROR,
        "the name of a served file (`procfs`) is absolute, or leads out of its folder",
        "name it without `/` at its start and without `..`",
    ),
    "invalid-file-size": Code(
        ERROR, "the size of a served file (`procfs`) is not positive", "use 1 or more"
    ),
    "invalid-umask": Code(
        ERROR, "the umask of a served file (`procfs`) is no umask", "use 0 to 0777"
    ),
    "wrong-direction": Code(
        ERROR,
        "`$value` is read where a file is read, or written where it is written to",
        "assign it in `.read`, read it in `.write`",
    ),
    "live-only": Code(
        ERROR,
        "a probe point has no meaning in a replay of a recorded trace",
        "run the script live",
    ),
    "invalid-interval": Code(
        ERROR, "the interval of a timer is out of range", "see timers in docs/language.md"
    ),
    "invalid-rate": Code(ERROR, "the rate of a perf probe is invalid", "use 1 or more"),
    "invalid-suffix": Code(
        ERROR, "this component is not possible here", "see docs/differences.md"
    ),
    "no-match": Code(
        ERROR, "nothing to probe has this name", "see the notes, or run `markbridge list`"
    ),
    "no-probes": Code(ERROR, "the script has no probe, or all were left out", "add a probe"),
    "no-such-process": Code(ERROR, "there is no process of this number", "check the number"),
    "no-such-program": Code(
        ERROR, "there is no program of this name", "give its path, or check PATH"
    ),
    "no-such-variable": Code(
        ERROR,
        "the kernel's table of symbols has no variable of this name",
        "give its address (kernels without CONFIG_KALLSYMS_ALL name functions only)",
    ),
    "invalid-length": Code(
        ERROR, "a length that no machine can watch", "watch 1, 2, 4 or 8 bytes"
    ),
    "no-target": Code(
        ERROR,
        "`process` without a name needs a target process",
        "run with -c COMMAND or -x PID",
    ),
    "recursive-alias": Code(ERROR, "an alias is defined by itself", "rename one of them"),
    "too-many-probes": Code(ERROR, "the probe points match too much", "use narrower wildcards"),
    "truncated-probe-point": Code(
        ERROR, "the probe point is incomplete", "add a component; the message lists some"
    ),
    "unknown-probe-point": Code(
        ERROR, "there is no such kind of probe point", "see docs/differences.md"
    ),
    "unsafe-site": Code(
        ERROR,
        "a probe at this instruction would damage the program",
        "see docs/differences.md",
    ),
    "unsupported-probe-point": Code(
        ERROR,
        "SystemTap has this kind of probe point, markbridge does not",
        "see docs/differences.md for what to use instead",
    ),
    "while-resolving-probe-point": Code(
        ERROR, "a probe point was not found; the notes say why", "see the notes"
    ),
    # --- names and values
    "argument-count": Code(
        ERROR,
        "a function is called with the wrong number of arguments",
        "see docs/functions.md",
    ),
    "bad-bit-shift": Code(
        ERROR, "the bit shift of @variance is out of range or contradicts another", "use one"
    ),
    "bad-escape": Code(ERROR, "an escape in a string is no byte", "use \\x00 to \\xff"),
    "bad-global-option": Code(ERROR, "-G gives a text to a number", "give a number"),
    "bad-regular-expression": Code(
        ERROR,
        "the regular expression is malformed",
        "see regular expressions in docs/language.md",
    ),
    "entry-outside-return": Code(
        ERROR, "`@entry` outside of a .return probe", "use it in a .return probe"
    ),
    "field-and-argument": Code(
        ERROR,
        "one probe reads a field of a tracepoint's record and an argument that is not recorded",
        "use the fields or the arguments alone",
    ),
    "first-here": Code(NOTE, "where it was first said", "compare the two places"),
    "format-arguments": Code(
        ERROR,
        "a format has another number of conversions than there are values",
        "add or remove",
    ),
    "idle-code": Code(
        WARNING, "a statement or a function does nothing, and is left out", "remove it"
    ),
    "impure-condition": Code(
        ERROR,
        "the condition of a probe changes something, or uses an unknown global or function",
        "use globals and operators only",
    ),
    "inconsistent-keys": Code(
        ERROR, "an array is used with different numbers of keys", "use one number of keys"
    ),
    "invalid-type": Code(
        ERROR, "the operator does not take a value of this type", "convert the value"
    ),
    "local-statistic": Code(
        ERROR, "a statistic (`<<<`) that is not global", "declare it global"
    ),
    "modified-in-foreach": Code(
        ERROR, "an array changes while `foreach` goes over it", "collect the keys first"
    ),
    "never-assigned": Code(WARNING, "a variable is read and never set", "check its spelling"),
    "no-value": Code(ERROR, "a function without a result is used as a value", "add a `return`"),
    "not-assignable": Code(
        ERROR, "the left side of an assignment is no variable", "assign to a variable"
    ),
    "not-deletable": Code(
        ERROR, "`delete` of something that is no variable and no element", "name one"
    ),
    "outside-loop": Code(
        ERROR, "`break` or `continue` outside of a loop", "use `next` to leave a handler"
    ),
    "several-histograms": Code(
        ERROR, "a statistic is printed with different histograms", "use two statistics"
    ),
    "too-many-keys": Code(ERROR, "an array has more than nine keys", "join some by sprintf"),
    "type-mismatch": Code(
        ERROR,
        "a text is used as a number, or a number as a text",
        "convert by strtol or sprint",
    ),
    "types-too-complex": Code(
        ERROR, "the types of the script take too long to find out", "split the script"
    ),
    "undecided-defined": Code(
        ERROR,
        "it cannot be told whether a variable exists, because its place is unreadable",
        "see the notes",
    ),
    "unknown-global-option": Code(
        WARNING, "-G names a variable that the script does not have", "check its spelling"
    ),
    "unprintable": Code(ERROR, "a value of this kind cannot be printed", "print a part of it"),
    "unresolved-array": Code(ERROR, "an array is not declared", "declare it global"),
    "unresolved-function": Code(
        ERROR, "there is no function of this name", "see docs/functions.md"
    ),
    "unresolved-target": Code(
        ERROR,
        "a variable of the program (`$x`, `@var`, `@cast`) is not known at this place",
        "run `markbridge list` to see what is; install debug information",
    ),
    "unresolved-type": Code(
        ERROR, "the type of a value cannot be found out", "assign to it, or convert it"
    ),
    "unsupported-embedded-c": Code(
        ERROR,
        "embedded C does more than markbridge can translate",
        "write the function in the script language",
    ),
    "unsupported-operator": Code(
        ERROR, "SystemTap refuses this operator here, too", "use `>>` on a positive number"
    ),
    "refused-function": Code(
        ERROR,
        "a function of SystemTap that would write to the kernel, delay it, or bring it down",
        "do without; the message says why",
    ),
    "unsupported-write": Code(
        ERROR,
        "a handler writes to what cannot be written: registers, bits, the kernel's memory, or a"
        " process that cannot be stopped there",
        "write to the memory of the process at a marker or function of its program, with -g",
    ),
    "value-of-entry": Code(
        WARNING,
        "in a .return probe a parameter has the value of the entry",
        "write `@entry($x)`",
    ),
    "while-processing-probe": Code(
        ERROR, "a handler was refused; the notes say why", "see the notes"
    ),
    "wildcard-index": Code(
        ERROR, "`*` as a key outside of `in`, `foreach` and `delete`", "write a key"
    ),
    "wrapping-scalar": Code(
        ERROR, "`%` behind the name of a variable that is no array", "remove it"
    ),
    "stapxx-name": Code(
        ERROR,
        "a name of stap++ (`--xx`) that stands for nothing",
        "give it with --arg, say which program is meant, or name the modules' folder with -I",
    ),
    "stapxx-argument": Code(
        WARNING, "--arg gives a value that a stap++ script does not ask for", "see its name"
    ),
    "stapxx-static-library": Code(
        WARNING,
        "a library that a stap++ script names is none of the target's: its program is taken",
        "nothing, if the program contains the library",
    ),
    "tapset-skipped": Code(
        WARNING, "a file of the library has errors, and is left out", "see the other messages"
    ),
}

_ENGINE = {
    "computed-address": Code(
        ERROR,
        "memory is read at an address that is known only after the hit",
        "keep addresses out of globals, or use a probe in user space",
    ),
    "read-later": Code(
        WARNING,
        "memory is read after the hit: its address comes from a global or the like",
        "read it where the address is an argument, and keep what was read in the global",
    ),
    "no-process": Code(
        ERROR,
        "the handler looks at a process where none can be stopped",
        "use a probe in user space, live",
    ),
    "not-in-pieces": Code(
        ERROR,
        "with -j or --cluster a hit must not depend on those of other traces",
        "replay without -j, or each trace by itself (--end=each)",
    ),
    "not-recorded": Code(
        ERROR,
        "the trace does not hold what the script asks for",
        "record with --trace and this script",
    ),
}

_PROGRAMS = {
    "bad-debug-information": Code(
        ERROR, "debug information contradicts its format", "build or install the file again"
    ),
    "bad-specification": Code(
        ERROR, "not of the form function@file:line", "see probe points in docs/language.md"
    ),
    "elf-32-bit": Code(ERROR, "a program of 32 bits", "probe a program of 64 bits"),
    "elf-corrupt": Code(ERROR, "an ELF file contradicts its format", "build the file again"),
    "elf-truncated": Code(ERROR, "an ELF file is cut off", "copy or build the file again"),
    "elf-unmapped": Code(
        ERROR, "an address that no segment of the ELF file holds", "build the file again"
    ),
    "elf-unsupported": Code(
        ERROR, "a program for another machine", "trace it on such a machine"
    ),
    "is-a-directory": Code(ERROR, "a directory, not a program", "name a program"),
    "kernel-functions-left-out": Code(
        WARNING,
        "some functions of the kernel cannot be probed, and are left out",
        "see the list",
    ),
    "optional-left-out": Code(
        WARNING,
        "no place of an optional probe is there: its handler never runs",
        "probe what the kernel has; `markbridge list` shows it",
    ),
    "multiarch-path": Code(
        WARNING, "a library's path of another distribution", "name the path of this machine"
    ),
    "moved-name": Code(
        WARNING,
        "the kernel has a member or a function under another name by now",
        "nothing, or write the new name; --strict-names takes none",
    ),
    "gone-function": Code(
        ERROR,
        "the kernel has no such function any more, and none took its place",
        "use what the message names",
    ),
    "used-instead": Code(
        WARNING,
        "no function of the kernel can be probed, so a tracepoint stands for one",
        "see what the tracepoint does not have",
    ),
    "module-not-loaded": Code(ERROR, "a kernel module is not loaded", "load it by modprobe"),
    "needs-debug-information": Code(
        ERROR,
        "lines, local variables and inlined functions need debug information",
        "compile with -g, or install the package with it",
    ),
    "no-btf": Code(
        ERROR,
        "the kernel's types (/sys/kernel/btf/vmlinux) cannot be read",
        "boot a kernel with CONFIG_DEBUG_INFO_BTF",
    ),
    "no-kallsyms": Code(
        ERROR, "/proc/kallsyms cannot be read", "run as root; see `markbridge doctor`"
    ),
    "no-line-record": Code(ERROR, "no code comes from this line", "choose a line with code"),
    "no-markers": Code(
        ERROR,
        "the program has no USDT markers",
        "build it with <sys/sdt.h> or markbridge's header",
    ),
    "no-permission": Code(ERROR, "the file may not be read", "run as root"),
    "no-such-file": Code(ERROR, "there is no such file", "check the path"),
    "no-symbols": Code(
        ERROR,
        "the program is stripped: no function has a name",
        "install its debug information",
    ),
    "no-tracefs": Code(
        ERROR,
        "tracefs cannot be read",
        "run as root; mount -t tracefs none /sys/kernel/tracing",
    ),
    "not-a-statement": Code(
        ERROR, "an address in the middle of a statement", "use the address in the message"
    ),
    "not-elf": Code(ERROR, "not an ELF file", "name a program or a library"),
    "not-probed": Code(ERROR, "this function of the kernel cannot be probed", "see the reason"),
    "split-debug-information": Code(
        ERROR,
        "debug information is in other files (gcc -gsplit-dwarf), which are not read",
        "compile without -gsplit-dwarf",
    ),
    "tracefs-format": Code(
        ERROR, "the description of a tracepoint is not understood", "report this as a bug"
    ),
    "unreadable": Code(ERROR, "a file cannot be read", "see the reason"),
    "unreadable-argument": Code(
        WARNING, "an argument of a marker cannot be read at this place", "see the reason"
    ),
}

_TRACES = {
    "bad-event": Code(WARNING, "an event goes beyond its packet", "the rest is left out"),
    "bad-magic": Code(WARNING, "no packet starts here", "the rest is left out"),
    "bad-packet-header": Code(
        WARNING, "a packet ends inside its header", "the rest is left out"
    ),
    "bad-packet-size": Code(
        WARNING, "the sizes of a packet contradict each other", "the rest is left out"
    ),
    "bad-tag": Code(
        WARNING, "a tag selects no option of its variant", "the packet's rest is left out"
    ),
    "cut-packet": Code(WARNING, "the file ends inside a packet", "what is there is read"),
    "fixed-truncated": Code(WARNING, "the file ends inside a record", "the record is left out"),
    "foreign-packet": Code(
        WARNING, "a packet belongs to another trace", "the packet is left out"
    ),
    "lket-bad-packet": Code(WARNING, "an LKET packet is cut off", "the rest is left out"),
    "lket-bad-record": Code(WARNING, "no LKET record starts here", "the rest is left out"),
    "lket-short-event": Code(
        WARNING, "an LKET event is shorter than its description", "missing fields are left out"
    ),
    "lket-truncated": Code(
        WARNING, "the LKET file ends inside a record", "the record is left out"
    ),
    "lost-events": Code(
        WARNING, "the tracer lost events", "use larger or more buffers when recording"
    ),
    "lost-packets": Code(
        WARNING, "packets are missing", "use larger or more buffers when recording"
    ),
    "ltt-bad-description": Code(
        WARNING, "a facility's description is malformed", "its events are shown as bytes"
    ),
    "ltt-bad-event": Code(
        WARNING, "an event does not end inside its sub-buffer", "the rest is left out"
    ),
    "ltt-bad-header": Code(
        WARNING, "the header of a file contradicts the trace", "the file is left out"
    ),
    "ltt-bad-magic": Code(WARNING, "no sub-buffer starts here", "it is left out"),
    "ltt-bad-size": Code(
        WARNING, "the sizes of a sub-buffer cannot be right", "it is left out"
    ),
    "ltt-format-conflict": Code(
        WARNING, "a marker is described twice in different ways", "the first one is used"
    ),
    "ltt-more-damage": Code(
        WARNING, "more damaged sub-buffers than are listed", "see the first messages"
    ),
    "ltt-no-description": Code(
        WARNING, "a facility has no description", "add its XML file to the trace's eventdefs"
    ),
    "ltt-no-frequency": Code(
        WARNING, "the trace does not know its clock", "its clock is taken as nanoseconds"
    ),
    "ltt-no-metadata": Code(
        WARNING, "no marker is described, so no event has a name", "copy the whole trace"
    ),
    "ltt-other-version": Code(
        WARNING, "a file is of another version than the trace", "the file is left out"
    ),
    "ltt-size-mismatch": Code(
        WARNING,
        "an event says another size than its description has",
        "check that the description is of the kernel that was traced",
    ),
    "ltt-truncated": Code(
        WARNING, "the file ends inside a sub-buffer", "what is there is read"
    ),
    "ltt-unclosed": Code(
        WARNING, "the tracer never closed a sub-buffer", "what is there is read"
    ),
    "ltt-unknown-event": Code(
        WARNING,
        "an event is not described and has no size",
        "the sub-buffer's rest is left out",
    ),
    "mixed-byte-order": Code(
        WARNING,
        "two numbers that share a byte have different byte orders",
        "the packet's rest is left out",
    ),
    "time-went-back": Code(
        WARNING, "an event is earlier than the one before it", "its time is shown as it is"
    ),
    "too-large-number": Code(
        WARNING, "a number has more than 64 bits", "the packet's rest is left out"
    ),
    "trailing-metadata": Code(
        WARNING, "bytes after the last packet of metadata are no packet", "they are left out"
    ),
    "unknown-event": Code(
        WARNING, "no event class has this number", "the packet's rest is left out"
    ),
    "unknown-stream": Code(
        WARNING, "the stream class of a packet is not described", "the packet is left out"
    ),
}

_EXPORT = {
    "not-exported": Code(
        ERROR,
        "`markbridge export`: the tracer that is exported to has nothing for this",
        "follow the hint, export to another one, or take it out of the script",
    ),
}

SECTIONS = {
    "Scripts": _SCRIPT,
    "Exports": _EXPORT,
    "Running and replaying": _ENGINE,
    "Programs, libraries and the kernel": _PROGRAMS,
    "Traces": _TRACES,
}
TABLE: dict[str, Code] = {
    name: code for section in SECTIONS.values() for name, code in section.items()
}
