"""The console script: what it hands to the server, and one clear line for everything a person gets wrong."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import pytest

from branching.errors import BoughError
from proxy.cli.demo import render
from proxy.cli.main import main
from proxy.settings import BY_NAME, Settings


class Listener(ModuleType):
    """Stands where the server's listener is, and remembers what it was asked to serve."""

    def __init__(self) -> None:
        super().__init__("proxy.server.listener")
        self.settings: Settings | None = None
        self.error: Exception | None = None

    def run(self, settings: Settings, *, ready: Callable[[str, int], Any]) -> int:
        if self.error:
            raise self.error
        self.settings = settings
        ready(settings.host, settings.port)
        return 0


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Listener:
    monkeypatch.chdir(tmp_path)
    for name in list(BY_NAME):
        monkeypatch.delenv(BY_NAME[name].variable, raising=False)
    module = Listener()
    monkeypatch.setitem(sys.modules, "proxy.server.listener", module)
    return module


def test_serve_hands_over_the_settings(listener: Listener, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "x.duckdb", "--port", "7001", "--set", "branch_ttl=1h", "--log", "json"]) == 0
    assert listener.settings is not None
    assert (listener.settings.file, listener.settings.port) == ("x.duckdb", 7001)
    output = capsys.readouterr().out
    assert "psql -h 127.0.0.1 -p 7001 -U bough main" in output
    assert output.count("BRANCH ") >= 3
    assert not Path("x.duckdb").exists()  # making it is the engine's job


def test_a_config_file_in_the_directory_is_read(listener: Listener, tmp_path: Path) -> None:
    (tmp_path / "bough.toml").write_text("port = 7002")
    assert main(["serve", ":memory:"]) == 0
    assert listener.settings is not None
    assert listener.settings.port == 7002


def _one_line(capsys: pytest.CaptureFixture[str]) -> str:
    error = capsys.readouterr().err
    assert error.startswith("bough: ")
    assert error.count("\n") == 1
    return error


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["serve", "."], "is a directory"),
        (["serve", "missing/x.duckdb"], "no directory missing"),
        (["serve", "--port", "nine"], "port: "),
        (["serve", "--set", "prot=1"], "Did you mean port"),
        (["serve", "--set", "port"], "has no value"),
        (["serve", "--config", "none.toml"], "none.toml"),
    ],
)
def test_mistakes_are_one_line(
    listener: Listener, capsys: pytest.CaptureFixture[str], arguments: list[str], part: str
) -> None:
    assert main(arguments) == 1
    assert part in _one_line(capsys)
    assert listener.settings is None


def test_the_servers_refusal_is_one_line(listener: Listener, capsys: pytest.CaptureFixture[str]) -> None:
    listener.error = BoughError("55006", "x.duckdb is open\nelsewhere", hint="Stop the other one.")
    assert main(["serve", "x.duckdb"]) == 1
    assert _one_line(capsys) == "bough: x.duckdb is open elsewhere (Stop the other one.)\n"


def test_the_machines_trouble_is_one_line(listener: Listener, capsys: pytest.CaptureFixture[str]) -> None:
    listener.error = OSError(28, "No space left on device", "x.duckdb")
    assert main(["serve", "x.duckdb"]) == 1
    assert _one_line(capsys) == "bough: x.duckdb: No space left on device\n"


def test_a_bug_is_not_hidden(listener: Listener) -> None:
    listener.error = RuntimeError("bug")
    with pytest.raises(RuntimeError):
        main(["serve", "x.duckdb"])


def test_ctrl_c_is_no_traceback(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(listener, "run", interrupted)
    assert main(["serve", "x.duckdb"]) == 130


def test_config_shows_values_and_sources(
    listener: Listener, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOUGH_PORT", "7003")
    assert main(["config", "--set", "log=json"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert set(lines) == set(BY_NAME)
    assert "7003" in lines["port"] and "BOUGH_PORT" in lines["port"]
    assert "json" in lines["log"] and "command line" in lines["log"]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert capsys.readouterr().out.startswith("bough ")


def test_a_start_does_not_read_pandas() -> None:
    """It is there where the sample is, takes a quarter second to read, and is used by nobody here."""
    program = "import sys, proxy.server.listener; sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_sample_is_not_made_when_the_port_is_taken(
    listener: Listener, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["serve", "s.duckdb", "--sample", "--port", str(taken.getsockname()[1])]) == 1
    assert "cannot listen" in _one_line(capsys)
    assert list(Path().iterdir()) == []


def test_the_sample_has_the_five_tables(listener: Listener) -> None:
    assert main(["serve", "s.duckdb", "--sample", "--port", "0"]) == 0
    assert [path.name for path in Path().iterdir()] == ["s.duckdb"]
    with duckdb.connect("s.duckdb", read_only=True) as connection:
        rows = connection.execute(
            "SELECT (SELECT count(*) FROM flights), (SELECT count(*) FROM airlines), "
            "(SELECT count(*) FROM airports), (SELECT count(*) FROM planes), (SELECT count(*) FROM weather), "
            "(SELECT count(*) FROM flights WHERE dep_time IS NULL), "
            "(SELECT min(time_hour)::text FROM flights)"
        ).fetchall()
        keys = connection.execute(
            "SELECT table_name, constraint_column_names FROM duckdb_constraints() "
            "WHERE constraint_type = 'PRIMARY KEY' ORDER BY 1"
        ).fetchall()
        kinds = connection.execute(
            "SELECT DISTINCT data_type FROM duckdb_columns() WHERE table_name = 'flights' ORDER BY 1"
        ).fetchall()
    assert rows == [(336776, 16, 1458, 3322, 26115, 8255, "2013-01-01 10:00:00")]
    assert keys == [("airlines", ["carrier"]), ("airports", ["faa"]), ("planes", ["tailnum"])]
    assert kinds == [("INTEGER",), ("TIMESTAMP",), ("VARCHAR",)]


def test_an_existing_file_is_left_alone(listener: Listener) -> None:
    Path("s.duckdb").write_bytes(b"mine")
    assert main(["serve", "s.duckdb", "--sample", "--port", "0"]) == 0
    assert Path("s.duckdb").read_bytes() == b"mine"


def test_results_are_rendered_for_people() -> None:
    assert render(["id", "name"], [(1, None), (22, "b")]).splitlines() == [
        "    id | name",
        "    ---+-----",
        "    1  |",
        "    22 | b",
        "    (2 rows)",
    ]
