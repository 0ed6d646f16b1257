"""MariaDB as a source: what its server judges for the profile, and the types that arrive in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from servers import Server

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.connectors.mysql import MysqlReader
from migration.datasources import datasource
from migration.errors import MigrationError
from migration.plan import plan
from migration.transfer import run
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
    before = MysqlReader._lines
    monkeypatch.setattr(MysqlReader, "_lines", lambda self, text: sent.append(text) or before(self, text))
    with pytest.raises(MigrationError) as refusal:
        plan(request(mariadb), maria, pg)
    assert refusal.value.sqlstate == "HV004"
    assert refusal.value.column == "s"
    assert "with a NUL character in 1 row" in refusal.value.message
    assert len(sent) == 2  # the counts, and the samples of what was found
    assert run(plan(request(mariadb, skip="s"), maria, pg)).verdict == "pass"


def test_a_text_too_long_for_the_target_is_counted(maria: Connector, pg: Connector, mariadb: Server) -> None:
    maria.execute("CREATE TABLE judged (s varchar(20))")
    maria.execute("INSERT INTO judged VALUES ('äöüß'), ('12345')")
    pg.execute("CREATE TABLE judged (s varchar(4))")
    with pytest.raises(MigrationError, match="longer than 4 characters in 1 row"):
        plan(request(mariadb), maria, pg)
