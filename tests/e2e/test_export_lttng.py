"""Six scripts, exported to LTTng with its own modules of the kernel: it counts what we count.

`python -m tests.guest lttng --kernel 6.1` compiles the modules and runs these tests there. Its
user-space probes have no fields, so what is counted is hits.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bridge
from tests.support.command import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.command import Compiler, Runner

LOAD = (Path(__file__).resolve().parent.parent / "support" / "load.c").read_text()
MODULES = os.environ.get("MARKBRIDGE_LTTNG", "")
DAEMON = Path("/run/lttng/lttng-sessiond.pid")
STARTS = """set -e
mkdir -p {0}/old {0}/new
mount --bind /usr/lib {0}/old
mount -t tmpfs none {0}/new
for entry in {0}/old/*; do ln -s "$entry" {0}/new/; done
mkdir {0}/new/modules
ln -s {1} {0}/new/modules/$(uname -r)
mount --bind {0}/new /usr/lib
exec lttng-sessiond -b --kmod-probes=sched,sock,signal
"""
"""Has a folder of modules where the machine has none, and the daemon load them."""

pytestmark = [
    pytest.mark.bpf,
    pytest.mark.skipif(not MODULES, reason="python -m tests.guest lttng runs it"),
]

ORDER = ('process(@1).mark("order")', {"order": 20})
FUNCTIONS = (
    'process(@1).function("allocate"), process(@1).function("readline")',
    {"allocate": 40, "readline": 5},
)
PLACES = (
    'process(@1).function("wait_at"), process(@1).function("thread")',
    {"thread": 4},
)
FORKS = ('kernel.trace("sched_process_fork")', {"sched_process_fork": 7})
SIGNALS = (
    'kernel.trace("sched_process_exit"), kernel.trace("signal_generate")',
    {"sched_process_exit": 6, "signal_generate": 2},
)
KERNEL = ('kernel.function("vfs_fsync_range")', {"vfs_fsync_range": 1})


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """LTTng's daemon, with its modules loaded."""
    folder = tmp_path_factory.mktemp("lttng")
    os.environ["LTTNG_HOME"] = str(folder)
    command = ["unshare", "-m", "sh", "-c", STARTS.format(folder, MODULES)]
    subprocess.run(command, check=True)
    yield
    pid = int(DAEMON.read_text())
    os.kill(pid, 15)
    wait_until(lambda: not Path(f"/proc/{pid}").exists())


def _lttng(*words: object) -> None:
    done = subprocess.run(["lttng", *map(str, words)], capture_output=True, check=False)
    assert done.returncode == 0, (words, done.stdout, done.stderr)


@pytest.mark.usefixtures("daemon")
@pytest.mark.parametrize(
    ("points", "wanted"),
    [ORDER, FUNCTIONS, PLACES, FORKS, SIGNALS, KERNEL],
    ids=["order", "functions", "places", "forks", "signals", "kernel"],
)
def test_lttng_counts_what_we_count(
    points: str, wanted: dict[str, int], run: Runner, compile_c: Compiler, tmp_path: Path
) -> None:
    load, script = compile_c("load", LOAD, "-g", "-pthread"), tmp_path / "script.stp"
    script.write_text(f"probe {points} {{ println(1) }}")
    arguments = (str(load),) if "@1" in points else ()
    exported = tmp_path / "exported.sh"
    done = run("export", "--to", "lttng", script, *arguments)
    assert done.code == 0, done.err
    exported.write_text(done.out)
    program = bridge.compile(script, bridge.AnalyseOptions(arguments=arguments))

    _lttng("create", "beside", f"--output={tmp_path}/trace")
    try:
        subprocess.run(["sh", exported], check=True)
        _lttng("add-context", "--kernel", "--type=procname")
        _lttng("start")
        with program.attach(command=[str(load)], events=True) as session:
            ours = Counter(hit.name for hit in session.events() if hit.comm == "load")
        _lttng("stop")
    finally:
        _lttng("destroy", "beside")
    shown = subprocess.run(
        ["babeltrace2", tmp_path / "trace"], check=True, capture_output=True, text=True
    ).stdout

    rows = (line for line in shown.splitlines() if 'procname = "load"' in line)
    theirs = Counter(re.search(r"\) \S+ (\w+): \{", row)[1] for row in rows)
    assert theirs == {re.split(r"[:/]", name)[-1]: count for name, count in ours.items()}
    assert theirs == wanted
