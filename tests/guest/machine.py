"""A guest of one kernel: started when it is needed, kept for some minutes, ended by itself.

The guest sees the host's files through virtiofs. What it is asked goes over a second serial
line; what it answers are files in the run folder. One rule: whoever changes the sources gets a
fresh guest, because a kept one has them loaded.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.guest import image, packages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KERNELS = {"6.1": "linux-image-cloud-amd64", "6.12": "linux-image-6.12-cloud-amd64"}
"""The kernels, with the Debian packages that stand for their newest images."""
ROOT = Path(__file__).resolve().parent.parent.parent
SOURCES = ("bridge", "grammars", "formats", "tests")
MEMORY_MB, CPUS = 1536, 2
START_SECONDS, REQUEST_SECONDS = 1800, 7200
WAIT_SECONDS = 0.05
APPEND = (
    "console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off nokaslr random.trust_cpu=on"
    " no_timer_check tsc=reliable cryptomgr.notests i8042.noaux i8042.nokbd 8250.nr_uarts=2"
    " audit=0 selinux=0 apparmor=0 nowatchdog rcupdate.rcu_expedited=1 pci=lastbus=0"
)
"""Little to probe at boot, no messages of slowness, and addresses that stay as they are."""
FAILED = 125


class GuestError(Exception):
    """There is no guest, or it ended before it answered."""


class NoGuestError(GuestError):
    """This machine cannot have one: no network, no root, no Debian."""


def bed_folder() -> Path:
    """Where packages, kernels and the emulator are kept, for all checkouts."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    return Path(os.environ.get("MARKBRIDGE_GUESTS", f"{cache}/markbridge-guests"))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True)
class Bed:
    """What a guest boots from."""

    folder: Path

    def fetch(self, kernel: str) -> Path:
        """The folder of a kernel's `vmlinux` and `initrd`, made if it is not there."""
        with _locked(self.folder / "lock"):
            self._emulator()
            return self._kernel(kernel)

    def _emulator(self) -> None:
        files = packages.download(packages.emulator_packages(), self.folder / "packages")
        stamp = self.folder / "emulator.made"
        names = "".join(f"{file.name}\n" for file in files)
        if stamp.exists() and stamp.read_text() == names:
            return
        for file in files:
            packages.unpack(file, self.folder / "emulator")
        stamp.write_text(names)

    def _kernel(self, kernel: str) -> Path:
        name = packages.kernel_package(KERNELS[kernel])
        [file] = packages.download([name], self.folder / "packages")
        folder = self.folder / "kernels" / name
        made, source = folder / "made", (image.HERE / "init.c").read_text()
        if not made.exists() or made.read_text() != source:
            image.make(file, name.removeprefix("linux-image-"), folder)
            made.write_text(source)
        return folder

    def debug_information(self, kernel: str) -> Path:
        """The folder that has a kernel's debug information, as /usr/lib/debug would."""
        with _locked(self.folder / "lock"):
            name = f"{packages.kernel_package(KERNELS[kernel])}-dbg"
            folder = self.folder / "debug" / name
            made = folder / "made"
            if not made.exists():
                [file] = packages.download([name], self.folder / "packages")
                packages.unpack(file, folder, ["*/boot/vmlinux-*"])
                made.touch()
            return folder / "usr" / "lib" / "debug"

    def modules(self, kernel: str) -> Path:
        """The folder that has a kernel's modules somewhere in it."""
        with _locked(self.folder / "lock"):
            name = packages.kernel_package(KERNELS[kernel])
            folder = self.folder / "modules" / name
            made = folder / "made"
            if not made.exists():
                [file] = packages.download([name], self.folder / "packages")
                packages.unpack(file, folder, ["*/lib/modules/*"])
                made.touch()
            return folder

    @property
    def program(self) -> Path:
        """The emulator."""
        return self.folder / "emulator" / "usr" / "bin" / "qemu-system-x86_64"

    @property
    def file_server(self) -> Path:
        """What gives the guest the host's files."""
        return self.folder / "emulator" / "usr" / "lib" / "qemu" / "virtiofsd"

    @property
    def environment(self) -> dict[str, str]:
        """For both: their libraries."""
        root = self.folder / "emulator"
        libraries = [root / "usr/lib/x86_64-linux-gnu", root / "lib/x86_64-linux-gnu"]
        kept = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
        return kept | {"LD_LIBRARY_PATH": ":".join(map(str, libraries))}

    def data(self, name: str) -> str:
        """A folder of data of the emulator's."""
        return str(self.folder / "emulator" / "usr" / "share" / name)


def _has_kvm() -> bool:
    flags = Path("/proc/cpuinfo").read_text()
    return os.access("/dev/kvm", os.W_OK) and (" vmx " in flags or " svm " in flags)


def _accelerator() -> list[str]:
    """Hardware where this machine has it, else emulation."""
    if os.environ.get("MARKBRIDGE_GUEST_KVM", "1" if _has_kvm() else "0") == "1":
        return ["-accel", "kvm", "-cpu", "host"]
    return ["-accel", "tcg,thread=multi", "-cpu", "max"]


@dataclass(frozen=True)
class Guest:
    """The guest of one kernel for one checkout."""

    kernel: str
    bed: Bed

    @cached_property
    def run(self) -> Path:
        """Its folder of this checkout, which both sides see."""
        return ROOT / "build" / "guest" / self.kernel

    # --- its life -----------------------------------------------------------------------------

    def start(self) -> None:
        """Have a guest that runs the present sources."""
        with _locked(ROOT / "build" / "guest" / f"{self.kernel}.lock"):
            if self.alive() and self._told_sources() == _sources():
                return
            self.stop()
            self._boot(self._kernel())
            self._wait_until_up()

    def _kernel(self) -> Path:
        if os.geteuid() != 0:
            raise NoGuestError(f"no guest of Linux {self.kernel}: it needs root")
        try:
            return self.bed.fetch(self.kernel)
        except (OSError, subprocess.CalledProcessError, AssertionError) as error:
            kvm = "KVM is there" if _has_kvm() else "there is no KVM"
            reason = f"{kvm}, and no emulator or kernel could be had: {error}"
            raise NoGuestError(f"no guest of Linux {self.kernel}: {reason}") from error

    def alive(self) -> int:
        """The emulator's process, 0 if there is none."""
        try:
            pid = int((self.run / "pid").read_text())
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return 0
        ours = not command or str(self.run).encode() in command  # none yet, as it starts
        return pid if ours and state != "Z" else 0

    def stop(self) -> None:
        """Let it go: what it has is in memory and in files that are written."""
        pid = self.alive()
        if not pid:
            return
        os.kill(pid, 9)
        while self.alive():
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
            time.sleep(WAIT_SECONDS)

    def _told_sources(self) -> str:
        try:
            return (self.run / "sources").read_text()
        except OSError:
            return ""

    def _boot(self, kernel: Path) -> None:
        shutil.rmtree(self.run, ignore_errors=True)
        (self.run / "jobs").mkdir(parents=True)
        (self.run / "sources").write_text(_sources())
        self._keep_tables()
        for end in ("in", "out"):
            os.mkfifo(self.run / f"requests.{end}")
        self._serve_files()
        command = [self.bed.program, *self._machine(), *self._devices(), *_accelerator()]
        command += ["-kernel", kernel / "vmlinux", "-initrd", kernel / "initrd"]
        command += ["-append", f"{APPEND} {self._words()}"]
        process = self._spawn(command, "emulator.log")
        (self.run / "pid").write_text(str(process.pid))

    @property
    def cache(self) -> Path:
        """Where all guests of this checkout keep what `markbridge` keeps."""
        return self.run.parent / "cache"

    def _keep_tables(self) -> None:
        """Have the parser's tables there: making them takes long under emulation."""
        command = [sys.executable, "-m", "bridge", "check", "-e", "probe begin { exit() }"]
        environment = os.environ | {"XDG_CACHE_HOME": str(self.cache)}
        self.cache.mkdir(exist_ok=True)
        subprocess.run(command, cwd=ROOT, env=environment, check=True)

    def _spawn(self, command: list[Any], log: str) -> subprocess.Popen[bytes]:
        with (self.run / log).open("wb") as file:
            return subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env=self.bed.environment,
                start_new_session=True,
            )

    def _serve_files(self) -> None:
        """It ends with the emulator."""
        socket = self.run / "files"
        options = ["-o", "source=/", "-o", "cache=always", "-o", "sandbox=chroot"]
        command = [self.bed.file_server, f"--socket-path={socket}", *options]
        server = self._spawn([*command, "--thread-pool-size=0"], "files.log")
        end = time.monotonic() + START_SECONDS
        while not socket.is_socket():
            if server.poll() is not None or time.monotonic() > end:
                said = (self.run / "files.log").read_text()
                raise NoGuestError(f"no files for a guest of Linux {self.kernel}: {said}")
            time.sleep(WAIT_SECONDS)

    def _machine(self) -> list[str]:
        parts = "usb=off,graphics=off,vmport=off,smbus=off,sata=off,hpet=off"
        memory = f"memory-backend-memfd,id=mem,size={MEMORY_MB}M,share=on"
        return [
            *("-machine", f"q35,memory-backend=mem,{parts}"),
            *("-smp", str(CPUS), "-m", str(MEMORY_MB), "-object", memory),
            *("-L", self.bed.data("qemu"), "-L", self.bed.data("seabios")),
            *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *("-rtc", "base=utc,clock=host"),
        ]

    def _devices(self) -> list[str]:
        return [
            *("-serial", f"file:{self.run}/console"),
            *("-chardev", f"pipe,id=requests,path={self.run}/requests"),
            *("-serial", "chardev:requests"),
            *("-chardev", f"socket,id=files,path={self.run}/files"),
            *("-device", "vhost-user-fs-pci,chardev=files,tag=host"),
        ]

    def _words(self) -> str:
        server = Path(__file__).with_name("serve.py")
        words = {"python": sys.executable, "server": server, "run": self.run, "share": ROOT}
        text = " ".join(f"guest.{name}={value}" for name, value in words.items())
        assert text.count(" ") == len(words) - 1, f"a path has a space: {text}"
        return text

    def _wait_until_up(self) -> None:
        end = time.monotonic() + START_SECONDS
        while not (self.run / "up").exists():
            if not self.alive() or time.monotonic() > end:
                raise GuestError(self._what_it_said())
            time.sleep(WAIT_SECONDS)

    def _what_it_said(self, end: str = "it ended") -> str:
        logs = [self.run / name for name in ("console", "log", "emulator.log", "files.log")]
        said = "".join(log.read_text(errors="replace")[-4000:] for log in logs if log.exists())
        return f"guest of Linux {self.kernel}: {end}; see {self.run}\n{said}"

    # --- what it is asked ---------------------------------------------------------------------

    def ask(
        self,
        kind: str,
        words: list[str],
        environment: dict[str, str],
        watch: Callable[[], None] = lambda: None,
    ) -> int:
        """Have something run there, with its output on ours; its exit code.

        `watch` is called again and again meanwhile; what it raises ends the waiting.
        """
        self.start()
        number = len(list((self.run / "jobs").iterdir()))
        job = self.run / "jobs" / str(number)
        job.mkdir()
        request = {"kind": kind, "words": words, "folder": str(Path.cwd())}
        (job / "request").write_text(json.dumps(request | {"environment": environment}))
        outputs = [job / "out", job / "err"]
        for output in outputs:
            output.touch()
        with (self.run / "requests.in").open("w") as line:
            line.write(f"{number}\n")
        return self._follow(job, outputs, watch)

    def _follow(self, job: Path, outputs: list[Path], watch: Callable[[], None]) -> int:
        end = time.monotonic() + REQUEST_SECONDS
        files = [output.open("rb") for output in outputs]
        try:
            while True:
                over = (job / "code").exists()
                for file, stream in zip(files, (sys.stdout, sys.stderr), strict=True):
                    stream.write(file.read().decode(errors="replace"))
                    stream.flush()
                if over:
                    return int((job / "code").read_text())
                if not self.alive() or time.monotonic() > end:
                    raise GuestError(self._what_it_said())
                try:
                    watch()
                except GuestError as error:
                    raise GuestError(self._what_it_said(str(error))) from error
                time.sleep(WAIT_SECONDS)
        finally:
            for file in files:
                file.close()


def _sources() -> str:
    """Tells when a kept guest is out of date."""
    files = [file for folder in SOURCES for file in (ROOT / folder).rglob("*")]
    kept = [file for file in files if file.suffix in {".py", ".so", ".lark", ".stp", ".h"}]
    newest = max(file.stat().st_mtime_ns for file in kept)
    return f"{len(kept)} {newest}"
