"""CREATE TABLE … AS and INSERT … SELECT inside one database, checked before they are committed.

Rules:

1. Statement and checks are one transaction; a check that fails rolls it back (VT002). Where the engine cannot take a
   statement back, it is not run (0A000).
2. Checks: the table exists; it has as many rows more as the query returns; the columns it got are those of the query,
   by name (of a new table) and by type. A column whose type differs in an existing table is ``inconclusive``: the
   engine has cast it.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import sqlglot
from sqlglot import exp

from migration.connectors.base import Connector, Executed, Path, Writer
from migration.connectors.opening import guard_rows
from migration.connectors.queries import quoted_path
from migration.dialects import contract
from migration.errors import MigrationError
from migration.statements import check_statement

Checks = list[dict[str, Any]]


def validated(
    connector: Connector,
    statement: str,
    *,
    dry_run: bool = False,
    rows_between: tuple[int, int] | None = None,
) -> tuple[Executed, Checks]:
    """Runs the statement, checks what it made, commits."""
    kind = check_statement(statement, connector.dialect)
    target, query, columns = _parts(statement, connector.dialect)
    with connector.writer() as writer:
        if not writer.transactions or not writer.transactional_ddl:
            raise MigrationError(
                "0A000", f"{connector.dialect} cannot take a statement back", hint="Run it without VALIDATE."
            )
        writer.begin()
        before = writer.count(target) if writer.exists(target) else 0
        expected = int(writer.fetch(f"SELECT count(*) AS n FROM ({query}) AS q").column(0)[0].as_py())
        wanted = writer.fetch(f"SELECT * FROM ({query}) AS q WHERE 1 = 0").schema
        is_new = not writer.exists(target)
        rows = writer.execute(statement)
        guard_rows(rows, rows_between)
        checks = _checks(writer, connector.dialect, target, expected, before, wanted, columns, is_new=is_new)
        failed = [check for check in checks if check["verdict"] == "fail"]
        if failed:
            raise MigrationError(
                "VT002",
                f'"{".".join(target)}" is not what the statement was to make',
                detail="\n".join(
                    f"{c['check']}: expected {c['source']}, found {c['target']}" for c in failed
                ),
                hint="It was rolled back; nothing changed.",
            )
        if dry_run:
            writer.rollback()
        else:
            writer.commit()
    return Executed(expected if rows is None else rows, kind.upper(), committed=not dry_run), checks


def _parts(statement: str, dialect: str) -> tuple[Path, str, tuple[str, ...]]:
    """The target, the query, and the columns it goes to (empty: all, in order)."""
    spoken = contract(dialect).sqlglot
    try:
        tree = sqlglot.parse_one(statement, read=spoken)
    except sqlglot.ParseError as error:
        raise MigrationError("42601", "the statement cannot be read", detail=str(error)) from error
    query = tree.args.get("expression") if isinstance(tree, exp.Insert | exp.Create) else None
    if not isinstance(query, exp.Query) or isinstance(query, exp.Values) or tree.args.get("with_"):
        raise MigrationError(
            "0A000",
            "VALIDATE takes CREATE TABLE … AS and INSERT … SELECT",
            hint="Put WITH inside the query; run any other statement without VALIDATE.",
        )
    place = tree.this
    columns: tuple[str, ...] = ()
    if isinstance(place, exp.Schema):
        columns = tuple(item.name for item in place.expressions)
        place = place.this
    path = tuple(part.name for part in place.parts)
    if isinstance(tree, exp.Insert):
        _name_all(query)
    return path, query.sql(spoken), columns


def _name_all(query: exp.Query) -> None:
    """Gives columns without a name, or with that of another one, one of their own: the query is counted as a table, and
    where rows go to by their order nobody asks for names."""
    first: exp.Expr = query
    while isinstance(first, exp.SetOperation | exp.Subquery):
        first = first.this
    seen: set[str] = set()
    for number, column in enumerate(first.expressions if isinstance(first, exp.Select) else ()):
        name = column.alias_or_name.lower()
        if column.is_star:
            continue
        if not name or name in seen or isinstance(column, exp.Literal):
            named = column.this if isinstance(column, exp.Alias) else column
            column.replace(exp.alias_(named.copy(), f"bough_{number + 1}", quoted=False))
        seen.add(name)


def _checks(
    writer: Writer,
    dialect: str,
    target: Path,
    expected: int,
    before: int,
    wanted: pa.Schema,
    columns: tuple[str, ...],
    *,
    is_new: bool,
) -> Checks:
    there = writer.exists(target)
    checks = [_check("exists", "", True, there)]
    if not there:
        return checks
    checks.append(_check("row_count", "", expected, writer.count(target) - before))
    item = contract(dialect)
    found = writer.fetch(f"SELECT * FROM {quoted_path(target, item)} WHERE 1 = 0").schema
    names = list(columns) or found.names[: len(wanted.names)]
    if is_new:
        checks.append(_check("columns", "", list(columns or wanted.names), found.names))
    for position, name in enumerate(names):
        asked = wanted.field(position).type if position < len(wanted.names) else None
        has = found.field(name).type if name in found.names else None
        checks.append(_check("type", name, str(asked), str(has), doubtful=not is_new))
    return checks


def _check(
    check: str, column: str, source: object, target: object, *, doubtful: bool = False
) -> dict[str, Any]:
    differs = "inconclusive" if doubtful else "fail"
    verdict = "pass" if source == target else differs
    return {"check": check, "column": column, "verdict": verdict, "source": source, "target": target}
