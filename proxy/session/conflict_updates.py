"""``UPDATE bough.conflicts``: conflicts of a manual merge settled by SQL, whichever the WHERE finds.

``resolution`` takes ``'branch'``, ``'target'``, ``'base'`` or NULL (not settled any more); ``value`` is a literal for a
cell, NULL included. Like BRANCH RESOLVE it commits on its own: what is settled is not part of a transaction's data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from branching.errors import BoughError
from branching.merge.choices import Choice, choose
from proxy.commands.branch import ResolveConflicts
from proxy.session import functions, views
from proxy.session.outcome import Outcome, done

if TYPE_CHECKING:
    from proxy.session.session import Session

_SETTABLE = ("resolution", "value")


def is_update(tree: exp.Expr) -> bool:
    """Whether a statement settles conflicts."""
    return (
        isinstance(tree, exp.Update)
        and isinstance(tree.this, exp.Table)
        and (tree.this.text("db"), tree.this.name) == (views.SCHEMA, "conflicts")
    )


def run(session: Session, tree: exp.Expr, values: Sequence[Any]) -> Outcome:
    """Settles the conflicts that ``tree`` (which is changed) updates."""
    connection = session.connection
    assert connection is not None
    session.allow(ResolveConflicts("", ""))
    assigned = _assigned(tree)
    found = exp.select(
        exp.column("id", quoted=True),
        *(_text(assigned.get(name)).as_(f"_{name}", quoted=True) for name in _SETTABLE),
    ).from_(tree.this)
    if (where := tree.args.get("where")) is not None:
        found = found.where(where.this)
    found = found.where(exp.column("merge_id", quoted=True).isin(query=_open_merges()))
    functions.substitute_session_calls(session, found, values)
    views.substitute(session, found)
    used = functions.keep_used(found, list(values))
    choices = [_choice(row, assigned) for row in connection.execute(found, used).fetchall()]
    count = choose(session.service.database, choices)
    connection.restart()
    return done(f"UPDATE {count}")


def _assigned(tree: exp.Expr) -> dict[str, exp.Expr]:
    if tree.args.get("from_") is not None or tree.args.get("returning") is not None:
        raise BoughError(
            "0A000",
            "UPDATE bough.conflicts takes neither FROM nor RETURNING",
            hint="Choose the conflicts in WHERE, with a sub-query if need be.",
            detail="It is carried out as BRANCH RESOLVE, which settles conflicts and returns their number.",
        )
    found: dict[str, exp.Expr] = {}
    for item in tree.expressions:
        name = item.this.name if isinstance(item, exp.EQ) and isinstance(item.this, exp.Column) else ""
        if name not in _SETTABLE:
            raise BoughError(
                "0A000",
                f'cannot set column "{name}" of bough.conflicts',
                hint="SET resolution = 'branch', 'target' or 'base', or SET value = '…'.",
                detail="The other columns say what the conflict is.",
            )
        found[name] = item.expression
    return found


def _open_merges() -> exp.Expr:
    """Conflicts of merges that are over are shown, but there is nothing to settle any more."""
    merges = exp.table_("merges", db=views.SCHEMA, quoted=True)
    is_open = exp.column("state", quoted=True).eq("open")
    return exp.select(exp.column("id", quoted=True)).from_(merges).where(is_open)


def _text(expression: exp.Expr | None) -> exp.Expr:
    return exp.cast(expression.copy() if expression is not None else exp.null(), "VARCHAR")


def _choice(row: Sequence[Any], assigned: dict[str, exp.Expr]) -> Choice:
    conflict, resolution, value = row
    if "value" not in assigned:
        return Choice(conflict, resolution)
    if resolution not in (None, "value"):
        if value is not None:
            raise BoughError(
                "22023",
                f"conflict {conflict} cannot have both a resolution and a value",
                hint="Set one of them.",
                detail="A resolution takes one of its three values, a value is a fourth.",
            )
        return Choice(conflict, resolution)
    return Choice(conflict, "value", value)
