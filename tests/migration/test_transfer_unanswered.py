"""Servers that take a connection and say nothing, at once or in the middle: who cancels is obeyed all the same."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import chain
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pymysql import connections
from servers import Server

from migration.connectors import connect, mysql_session
from migration.connectors.base import Connector, Source
from migration.connectors.clickhouse_writer import ClickhouseWriter
from migration.connectors.duckdb import DuckdbWriter
from migration.connectors.mysql_writer import MysqlWriter
from migration.connectors.postgres import PostgresWriter
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.transfer.journal import Journal
from migration.transfer.undertaking import undertake
from migration.transfer_model import TransferRequest

ENGINES = [
    pytest.param("mysql", marks=pytest.mark.mariadb),
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("clickhouse", marks=pytest.mark.clickhouse),
]
ROWS = 300_000
pytestmark = [pytest.mark.timeout(120), pytest.mark.sampled]  # who is not obeyed would wait for ever


class Relay:
    """Between us and a server. ``frozen``: what comes is kept, and nobody is told."""

    def __init__(self, server: Server) -> None:
        self._server, self.frozen = server, False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                ours, _ = self._listener.accept()
                self._open.append(ours)
                threading.Thread(target=self._pass, args=(ours,), daemon=True).start()

    def _pass(self, ours: socket.socket) -> None:
        while self.frozen:
            time.sleep(0.02)
        theirs = socket.create_connection((self._server.host, self._server.port))
        self._open.append(theirs)
        others = {ours: theirs, theirs: ours}
        with suppress(OSError, ValueError), ours, theirs:
            while True:
                ready, _, _ = select.select([ours, theirs], [], [], 0.02)
                for each in ready if not self.frozen else ():
                    data = each.recv(1 << 16)
                    if not data:
                        return
                    others[each].sendall(data)

    def close(self) -> None:
        self.frozen = False
        for each in self._open:
            each.close()


@pytest.fixture
def server(engine: str, request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue("mariadb" if engine == "mysql" else engine)
    return found


def make(connector: Connector) -> None:
    more = " ENGINE = MergeTree ORDER BY id" if connector.dialect == "clickhouse" else ""
    connector.execute(f"CREATE TABLE unanswered (id bigint, h varchar(40)){more}")


def there(engine: str, server: Server, port: int, **more: str) -> Connector:
    names: dict[str, Any] = {"host": "127.0.0.1", "port": port, "user": server.user, "role": "read_write"}
    names |= {"database": server.database, "password": server.password, **more}
    return connect(datasource("there", engine, {name: str(value) for name, value in names.items()}))


@pytest.fixture
def relay(server: Server) -> Iterator[Relay]:
    with closing(Relay(server)) as made:
        yield made


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Connector]:
    file = str(tmp_path / "here.duckdb")
    with duckdb.connect(file) as connection:
        connection.execute(
            f"CREATE TABLE s AS SELECT i AS id, md5(i::VARCHAR) AS h FROM range({ROWS}) AS r(i)"
        )
    with closing(connect(datasource("here", "duckdb", {"path": file, "role": "read_write"}))) as connector:
        yield connector


def cancelled_by(wanted: threading.Event, request: TransferRequest, *ends: Connector) -> None:
    """57014, and nothing of the transfer runs on."""
    journal = Journal()
    with pytest.raises(MigrationError) as caught:
        undertake(request, *ends, journal=journal, cancelled=wanted.is_set)
    assert caught.value.sqlstate == "57014"
    assert journal.entries()[0].state == "cancelled"
    names = {thread.name for thread in threading.enumerate()}
    assert not names & {"transfer-reader", "transfer-encoder", "transfer-sender", "transfer-watcher"}


@pytest.mark.parametrize("as_target", [True, False])
@pytest.mark.parametrize("engine", ["postgres", "mysql", "clickhouse"])
def test_a_server_that_says_nothing_does_not_hold_who_cancels(
    engine: str, as_target: bool, here: Connector
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = Server("127.0.0.1", 0, "bough", "bough")
        wanted = threading.Event()
        threading.Timer(0.3, wanted.set).start()
        port = silent.getsockname()[1]
        with closing(there(engine, server, port, connect_timeout="300")) as other:
            ends = (here, other) if as_target else (other, here)
            path = ("main", "s") if as_target else ("public", "s")
            cancelled_by(wanted, TransferRequest(Source(path=path), ("public", "t")), *ends)


@pytest.mark.parametrize("engine", ["postgres", "mysql", "clickhouse"])
def test_nobody_waits_longer_than_connect_timeout_for_it(engine: str) -> None:
    server = Server("127.0.0.1", 0, "bough", "bough")
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        closing(there(engine, server, silent.getsockname()[1], connect_timeout="2")) as other,
        pytest.raises(MigrationError) as caught,
    ):
        other.test()
    assert caught.value.sqlstate == "HV00N"


@pytest.mark.parametrize("engine", ENGINES)
def test_closing_waits_for_no_server_that_stops_answering(engine: str, server: Server, relay: Relay) -> None:
    other = there(engine, server, relay.port, connect_timeout="300")
    reader = other.reader()
    relay.frozen = True
    ending = threading.Thread(target=other.close, daemon=True)
    ending.start()
    ending.join(60)
    held = ending.is_alive()
    relay.frozen = False
    with suppress(MigrationError):  # its connection was cut
        reader.close()
    assert not held


@pytest.mark.parametrize("engine", ENGINES)
def test_a_target_that_stops_answering_does_not_hold_who_cancels(
    engine: str, server: Server, relay: Relay, here: Connector, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = threading.Event()
    writer_of: type[Any] = {"mysql": MysqlWriter, "postgres": PostgresWriter, "clickhouse": ClickhouseWriter}[
        engine
    ]
    write = writer_of.write

    def frozen(writer: Any, path: tuple[str, ...], batches: Iterator[Any]) -> Any:
        first = next(batches)
        relay.frozen = True
        wanted.set()
        return write(writer, path, chain([first], batches))

    monkeypatch.setattr(writer_of, "write", frozen)
    with closing(there(engine, server, relay.port)) as other:
        make(other)
        try:
            request = TransferRequest(Source(path=("main", "s")), ("unanswered",), "append")
            cancelled_by(wanted, request, here, other)
        finally:
            relay.frozen = False
            with closing(there(engine, server, server.port)) as direct, direct.writer() as writer:
                assert writer.count(("unanswered",)) == 0
                writer.cleanup()
                writer.drop(("unanswered",))


@pytest.mark.mariadb
def test_a_connection_that_is_lost_while_rows_are_sent_is_said_to_be_lost(
    mariadb: Server, here: Connector, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = connections._send_local_file  # type: ignore[attr-defined]

    def cut_before(name: bytes, connection: Any) -> None:
        mysql_session.cut(connection)
        send(name, connection)

    monkeypatch.setattr(connections, "_send_local_file", cut_before)
    with closing(there("mysql", mariadb, mariadb.port)) as other:
        other.execute("CREATE TABLE unanswered (id bigint, h varchar(40))")
        try:
            request = TransferRequest(Source(path=("main", "s")), ("unanswered",), "append")
            with pytest.raises(MigrationError) as caught:
                undertake(request, here, other, journal=Journal())
            assert caught.value.sqlstate == "HV00N"
            with other.writer() as writer:
                assert (writer.count(("unanswered",)), writer.leftovers()) == (0, ())
        finally:
            other.execute("DROP TABLE unanswered")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("failing", [True, False])
def test_a_source_that_stops_answering_holds_nobody(
    engine: str,
    failing: bool,
    server: Server,
    relay: Relay,
    here: Connector,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """``failing``: the target fails meanwhile, and nobody wants to cancel."""
    with closing(there(engine, server, server.port)) as direct:
        make(direct)
        filled = TransferRequest(Source(path=("main", "s")), ("unanswered",), "append")
        undertake(filled, here, direct, journal=Journal())
    wanted = threading.Event()

    def write(writer: DuckdbWriter, path: tuple[str, ...], batches: Iterator[Any]) -> Any:
        next(batches)
        relay.frozen = True
        if failing:
            raise MigrationError("53100", "the disk is full")
        wanted.set()
        return sum(batch.num_rows for batch in batches)

    monkeypatch.setattr(DuckdbWriter, "write", write)
    request = TransferRequest(Source(path=("unanswered",)), ("main", "t"))
    try:
        with closing(there(engine, server, relay.port)) as other:
            if failing:
                with pytest.raises(MigrationError, match="the disk is full"):
                    undertake(request, other, here, journal=Journal())
            else:
                cancelled_by(wanted, request, other, here)
    finally:
        relay.frozen = False
        with closing(there(engine, server, server.port)) as direct:
            direct.execute("DROP TABLE unanswered")
