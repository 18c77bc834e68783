"""Without kprobes and trampolines scripts compile, and running says what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.conftest import Runner

SCRIPTS = (
    'probe kernel.function("vfs_read") { println($count) }',
    'probe kernel.function("vfs_read").return { println($return) }',
    'probe kprobe.function("vfs_write") { println(int_arg(1)) }',
    "probe vfs.read { println(bytes_to_read) }",
)


@pytest.mark.root
@pytest.mark.bpf
@pytest.mark.parametrize("script", SCRIPTS)
def test_the_remedy_is_told_when_it_runs(
    run: Runner, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.setenv("MARKBRIDGE_WITHOUT", "fentry,kprobes")
    assert run("check", "-e", script).code == 0

    done = run("run", "-e", script)

    assert done.code == 3
    assert "cannot probe the kernel's function `vfs_" in done.err
    assert "it has no kprobes" in done.err
