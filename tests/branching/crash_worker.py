"""Runs in a process of its own and is killed: writes, forks and alters, and says what was acknowledged.

    python crash_worker.py FILE SEED [POINT NUMBER]

With POINT the process kills itself before (or after) its NUMBER-th engine statement of that kind.
"""

from __future__ import annotations

import os
import signal
import sys
from random import Random
from typing import Any

import sqlglot

import branching
from branching import BoughError, branches
from branching.ddl import model as d
from branching.engine.duckdb import DuckDBCursor


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(point: str, number: int) -> None:
    """Kills the process around the number-th COMMIT, or before the number-th statement of any kind."""
    run = DuckDBCursor._run
    seen = 0

    def counted(self: DuckDBCursor, sql: str, parameters: Any) -> Any:
        nonlocal seen
        wanted = sql == "COMMIT" if point in ("before commit", "after commit") else True
        seen += wanted
        if wanted and seen == number and point != "after commit":
            die()
        result = run(self, sql, parameters)
        if wanted and seen == number:
            die()
        return result

    DuckDBCursor._run = counted  # type: ignore[method-assign]


def main() -> None:
    path, seed = sys.argv[1], int(sys.argv[2])
    random = Random(seed)
    database = branching.open(path)
    if len(sys.argv) > 3:
        arm(sys.argv[3], int(sys.argv[4]))
    say("ready")
    names = ["main"]
    for number in range(1, 100_000):
        kind = random.randrange(10)
        branch = random.choice(names)
        connection = database.connect(branch)
        try:
            if kind < 6:
                # Two tables always change together: a and b must have the same numbers.
                connection.begin()
                say(f"try {branch} {number}")
                connection.execute(sqlglot.parse_one(f"INSERT INTO a VALUES ({number}, 0)", dialect="duckdb"))
                connection.execute(sqlglot.parse_one(f"INSERT INTO b VALUES ({number}, 0)", dialect="duckdb"))
                connection.execute(sqlglot.parse_one("UPDATE a SET v = v + 1", dialect="duckdb"))
                connection.execute(sqlglot.parse_one("UPDATE b SET v = v + 1", dialect="duckdb"))
                connection.commit()
                say(f"done {branch} {number}")
            elif kind < 8 and len(names) < 6:
                name = f"f{number}"
                say(f"tryfork {name} {branch}")
                branches.create(database, name, branch, role="me")
                names.append(name)
                say(f"forked {name} {branch}")
            elif kind == 8:
                column = sqlglot.parse_one(f"CREATE TABLE x (c{number} INTEGER DEFAULT 1)", dialect="duckdb")
                connection.begin()
                for table in ("a", "b"):
                    action = d.AddColumn(column.this.expressions[0])
                    connection.execute(d.AlterTable(d.Name(table), (action,)))
                    connection.execute(d.AlterTable(d.Name(table), (d.DropColumn(f"c{number}"),)))
                connection.execute(
                    d.AlterTable(d.Name("a"), (d.SetDefault("v", sqlglot.exp.Literal.number(number)),))
                )
                connection.commit()
            else:
                database.root.cursor().execute("CHECKPOINT")
        except BoughError:
            connection.rollback()
        finally:
            connection.close()


main()
