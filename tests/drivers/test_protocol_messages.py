"""The protocol message by message over a raw socket."""

from __future__ import annotations

import re
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from effort import seeds
from raw_client import RawClient, error, kinds, only, tags, values
from server_thread import ThreadServer

from proxy.wire import (
    BackendKeyData,
    Bind,
    CancelRequest,
    Close,
    CommandComplete,
    DataRow,
    Describe,
    ErrorResponse,
    Execute,
    Flush,
    FunctionCall,
    NegotiateProtocolVersion,
    NoticeResponse,
    ParameterDescription,
    ParameterStatus,
    Parse,
    Query,
    ReadyForQuery,
    RowDescription,
    SSLRequest,
    StartupMessage,
    Sync,
    Terminate,
)

pytestmark = pytest.mark.sampled

SLOW = "SELECT count(*) FROM generate_series(1, 100000000) a(i), generate_series(1, 1000) b(j) WHERE (i + j) % 7 = 3"


@pytest.fixture
def raw(server: ThreadServer) -> Iterator[RawClient]:
    with RawClient.ready(server.port) as client:
        yield client


# -- start-up ------------------------------------------------------------------------------------------------


def test_what_a_client_is_told_at_start(server: ThreadServer) -> None:
    with RawClient.ready(server.port) as raw:
        status = {message.name: message.value for message in only(raw.started, ParameterStatus)}
    assert status["server_encoding"] == status["client_encoding"] == "UTF8"
    assert status["integer_datetimes"] == status["standard_conforming_strings"] == "on"
    assert status["DateStyle"].startswith("ISO")
    assert status["server_version"].startswith("15")
    assert status["branch"] == "main"
    assert kinds(raw.started)[0] == "AuthenticationOk"
    assert kinds(raw.started)[-1] == "ReadyForQuery"


def test_ssl_is_declined_and_the_client_goes_on(server: ThreadServer) -> None:
    with RawClient(server.port) as raw:
        raw.send(SSLRequest())
        assert raw.byte() == b"N"
        assert isinstance(raw.start()[-1], ReadyForQuery)


def test_bytes_behind_an_ssl_request_are_refused(server: ThreadServer) -> None:
    with RawClient(server.port) as raw:
        raw.send(SSLRequest(), StartupMessage({"user": "alice"}))
        answer = b""
        while data := raw.socket.recv(1000):
            answer += data
        assert b"08P01" in answer and b"AuthenticationOk" not in answer and b"Z\0\0\0\5" not in answer


def test_protocol_3_2_is_negotiated(server: ThreadServer) -> None:
    with RawClient(server.port) as raw:
        raw.send(StartupMessage({"user": "alice", "database": "main", "_pq_.unknown": "x"}, (3 << 16) | 2))
        found = raw.until_ready()
        assert isinstance(found[-1], ReadyForQuery)
        for negotiated in only(found, NegotiateProtocolVersion):
            assert negotiated.unknown == ("_pq_.unknown",)
        (key,) = only(found, BackendKeyData)
        assert len(key.key) >= 4
    with RawClient(server.port) as raw:
        raw.send(StartupMessage({"user": "alice", "database": "main"}, (3 << 16) | 9))
        found = raw.until_ready()
        assert only(found, NegotiateProtocolVersion)[0].version in ((3 << 16) | 2, (3 << 16), 2)
        assert isinstance(found[-1], ReadyForQuery)


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("!II", 20_000, 3 << 16),
        struct.pack("!II", 4, 3 << 16),
        struct.pack("!II", 0x7FFFFFFF, 3 << 16),
        struct.pack("!II", 0xFFFFFFFF, 3 << 16),
        struct.pack("!II", 9, 2 << 16) + b"\0",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        StartupMessage({"user": "alice", "options": "x" * 12_000}).encode(),
    ],
    ids=["10KB+", "short", "2GB", "4GB", "version 2", "http", "long options"],
)
def test_a_bad_startup_ends_with_one_word(server: ThreadServer, data: bytes) -> None:
    with RawClient(server.port) as raw:
        raw.send(data)
        (message,) = raw.until_ready()
        assert (message.severity, message.sqlstate) in (("FATAL", "08P01"), ("FATAL", "0A000"))
        assert raw.closed()


def test_a_second_startup_is_refused(raw: RawClient) -> None:
    raw.send(StartupMessage({"user": "mallory", "database": "main"}))
    assert error(raw.until_ready()).fatal
    assert raw.closed()


def test_no_user(server: ThreadServer) -> None:
    with RawClient(server.port) as raw:
        raw.send(StartupMessage({"database": "main"}))
        assert error(raw.until_ready()).sqlstate == "28000"


@pytest.mark.parametrize(
    "options",
    ["-c", "-c=", "-c branch", "--", "-c a=b stray -x", "-c hatidata_x=\\ y\\\\ z", "-c nope=1 " * 200],
)
def test_strange_options_never_break_the_start(server: ThreadServer, options: str) -> None:
    with RawClient(server.port) as raw:
        found = raw.start(options=options)
        if not isinstance(found[-1], ReadyForQuery):
            assert error(found).sqlstate in ("22023", "42601", "3D000", "42704"), options


def test_too_many_connections(start: Callable[..., ThreadServer]) -> None:
    server = start(max_connections=2)
    first, second = RawClient.ready(server.port), RawClient.ready(server.port)
    with RawClient(server.port) as third:
        assert error(third.start()).sqlstate == "53300"
    first.send(Terminate())
    assert first.closed()
    with RawClient.ready(server.port) as third:
        assert tags(third.query("SELECT 1")) == ["SELECT 1"]
    second.socket.close()
    first.socket.close()


def test_a_silent_client_is_let_go(start: Callable[..., ThreadServer]) -> None:
    server = start(authentication_timeout="100ms")
    with RawClient(server.port) as raw:
        raw.send(b"\0")
        assert [message.sqlstate for message in raw.until_ready()] in ([], ["57014"])


def test_the_longest_statement(start: Callable[..., ThreadServer]) -> None:
    server = start(max_statement_bytes="10kB")
    with RawClient.ready(server.port) as raw:
        long = "SELECT '" + "ü" * 6000 + "'"
        found = error(raw.query(long))
        assert (found.sqlstate, found.message) == ("54000", "the query string is longer than 10240 bytes")
        raw.send(Parse("", long, ()), Sync())
        assert error(raw.until_ready()).sqlstate == "54000"
        assert tags(raw.query("SELECT '" + "x" * 10_000 + "'")) == ["SELECT 1"]
    server = start(max_statement_bytes="3MB")
    with RawClient.ready(server.port) as raw:
        assert tags(raw.query("SELECT '" + "x" * 2_000_000 + "'")) == ["SELECT 1"]


def test_the_longest_message(start: Callable[..., ThreadServer]) -> None:
    server = start(max_frame_bytes="100kB")
    with RawClient.ready(server.port) as raw:
        raw.send(b"Q" + struct.pack("!I", 200_000))
        assert error(raw.until_ready()).sqlstate == "54000"
        assert raw.closed()


# -- simple queries ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", ";", " ; ;; ", "-- only a comment", "/* a /* b */ */"])
def test_an_empty_query(raw: RawClient, text: str) -> None:
    assert kinds(raw.query(text)) == ["EmptyQueryResponse", "ReadyForQuery"]


def test_several_statements_stand_or_fall_together(raw: RawClient, name: str) -> None:
    assert tags(raw.query(f"CREATE TABLE {name} (i int); INSERT INTO {name} VALUES (1); SELECT * FROM {name}")) == [
        "CREATE TABLE", "INSERT 0 1", "SELECT 1",
    ]  # fmt: skip
    found = raw.query(f"INSERT INTO {name} VALUES (2); SELECT 1/0; INSERT INTO {name} VALUES (3)")
    assert tags(found) == ["INSERT 0 1"]
    assert error(found).sqlstate == "22012"
    assert found[-1].status == "I"
    assert values(raw.query(f"SELECT count(*) FROM {name}")) == [(b"1",)]


def test_begin_inside_several_statements(raw: RawClient, name: str) -> None:
    raw.query(f"CREATE TABLE {name} (i int)")
    found = raw.query(f"INSERT INTO {name} VALUES (1); BEGIN; INSERT INTO {name} VALUES (2)")
    assert found[-1].status == "T"
    raw.query("ROLLBACK")
    assert values(raw.query(f"SELECT count(*) FROM {name}")) == [(b"0",)]
    raw.query(f"INSERT INTO {name} VALUES (1); COMMIT; INSERT INTO {name} VALUES (2); SELECT 1/0")
    assert values(raw.query(f"SELECT i FROM {name}")) == [(b"1",)]
    found = raw.query(f"BEGIN; INSERT INTO {name} VALUES (5); COMMIT; SELECT 1/0")
    assert tags(found) == ["BEGIN", "INSERT 0 1", "COMMIT"]
    assert values(raw.query(f"SELECT max(i) FROM {name}")) == [(b"5",)]


def test_a_failed_block(raw: RawClient) -> None:
    assert raw.query("BEGIN")[-1].status == "T"
    assert raw.query("SELECT nope")[-1].status == "E"
    for text in ("SELECT 1", "SHOW branch", "BRANCH LIST", "SET a.b = 1", "SAVEPOINT x"):
        found = raw.query(text)
        assert (error(found).sqlstate, found[-1].status) == ("25P02", "E"), text
    found = raw.query("COMMIT")
    assert (tags(found), found[-1].status) == (["ROLLBACK"], "I")
    found = raw.query("COMMIT")
    assert only(found, NoticeResponse)[0].sqlstate == "25P01"
    raw.query("BEGIN")
    assert only(raw.query("BEGIN"), NoticeResponse)[0].sqlstate == "25001"
    raw.query("ROLLBACK")


def test_a_change_of_settings_is_told(raw: RawClient) -> None:
    found = raw.query("SET application_name = 'mine'; SET TimeZone = 'Europe/Berlin'")
    assert {(m.name, m.value) for m in only(found, ParameterStatus)} == {
        ("application_name", "mine"), ("TimeZone", "Europe/Berlin"),
    }  # fmt: skip
    assert not only(raw.query("SET application_name = 'mine'"), ParameterStatus)
    raw.query("BEGIN; SET application_name = 'other'")
    assert [m.value for m in only(raw.query("ROLLBACK"), ParameterStatus)] == ["mine"]


def test_a_position_counts_in_the_whole_text(raw: RawClient) -> None:
    text = "SELECT 1; SELEC 2"
    assert error(raw.query(text)).position == 11
    assert error(raw.query("BRANCH NONSENSE")).position is not None


# -- the extended protocol -----------------------------------------------------------------------------------


def test_describe_never_executes(raw: RawClient, name: str) -> None:
    raw.query(f"CREATE TABLE {name} (i int); CREATE SEQUENCE {name}_s")
    for text in (
        f"INSERT INTO {name} VALUES (1) RETURNING i",
        f"SELECT nextval('{name}_s')",
        f"CREATE TABLE {name}_2 (i int)",
        f"BRANCH CREATE {name}_b",
        f"SELECT * FROM bough.branch_create('{name}_c')",
        "BRANCH SWITCH no_such",
    ):
        raw.send(Parse("", text), Describe("S", ""), Bind("", ""), Describe("P", ""), Sync())
        assert not only(raw.until_ready(), ErrorResponse), text
    assert values(raw.query(f"SELECT count(*) FROM {name}")) == [(b"0",)]
    assert values(raw.query(f"SELECT nextval('{name}_s')")) == [(b"1",)]
    assert error(raw.query(f"SELECT * FROM {name}_2")).sqlstate == "42P01"
    assert values(raw.query(f"SELECT count(*) FROM bough.branches WHERE name LIKE '{name}%'")) == [(b"0",)]


def test_a_portal_suspended_is_resumed(raw: RawClient) -> None:
    raw.query("BEGIN")
    raw.send(
        Parse("", "SELECT i FROM generate_series(1, 5) AS g(i) ORDER BY i"),
        Bind("p", ""),
        Execute("p", 3),
        Sync(),
    )
    found = raw.until_ready()
    assert values(found) == [(b"1",), (b"2",), (b"3",)]
    assert kinds(found)[-2:] == ["PortalSuspended", "ReadyForQuery"]
    assert values(raw.query("SELECT 99")) == [(b"99",)]
    raw.send(Execute("p", 0), Sync())
    found = raw.until_ready()
    assert values(found) == [(b"4",), (b"5",)]
    assert tags(found) == ["SELECT 2"]
    raw.query("COMMIT")
    raw.send(Execute("p", 0), Sync())
    assert error(raw.until_ready()).sqlstate == "34000"


def test_an_exact_limit_is_suspended_as_in_postgres(raw: RawClient) -> None:
    raw.send(Parse("", "SELECT 1"), Bind("", ""), Execute("", 5), Sync())
    found = raw.until_ready()
    assert tags(found) == ["SELECT 1"]


def test_close_is_idempotent(raw: RawClient) -> None:
    raw.send(Parse("s", "SELECT 1"), Close("S", "s"), Close("S", "s"), Close("P", "none"), Sync())
    assert kinds(raw.until_ready()) == ["ParseComplete"] + ["CloseComplete"] * 3 + ["ReadyForQuery"]
    raw.send(Bind("", "s"), Sync())
    assert error(raw.until_ready()).sqlstate == "26000"


def test_flush_brings_answers_without_sync(raw: RawClient) -> None:
    raw.send(Parse("", "SELECT $1::int"), Describe("S", ""), Flush())
    assert kinds([raw.message() for _ in range(3)]) == [
        "ParseComplete",
        "ParameterDescription",
        "RowDescription",
    ]
    raw.send(Bind("", "", (b"7",)), Execute(""), Flush())
    assert kinds([raw.message() for _ in range(3)]) == ["BindComplete", "DataRow", "CommandComplete"]
    raw.send(Sync())
    assert kinds(raw.until_ready()) == ["ReadyForQuery"]


def test_after_an_error_everything_is_skipped_up_to_sync(raw: RawClient, name: str) -> None:
    raw.query(f"CREATE TABLE {name} (i int)")
    insert = (Parse("", f"INSERT INTO {name} VALUES (1)"), Bind("", ""), Execute(""))
    raw.send(*insert, Parse("", "SELEC 1"), *insert, Sync(), *insert, Sync())
    found = raw.until_ready()
    assert kinds(found)[-2:] == ["ErrorResponse", "ReadyForQuery"]
    assert len(only(found, CommandComplete)) <= 1
    assert tags(raw.until_ready()) == ["INSERT 0 1"]
    assert values(raw.query(f"SELECT count(*) FROM {name}")) == [
        (b"1",)
    ]  # the first insert went with its pipeline


def test_an_empty_statement(raw: RawClient) -> None:
    raw.send(
        Parse("", " -- nothing"), Describe("S", ""), Bind("", ""), Describe("P", ""), Execute(""), Sync()
    )
    assert kinds(raw.until_ready()) == [
        "ParseComplete", "ParameterDescription", "NoData", "BindComplete", "NoData", "EmptyQueryResponse",
        "ReadyForQuery",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("messages", "sqlstate"),
    [
        ((Parse("", "SELECT 1; SELECT 2"),), "42601"),
        ((Parse("dup", "SELECT 1"), Parse("dup", "SELECT 1")), "42P05"),
        ((Bind("", "unknown"),), "26000"),
        ((Describe("S", "unknown"),), "26000"),
        ((Describe("P", "unknown"),), "34000"),
        ((Execute("unknown"),), "34000"),
        ((Parse("", "SELECT $1::int"), Bind("", "")), "08P01"),
        ((Parse("", "SELECT 1"), Bind("", "", (b"1",))), "08P01"),
        ((Parse("", "SELECT $1::int"), Bind("", "", (b"12",), (1,))), "22P03"),
        ((Parse("", "SELECT $1::uuid"), Bind("", "", (b"12",), (1,))), "22P03"),
        ((Parse("", "SELECT $1::int"), Bind("", "", (b"x",))), "22P02"),
        ((Parse("", "SELECT $1::text"), Bind("", "", (b"\xff",))), "22021"),
        ((Parse("", "SELECT $1::text"), Bind("", "", (b"a\0b",))), "22021"),
        ((Parse("", "SELECT $1::date"), Bind("", "", (b"2020-02-31",))), "22008"),
        ((Parse("", "SELECT $1::int"), Bind("", "", (b"1",), (7,))), "22023"),
        ((Parse("", "SELECT $1", (999_999,)),), "0A000"),
        ((FunctionCall(1),), "0A000"),
    ],
)
def test_mistakes_of_the_extended_protocol(
    raw: RawClient, messages: tuple[object, ...], sqlstate: str
) -> None:
    raw.send(*messages, Sync())
    found = raw.until_ready()
    if any(isinstance(message, FunctionCall) for message in messages):
        raw.until_ready()  # a function call has a ReadyForQuery of its own
    assert error(found).sqlstate == sqlstate, error(found)
    if sqlstate == "22P03":
        assert "parameter 1" in error(found).message
    assert values(raw.query("SELECT 7")) == [(b"7",)]


def test_result_formats(raw: RawClient) -> None:
    wanted = {
        (): [b"1", b"2"],
        (1,): [b"\0\0\0\1", b"\0\0\0\2"],
        (0, 1): [b"1", b"\0\0\0\2"],
        (1, 0): [b"\0\0\0\1", b"2"],
    }
    for formats, row in wanted.items():
        raw.send(
            Parse("", "SELECT 1, 2"), Bind("", "", (), (), formats), Describe("P", ""), Execute(""), Sync()
        )
        found = raw.until_ready()
        assert values(found) == [tuple(row)]
        fields = only(found, RowDescription)[0].fields
        assert [field.format for field in fields] == list(
            formats if len(formats) == 2 else (formats or (0,)) * 2
        )


def test_null_parameters(raw: RawClient) -> None:
    raw.send(
        Parse("", "SELECT $1::int, $2::text"),
        Describe("S", ""),
        Bind("", "", (None, b"")),
        Execute(""),
        Sync(),
    )
    found = raw.until_ready()
    assert only(found, ParameterDescription)[0].types == (23, 25)
    assert values(found) == [(None, b"")]


# -- framing -------------------------------------------------------------------------------------------------


def test_messages_byte_by_byte(raw: RawClient) -> None:
    for byte in Query("SELECT 5").encode() + Parse("", "SELECT 6").encode() + Bind("", "").encode():
        raw.send(bytes([byte]))
    raw.send(Execute(""), Sync())
    assert values(raw.until_ready()) == [(b"5",)]
    assert values(raw.until_ready()) == [(b"6",)]


def test_half_a_message_is_no_message(server: ThreadServer, raw: RawClient, name: str) -> None:
    raw.query(f"CREATE TABLE {name} (i int)")
    with RawClient.ready(server.port) as other:
        other.send(Query(f"INSERT INTO {name} VALUES (1)").encode()[:-3])
        other.socket.shutdown(socket.SHUT_WR)
        assert other.closed()
    assert values(raw.query(f"SELECT count(*) FROM {name}")) == [(b"0",)]


@pytest.mark.parametrize("length", [0, 3, 0x7FFFFFFF, 0xFFFFFFFF])
def test_impossible_lengths(server: ThreadServer, length: int) -> None:
    with RawClient.ready(server.port) as raw:
        raw.send(b"Q" + struct.pack("!I", length) + b"SELECT 1\0")
        assert error(raw.until_ready()).sqlstate in ("08P01", "54000")
        assert raw.closed()
    with RawClient.ready(server.port) as raw:
        assert values(raw.query("SELECT 1")) == [(b"1",)]


def test_an_unknown_message(server: ThreadServer) -> None:
    with RawClient.ready(server.port) as raw:
        raw.send(b"?\0\0\0\4")
        assert error(raw.until_ready()).sqlstate == "08P01"
        assert raw.closed()


# -- cancelling ----------------------------------------------------------------------------------------------


def test_cancel_keys(server: ThreadServer, raw: RawClient) -> None:
    (key,) = only(raw.started, BackendKeyData)

    def cancel(secret: bytes, process: int = key.process) -> None:
        with RawClient(server.port) as other:
            other.send(CancelRequest(process, secret))
            assert other.closed()

    cancel(key.key)  # nothing runs: nothing happens
    assert values(raw.query("SELECT 1")) == [(b"1",)]
    for slow in ("SELECT pg_sleep(30)", SLOW):
        raw.send(Query(slow))
        cancel(bytes(4))
        cancel(key.key, key.process + 1000)
        session = server.server.service.sessions[key.process]
        while session.state != "active":
            time.sleep(0.001)
        cancel(key.key)
        found = raw.until_ready()
        assert error(found).sqlstate == "57014"
        assert "user request" in error(found).message
    assert values(raw.query("SELECT 2")) == [(b"2",)]


@pytest.mark.parametrize("numbers", seeds([range(3), range(3, 9)]), ids=["at once", "later"])
def test_a_cancel_is_never_lost(server: ThreadServer, raw: RawClient, numbers: range) -> None:
    """Once is enough: while it is planned, between two steps of the engine, while its rows go out."""
    (key,) = only(raw.started, BackendKeyData)
    session = server.server.service.sessions[key.process]
    endless = "SELECT repeat('x', 500), a.i FROM range(100000) a(i), range(100000) b(i)"
    starts = [
        (Query(endless),),
        (Query(f"COPY ({endless}) TO STDOUT"),),
        (Parse("", endless, ()), Bind("", "", (), (), ()), Execute("", 0), Sync()),
    ]
    for number in numbers:
        raw.send(*starts[number % 3])
        while session.state != "active":
            time.sleep(0)
        reads = number * 10
        for _ in range(
            max(reads, 3) if number % 3 == 2 else reads
        ):  # a cancel of its Parse alone would be too late
            raw.message()
        with RawClient(server.port) as other:
            other.send(CancelRequest(key.process, key.key))
            assert other.closed()
        assert error(raw.until_ready()).sqlstate == "57014"
    assert values(raw.query("SELECT 2")) == [(b"2",)]


def test_statement_timeout(raw: RawClient) -> None:
    raw.query("SET statement_timeout = '50ms'")
    for slow in ("SELECT pg_sleep(30)", SLOW):
        found = raw.query(slow)
        assert (error(found).sqlstate, error(found).message) == (
            "57014", "canceling statement due to statement timeout",
        )  # fmt: skip
    raw.query("RESET statement_timeout")
    assert values(raw.query("SELECT 2")) == [(b"2",)]


def test_idle_in_transaction_timeout(server: ThreadServer, name: str) -> None:
    with RawClient.ready(server.port) as raw:
        raw.query(f"CREATE TABLE {name} (i int)")
        raw.query("SET idle_in_transaction_session_timeout = '50ms'")
        raw.query(f"BEGIN; INSERT INTO {name} VALUES (1)")
        assert error(raw.until_ready()).sqlstate == "25P03"
        assert raw.closed()
    with RawClient.ready(server.port) as raw:
        assert values(raw.query(f"SELECT count(*) FROM {name}")) == [(b"0",)]


def test_terminate_backend(server: ThreadServer, raw: RawClient) -> None:
    with RawClient.ready(server.port) as idle:
        (key,) = only(idle.started, BackendKeyData)
        assert values(raw.query(f"SELECT pg_terminate_backend({key.process})")) == [(b"t",)]
        assert error(idle.until_ready()).sqlstate == "57P01"
        assert idle.closed()
    assert values(raw.query("SELECT pg_terminate_backend(987654)")) == [(b"f",)]


# -- clients that go, are many, or do not read ---------------------------------------------------------------


def _gone(server: ThreadServer, count: int) -> None:
    while len(server.server.service.sessions) > count:
        time.sleep(0.005)


def test_a_client_that_goes_is_rolled_back(server: ThreadServer, raw: RawClient, name: str) -> None:
    raw.query(f"CREATE TABLE {name} (i int PRIMARY KEY)")
    before = len(server.server.service.sessions)
    other = RawClient.ready(server.port)
    other.query(f"BEGIN; INSERT INTO {name} VALUES (1)")
    other.socket.close()
    half = RawClient.ready(server.port)
    half.send(Query(f"BEGIN; INSERT INTO {name} SELECT i FROM generate_series(1, 300000) AS g(i)"))
    half.socket.close()
    reading = RawClient.ready(server.port)
    reading.send(Query("SELECT i, repeat('x', 100) FROM generate_series(1, 1000000) AS g(i)"))
    reading.socket.recv(1000)
    reading.socket.close()
    _gone(server, before)
    assert tags(raw.query(f"INSERT INTO {name} VALUES (1)")) == ["INSERT 0 1"]


def test_two_hundred_connections(start: Callable[..., ThreadServer]) -> None:
    server = start(max_connections=210)
    clients = [RawClient.ready(server.port) for _ in range(200)]
    for client in clients:
        client.send(Query("SELECT 1"))
    assert all(values(client.until_ready()) == [(b"1",)] for client in clients)
    for client in clients:
        client.socket.close()


def _resident() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) // 1024  # type: ignore[index]


@pytest.mark.slow
def test_a_slow_reader_holds_back_the_engine(server: ThreadServer, raw: RawClient) -> None:
    raw.query("SELECT i, repeat('x', 90) FROM generate_series(1, 200000) AS g(i)")  # warm
    before = _resident()
    with RawClient.ready(server.port) as slow:
        slow.send(Query("SELECT i, repeat('x', 90) FROM generate_series(1, 1000000) AS g(i)"))
        slow.socket.recv(1000)
        assert values(raw.query("SELECT 1")) == [(b"1",)]
        most, rows = 0, 0
        buffer = b""
        while b"Z\0\0\0\5I" not in buffer[-6:]:
            buffer = slow.socket.recv(1 << 20)
            rows += buffer.count(b"xxxxxxxxxx" * 9)
            most = max(most, _resident())
    assert most - before < 150
    assert rows > 950_000


def test_a_wide_row(raw: RawClient) -> None:
    found = raw.query("SELECT repeat('x', 10000000), " + ", ".join(str(i) for i in range(1000)))
    (row,) = only(found, DataRow)
    assert len(row.values[0] or b"") == 10_000_000
    assert len(row.values) == 1001
