"""INSERT of many constant rows: whichever way it takes, it is the same statement."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import asyncpg
import psycopg
import pytest
from effort import seeds
from server_thread import ThreadServer

from proxy.sql import given_rows
from proxy.sql.literals import MAY_DIFFER

pytestmark = pytest.mark.sampled

TYPES = {
    "i": "integer", "b": "bigint", "s": "smallint", "d": "double precision", "r": "real", "n": "numeric(12,3)",
    "t": "text", "v": "varchar", "o": "boolean", "y": "date", "m": "timestamp", "z": "timestamptz", "x": "bytea",
}  # fmt: skip
TEXTS = [
    "",
    "a b",
    "it''s",
    "tab\there",
    "line\nbreak",
    "back\\slash",
    "\\N",
    "\\.",
    "ä€😀",
    "NULL",
    "1",
    ",(')".replace("'", "''"),
]
NUMBERS = ["0", "-1", "+7", "32000", "1.5", ".25", "2.", "1e3", "-0.0005", "123456.7891"]


def cell(name: str, draw: random.Random) -> str:
    """A constant that may stand in the column, in one of its spellings."""
    if draw.random() < 0.15:
        return draw.choice(["NULL", "null"])
    if name in "ibs":
        return draw.choice([str(draw.randrange(-30000, 30000)), "+5", f"'{draw.randrange(100)}'", "' 12 '"])
    if name in "drn":
        return draw.choice([*NUMBERS, "'2.5'"])
    if name in "tv":
        return f"'{draw.choice(TEXTS)}'"
    choices = {
        "o": ["TRUE", "false", "'t'", "'no'", "'1'"],
        "y": ["'2024-02-29'", "'infinity'", "'0001-01-01'"],
        "m": ["'2024-02-29 12:00:00.123456'", "'2024-02-29'", "'-infinity'"],
        "z": ["'2024-07-01 12:00:00+02'", "'2024-07-01 12:00:00'", "'2024-01-01 00:00:00Z'"],
        "x": ["'\\x00ff'", "'\\x'"],
    }
    return draw.choice(choices[name])


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each INSERT read as data, whether it also ran as such."""
    from proxy.session import given_rows as running

    found: list[bool] = []
    original = running._run

    def watched(*given: Any) -> Any:
        outcome = original(*given)
        found.append(outcome is not None)
        return outcome

    monkeypatch.setattr(running, "_run", watched)
    return found


def both(
    connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, run: Callable[[str], object]
) -> list[object]:
    """What ``run`` gives with a table filled as data, and with one filled as any statement."""
    found = []
    for fewest, table in ((25, "data"), (10**9, "plain")):
        monkeypatch.setattr(given_rows, "FEWEST", fewest)
        found.append(run(table))
    return found


@pytest.mark.parametrize("where", ["main", "branch"])
@pytest.mark.parametrize("seed", seeds(6, quick=2))
def test_rows_are_those_of_the_slow_way(
    server: ThreadServer,
    name: str,
    branch: str,
    where: str,
    seed: int,
    taken: list[bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draw = random.Random(seed)
    columns = draw.sample(sorted(TYPES), draw.randrange(1, len(TYPES)))
    rows = ", ".join(
        f"( {' , '.join(cell(column, draw) for column in columns)} )" for _ in range(draw.randrange(25, 80))
    )
    named = f" ({', '.join(columns)})" if draw.random() < 0.8 or len(columns) > 1 else ""
    columns = columns if named else [next(iter(TYPES))]
    if not named:
        rows = ", ".join(f"({cell('i', draw)})" for _ in range(40))
    with server.connect() as connection:
        if where == "branch":
            connection.execute(f"SET branch = '{branch}'")

        def run(table: str) -> object:
            table = f"{name}_{table}"[-60:]
            body = ", ".join(f"{column} {type_}" for column, type_ in TYPES.items())
            connection.execute(f"CREATE TABLE {table} ({body}, k serial, w text DEFAULT 'w')")
            tag = connection.execute(f"insert into {table}{named}\n values {rows} ; ").statusmessage
            found = connection.execute(
                f"SELECT {', '.join(f'{column}::text' for column in TYPES)}, w FROM {table} ORDER BY k"
            ).fetchall()
            connection.execute(f"DROP TABLE {table}")
            return tag, found

        fast, slow = both(connection, monkeypatch, run)
    assert fast == slow
    assert taken == [True]


WRONG = [
    "('x', 1)", "(99999999999, 1)", "(1, 1, 1)", "(1)", "(NULL, 5)", "(7, 3)", "(1.5, 4)", "(40, 1000)", "('1.5', 2)",
    "(TRUE, 2)", "(true and false, 2)", "(1, 2), (1, 2)", "(DEFAULT, 2)", "(E'1', 2)", "(1 /* one */, 2)", "(2+2, 4)",
    "(11, 5) RETURNING i", "(3, 5) ON CONFLICT DO NOTHING", "(12, ''';')", "(12, 'infinity')",
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("block", [False, True])
def test_what_does_not_fit_ends_as_the_slow_way(
    server: ThreadServer, name: str, wrong: str, block: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = ", ".join(f"({i}, {i})" for i in range(100, 140))
    with server.connect() as connection:

        def run(table: str) -> object:
            connection.execute("DROP TABLE IF EXISTS same")
            connection.execute("CREATE TABLE same (i integer PRIMARY KEY, v integer CHECK (v < 900))")
            connection.execute("INSERT INTO same VALUES (7, 7)")
            if block:
                connection.execute("BEGIN")
                connection.execute("INSERT INTO same VALUES (8, 8)")
            try:
                done: object = connection.execute(f"INSERT INTO same VALUES {rows}, {wrong}").statusmessage
            except psycopg.Error as error:
                done = (
                    error.sqlstate,
                    error.diag.message_primary,
                    error.diag.message_detail,
                    error.diag.context,
                )
            if block:
                connection.execute("COMMIT")
            return done, connection.execute("SELECT * FROM same ORDER BY i").fetchall()

        fast, slow = both(connection, monkeypatch, run)
        connection.execute("DROP TABLE same")
    assert fast == slow


@pytest.mark.parametrize(
    "target",
    ["nowhere", "same (i, nothing)", "same (i, i)", "pg_class", "same AS s", "same_view", '"SAME"', "order"],
)
def test_targets_that_are_none(server: ThreadServer, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = ", ".join(f"({i}, {i})" for i in range(40))
    with server.connect() as connection:
        connection.execute("CREATE TABLE same (i integer, v integer)")
        connection.execute("CREATE VIEW same_view AS SELECT * FROM same")

        def run(table: str) -> object:
            try:
                return connection.execute(f"INSERT INTO {target} VALUES {rows}").statusmessage
            except psycopg.Error as error:
                return error.sqlstate, error.diag.message_primary

        fast, slow = both(connection, monkeypatch, run)
        connection.execute("DROP VIEW same_view")
        connection.execute("DROP TABLE same")
    assert fast == slow


def test_read_only_and_failed_blocks_refuse_it(server: ThreadServer, taken: list[bool]) -> None:
    insert = f"INSERT INTO same VALUES {', '.join(f'({i})' for i in range(200))}"
    with server.connect() as connection:
        connection.execute("CREATE TABLE same (i integer)")
        connection.execute("BEGIN READ ONLY")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute(insert)
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute(insert)
        connection.execute("ROLLBACK")
        connection.execute("CREATE TEMP TABLE same_t (i integer)")
        connection.execute(insert.replace("same", "same_t"))
        assert connection.execute("SELECT count(*) FROM same_t").fetchall() == [(200,)]
        assert connection.execute("SELECT count(*) FROM same").fetchall() == [(0,)]
        connection.execute("DROP TABLE same")
    assert taken == [True]


def test_identities_defaults_and_generated_columns(server: ThreadServer) -> None:
    rows = ", ".join(f"('r{i}')" for i in range(120))
    with server.connect() as connection:
        connection.execute(
            "CREATE TABLE same (k int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, s text, "
            "l int GENERATED ALWAYS AS (length(s)) STORED, f text NOT NULL DEFAULT 'f')"
        )
        connection.execute(f"INSERT INTO same (s) VALUES {rows}")
        found = connection.execute(
            "SELECT min(k), max(k), count(DISTINCT k), sum(l), min(f) FROM same"
        ).fetchone()
        connection.execute("DROP TABLE same")
    assert found == (1, 120, 120, 10 * 2 + 90 * 3 + 20 * 4, "f")


def value(name: str, draw: random.Random) -> Any:
    """A value that a driver may send for the column."""
    if draw.random() < 0.15:
        return None
    if name in "ibs":
        return draw.randrange(-30000, 30000)
    if name in "dr":
        return draw.choice([0.1, -2.5, 1e-7, 3, 2.0**23, float("inf"), float("nan")])
    if name == "n":
        return draw.choice([Decimal("1.2345"), Decimal("-0.0005"), 7, Decimal("123456789")])
    if name in "tv":
        return draw.choice(TEXTS)
    choices: dict[str, list[Any]] = {
        "o": [True, False],
        "y": [date(2024, 2, 29), date(1, 1, 1), date(9999, 12, 31)],
        "m": [datetime(1, 1, 1), datetime(2024, 2, 29, 12, 0, 0, 123456), datetime(1970, 1, 1)],
        "z": [
            datetime(2024, 7, 1, 12, tzinfo=UTC),
            datetime(2024, 7, 1, tzinfo=timezone(timedelta(hours=5))),
        ],
        "x": [b"", b"\x00\xff", b"abc"],
    }
    return draw.choice(choices[name])


@pytest.mark.parametrize("where", ["main", "branch"])
@pytest.mark.parametrize("seed", seeds(6, quick=2))
def test_parameters_are_those_of_the_slow_way(
    server: ThreadServer,
    name: str,
    branch: str,
    where: str,
    seed: int,
    ways: list[bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draw = random.Random(seed)
    columns = draw.sample(sorted(TYPES), draw.randrange(1, len(TYPES)))
    count = draw.randrange(25, 60)
    mark = draw.choice(["%s", "%t", "%b"])
    casts = [f"::{TYPES[column]}" if seed % 2 else "" for column in columns]
    row = f"( {', '.join(mark + cast for cast in casts)} )"
    with server.connect() as connection:
        if where == "branch":
            connection.execute(f"SET branch = '{branch}'")

        def run(table: str) -> object:
            table = f"{name}_{table}"[-60:]
            body = ", ".join(f"{column} {type_}" for column, type_ in TYPES.items())
            connection.execute(f"CREATE TABLE {table} ({body}, k serial)")
            insert = f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * count)}"
            again = random.Random(seed)
            tags = []
            for prepared in (False, True, True):
                given = [value(column, again) for _ in range(count) for column in columns]
                tags.append(connection.execute(insert.encode(), given, prepare=prepared).statusmessage)
            texts = ", ".join(f"{column}::text" for column in TYPES)
            found = connection.execute(f"SELECT {texts} FROM {table} ORDER BY k").fetchall()
            connection.execute(f"DROP TABLE {table}")
            return tags, found

        fast, slow = both(connection, monkeypatch, run)
    assert fast == slow
    assert len(ways) == 3 and all(ways)


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each INSERT of parameters read as data, whether it also ran as such."""
    from proxy.session import given_rows as running

    found: list[bool] = []
    original = running.run_prepared

    def watched(*given: Any) -> Any:
        outcome = original(*given)
        found.append(outcome is not None)
        return outcome

    monkeypatch.setattr(running, "run_prepared", watched)
    return found


@pytest.mark.parametrize(
    ("tail", "last"),
    [
        ("", (None, 1)), ("", (100, 1)), ("", (5_000_000_000, 1)), ("", ("7", 1)), ("", (1.5, 1)), ("", (True, 1)),
        ("", (1, 1000)), (" RETURNING i", (1, 1)), (" ON CONFLICT DO NOTHING", (100, 1)), ("", (Decimal("3.5"), 1)),
        (", (%s, 2 + 2)", (1, 1, 2)), ("", ("x", 1)), ("", (b"x", 1)),
    ],
)  # fmt: skip
def test_parameters_that_do_not_fit_end_as_the_slow_way(
    server: ThreadServer, tail: str, last: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [number for i in range(100, 140) for number in (i, i)] + list(last)
    with server.connect() as connection:

        def run(table: str) -> object:
            connection.execute("DROP TABLE IF EXISTS same")
            connection.execute("CREATE TABLE same (i integer PRIMARY KEY, v integer CHECK (v < 900))")
            try:
                done = connection.execute(
                    f"INSERT INTO same VALUES {', '.join(['(%s, %s)'] * 41)}{tail}".encode(), given
                )
                answer: object = done.statusmessage, done.fetchall() if done.description else None
            except psycopg.Error as error:
                answer = error.sqlstate, error.diag.message_primary, error.diag.message_detail
            return answer, connection.execute("SELECT * FROM same ORDER BY i").fetchall()

        fast, slow = both(connection, monkeypatch, run)
        connection.execute("DROP TABLE same")
    assert fast == slow


async def test_asyncpg_is_told_the_types_of_all_rows(server: ThreadServer, ways: list[bool]) -> None:
    connection = await asyncpg.connect(host="127.0.0.1", port=server.port, user="ada", database="main")
    await connection.execute("CREATE TABLE told (i bigint, d date, t text)")
    rows = ", ".join(f"(${3 * i + 1}, ${3 * i + 2}, ${3 * i + 3})" for i in range(500))
    given = [item for i in range(500) for item in (i, date(2024, 1, 1) + timedelta(days=i), f"t{i}")]
    statement = await connection.prepare(f"INSERT INTO told VALUES {rows}")
    assert [item.name for item in statement.get_parameters()][:4] == ["int8", "date", "text", "int8"]
    await statement.fetch(*given)
    found = await connection.fetchrow("SELECT count(*), sum(i), max(d), max(t) FROM told")
    await connection.execute("DROP TABLE told")
    await connection.close()
    assert tuple(found) == (500, 124750, date(2025, 5, 14), "t99")
    assert ways[0] is True


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO t VALUES {rows} RETURNING a",
        "INSERT INTO t VALUES {rows} ON CONFLICT DO NOTHING",
        "INSERT INTO t VALUES {rows}, ($1)",
        "INSERT INTO t VALUES {rows}, (1), ",
        "INSERT INTO t VALUES {rows}; SELECT 1",
        "INSERT INTO t VALUES {rows}, (E'a')",
        "INSERT INTO t VALUES {rows}, (1 -- one\n)",
        "INSERT INTO select VALUES {rows}",
        "INSERT INTO t SELECT * FROM (VALUES {rows}) AS v",
        "EXPLAIN INSERT INTO t VALUES {rows}",
    ],
)
def test_only_plain_rows_are_read_as_data(text: str) -> None:
    rows = ", ".join(f"({i})" for i in range(200))
    assert given_rows.read(text.format(rows=rows)) is None
    assert given_rows.read(f"INSERT INTO t VALUES {rows}") is not None


@pytest.mark.parametrize("filling", [".", "_", "1.", "1", " "])
def test_long_runs_are_read_once(filling: str) -> None:
    """Two megabytes that almost match: a pattern that goes back over them would not end before the suite does."""
    rows = ", ".join(f"({i})" for i in range(100))
    assert MAY_DIFFER.search(f"SELECT '{filling * 2_000_000}!'") is None
    assert given_rows.read(f"INSERT INTO t VALUES {rows}{filling * 2_000_000}RETURNING a") is None
