"""``bough recover``: a damaged write-ahead log, whatever way it was damaged."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

import branching
from branching.engine.base import OpenError
from proxy.cli.main import main

pytestmark = pytest.mark.sampled

_WRITER = """
import os, sys, sqlglot, branching
database = branching.open(sys.argv[1])
connection = database.connect()
run = lambda text: connection.execute(sqlglot.parse_one(text, dialect="duckdb"))
run("CREATE TABLE t (id INTEGER PRIMARY KEY, v VARCHAR)")
database.checkpointer.run()
for number in range(60):
    connection.begin()
    run(f"INSERT INTO t VALUES ({number}, repeat('x', 40))")
    connection.commit()
os._exit(0)
"""


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """A file and its log, as a process that was killed after 60 commits leaves them."""
    file = tmp_path_factory.mktemp("crashed") / "d.duckdb"
    root = str(Path(branching.__file__).parent.parent)
    subprocess.run(
        [sys.executable, "-c", _WRITER, str(file)], check=True, env={**os.environ, "PYTHONPATH": root}
    )
    return file.read_bytes(), Path(f"{file}.wal").read_bytes()


def flipped(log: bytes) -> bytes:
    """One bit of a value. (In a length it can make the log look torn, which the engine takes for its end.)"""
    damaged = bytearray(log)
    damaged[log.index(b"x" * 40, len(log) // 2) + 10] ^= 4
    return bytes(damaged)


def zeroed(log: bytes) -> bytes:
    """Its last sector was never written."""
    return log[:-512] + bytes(512)


def sector(log: bytes) -> bytes:
    """One in the middle was not. (One that begins in a length makes the log look torn, as above.)"""
    middle = log.index(b"x" * 40, len(log) // 2)
    return log[:middle] + bytes(512) + log[middle + 512 :]


def rows(file: Path) -> list[int]:
    with duckdb.connect(str(file)) as plain:
        return [row[0] for row in plain.execute("SELECT id FROM t ORDER BY id").fetchall()]


def test_a_torn_tail_needs_no_help(crashed: tuple[bytes, bytes], tmp_path: Path) -> None:
    file = tmp_path / "d.duckdb"
    file.write_bytes(crashed[0])
    Path(f"{file}.wal").write_bytes(crashed[1][:-7])
    branching.open(file).close()
    assert rows(file) == list(range(59))


@pytest.mark.parametrize("damage", [flipped, zeroed, sector])
def test_a_damaged_log_is_named_and_given_up_only_when_asked(
    damage: Callable[[bytes], bytes],
    crashed: tuple[bytes, bytes],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "d.duckdb"
    log = Path(f"{file}.wal")
    file.write_bytes(crashed[0])
    log.write_bytes(damage(crashed[1]))
    with pytest.raises(OpenError) as caught:
        branching.open(file)
    command = f"bough recover --discard-wal-tail {file}"
    assert str(log) in caught.value.message and str(file) in caught.value.message
    assert command in (caught.value.hint or "")
    assert (file.read_bytes(), log.read_bytes()) == (crashed[0], damage(crashed[1]))

    assert main(["recover", str(file)]) == 1
    assert command in capsys.readouterr().err
    assert log.read_bytes() == damage(crashed[1])

    assert main(["recover", "--discard-wal-tail", str(file)]) == 0
    said = capsys.readouterr().out
    copies = sorted(tmp_path.glob("*.damaged-*"))
    assert [copy.read_bytes() for copy in copies] == [crashed[0], damage(crashed[1])]
    assert all(str(copy) in said for copy in copies)
    kept = rows(file)
    assert kept == list(range(len(kept))) and 0 < len(kept) < 60
    database = branching.open(file)
    last = database.clock.version
    assert f"its last commit is version {last} on branch main" in said
    database.close()

    assert main(["recover", "--discard-wal-tail", str(file)]) == 1
    assert "there is nothing to recover" in capsys.readouterr().err


def test_what_is_no_database_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.duckdb"
    file.write_text("no database" * 1000)
    assert main(["recover", "--discard-wal-tail", str(file)]) == 1
    assert main(["recover", "--discard-wal-tail", str(tmp_path / "none")]) == 1
    assert file.read_text() == "no database" * 1000
    assert "there is no file" in capsys.readouterr().err
