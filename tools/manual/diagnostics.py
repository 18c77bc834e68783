"""The manual page of the diagnostics, made from the table of codes: `docs/diagnostics.md`.

Write the page with `python -m tools.manual.diagnostics > docs/diagnostics.md`.
"""

from __future__ import annotations

import sys

from bridge.codes import SECTIONS, Code

_INTRODUCTION = """\
# The diagnostics

What markbridge says about scripts, programs and traces. Each message has a code, as
`unresolved-function` in `error[unresolved-function]: unresolved function foo`. Codes are for
tools: they stay when the wording of a message changes. `markbridge check --format=json` prints
for each diagnostic an object with `code`, `severity`, `phase`, `message`, `token`, `place`
(`file`, `line`, `column`), `file` (`path`, `byte`), `hint`, `macros` and `chain`, the messages
that belong to it. In the library, `bridge.CompileError.diagnostics` and a reader's
`diagnostics` have the same codes.

The severity is what it mostly is: a missing file of a probe that is optional, for example, is
no error. A *note* comes with another diagnostic and says where or why.

Generated from `bridge/codes.py` by `python -m tools.manual.diagnostics`.
"""


def diagnostics_manual() -> str:
    """The text of docs/diagnostics.md."""
    parts = [_INTRODUCTION]
    for title, codes in SECTIONS.items():
        parts += [f"## {title}\n", "| code | severity | what it means | what to do |"]
        parts += ["|---|---|---|---|", *(_row(name, codes[name]) for name in sorted(codes)), ""]
    return "\n".join(parts)


def _row(name: str, code: Code) -> str:
    cells = (f"`{name}`", code.severity, code.meaning, code.remedy)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    sys.stdout.write(diagnostics_manual())
