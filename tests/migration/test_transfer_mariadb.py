"""MariaDB as a source: what its server judges for the profile, and the types that arrive in PostgreSQL."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import psycopg
import pymysql
import pytest
from servers import Server

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.connectors.mysql import MysqlReader
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.transfer.plan import plan
from migration.transfer.run import run
from migration.transfer_model import TransferOptions, TransferRequest

pytestmark = [pytest.mark.postgres, pytest.mark.mariadb]


def options(server: Server) -> dict[str, str]:
    found = {"host": server.host, "port": str(server.port), "user": server.user, "database": server.database}
    return {**found, "password": server.password, "role": "read_write"}


@pytest.fixture
def maria(mariadb: Server) -> Iterator[Connector]:
    with closing(connect(datasource("maria", "mysql", options(mariadb)))) as connector:
        connector.execute("DROP TABLE IF EXISTS judged")
        yield connector
        connector.execute("DROP TABLE IF EXISTS judged")


@pytest.fixture
def pg(postgres: Server) -> Iterator[Connector]:
    with closing(connect(datasource("pg", "postgres", options(postgres)))) as connector:
        with connector.writer() as writer:
            writer.drop(("public", "judged"))
        yield connector
        with connector.writer() as writer:
            writer.drop(("public", "judged"))


def request(mariadb: Server, **wanted: str) -> TransferRequest:
    return TransferRequest(
        Source(path=(mariadb.database, "judged")),
        ("public", "judged"),
        options=TransferOptions.from_pairs(wanted.items()),
    )


def test_types_and_values_arrive(maria: Connector, pg: Connector, mariadb: Server, postgres: Server) -> None:
    maria.execute(
        "CREATE TABLE judged (id bigint NOT NULL, n int, m decimal(18,4), seen datetime(6), day date, "
        "s varchar(100) CHARACTER SET utf16 COLLATE utf16_unicode_ci, t varchar(50) COLLATE utf8mb4_unicode_ci)"
    )
    maria.execute(
        "INSERT INTO judged VALUES (9007199254740993, -1, 0.0001, '0001-01-01 00:00:00.000001', '9999-12-31', "
        "'ä\"', ''), "
        "(1, NULL, NULL, NULL, NULL, NULL, NULL)"
    )
    assert run(plan(request(mariadb), maria, pg)).verdict == "pass"
    conninfo = f"host={postgres.host} port={postgres.port} user={postgres.user} dbname={postgres.database}"
    with psycopg.connect(conninfo) as session:
        types = session.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = 'judged'::regclass AND attnum > 0 ORDER BY attnum"
        ).fetchall()
        rows = session.execute(
            "SELECT id, n, m::text, seen::text, day::text, s, t FROM judged ORDER BY id"
        ).fetchall()
    assert dict(types) == {
        "id": "bigint", "n": "integer", "m": "numeric(18,4)", "seen": "timestamp(6) without time zone", "day": "date",
        "s": "character varying(100)", "t": "character varying(50)",
    }  # fmt: skip
    assert rows == [
        (1, None, None, None, None, None, None),
        (9007199254740993, -1, "0.0001", "0001-01-01 00:00:00.000001", "9999-12-31", 'ä"', ""),
    ]


def test_a_nul_is_found_by_the_server(
    maria: Connector, pg: Connector, mariadb: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without reading the table: only counts and samples come over."""
    maria.execute(
        "CREATE TABLE judged (s varchar(20) COLLATE utf8mb4_unicode_ci, u varchar(20) CHARACTER SET utf16)"
    )
    maria.execute(
        "INSERT INTO judged VALUES ('plain', 'plain'), (CONCAT('a', CHAR(0), 'b'), 'ü'), ('', NULL)"
    )
    sent: list[str] = []
    lines, rows = MysqlReader._lines, MysqlReader.rows
    monkeypatch.setattr(
        MysqlReader, "_lines", lambda self, text, casts: sent.append(text) or lines(self, text, casts)
    )
    monkeypatch.setattr(MysqlReader, "rows", lambda self, text: sent.append(text) or rows(self, text))
    with pytest.raises(MigrationError) as refusal:
        plan(request(mariadb), maria, pg)
    assert refusal.value.sqlstate == "HV004"
    assert refusal.value.column == "s"
    assert "with a NUL character in 1 row" in refusal.value.message
    of_the_table = [text for text in sent if "FROM bough.judged" in text]
    assert len(of_the_table) == 2  # the counts, and the samples of what was found
    assert run(plan(request(mariadb, skip="s"), maria, pg)).verdict == "pass"


def test_a_text_too_long_for_the_target_is_counted(maria: Connector, pg: Connector, mariadb: Server) -> None:
    maria.execute("CREATE TABLE judged (s varchar(20))")
    maria.execute("INSERT INTO judged VALUES ('äöüß'), ('12345')")
    pg.execute("CREATE TABLE judged (s varchar(4))")
    with pytest.raises(MigrationError, match="longer than 4 characters in 1 row"):
        plan(request(mariadb), maria, pg)


ODD_DATES = (
    "INSERT INTO judged VALUES (1, '0000-00-00', '838:59:59', '0000-00-00'), (2, '2024-02-31', '-00:00:01', NULL), "
    "(3, '2024-00-10', NULL, '2024-02-30 01:02:03'), (4, '2024-02-29', '24:00:00', '2024-12-31 23:59:59.5'), "
    "(5, NULL, '23:59:59.999999', NULL)"
)


def make_odd_dates(maria: Connector, mariadb: Server, nullable: str = "") -> None:
    """Dates that MariaDB stores and no calendar has, and times of no day."""
    with pymysql.connect(
        host=mariadb.host, port=mariadb.port, user=mariadb.user, password=mariadb.password, autocommit=True
    ) as session:
        cursor = session.cursor()
        cursor.execute("SET sql_mode = 'ALLOW_INVALID_DATES'")
        cursor.execute(f"USE {mariadb.database}")
        cursor.execute(f"CREATE TABLE judged (id int, d date {nullable}, t time(6), s datetime(6))")
        cursor.execute(
            ODD_DATES if not nullable else "INSERT INTO judged VALUES (1, '0000-00-00', NULL, NULL)"
        )


def test_dates_of_no_calendar_are_counted_and_can_be_given_up(
    maria: Connector, pg: Connector, mariadb: Server, postgres: Server
) -> None:
    make_odd_dates(maria, mariadb)
    with pytest.raises(MigrationError) as refusal:
        plan(request(mariadb), maria, pg)
    assert refusal.value.sqlstate == "HV004"
    for words in (
        "3 values no dates of the calendar, such as 0000-00-00",
        "2 values outside a day",
        '"s": 2 values',
    ):
        assert words in (refusal.value.detail or "")
    assert "ALLOW LOSSY" in (refusal.value.hint or "")
    lossy = replace(request(mariadb), options=TransferOptions(allow_lossy=("d", "t", "s"), verify="L4"))
    assert run(plan(lossy, maria, pg)).verdict == "pass"
    with pg.reader() as reader:
        found = reader.fetch("SELECT d::text, t::text, s::text FROM judged ORDER BY id").to_pylist()
    assert [tuple(row.values()) for row in found] == [
        (None, None, None),
        (None, None, None),
        (None, None, None),
        ("2024-02-29", "24:00:00", "2024-12-31 23:59:59.5"),
        (None, "23:59:59.999999", None),
    ]
    pg.execute("DROP TABLE judged")
    text = replace(request(mariadb), options=TransferOptions(as_text=("d", "t", "s"), verify="L4"))
    assert run(plan(text, maria, pg)).verdict == "pass"
    with pg.reader() as reader:
        found = reader.fetch("SELECT d, t, s FROM judged WHERE id < 3 ORDER BY id").to_pylist()
    assert [tuple(row.values()) for row in found] == [
        ("0000-00-00", "838:59:59.000000", "0000-00-00 00:00:00.000000"),
        ("2024-02-31", "-00:00:01.000000", None),
    ]


def test_what_is_given_up_may_be_null_in_a_new_table_only(
    maria: Connector, pg: Connector, mariadb: Server
) -> None:
    make_odd_dates(maria, mariadb, "NOT NULL")
    lossy = replace(request(mariadb), options=TransferOptions(allow_lossy=("d",)))
    assert run(plan(lossy, maria, pg)).verdict == "pass"
    pg.execute("DROP TABLE judged")
    pg.execute("CREATE TABLE judged (id int, d date NOT NULL, t time, s timestamp)")
    with pytest.raises(MigrationError, match="the target is NOT NULL") as refusal:
        plan(lossy, maria, pg)
    assert refusal.value.sqlstate == "HV004"


@pytest.mark.parametrize(
    "values", ["REPEAT(x'00', 9000000), ''", "REPEAT('a', 9000000), REPEAT('b', 9000000)"]
)
def test_a_value_whose_line_is_longer_than_a_packet_is_not_null(
    maria: Connector, pg: Connector, mariadb: Server, values: str
) -> None:
    """CONCAT and HEX give NULL there, with a warning."""
    maria.execute("CREATE TABLE judged (id int, b longblob, t longtext)")
    maria.execute(f"INSERT INTO judged VALUES (1, NULL, NULL), (2, {values})")
    with pytest.raises(MigrationError) as caught:
        run(plan(request(mariadb), maria, pg))
    assert caught.value.sqlstate == "54000"
    maria.execute("DELETE FROM judged WHERE id = 2")
    assert run(plan(request(mariadb), maria, pg)).verdict == "pass"


@pytest.mark.parametrize(
    ("column", "value", "cast"),
    [
        ("v decimal(12,3)", "123456.789", "v AS numeric(5,2)"),
        ("v varchar(20)", "'14x'", "v AS bigint"),
        ("v varchar(20)", "'no day'", "v AS date"),
        ("v varchar(20)", "'x'", "v AS double precision"),
        ("v varchar(20)", "'long'", "v AS varchar(3)"),
    ],
)
def test_a_cast_that_changes_a_value_is_refused(
    maria: Connector, pg: Connector, mariadb: Server, column: str, value: str, cast: str
) -> None:
    """The server warns, and gives 999.99, 14, NULL and 0. A text is never cut by a cast."""
    maria.execute(f"CREATE TABLE judged (id int, {column})")
    maria.execute(f"INSERT INTO judged VALUES (1, {value}), (2, NULL)")
    with pytest.raises(MigrationError) as caught:
        plan(request(mariadb, cast=cast), maria, pg).close()
    assert (caught.value.sqlstate, caught.value.column) == ("HV004", "v")
    maria.execute("DELETE FROM judged WHERE id = 1")
    assert run(plan(request(mariadb, cast=cast), maria, pg)).verdict == "pass"


def test_texts_of_any_length_and_character_arrive(maria: Connector, mariadb: Server) -> None:
    """Short and long ones, also full of what the lines are quoted by."""
    mark, chance = "\x02", random.Random(7)
    texts: list[str | None] = [None, "", mark, '"', "'", "\\", "\n", mark * 2, mark * 4096, mark * 4097]
    texts += [mark + "x" * length for length in (4095, 4096, 12287, 12288)]
    texts += ["€" * 4096, mark + "€" * 4095, "a" * 4097, mark + "0" * 20_000, "x\x02" * 3000]
    texts += ["".join(chance.choices('\x02\x01\x00"a,\né😀\\', k=size)) for size in (1, 3, 20, 5000) * 20]
    maria.execute(
        "CREATE TABLE judged (id int, v longtext, u text CHARACTER SET utf16, l text CHARACTER SET latin1, b longblob)"
    )
    pymysql_options = {"host": mariadb.host, "port": mariadb.port, "user": mariadb.user}
    rows = []
    for number, text in enumerate(texts):
        west = None if text is None else text.replace("😀", "")
        blob = None if text is None else text.encode()
        rows.append((number, text, text and text[:9000], west, blob))
    with (
        closing(
            pymysql.connect(
                **pymysql_options, password=mariadb.password, database=mariadb.database, charset="utf8mb4"
            )
        ) as session,
        session.cursor() as cursor,
    ):
        cursor.executemany("INSERT INTO judged VALUES (%s, %s, %s, %s, %s)", rows)
        session.commit()
    with maria.reader() as reader:
        found = reader.fetch("SELECT id, v, u, l, b FROM judged").to_pylist()
    assert sorted((tuple(row.values()) for row in found), key=lambda row: row[0]) == rows


@pytest.mark.timeout(60)
@pytest.mark.parametrize("character", ['"', "x'02'"])
def test_a_long_text_of_quotes_is_read_in_no_time(maria: Connector, character: str) -> None:
    """The server's REPLACE would take days to double nine million."""
    maria.execute("CREATE TABLE judged (v longtext)")
    quote = "'\"'" if character == '"' else character
    maria.execute(f"INSERT INTO judged VALUES (REPEAT(CONVERT({quote} USING utf8mb4), 7000000))")
    with maria.reader() as reader:
        (row,) = reader.fetch("SELECT v FROM judged").to_pylist()
    assert row["v"] == ('"' if character == '"' else "\x02") * 7_000_000


def test_dates_from_the_first_year_on_go_into_mariadb(
    maria: Connector, pg: Connector, mariadb: Server
) -> None:
    moments = (
        "('0001-01-01', '0001-01-01 00:00:00'), ('0044-02-28', '0999-12-31 23:59:59.999999'), (NULL, NULL)"
    )
    pg.execute("CREATE TABLE judged (day date, seen timestamp)")
    pg.execute(f"INSERT INTO judged VALUES {moments}")
    item = TransferRequest(
        Source(path=("public", "judged")), (mariadb.database, "judged"), options=TransferOptions(verify="L4")
    )
    assert run(plan(item, pg, maria)).verdict == "pass"
    with maria.reader() as reader:
        found = reader.fetch(
            "SELECT CAST(day AS CHAR) AS day, CAST(seen AS CHAR) AS seen FROM judged ORDER BY judged.day"
        )
    assert sorted(found.to_pylist(), key=str) == [
        {"day": "0001-01-01", "seen": "0001-01-01 00:00:00.000000"},
        {"day": "0044-02-28", "seen": "0999-12-31 23:59:59.999999"},
        {"day": None, "seen": None},
    ]
    pg.execute("INSERT INTO judged VALUES ('0001-12-31 BC', NULL)")
    with pytest.raises(MigrationError) as caught:
        plan(item, pg, maria)
    assert (caught.value.sqlstate, caught.value.column) == ("HV004", "day")
