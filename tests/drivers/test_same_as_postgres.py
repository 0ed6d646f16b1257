"""The same text, sent to PostgreSQL and to Bough, gives the same values in the same types: on main and on a branch.

What differs by design is in docs/dialect.md; ``LIKE`` says which types stand for one another because of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import pq
from server_thread import ThreadServer

pytestmark = [pytest.mark.sampled, pytest.mark.postgres]

SETUP = (
    "CREATE TABLE odd (id int PRIMARY KEY, si smallint, i int, b bigint, n numeric(10,2), d double precision,"
    " f boolean, s text, dt date, t time, ts timestamp, tz timestamptz, iv interval, jb jsonb, ia int[],"
    " ta text[], by bytea)",
    "INSERT INTO odd VALUES (1, 1, 1, 1, 1.50, 1.5, true, 'abc', '2024-01-31', '10:20:30', '2024-01-31 10:20:30',"
    " '2024-01-31 10:20:30+00', '1 day 02:03:04', '{\"a\": 1, \"b\": [1, 2, {\"c\": \"x\"}]}', '{1,2,3}', '{a,b,NULL}',"
    " '\\x0001ff'), (2, -7, -8, -9, -0.05, -2.5, false, '', '2000-02-29', '23:59:59.999999', '1999-12-31 23:59:59.5',"
    " '1999-12-31 23:59:59.5+00', '-1 year -2 mons +3 days', '[]', '{}', '{}', ''), (3, 30, 31, 32, 99999999.99, 1e300,"
    " NULL, 'Häß, a1', '1970-01-01', '12:00', '1970-01-01 00:00:00', '2100-02-28 12:00:00+00', '1000 hours',"
    " '{\"a\": null, \"d\": {\"e\": 1.5}, \"t\": true}', '{5,NULL,7}', '{\"x y\",\"\"}', 'abc')",
    "INSERT INTO odd (id) VALUES (4)",
)  # fmt: skip
NUMBERS = (20, 21, 23, 700, 701, 1700)
JSON = (114, 3802)
# whole numbers of other widths, numeric and double precision, texts, json and jsonb
LIKE = ({20, 23, 21}, {700, 701, 1700}, {19, 25, 705, 1042, 1043}, set(JSON))


def queries() -> list[str]:
    text = Path(__file__).with_name("same_as_postgres.sql").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("--")]


@pytest.fixture(scope="module")
def reference(postgres: Any) -> Iterator[psycopg.Connection[Any]]:
    place = f"host={postgres.host} port={postgres.port} user={postgres.user} dbname={postgres.database}"
    with psycopg.connect(place, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS same CASCADE")
        connection.execute("CREATE SCHEMA same")
        connection.execute("SET search_path = same")
        connection.execute("SET timezone = 'UTC'")
        for text in SETUP:
            connection.execute(text.encode())
        yield connection
        connection.execute("DROP SCHEMA same CASCADE")


@pytest.fixture(scope="module", params=["main", "branch"])
def client(request: pytest.FixtureRequest, server: ThreadServer) -> Iterator[psycopg.Connection[Any]]:
    with server.connect() as connection:
        connection.execute("SET timezone = 'UTC'")
        if request.param == "branch":
            connection.execute("BRANCH CREATE same")
            connection.execute("SET branch = 'same'")
        for text in SETUP:
            connection.execute(text.encode())
        yield connection
        connection.execute("DROP TABLE odd CASCADE")


def answer(connection: psycopg.Connection[Any], text: str) -> tuple[list[int], list[list[object]]] | str:
    """Types and values as they are sent, or the code of the error."""
    result = connection.pgconn.exec_(text.encode())
    if result.status not in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK):
        return (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
    types = [result.ftype(column) for column in range(result.nfields)]
    rows = [
        [_plain(result.get_value(row, column), types[column]) for column in range(result.nfields)]
        for row in range(result.ntuples)
    ]
    return types, rows if "ORDER BY" in text else sorted(rows, key=str)


def _plain(value: bytes | None, type_: int) -> object:
    if value is None:
        return None
    text = value.decode()
    if type_ in NUMBERS:
        return f"{float(text):.12g}"
    return json.dumps(json.loads(text), sort_keys=True) if type_ in JSON else text


def _family(type_: int) -> object:
    return next((sorted(family) for family in LIKE if type_ in family), type_)


@pytest.mark.parametrize("text", queries())
def test_the_same_answer(
    text: str, client: psycopg.Connection[Any], reference: psycopg.Connection[Any]
) -> None:
    expected, got = answer(reference, text), answer(client, text)
    if isinstance(expected, str) or isinstance(got, str):
        assert got == expected
        return
    assert got[1] == expected[1]
    assert [_family(type_) for type_ in got[0]] == [_family(type_) for type_ in expected[0]]


JSONB = (
    "SELECT jsonb_agg(i), jsonb_build_object('a', 1), to_jsonb(1), jsonb_object_agg(id, s) FROM odd",
    "SELECT json_agg(i), to_json(1), json_build_object('a', 1) FROM odd",
    "SELECT jb -> 'b', jb || '{}', jb #> '{b}', jsonb_strip_nulls(jb), jb['b'], jb, '1'::json, '1'::jsonb FROM odd",
    "SELECT coalesce(jsonb_agg(i) FILTER (WHERE id > 9), '[]'), CASE WHEN true THEN jsonb_agg(i) END FROM odd",
    "SELECT *, jb -> 'a', pg_catalog.to_jsonb(id), jsonb_typeof(jb), jb ->> 'a', '{}'::json -> 'a' FROM odd",
)
DEFINED = (
    "CREATE TABLE kept (id int, tags text[], kind text CHECK (kind = ANY (ARRAY['a', 'b'])), CHECK ('x' = ANY (tags)),"
    " CHECK (kind <> ALL (ARRAY['z'])), CHECK ((id, kind) <> (5, 'b')), j jsonb, root float8 GENERATED ALWAYS AS"
    " (sqrt(id)) STORED, has boolean GENERATED ALWAYS AS (j ? 'k') STORED, pad text GENERATED ALWAYS AS"
    " (lpad(kind, 3, '*')) STORED)",
    "INSERT INTO kept VALUES (1, '{x,y}', 'a', '{\"k\": 1}'), (4, NULL, NULL, '[\"k\"]'), (9, '{y,NULL}', 'b', NULL)",
    "INSERT INTO kept VALUES (1, '{y}', 'a')",
    "INSERT INTO kept VALUES (1, '{x}', 'c')",
    "INSERT INTO kept VALUES (5, '{x}', 'b')",
    "INSERT INTO kept VALUES (-1, '{x}', 'b')",
    "UPDATE kept SET tags = '{q}' WHERE id = 4",
    "UPDATE kept SET kind = 'b' WHERE id < 5",
    "SELECT * FROM kept ORDER BY id",
    "DROP TABLE kept",
)


def test_what_a_table_keeps(client: psycopg.Connection[Any], reference: psycopg.Connection[Any]) -> None:
    for text in DEFINED:
        assert answer(client, text)[-1] == answer(reference, text)[-1], text


def test_jsonb_is_described_as_such(
    client: psycopg.Connection[Any], reference: psycopg.Connection[Any]
) -> None:
    """Clients read the two by the type: Django's JSONBAgg leaves json as text."""
    for text in JSONB:
        got, expected = (answer(connection, text) for connection in (client, reference))
        assert got[0] == expected[0], text


def test_what_the_engine_cannot_keep_is_refused_when_it_is_made(client: psycopg.Connection[Any]) -> None:
    texts = [
        "CREATE TABLE never (s text, g text GENERATED ALWAYS AS (initcap(s)) STORED)",
        "ALTER TABLE odd ADD CHECK (initcap(s) <> 'X')",
        "CREATE INDEX ON odd (initcap(s))",
    ]
    # the indexes of a branch are made when it is merged
    if client.execute("SELECT current_branch()").fetchone() == ("main",):
        texts.append("CREATE INDEX ON odd (md5(s))")
    for text in texts:
        with pytest.raises(psycopg.Error) as caught:
            client.execute(text.encode())
        assert caught.value.sqlstate == "0A000", text
        assert caught.value.diag.message_hint, text


def test_a_check_is_called_by_its_name(client: psycopg.Connection[Any]) -> None:
    client.execute(
        "CREATE TABLE named (s text CHECK (s <> 'q'), k text,"
        " CONSTRAINT second CHECK (CASE WHEN k IS NOT NULL THEN k <> 'x' END))"
    )
    with pytest.raises(psycopg.errors.CheckViolation) as caught:
        client.execute("INSERT INTO named VALUES ('x', 'x')")
    assert caught.value.diag.constraint_name == "second"
    client.execute("DROP TABLE named")
