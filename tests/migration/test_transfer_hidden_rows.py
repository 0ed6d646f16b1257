"""Rows that a source keeps from the datasource's user: whoever moves or compares the others is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import duckdb
import psycopg
import pytest
from servers import Server

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.connectors.postgres import PostgresReader
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.reconcile.compare import Side, reconcile
from migration.transfer.plan import plan
from migration.transfer.run import run
from migration.transfer_model import TransferRequest

pytestmark = pytest.mark.postgres

SECRETS = Source(path=("hidden", "secrets"))
SOURCES = (
    SECRETS,
    Source(query="SELECT id FROM hidden.secrets WHERE id > 0"),
    Source(path=("hidden", "shown")),
)


@pytest.fixture
def session(postgres: Server) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with psycopg.connect(
        host=postgres.host, port=postgres.port, user=postgres.user, dbname=postgres.database, autocommit=True
    ) as found:
        found.execute(
            "DROP SCHEMA IF EXISTS hidden CASCADE; DROP ROLE IF EXISTS clerk; CREATE ROLE clerk LOGIN; "
            "CREATE SCHEMA hidden; GRANT USAGE ON SCHEMA hidden TO clerk; "
            "CREATE TABLE hidden.secrets (id integer PRIMARY KEY, owner text); "
            "INSERT INTO hidden.secrets VALUES (1, 'clerk'), (2, 'boss'); "
            "CREATE TABLE hidden.open (id integer); INSERT INTO hidden.open VALUES (1); "
            "GRANT SELECT ON ALL TABLES IN SCHEMA hidden TO clerk; "
            "ALTER TABLE hidden.secrets ENABLE ROW LEVEL SECURITY; "
            "CREATE POLICY own ON hidden.secrets USING (owner = current_user); "
            "CREATE VIEW hidden.shown WITH (security_barrier) AS SELECT * FROM hidden.secrets; "
            "GRANT CREATE ON SCHEMA hidden TO clerk; ALTER VIEW hidden.shown OWNER TO clerk; "
            "CREATE SEQUENCE hidden.numbers; CREATE INDEX by_owner ON hidden.secrets (owner)"
        )
        yield found
        found.execute("DROP SCHEMA hidden CASCADE; DROP ROLE clerk")


def reached(postgres: Server, user: str) -> Connector:
    return connect(datasource("source", "postgres", {**postgres.options, "user": user}))


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Connector]:
    file = tmp_path / "target.duckdb"
    duckdb.connect(str(file)).close()
    found = connect(datasource("there", "duckdb", {"path": str(file), "role": "read_write"}))
    yield found
    found.close()


@pytest.mark.parametrize("source", SOURCES, ids=("table", "query", "view"))
def test_a_policy_that_hides_rows_is_said(
    source: Source, postgres: Server, session: psycopg.Connection[tuple[object, ...]], target: Connector
) -> None:
    clerk = reached(postgres, "clerk")
    result = run(plan(TransferRequest(source, ("main", "t")), clerk, target))
    clerk.close()
    assert result.rows_transferred == 1
    assert [note for note in result.notes if "row-level security" in note and '"clerk"' in note]


def test_who_sees_all_rows_is_told_nothing(
    postgres: Server, session: psycopg.Connection[tuple[object, ...]], target: Connector
) -> None:
    for user, source, rows in (("clerk", Source(path=("hidden", "open")), 1), (postgres.user, SECRETS, 2)):
        connector = reached(postgres, user)
        result = run(plan(TransferRequest(source, ("main", f"t{rows}")), connector, target))
        connector.close()
        assert result.rows_transferred == rows
        assert not [note for note in result.notes if "row-level security" in note]


def test_tables_of_which_only_a_part_is_seen_are_not_said_to_be_equal(
    postgres: Server, session: psycopg.Connection[tuple[object, ...]], target: Connector
) -> None:
    clerk = reached(postgres, "clerk")
    run(plan(TransferRequest(SECRETS, ("main", "t")), clerk, target))
    report = reconcile(Side(clerk, SECRETS), Side(target, Source(path=("main", "t"))))
    clerk.close()
    assert report.verdict == "inconclusive"
    assert [check for check in report.checks if "row-level security" in check.detail]


@pytest.mark.parametrize("user", ["clerk", None])
def test_a_table_is_not_replaced_by_key_for_who_does_not_see_all_of_it(
    user: str | None, postgres: Server, session: psycopg.Connection[tuple[object, ...]], target: Connector
) -> None:
    """Foreign keys point at it, so nothing is emptied: what the policies hide would stay."""
    session.execute(
        "CREATE TABLE hidden.children (id integer REFERENCES hidden.secrets); "
        "GRANT ALL ON ALL TABLES IN SCHEMA hidden TO clerk"
    )
    target.execute("CREATE TABLE s AS SELECT 3 AS id, 'clerk' AS owner")
    request = TransferRequest(Source(path=("main", "s")), ("hidden", "secrets"))
    options = {**postgres.options, "user": user or postgres.user, "role": "read_write"}
    with closing(connect(datasource("there", "postgres", options))) as there:
        if user is None:
            run(plan(request, target, there))
        else:
            with pytest.raises(MigrationError, match="row-level security may hide rows of it") as caught:
                run(plan(request, target, there))
            assert caught.value.sqlstate == "0A000"
    found = session.execute("SELECT * FROM hidden.secrets ORDER BY id").fetchall()
    assert found == ([(3, "clerk")] if user is None else [(1, "clerk"), (2, "boss")])


@pytest.mark.parametrize("differs", [True, False])
def test_money_moves_only_where_it_is_written_alike(
    differs: bool,
    postgres: Server,
    session: psycopg.Connection[tuple[object, ...]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session.execute("CREATE TABLE hidden.bills AS SELECT 5::money AS amount")
    here = connect(datasource("here", "postgres", {**postgres.options, "role": "read_write"}))
    there = connect(datasource("there", "postgres", {**postgres.options, "role": "read_write"}))
    request = TransferRequest(Source(path=("hidden", "bills")), ("hidden", "copied"))
    with closing(here), closing(there):
        if not differs:
            run(plan(request, here, there))
            assert session.execute("SELECT * FROM hidden.copied").fetchall() == [("$5.00",)]
            return
        row = PostgresReader.row

        def other(self: PostgresReader, query: str) -> Sequence[object]:
            return (
                ("-1.234.567,89 EUR",) if self.connector is there and "money" in query else row(self, query)
            )

        monkeypatch.setattr(PostgresReader, "row", other)
        with pytest.raises(MigrationError, match="lc_monetary") as caught:
            run(plan(request, here, there))
        assert (caught.value.sqlstate, caught.value.column) == ("HV004", "amount")


@pytest.mark.parametrize(("name", "what"), [("numbers", "a sequence"), ("by_owner", "an index")])
def test_what_is_no_table_is_refused_as_what_it_is(
    name: str,
    what: str,
    postgres: Server,
    session: psycopg.Connection[tuple[object, ...]],
    target: Connector,
) -> None:
    connector = reached(postgres, postgres.user)
    with pytest.raises(MigrationError) as caught:
        plan(TransferRequest(Source(path=("hidden", name)), ("main", "t")), connector, target)
    connector.close()
    assert caught.value.sqlstate == "42809"
    assert what in caught.value.message
