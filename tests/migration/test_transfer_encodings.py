"""PostgreSQL databases that are not in UTF-8: what moves from and to them, and what their encoding lacks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from servers import Server

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.datasources.datasource import datasource
from migration.dialects import charsets
from migration.errors import MigrationError
from migration.transfer.plan import plan
from migration.transfer.run import run
from migration.transfer_model import TransferOptions, TransferRequest

pytestmark = [pytest.mark.postgres, pytest.mark.sampled]


def session(server: Server) -> psycopg.Connection[Any]:
    found = psycopg.connect(
        host=server.host, port=server.port, user=server.user, dbname=server.database, autocommit=True
    )
    found.prepare_threshold = None
    return found


@pytest.fixture(params=["LATIN1", "WIN1252", "EUC_JP", "SQL_ASCII"])
def database(request: pytest.FixtureRequest, postgres: Server) -> Iterator[Server]:
    """A database of that encoding."""
    name = f"in_{request.param.lower()}"
    with session(postgres) as made:
        made.execute(f"DROP DATABASE IF EXISTS {name}")
        made.execute(f"CREATE DATABASE {name} ENCODING '{request.param}' LOCALE 'C' TEMPLATE template0")
        yield replace(postgres, database=name)
        made.execute(f"DROP DATABASE {name} WITH (FORCE)")


def opened(server: Server) -> Connector:
    return connect(datasource("pg", "postgres", {**server.options, "role": "read_write"}))


def file(directory: Path, *values: str) -> Connector:
    path = directory / "words.duckdb"
    with duckdb.connect(str(path)) as made:
        made.execute('CREATE TABLE words (id INTEGER PRIMARY KEY, "é" VARCHAR)')
        made.executemany("INSERT INTO words VALUES (?, ?)", list(enumerate(values)))
    return connect(datasource("file", "duckdb", {"path": str(path), "role": "read_write"}))


def moved(here: Connector, there: Connector, *paths: tuple[str, ...], level: str) -> None:
    options = TransferOptions(verify=level)
    with plan(TransferRequest(Source(path=paths[0]), paths[1], options=options), here, there) as decided:
        assert run(decided).verdict == "pass"


@pytest.mark.parametrize("level", ["L2", "L4"])
def test_texts_go_there_and_back(database: Server, tmp_path: Path, level: str) -> None:
    words = ["é", "abc", "", "ü", "ÿ", "z"]
    here, there = file(tmp_path, *words), opened(database)
    moved(here, there, ("main", "words"), ("public", "words"), level=level)
    moved(there, here, ("public", "words"), ("main", "back"), level=level)
    with here.reader() as reader:
        assert reader.fetch('SELECT "é" AS v FROM back ORDER BY id').column(0).to_pylist() == words
    encoding = "utf8" if database.database == "in_sql_ascii" else "SQL_ASCII"
    with session(database) as made:
        made.execute(f"SET client_encoding = '{encoding}'")
        stored = made.execute("SELECT encode(textsend(min(v)), 'hex') FROM words AS w (id, v) WHERE id = 0")
        found = bytes.fromhex(_text(stored.fetchone()))
    codec = {"in_latin1": "latin-1", "in_win1252": "cp1252", "in_euc_jp": "euc_jp"}.get(database.database)
    if encoding == "utf8":
        assert found == "é".encode()
    else:
        assert codec is not None
        assert found.decode(codec) == "é"


def _text(row: Any) -> str:
    return row[0].decode() if isinstance(row[0], bytes) else str(row[0])


@pytest.mark.parametrize("database", ["LATIN1", "WIN1252"], indirect=True)
@pytest.mark.parametrize("made_before", [True, False])
def test_what_the_encoding_lacks_is_refused_by_the_plan(
    database: Server, tmp_path: Path, made_before: bool
) -> None:
    here, there = file(tmp_path, "é", "日本"), opened(database)
    if made_before:
        there.execute('CREATE TABLE words (id integer, "é" text)')
    asked = TransferRequest(Source(path=("main", "words")), ("public", "words"))
    with pytest.raises(MigrationError) as caught:
        plan(asked, here, there)
    assert (caught.value.sqlstate, caught.value.column) == ("HV004", "é")
    encoding = database.database.removeprefix("in_").upper()
    assert f"1 value with characters that {encoding} lacks, such as 日本" in (caught.value.detail or "")
    allowed = replace(asked, options=TransferOptions(allow_lossy=("é",)))
    with plan(allowed, here, there) as decided:
        run(decided)
    with there.reader() as reader:
        found = reader.fetch('SELECT "é" AS v FROM words ORDER BY id').column(0).to_pylist()
    assert found == ["é", None]


@pytest.mark.parametrize("database", ["SQL_ASCII"], indirect=True)
def test_bytes_that_are_no_utf8_are_refused(database: Server, tmp_path: Path) -> None:
    here = opened(database)
    here.execute("CREATE TABLE words (v text)")
    with session(database) as made:
        made.execute("SET client_encoding = 'SQL_ASCII'")
        made.execute(b"INSERT INTO words VALUES ('\xe9')")
    with pytest.raises(MigrationError) as caught:
        plan(TransferRequest(Source(path=("public", "words")), ("main", "back")), here, file(tmp_path, "a"))
    assert caught.value.sqlstate == "HV004"


def test_a_set_is_what_postgres_says_it_is(postgres: Server) -> None:
    query = "SELECT n FROM generate_series(1, 9999) AS n WHERE n <> ALL (%s)"
    has = (
        "CREATE FUNCTION pg_temp.has(text, text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN "
        "PERFORM convert_to($1, $2); RETURN true; EXCEPTION WHEN untranslatable_character THEN RETURN false; END $$"
    )
    with session(postgres) as asked:
        asked.execute(has)
        for name in charsets._DATABASES:
            ours = [code for low, high in charsets.ranges(name) or () for code in range(low, high + 1)]
            lacked = asked.execute(f"{query} AND pg_temp.has(chr(n), %s)", [ours, name]).fetchall()
            kept = asked.execute(
                "SELECT n FROM unnest(%s::int[]) AS n WHERE n > 0 AND NOT pg_temp.has(chr(n), %s)",
                [ours, name],
            ).fetchall()
            assert (name, lacked, kept) == (name, [], [])
