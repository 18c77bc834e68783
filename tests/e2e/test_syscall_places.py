"""System calls as SystemTap's kprobes have them: suffixes, results, arguments, functions."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import pytest

from bridge.markers import SYSTEM_CALL_FUNCTIONS
from tests.support.stap_front_end import LIBRARY

if TYPE_CHECKING:
    from tests.support.command import Runner

pytestmark = [pytest.mark.root, pytest.mark.bpf]

# A function that calls itself stays one: there the engine has to answer.
SCRIPT = """
function own(n) { if (n) return own(n - 1); return ppfunc() }
probe syscall.write.call {
  if (pid() == target())
    printf("%s %s %s %d %d\\n", name, probefunc(), own(1), int_arg(1) == fd, ulong_arg(3))
}
probe syscall.write.return.maxactive(8) {
  if (pid() == target())
    printf("%s %s %d %d %s\\n", name, ppfunc(), $return, returnval() == retval, $$return)
}
probe syscall.llseek, nd_syscall.llseek.return.maxactive(2) { println(name, " ", whence) }
"""


@pytest.mark.parametrize("engine", ["native", "interpreter"])
def test_a_call_and_its_return(run: Runner, engine: str) -> None:
    script = SCRIPT.replace(', " ", whence', "")
    done = run("run", f"--engine={engine}", "-e", script, "-c", "printf 12345 > /dev/null")
    function = f"{SYSTEM_CALL_FUNCTIONS[platform.machine()]}write"
    expected = [f"write {function} {function} 1 5", f"write {function} 5 1 return=0x5"]
    assert done.out.splitlines() == expected, done.err


def test_the_last_error_is_as_in_systemtap(run: Runner) -> None:
    """`@errno` is a variable of the C library, which stap of Debian 12 does not find either."""
    own = (LIBRARY / "linux" / "errno.stpm").read_text()
    assert '@var("errno","/lib64/libc.so.6")' in own
    done = run("check", "-e", "probe begin { println(@errno) }")
    assert "unable to find global 'errno' in /lib64/libc.so.6" in done.err
