"""A transfer is resumed whose source or target was altered since it broke off: what is published is as of one plan, and
of the rows that are there now, or it is refused and can be resumed once more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.transfer.breaking_off import Attempt
from migration.transfer.journal import Journal
from migration.transfer.undertaking import resume, undertake
from migration.transfer_model import TransferOptions, TransferRequest

ROWS = 2000
REQUEST = TransferRequest(
    Source(path=("main", "s")),
    ("main", "t"),
    options=TransferOptions(range_rows=500),
    source_name="here",
    target_name="there",
)


class Killed(BaseException):
    """The process ends here: nothing tidies up."""


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[tuple[Connector, Connector]]:
    for name in ("here", "there"):
        duckdb.connect(str(tmp_path / name)).close()
    found = [
        connect(datasource(name, "duckdb", {"path": str(tmp_path / name), "role": "read_write"}))
        for name in ("here", "there")
    ]
    with closing(found[0]) as source, closing(found[1]) as target:
        source.execute("CREATE TABLE s (id BIGINT PRIMARY KEY, v BIGINT)")
        source.execute(f"INSERT INTO s SELECT id, -id FROM range({ROWS}) AS r(id)")
        yield source, target


def broken_off(source: Connector, target: Connector) -> Journal:
    """Killed with two of its pieces committed."""
    journal = Journal()
    mark = Journal.mark
    marked = []

    def killed(self: Journal, *given: Any) -> None:
        mark(self, *given)
        marked.append(given)
        if len(marked) == 2:
            raise Killed

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Journal, "mark", killed)
        patch.setattr(Attempt, "ended", lambda self, error: error)
        undertake(REQUEST, source, target, journal=journal)
    (entry,) = journal.interrupt_orphans()
    with target.writer() as writer:
        assert entry.staging is not None
        assert writer.count(entry.staging) == ROWS // 2
    return journal


def table(connector: Connector, name: str) -> list[Any]:
    with connector.reader() as reader:
        return reader.rows(f"SELECT * FROM {name} ORDER BY id")


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE s DROP COLUMN v",
        "ALTER TABLE s ADD COLUMN extra VARCHAR DEFAULT 'e'",
        "ALTER TABLE s ALTER v TYPE VARCHAR",
        "ALTER TABLE s RENAME v TO w",
        "INSERT INTO s VALUES (9000, 1)",
    ],
)
@pytest.mark.parametrize("there", [True, False])
def test_all_rows_are_of_one_plan(ends: tuple[Connector, Connector], change: str, there: bool) -> None:
    source, target = ends
    if there:
        target.execute("CREATE TABLE t (id BIGINT, v VARCHAR, w BIGINT, extra VARCHAR)")
    journal = broken_off(source, target)
    source.execute(change)
    resume(journal, 1, source, target)
    with source.reader() as reader:
        columns = ", ".join(column.name for column in reader.describe(Source(path=("main", "s"))))
    moved = [tuple(map(str, row)) for row in table(source, "s")]
    with target.reader() as reader:
        arrived = reader.rows(f"SELECT {columns} FROM t ORDER BY id")
    assert [tuple(map(str, row)) for row in arrived] == moved
    if there and "DROP" in change:
        assert {row[1] for row in table(target, "t")} == {None}
    with target.writer() as writer:
        assert writer.leftovers() == ()


def test_a_target_of_another_type_starts_it_again(ends: tuple[Connector, Connector]) -> None:
    source, target = ends
    target.execute("CREATE TABLE t (id BIGINT, v BIGINT)")
    journal = broken_off(source, target)
    target.execute("DROP TABLE t")
    target.execute("CREATE TABLE t (id BIGINT, v VARCHAR)")
    resume(journal, 1, source, target)
    assert table(target, "t") == [(number, str(-number)) for number in range(ROWS)]


@pytest.mark.parametrize("change", ["UPDATE s SET v = 5 WHERE id = 3", "DELETE FROM s WHERE id = 3"])
def test_rows_that_changed_since_they_were_staged_are_not_published(
    ends: tuple[Connector, Connector], change: str
) -> None:
    source, target = ends
    journal = broken_off(source, target)
    source.execute(change)
    with pytest.raises(MigrationError) as refusal:
        resume(journal, 1, source, target)
    assert refusal.value.sqlstate == "VT002"
    assert str(refusal.value.hint).endswith("RESUME TRANSFER 1 starts again.")
    resume(journal, 1, source, target)
    assert table(target, "t") == table(source, "s")


@pytest.mark.parametrize("change", ["DROP TABLE s", "ALTER TABLE s RENAME TO gone"])
def test_it_can_be_resumed_when_its_source_is_back(ends: tuple[Connector, Connector], change: str) -> None:
    source, target = ends
    journal = broken_off(source, target)
    source.execute(change)
    with pytest.raises(MigrationError, match="has no table"):
        resume(journal, 1, source, target)
    source.execute("CREATE TABLE s AS SELECT 1::BIGINT AS id, 2::BIGINT AS v")
    resume(journal, 1, source, target)
    assert table(target, "t") == [(1, 2)]
