"""What `markbridge doctor` says of machines that lack something."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bridge.cli.doctor import WIDTH, as_json, as_text
from bridge.engine.kernel.features import FEATURES, has
from bridge.engine.kernel.health import ExaminedMachine, Finding, Health, examine
from bridge.errors import HostError

OPTIONAL = [feature for feature in FEATURES if not feature.needed]
NEEDED = [feature for feature in FEATURES if feature.needed]
ALL_CAPABILITIES = "CapEff:\t000001ffffffffff\n"
FILES = {
    "sys/kernel/btf/vmlinux": "",
    "sys/kernel/btf/ext4": "",
    "sys/kernel/tracing/events/sched/enable": "0\n",
    "sys/bus/event_source/devices/uprobe/type": "9\n",
    "sys/bus/event_source/devices/kprobe/type": "8\n",
    "sys/kernel/security/lockdown": "[none] integrity confidentiality\n",
    "proc/self/status": ALL_CAPABILITIES,
    "proc/kallsyms": "ffffffff81000000 T startup_64\n" * 200,
}


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """The folder of a machine that has everything but debug information."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def _found(root: Path, name: str, without: str = "") -> Finding:
    findings = {
        f.name: f for f in examine(ExaminedMachine(root, lambda feature: feature != without))
    }
    return findings[name]


@pytest.mark.bpf
@pytest.mark.guest
@pytest.mark.parametrize("name", ["btf", "fentry", "kprobes"])
def test_this_machine_has_what_the_engine_finds(name: str) -> None:
    found = {finding.name: finding.state for finding in examine()}

    assert (found[name] is Health.OK) == has(name)
    assert found["uprobes"] is Health.OK


@pytest.mark.parametrize(
    ("name", "gone", "costs"),
    [
        ("btf", "sys/kernel/btf/vmlinux", "typed arguments"),
        ("tracefs", "sys/kernel/tracing/events", "tracepoints"),
        ("uprobes", "sys/bus/event_source/devices/uprobe", "markers"),
        ("kprobes", "sys/bus/event_source/devices/kprobe", "functions of the kernel"),
    ],
)
def test_what_is_not_there_is_missing(machine: Path, name: str, gone: str, costs: str) -> None:
    there = _found(machine, name)
    (machine / gone).rename(machine / "elsewhere")
    missing = _found(machine, name)

    assert (there.state, missing.state) == (Health.OK, Health.MISSING)
    assert costs in missing.costs
    assert missing.remedy


@pytest.mark.parametrize("feature", OPTIONAL, ids=lambda f: f.name)
def test_a_feature_that_has_something_in_its_place_limits(machine: Path, feature) -> None:
    kernel = _found(machine, "kernel", feature.name)

    assert kernel.state is Health.LIMITED
    assert f"{feature.name}: {feature.instead}" in kernel.costs
    assert not kernel.needed


@pytest.mark.parametrize("feature", NEEDED, ids=lambda f: f.name)
def test_a_feature_that_has_nothing_in_its_place_is_needed(machine: Path, feature) -> None:
    kernel = _found(machine, "kernel", feature.name)

    assert (kernel.state, kernel.needed) == (Health.MISSING, True)
    assert feature.what in kernel.costs


@pytest.mark.parametrize(
    ("level", "state", "costs"),
    [
        ("[none] integrity confidentiality", Health.OK, ""),
        ("none [integrity] confidentiality", Health.LIMITED, "written"),
        ("none integrity [confidentiality]", Health.LIMITED, "read"),
    ],
)
def test_lockdown(machine: Path, level: str, state: Health, costs: str) -> None:
    (machine / "sys/kernel/security/lockdown").write_text(level)

    found = _found(machine, "lockdown")

    assert found.state is state
    assert costs in found.costs


@pytest.mark.parametrize(
    ("mask", "state", "without"),
    [
        (0, Health.MISSING, "CAP_BPF"),
        (1 << 39, Health.MISSING, "CAP_PERFMON"),
        (1 << 39 | 1 << 38, Health.LIMITED, "CAP_SYS_ADMIN"),
        (1 << 21, Health.LIMITED, "CAP_SYS_PTRACE"),
        ((1 << 41) - 1, Health.OK, ""),
    ],
)
def test_capabilities(machine: Path, mask: int, state: Health, without: str) -> None:
    (machine / "proc/self/status").write_text(f"Name:\tx\nCapEff:\t{mask:016x}\n")

    found = _found(machine, "capabilities")

    assert found.state is state
    assert without in found.found


def test_without_proc_nothing_is_said_of_rights(machine: Path) -> None:
    shutil.rmtree(machine / "proc")

    findings = {f.name: f for f in examine(ExaminedMachine(machine))}

    for name in ("capabilities", "symbols"):
        assert findings[name].state is Health.LIMITED
        assert findings[name].remedy == "mount -t proc proc /proc"
    assert not findings["capabilities"].needed


def test_hidden_addresses(machine: Path) -> None:
    (machine / "proc/kallsyms").write_text("0000000000000000 T startup_64\n" * 200)

    assert _found(machine, "symbols").state is Health.LIMITED


def test_debug_information_of_the_kernel_and_of_programs(machine: Path) -> None:
    import os

    nothing = _found(machine, "debuginfo")
    for name in (".build-id/ab/cdef.debug", f"boot/vmlinux-{os.uname().release}"):
        path = machine / "usr/lib/debug" / name
        path.parent.mkdir(parents=True)
        path.touch()

    assert nothing.state is Health.LIMITED
    assert _found(machine, "debuginfo").state is Health.OK


def test_it_fits_on_a_screen(machine: Path) -> None:
    lines = as_text(examine(ExaminedMachine(machine, lambda name: name == "x"))).splitlines()

    assert len(lines) < 60
    assert max(len(line) for line in lines if line.startswith(" ")) <= WIDTH


def test_for_tools(machine: Path) -> None:
    shown = json.loads(as_json(examine(ExaminedMachine(machine))))

    assert {tuple(finding) for finding in shown} == {
        ("name", "state", "found", "costs", "remedy", "needed")
    }
    assert {finding["state"] for finding in shown} <= {"ok", "limited", "missing"}


@pytest.mark.parametrize("remedy", ["", "run it as root", "boot another kernel"])
def test_every_error_of_the_host_points_there(remedy: str) -> None:
    text = str(HostError("cannot do it", remedy))

    assert text.splitlines()[0] == "cannot do it"
    assert remedy in text
    assert text.splitlines()[-1].startswith("`markbridge doctor`")
