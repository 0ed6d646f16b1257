"""A trigger of SQLite's is one statement, with the statements of its body."""

from __future__ import annotations

from pathlib import Path

import pytest

from migration.connectors import connect
from migration.datasources import datasource
from migration.errors import MigrationError
from migration.statements import check_statement

BODY = "BEGIN INSERT INTO log VALUES (new.a); INSERT INTO log VALUES (CASE WHEN new.a > 1 THEN 2 ELSE 3 END); END"


@pytest.mark.parametrize("end", ["", ";", " ; ", "; -- and no more"])
def test_a_trigger_is_made_and_fires(tmp_path: Path, end: str) -> None:
    (tmp_path / "t.sqlite").touch()
    connector = connect(datasource("t", "sqlite", {"path": str(tmp_path / "t.sqlite"), "role": "read_write"}))
    connector.execute("CREATE TABLE t (a int)")
    connector.execute("CREATE TABLE log (a int)")
    connector.execute(f"/* twice; */ CREATE TRIGGER twice AFTER INSERT ON t {BODY}{end}")
    connector.execute("INSERT INTO t VALUES (7)")
    with connector.reader() as reader:
        assert sorted(reader.fetch("SELECT a FROM log").column("a").to_pylist()) == [2, 7]
    connector.close()


@pytest.mark.parametrize("more", ["DROP TABLE t", f"CREATE TRIGGER other AFTER INSERT ON t {BODY}", "COMMIT"])
def test_what_follows_a_trigger_is_refused(more: str) -> None:
    with pytest.raises(MigrationError, match="more than one statement") as caught:
        check_statement(f"CREATE TEMP TRIGGER one AFTER INSERT ON t {BODY}; {more}", "sqlite")
    assert caught.value.sqlstate == "42601"
