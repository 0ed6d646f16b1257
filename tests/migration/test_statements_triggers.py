"""What has a body of statements is one statement with them: a trigger of SQLite's, a routine of MariaDB's."""

from __future__ import annotations

from pathlib import Path

import pytest
from servers import Server

from migration.connectors import connect
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.statements import check_statement

pytestmark = pytest.mark.sampled

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


TRIGGER = """CREATE DEFINER = CURRENT_USER TRIGGER bounded BEFORE INSERT ON bounds FOR EACH ROW
BEGIN
  DECLARE most int DEFAULT CASE WHEN NEW.a > 0 THEN 5 ELSE 0 END; -- a CASE; with its END
  IF NEW.b > most THEN SET NEW.b = most; END IF;
  CASE NEW.a WHEN 1 THEN BEGIN SET NEW.c = 'END;'; END; ELSE SET NEW.c = ';'; END CASE;
  WHILE NEW.b < 0 DO SET NEW.b = NEW.b + 1; END WHILE;
END"""


@pytest.mark.mariadb
@pytest.mark.parametrize("end", ["", ";", " ; # and no more"])
def test_routines_of_mariadb_are_made(mariadb: Server, end: str) -> None:
    options = {"host": mariadb.host, "port": str(mariadb.port), "user": mariadb.user, "role": "read_write"}
    options |= {"database": mariadb.database, "password": mariadb.password}
    connector = connect(datasource("m", "mysql", options))
    connector.execute("CREATE OR REPLACE TABLE bounds (a int, b int, c text)")
    connector.execute(
        "CREATE OR REPLACE FUNCTION twice(x int) RETURNS int BEGIN SET x = 2 * x; RETURN x; END" + end
    )
    connector.execute(f"/* first; */ {TRIGGER}{end}")
    with pytest.raises(MigrationError, match="more than one statement"):
        connector.execute(f"{TRIGGER.replace('TRIGGER', 'TRIGGER IF NOT EXISTS')}; DROP TABLE bounds")
    connector.execute("INSERT INTO bounds VALUES (1, twice(9), ''), (0, -3, '')")
    with connector.reader() as reader:
        found = reader.fetch("SELECT b, c FROM bounds").to_pylist()
    assert sorted(tuple(row.values()) for row in found) == [(0, ";"), (5, "END;")]
    connector.execute("DROP TABLE bounds")
    connector.execute("DROP FUNCTION twice")
    connector.close()


@pytest.mark.parametrize("more", ["DROP TABLE t", "COMMIT", TRIGGER])
@pytest.mark.parametrize(
    "first", [TRIGGER, "CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW SET NEW.b = ';'"]
)
def test_what_follows_a_routine_is_refused(first: str, more: str) -> None:
    with pytest.raises(MigrationError, match="more than one statement") as caught:
        check_statement(f"{first}; {more}", "mysql")
    assert caught.value.sqlstate == "42601"


def test_what_only_some_versions_run_is_refused_in_a_routine() -> None:
    with pytest.raises(MigrationError, match="executable comments"):
        check_statement(TRIGGER.replace("BEGIN\n", "BEGIN /*!50000 DROP TABLE t; */\n"), "mysql")
