"""What all tests share: the reference inputs, and what stands behind the markers.

In continuous integration (`CI` set) a missing condition is a failure, elsewhere it skips with
the reason.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))
os.environ["MARKBRIDGE_VERIFY"] = "1"
TOOLS = ("stap", "bpftrace", "babeltrace2", "readelf", "gcc", "ld.lld")


# How long an example takes says something of the machine, not of us.
settings.register_profile("events", deadline=None)
settings.load_profile("events")


@cache
def _missing_reference() -> str:
    folder = reference_folder()
    return (
        "" if folder.is_dir() else f"no reference inputs at {folder} (set MARKBRIDGE_REFERENCE)"
    )


def reference_folder() -> Path:
    """The folder of reference inputs: $MARKBRIDGE_REFERENCE, else beside the checkout."""
    return Path(os.environ.get("MARKBRIDGE_REFERENCE", ROOT.parent / "shared" / "data"))


@cache
def _missing_root() -> str:
    return "" if os.geteuid() == 0 else "needs root"


@cache
def _missing_bpf() -> str:
    if reason := _missing_root():
        return reason
    if not Path("/sys/kernel/tracing/events").is_dir():
        subprocess.run(["mount", "-t", "tracefs", "none", "/sys/kernel/tracing"], check=False)
    for path in ("/sys/kernel/btf/vmlinux", "/sys/kernel/tracing/events/sched"):
        if not Path(path).exists():
            return f"no {path}"
    return ""


@cache
def _missing_tools() -> str:
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    return f"not installed: {', '.join(missing)}" if missing else ""


def _missing_features(item: pytest.Item) -> str:
    """What a test needs of the kernel and it has not, or was taken away (docs/kernels.md).

    No fault of the machine's, even in continuous integration: the guests have other kernels.
    """
    wanted = [name for marker in item.iter_markers("needs") for name in marker.args]
    if not wanted or _missing_root():
        return ""
    from bridge.engine.kernel.features import has

    return ", ".join(name for name in wanted if not has(name))


CONDITIONS = {
    "root": _missing_root,
    "bpf": _missing_bpf,
    "tools": _missing_tools,
    "shared": _missing_reference,
}


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks at the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what cannot run here; keep what looks at the running kernel in one process."""
    for item in items:
        if item.get_closest_marker("bpf"):
            item.add_marker(pytest.mark.xdist_group("kernel"))
        if missing := _missing_features(item):
            item.add_marker(pytest.mark.skip(reason=f"this kernel has no {missing}"))
    if os.environ.get("CI"):
        return
    for item in items:
        for name, missing in CONDITIONS.items():
            if item.get_closest_marker(name) and (reason := missing()):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of reference inputs: traces, descriptions, scripts with their output."""
    if reason := _missing_reference():
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return reference_folder()


@pytest.fixture(scope="session")
def stap_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What stap takes for a kernel's build folder (`-r`), enough for its first two passes."""
    folder = tmp_path_factory.mktemp("kernel")
    (folder / "include" / "config").mkdir(parents=True)
    (folder / "include" / "generated").mkdir()
    (folder / "include" / "config" / "kernel.release").write_text("6.1.0-1-amd64\n")
    for name in (".config", "Makefile", "Module.symvers"):
        (folder / name).write_text("")
    return folder


@pytest.fixture(scope="session")
def open_checkout() -> None:
    """Tests that become another user need a checkout that other users can enter."""
    for folder in (ROOT, *ROOT.parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            pytest.skip(f"other users cannot enter {folder}")
