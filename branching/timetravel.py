"""``FROM t AS OF VERSION n`` and ``AS OF TIMESTAMP 't'``: a table as it was, where its old images are still kept.

Old images exist from the oldest live fork on, and within the retention. Anything else is refused: an answer that
silently lacks rows would be worse than none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from branching import names, overlay
from branching.errors import BoughError
from branching.lines import Line
from branching.model import Table
from branching.points import Point

if TYPE_CHECKING:
    from branching.database import Database
    from branching.resolve import Scope


def as_of_sql(database: Database, scope: Scope, table: Table, line: Line, when: exp.Expr) -> str:
    """SQL of ``table`` on ``line`` as of a version or a time."""
    if not line.is_trunk or table.storage.base is None:
        raise BoughError(
            "0A000",
            f'AS OF is not possible on branch "{line.name}"',
            detail="Old versions are kept for main only.",
            hint=f"Fork the branch to keep a state of it: BRANCH CREATE … FROM {line.name}.",
        )
    version = _version(database, when)
    for other in database.lines.values():
        if not other.is_trunk and other.record.fork.version == version:
            return overlay.below(table, scope.physical, other.record.fork, plain=False, hidden=False)
    oldest = min(
        (other.record.fork.version for other in database.lines.values() if not other.is_trunk), default=None
    )
    current = database.clock.version
    if version >= current:
        return overlay.trunk(table, scope.physical.bases[table.storage.base])
    if database.retention == 0 and (oldest is None or version < oldest):
        raise BoughError(
            "22023",
            f"version {version} is no longer kept",
            detail=f"The oldest kept version is {oldest if oldest is not None else current}.",
            hint="The setting retention keeps old versions; a branch keeps the version it was forked at.",
        )
    return overlay.below(table, scope.physical, Point(version), plain=False, hidden=False)


def _version(database: Database, when: exp.Expr) -> int:
    kind = str(when.args.get("kind") or when.this).upper()
    value = when.args.get("expression")
    while isinstance(value, exp.Cast | exp.Paren):
        value = value.this
    if not isinstance(value, exp.Literal):
        raise BoughError("42601", "AS OF needs a literal version or timestamp")
    if "TIMESTAMP" in str(when).upper() or value.is_string:
        database.commit_log.flush()
        rows = database.root.cursor().query(
            f"SELECT coalesce(max(version), 0) FROM {names.MANIFEST_SCHEMA}.commits"
            " WHERE committed_at <= CAST(? AS TIMESTAMPTZ)",
            (value.name,),
        )
        return int(rows[0][0])
    if kind and not value.name.isdigit():
        raise BoughError("22023", f'invalid version "{value.name}"')
    return int(value.name)
