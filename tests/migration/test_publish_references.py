"""Foreign keys around a table that is replaced: rows that refer to it never change, and it may refer to itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from targets import opened_target

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.transfer.plan import plan
from migration.transfer.run import run
from migration.transfer_model import TransferRequest

pytestmark = pytest.mark.sampled

ENGINES = [
    "sqlite",
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
]
Rows = list[tuple[int | None, ...]]


@pytest.fixture
def target(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Connector]:
    connector = opened_target(engine, tmp_path, request)
    yield connector
    for table in ("grandchild", "child", "parent"):
        connector.execute(f"DROP TABLE IF EXISTS {table}")
    connector.close()


def moved(rows: Rows, target: Connector, tmp_path: Path, mode: str = "replace") -> tuple[str, ...]:
    """``rows`` of (id, boss) into the table parent; the notes of the transfer."""
    file = tmp_path / "source.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE OR REPLACE TABLE s (id INTEGER PRIMARY KEY, boss INTEGER)")
        connection.executemany("INSERT INTO s VALUES (?, ?)", rows)
    source = connect(datasource("here", "duckdb", {"path": str(file)}))
    path = ("public", "parent") if target.dialect == "postgres" else ("parent",)
    key = ("id",) if mode == "upsert" else ()
    request = TransferRequest(Source(path=("main", "s")), path, mode=mode, key=key)  # type: ignore[arg-type]
    try:
        return run(plan(request, source, target)).notes
    finally:
        source.close()


def values(target: Connector, table: str) -> Rows:
    with target.reader() as reader:
        return sorted(tuple(row.values()) for row in reader.fetch(f"SELECT * FROM {table}").to_pylist())


def family(target: Connector, action: str, boss: str = "") -> None:
    """Parents 1 to 3; children 10 of 1 and 20 of 2; a grandchild of 10."""
    target.execute(f"CREATE TABLE parent (id int PRIMARY KEY, boss int{boss})")
    target.execute(
        "CREATE TABLE child (id int PRIMARY KEY, parent_id int DEFAULT 1, "
        f"FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE {action})"
    )
    target.execute(
        "CREATE TABLE grandchild (id int PRIMARY KEY, child_id int, "
        "FOREIGN KEY (child_id) REFERENCES child (id) ON DELETE CASCADE)"
    )
    for number in (1, 2, 3):
        target.execute(f"INSERT INTO parent (id) VALUES ({number})")
    target.execute("INSERT INTO child VALUES (10, 1), (20, 2)")
    target.execute("INSERT INTO grandchild VALUES (100, 10)")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("action", ["CASCADE", "SET NULL"])
def test_children_of_a_row_that_would_go_refuse_the_replace(
    target: Connector, engine: str, action: str, tmp_path: Path
) -> None:
    family(target, action)
    with pytest.raises(MigrationError, match="cannot be replaced") as caught:
        moved([(2, 5), (3, 6), (4, 7)], target, tmp_path)
    assert caught.value.sqlstate == "23503"
    assert "1 row of " in (caught.value.detail or "")
    assert f'child" (parent_id, ON DELETE {action})' in (caught.value.detail or "")
    assert caught.value.hint
    assert values(target, "parent") == [(1, None), (2, None), (3, None)]
    assert values(target, "child") == [(10, 1), (20, 2)]
    assert values(target, "grandchild") == [(100, 10)]
    with target.writer() as writer:
        assert writer.leftovers() == ()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("action", ["CASCADE", "SET NULL", "NO ACTION"])
def test_children_of_rows_that_stay_are_left_alone(
    target: Connector, engine: str, action: str, tmp_path: Path
) -> None:
    family(target, action)
    notes = moved([(1, 5), (2, 6), (4, 7)], target, tmp_path)
    assert "published by merge by key" in notes
    assert values(target, "parent") == [(1, 5), (2, 6), (4, 7)]
    assert values(target, "child") == [(10, 1), (20, 2)]
    assert values(target, "grandchild") == [(100, 10)]


@pytest.mark.postgres
@pytest.mark.parametrize("engine", ["postgres"])
def test_an_identity_that_is_always_generated_is_merged_too(
    target: Connector, engine: str, tmp_path: Path
) -> None:
    family(target, "NO ACTION DEFERRABLE INITIALLY DEFERRED", " GENERATED ALWAYS AS IDENTITY")
    for rows in ([(1, 1), (2, 2), (4, 7)], [(1, 2), (2, 1), (4, 30)]):  # the numbers there, and others
        assert "published by merge by key" in moved(rows, target, tmp_path)
        assert values(target, "parent") == rows
    with pytest.raises(MigrationError) as caught:
        target.execute("UPDATE parent SET boss = 3")
    assert caught.value.sqlstate == "428C9"
    target.execute("INSERT INTO parent (id) VALUES (5)")
    assert values(target, "parent")[-1] == (5, 31)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_row_that_stays_does_not_go_with_the_one_it_refers_to(
    target: Connector, engine: str, tmp_path: Path
) -> None:
    family(target, "CASCADE", ", FOREIGN KEY (boss) REFERENCES parent (id) ON DELETE CASCADE")
    target.execute("UPDATE parent SET boss = 3 WHERE id = 1")  # and child 10 hangs on 1
    with pytest.raises(MigrationError, match="cannot be replaced") as caught:
        moved([(1, None), (2, None)], target, tmp_path)
    assert "boss, ON DELETE CASCADE" in (caught.value.detail or "")
    assert values(target, "child") == [(10, 1), (20, 2)]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("action", ["NO ACTION", "CASCADE", "SET NULL"])
@pytest.mark.parametrize("mode", ["replace", "append", "upsert"])
def test_a_table_that_refers_to_itself_takes_rows_in_any_order(
    target: Connector, engine: str, action: str, mode: str, tmp_path: Path
) -> None:
    target.execute(
        "CREATE TABLE parent (id int PRIMARY KEY, boss int, "
        f"CONSTRAINT own_boss FOREIGN KEY (boss) REFERENCES parent (id) ON DELETE {action})"
    )
    old: Rows = [(7, None), (8, 7), (9, 8), (10, 10)]
    for number, boss in old:
        target.execute(f"INSERT INTO parent VALUES ({number}, {boss or 'NULL'})")
    new: Rows = [(1, 2), (2, 3), (3, 1), (4, 4), (5, None)]
    moved(new, target, tmp_path, mode)
    assert values(target, "parent") == new + (old if mode != "replace" else [])
    if mode == "upsert":  # rows that are there come to refer to new ones
        moved([(6, 7), (7, 6), (8, None), (9, 6)], target, tmp_path, mode)
        assert values(target, "parent") == [*new, (6, 7), (7, 6), (8, None), (9, 6), (10, 10)]
    with pytest.raises(MigrationError) as caught:
        target.execute("INSERT INTO parent VALUES (11, 12)")
    assert caught.value.sqlstate == "23503"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("mode", ["replace", "append", "upsert"])
def test_a_reference_to_nothing_is_refused(target: Connector, engine: str, mode: str, tmp_path: Path) -> None:
    target.execute(
        "CREATE TABLE parent (id int PRIMARY KEY, boss int, FOREIGN KEY (boss) REFERENCES parent (id))"
    )
    target.execute("INSERT INTO parent VALUES (7, NULL)")
    with pytest.raises(MigrationError) as caught:
        moved([(1, None), (2, 9)], target, tmp_path, mode)
    assert caught.value.sqlstate == "23503"
    assert values(target, "parent") == [(7, None)]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("action", ["NO ACTION", "CASCADE"])
def test_rows_of_a_table_with_children_that_refers_to_itself_go_and_come_in_any_order(
    target: Connector, engine: str, action: str, tmp_path: Path
) -> None:
    family(target, action, ", CONSTRAINT own_boss FOREIGN KEY (boss) REFERENCES parent (id)")
    for change in ("UPDATE parent SET boss = 2 WHERE id = 3", "UPDATE parent SET boss = 3 WHERE id = 2"):
        target.execute(change)  # both go, and neither may go first
    target.execute("DELETE FROM child WHERE id = 20")
    new: Rows = [(1, 5), (4, 1), (5, 4)]
    assert "published by merge by key" in moved(new, target, tmp_path)
    assert values(target, "parent") == new
    assert values(target, "child") == [(10, 1)]
    with pytest.raises(MigrationError) as caught:  # the child refers to 1
        moved([(4, 5), (5, 4)], target, tmp_path)
    assert caught.value.sqlstate == "23503"
    assert (values(target, "parent"), values(target, "child")) == (new, [(10, 1)])


@pytest.mark.mariadb
@pytest.mark.parametrize("engine", ["mariadb"])
def test_a_column_that_does_not_move_refers_to_what_is_there(
    target: Connector, engine: str, tmp_path: Path
) -> None:
    """What stays in a row cannot be checked among the rows that come."""
    target.execute(
        "CREATE TABLE parent (id int PRIMARY KEY, own int, FOREIGN KEY (own) REFERENCES parent (id))"
    )
    target.execute("CREATE TABLE child (id int PRIMARY KEY, FOREIGN KEY (id) REFERENCES parent (id))")
    target.execute("ALTER TABLE parent ADD boss int")
    for row in ((1, "NULL"), (2, "1")):
        target.execute(f"INSERT INTO parent (id, own) VALUES ({row[0]}, {row[1]})")
    with pytest.raises(MigrationError) as caught:
        moved([(2, 5)], target, tmp_path)
    assert caught.value.sqlstate == "23503"
    assert values(target, "parent") == [(1, None, None), (2, 1, None)]
