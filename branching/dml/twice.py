"""A statement that would write one row twice is refused with 21000, as in Postgres: the engine takes any of the two."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from branching import names
from branching.dml.statements import SOURCE, Write, conflict_keys
from branching.errors import BoughError
from branching.model import Table
from branching.names import quote


def refuse_upsert(write: Write, conflict: exp.OnConflict, table: Table, columns: Sequence[str]) -> None:
    """Where two rows of the staged source share a key that an ON CONFLICT DO UPDATE is about."""
    if not conflict.expressions:
        return
    for key in conflict_keys(conflict, table):
        if not set(key) <= set(columns):
            continue
        present = " AND ".join(f"{quote(name)} IS NOT NULL" for name in key)
        listed = names.columns(key)
        if write.cursor.query(
            f"SELECT 1 FROM {SOURCE} WHERE {present} GROUP BY {listed} HAVING count(*) > 1 LIMIT 1"
        ):
            raise BoughError(
                "21000",
                "ON CONFLICT DO UPDATE command cannot affect row a second time",
                hint="Ensure that no rows proposed for insertion within the same command have duplicate"
                " constrained values.",
            )


def refuse_merge(write: Write, tree: exp.Merge, rows: str, alias: str) -> None:
    """Where a MERGE would change or delete a row of ``rows`` for two rows of its source."""
    binder = write.binder()
    cases, changes = [], False
    for when in tree.args["whens"].expressions:
        if when.args.get("matched"):
            then, asked = when.args["then"], when.args.get("condition")
            acts = isinstance(then, exp.Update) or then.name.upper() == "DELETE"
            changes = changes or acts
            cases.append(f"WHEN {binder.text(asked) or 'true'} THEN {str(acts).lower()}")
    if not changes:
        return
    on, using = binder.text(tree.args["on"]), binder.text(tree.args["using"])
    if write.cursor.query(
        f"SELECT 1 FROM {rows} AS {quote(alias)}, {using} WHERE ({on}) AND CASE {' '.join(cases)} ELSE false END"
        f" GROUP BY {quote(alias)}.{names.RID} HAVING count(*) > 1 LIMIT 1",
        binder.values,
    ):
        raise BoughError(
            "21000",
            "MERGE command cannot affect row a second time",
            hint="Ensure that not more than one source row matches any one target row.",
        )
