"""A stock PostgreSQL server: every statement is seen, counted, recorded and replayed."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.command import Runner

BIN = Path("/usr/lib/postgresql/15/bin")
SCRIPT = """
global statements

probe process("/usr/lib/postgresql/15/bin/postgres").mark("query__start")
{
  text = user_string($arg1)
  printf("sent: %s\\n", text)
  statements[text]++
}

probe end
{
  foreach (text in statements-)
    printf("%5d %s\\n", statements[text], text)
}
"""
STATEMENTS = [
    "select 1;",
    "create table fruit (name text, price int);",
    "insert into fruit values ('fig', 3);",
    "select 1;",
    "select name from fruit where price > 1 order by name;",
    "select 1;",
    "select 'äöü €';",
    "select '" + "x" * 600 + "';",
]


@pytest.fixture
def server() -> Iterator[list[str]]:
    """A private server; gives the arguments with which psql reaches it."""
    folder = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    shutil.chown(folder, "postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    as_postgres = ["runuser", "-u", "postgres", "--"]
    data = folder / "data"

    def quietly(*command: object) -> None:
        nowhere = subprocess.DEVNULL
        subprocess.run(
            [*map(str, command)], check=True, stdout=nowhere, stderr=nowhere, cwd="/"
        )

    quietly(*as_postgres, BIN / "initdb", "-D", data, "--no-sync")
    control = [*as_postgres, BIN / "pg_ctl", "-D", data, "-w"]
    options = f"-p {port} -k {folder} -h '' -c autovacuum=off"
    quietly(*control, "-l", folder / "log", "-o", options, "start")
    try:
        psql = f"psql -X -q -h {folder} -p {port} -d postgres"
        yield [*as_postgres, *psql.split()]
    finally:
        quietly(*control, "-m", "immediate", "stop")
        shutil.rmtree(folder)


def _split(out: str) -> tuple[list[str], dict[str, int]]:
    sent, counted = [], {}
    for line in out.splitlines():
        if line.startswith("sent: "):
            sent.append(line.removeprefix("sent: "))
        else:
            count, text = line.split(None, 1)
            counted[text] = int(count)
    return sent, counted


@pytest.mark.bpf
@pytest.mark.tools
def test_every_statement_live_and_replayed(
    run: Runner, server: list[str], tmp_path: Path
) -> None:
    script, statements = tmp_path / "sql.stp", tmp_path / "statements.sql"
    script.write_text(SCRIPT)
    statements.write_text("\n".join(STATEMENTS) + "\n")
    statements.chmod(0o644)
    tmp_path.chmod(0o755)
    command = " ".join([*server, "-o", "/dev/null", "-f", "-", "<", str(statements)])
    trace = tmp_path / "trace"

    live = run("run", script, "-c", f"sh -c '{command}'", "--trace", trace)

    assert live.code == 0, live.err
    # user_string() reads 510 bytes at most.
    expected = [s.encode()[:510].decode() for s in STATEMENTS]
    sent, counted = _split(live.out)
    assert sent == expected
    assert counted == dict(Counter(expected))
    replayed = run("run", script, "--replay", trace)
    assert (replayed.code, replayed.out) == (0, live.out)
