"""`python -m tests.support.random_programs [COUNT [FIRST]]`: compare random programs.

Interpreter against native code, in one process; the exit code is 1 if any differ or if some
variant of an operation was never executed.
"""

from __future__ import annotations

import gc
import sys
import time
from collections import Counter

from tests.support.random_programs import coverage
from tests.support.random_programs.compare import difference

COLLECT = 50
REPORT = 1000


def main(count: int, first: int) -> int:
    counts: Counter[str] = Counter()
    start, differing = time.process_time(), 0
    gc.disable()  # a program leaves little behind: collect now and then
    with coverage.watching(counts):
        for done, seed in enumerate(range(first, first + count), 1):
            if found := difference(seed):
                differing += 1
                print(found, flush=True)
            if done % COLLECT == 0:
                gc.collect()
            if done % REPORT == 0 or done == count:
                _report(done, differing, time.process_time() - start)
    print(coverage.table(counts))
    for variant in coverage.missing(counts):
        print(f"never executed: {variant}")
    return int(differing > 0 or bool(coverage.missing(counts)))


def _report(done: int, differing: int, seconds: float) -> None:
    rate = done / seconds
    print(f"{done} programs, {differing} differ, {rate:.1f} per CPU second", flush=True)


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    sys.exit(main(*(numbers + [20000, 0][len(numbers) :])))
