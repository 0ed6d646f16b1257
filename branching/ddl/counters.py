"""Sequences that are set back, or count in another way.

All branches draw from one counter, so rows that they insert never meet under one key. A counter that one of them set
back would give the others numbers that their rows have already, and a ROLLBACK would not set it forward again: so the
sequence gets a counter of its own, on this branch alone, by a change of the catalog like any other.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from branching import names
from branching.ddl import model as d
from branching.ddl.edit import replace_column, sequences_in
from branching.errors import BoughError
from branching.model import Sequence
from branching.resolve import parse

if TYPE_CHECKING:
    from branching.ddl.objects import ObjectDdl

INTEGER_RANGE = {"SMALLINT": 32767, "INTEGER": 2147483647, "BIGINT": 9223372036854775807}


def restart(ddl: ObjectDdl, sequence: Sequence, value: int) -> None:
    """The sequence's next number is ``value``."""
    transaction = ddl.transaction
    if not transaction.explicit and not transaction.database.has_forks():
        ddl.cursor.next_start(sequence.physical, value)
        return
    _own_counter(ddl, sequence, value)


def alter(ddl: ObjectDdl, sequence: Sequence, options: d.SequenceOptions) -> None:
    """ALTER SEQUENCE: what ``options`` say of its numbers. 22023 where that contradicts itself or its last number."""
    changed = _changed(sequence, options)
    restarts = options.restart
    value = options.restart_with if options.restart_with is not None else changed.start
    if restarts:
        _within(changed, "RESTART", value)
    if replace(changed, start=sequence.start) == sequence:
        if changed != sequence:
            ddl.put(changed)
        if restarts:
            restart(ddl, changed, value)
        return
    called = False
    if not restarts:
        value, called = _where_it_is(ddl, sequence)
    _within(changed, "RESTART", value)
    _own_counter(ddl, changed, value, called=called)


def increment(options: d.SequenceOptions, otherwise: int) -> int:
    """The INCREMENT that ``options`` ask for. 22023 for zero."""
    if options.increment == 0:
        raise BoughError("22023", "INCREMENT must not be zero")
    return otherwise if options.increment is None else options.increment


def _changed(sequence: Sequence, options: d.SequenceOptions) -> Sequence:
    """The sequence as it is to be, with its counter of before."""
    kind = options.type or sequence.type
    was, limit = INTEGER_RANGE[sequence.type], INTEGER_RANGE[kind]
    step = increment(options, sequence.increment)
    minimum, maximum = sequence.minimum, sequence.maximum
    if options.minimum is not None:
        minimum = options.minimum
    elif options.no_minimum or (kind != sequence.type and minimum == -was - 1):
        minimum = 1 if step > 0 else -limit - 1
    if options.maximum is not None:
        maximum = options.maximum
    elif options.no_maximum or (kind != sequence.type and maximum == was):
        maximum = limit if step > 0 else -1
    for what, bound in (("MINVALUE", minimum), ("MAXVALUE", maximum)):
        if not -limit - 1 <= bound <= limit:
            shown = {"BIGINT": "bigint", "INTEGER": "integer", "SMALLINT": "smallint"}[kind]
            raise BoughError("22023", f"{what} ({bound}) is out of range for sequence data type {shown}")
    if minimum >= maximum:
        raise BoughError("22023", f"MINVALUE ({minimum}) must be less than MAXVALUE ({maximum})")
    start = options.start if options.start is not None else sequence.start
    changed = replace(
        sequence,
        type=kind,
        start=start,
        increment=step,
        minimum=minimum,
        maximum=maximum,
        cycle=sequence.cycle if options.cycle is None else options.cycle,
    )
    _within(changed, "START", start)
    return changed


def _within(sequence: Sequence, what: str, value: int) -> None:
    if value < sequence.minimum:
        raise BoughError("22023", f"{what} value ({value}) cannot be less than MINVALUE ({sequence.minimum})")
    if value > sequence.maximum:
        raise BoughError(
            "22023", f"{what} value ({value}) cannot be greater than MAXVALUE ({sequence.maximum})"
        )


def _where_it_is(ddl: ObjectDdl, sequence: Sequence) -> tuple[int, bool]:
    """The sequence's last number and True; or the one that is to come, and False.

    Only drawing a number tells whether the sequence was set to another since its last one.
    """
    last = ddl.cursor.last_value(sequence.physical)
    following = None if last is None else last + sequence.increment
    if last is not None and following is not None and not sequence.minimum <= following <= sequence.maximum:
        return last, True
    drawn: int = ddl.cursor.query(f"SELECT nextval({names.literal(sequence.physical)})")[0][0]
    if last is not None and drawn == following:
        return last, True
    return drawn, False


def _own_counter(ddl: ObjectDdl, sequence: Sequence, value: int, *, called: bool = False) -> None:
    """Gives the sequence a counter whose next number is ``value``, or comes after it (``called``)."""
    transaction = ddl.transaction
    users = [
        (table.id, column.name)
        for table in ddl.catalog.tables()
        for column in table.columns
        if any(found.id == sequence.id for found in sequences_in(column.default, ddl.scope))
    ]
    own = replace(sequence, physical=f"{names.DATA_SCHEMA}.s{ddl.next_id()}")
    ddl.cursor.execute(ddl.cursor.engine.create_sequence(replace(own, start=value)))
    transaction.sequences.add(own.physical)
    if called:
        ddl.cursor.query(f"SELECT nextval({names.literal(own.physical)})")
        transaction.drawn[own.physical] = value
    ddl.put(own)
    for number, name in users:  # storage knows the counter, not the sequence
        transaction.claim(number)
        table = next(item for item in ddl.catalog.tables() if item.id == number)
        column = table.column(name)
        assert column is not None and column.default is not None
        changed = ddl.alter(table, d.SetDefault(name, parse(column.default).copy()))
        now = changed.column(name)
        assert now is not None
        ddl.put(replace_column(changed, replace(now, default=column.default)))  # in the words it had
