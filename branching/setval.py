"""``setval`` on a sequence whose counter other branches draw from as well.

A SELECT cannot give the branch a counter of its own (``counters``). So the counter never goes back: its next number is
then higher than the one asked for, as if somebody had drawn from it, and no row of any branch meets it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from branching.model import Sequence

if TYPE_CHECKING:
    from branching.database import Database


def only_forward(call: exp.Anonymous, sequence: Sequence, database: Database) -> bool:
    """Makes a call of a function of sequences, resolved otherwise, leave the counter where it would go back; whether it
    was changed. Only one of these functions is given a value."""
    if len(call.expressions) < 2:
        return False
    if len(database.lines) == 1 and not database.trash:
        return False
    cursor = database.root.cursor()
    try:
        last = cursor.last_value(sequence.physical)
    finally:
        cursor.close()
    if last is None:
        return False
    physical, value, *called = call.expressions
    now = exp.Literal.number(last)
    farther = exp.Greatest if sequence.increment > 0 else exp.Least
    back = exp.LTE if sequence.increment > 0 else exp.GTE
    arguments = [physical, farther(this=value.copy(), expressions=[now.copy()])]
    if called:
        stays = exp.If(this=back(this=exp.Paren(this=value.copy()), expression=now), true=exp.true())
        arguments.append(exp.Case(ifs=[stays], default=called[0].copy()))
    call.set("expressions", arguments)
    return True
