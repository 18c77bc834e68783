"""`*.cdef.h` -> one number that changes with every declaration.

`python3 csrc/number.py` prints it. The library is compiled with it (`live/version.c`), Python's
declarations carry it, and `bridge/_native.py` compares the two. Comments and
white space do not count.
"""

import hashlib
import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def declarations(folder: Path = HERE) -> list[Path]:
    """The files that declare what Python sees, in the order in which it reads them."""
    return sorted(folder.glob("*/*.cdef.h"))


def number_of(folder: Path = HERE) -> int:
    """31 bits, never 0."""
    words = [
        word
        for path in declarations(folder)
        for word in _COMMENT.sub(" ", path.read_text()).split()
    ]
    digest = hashlib.sha256(" ".join(words).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1 or 1


if __name__ == "__main__":
    print(number_of())
