"""What a session has drawn from sequences: the answers to ``currval`` and ``lastval``.

An engine's own ``currval`` is the last number that anybody has drawn. A session is to see its own. Rules:

1. What a write of a block has drawn is known: it was asked for first (``steady``).
2. What any other INSERT has drawn stands in its rows: they are found again by their version, which nobody else's have.
3. What a query has drawn went to the client; so did numbers whose rows are gone. Then the engine is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from sqlglot import exp

from branching import names
from branching.errors import BoughError
from branching.names import BRANCH, VERSION, literal, quote

if TYPE_CHECKING:
    from branching.model import Sequence as SequenceObject
    from branching.model import Table
    from branching.resolve import Scope
    from branching.transaction import Transaction


class Numbers:
    """Of one connection. Sequences are called by their counters."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}  # SQL for the last number
        self._last: str | None = None
        self._drawn: set[str] = set()

    def drew(self, counters: Sequence[tuple[str, bool]]) -> None:
        """A query has drawn from them (True), or set them."""
        for counter, drawn in counters:
            self._known.pop(counter, None)
            self._drawn.add(counter)
            if drawn:
                self._last = counter

    def inserted(
        self,
        transaction: Transaction,
        scope: Scope,
        table: Table,
        given: Sequence[str],
        was: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """Rows were inserted into ``table``, with values for the columns ``given``. ``was``: what the transaction had
        drawn before."""
        self.drew(scope.drew)
        base = scope.physical.bases.get(table.storage.base or 0)
        for column in table.columns:
            if column.name in given or column.default is None:
                continue
            for sequence in _sequences(column.default, scope):
                self._last = sequence.physical
                self._drawn.add(sequence.physical)
                which = f"{VERSION} = {transaction.version}"
                if scope.line.is_trunk:
                    rows = base.sql if base is not None else None
                else:
                    rows = names.delta(table.storage.shape)
                    which += f" AND {BRANCH} = {scope.line.id}"
                if rows is not None:
                    farthest = "max" if sequence.increment > 0 else "min"
                    own = f"(SELECT {farthest}({quote(column.name)}) FROM {rows} WHERE {which})"
                    current = f"currval({literal(sequence.physical)})"
                    self._known[sequence.physical] = f"coalesce({own}, {current})"
        for counter, value in transaction.drawn.items():
            if was.get(counter) != value:
                self._drawn.add(counter)
                self._known[counter] = str(value)

    def answers(self, call: exp.Anonymous, scope: Scope) -> bool:
        """Puts the answer in the place of a ``lastval`` or ``currval``; False for what the engine has to be asked."""
        name = call.name.lower()
        if name == "lastval":
            if self._last is None:
                raise BoughError("55000", "lastval is not yet defined in this session")
            counter = self._last
        elif name == "currval" and len(call.expressions) == 1 and not call.meta.get("physical"):
            sequence = meant(call, scope)
            if sequence is None:
                return False
            counter = sequence.physical
            if counter not in self._drawn:
                raise BoughError(
                    "55000", f'currval of sequence "{sequence.name}" is not yet defined in this session'
                )
        else:
            return False
        scope.elsewhere = True  # the text is good for now only
        known = self._known.get(counter) or f"currval({literal(counter)})"
        call.replace(exp.Var(this=f"CAST({known} AS BIGINT)"))
        return True


def meant(call: exp.Anonymous, scope: Scope) -> SequenceObject | None:
    """The sequence that a call names, also as that of a column; None where the column has none."""
    named = call.expressions[0] if call.expressions else None
    while isinstance(named, exp.Cast):
        named = named.this
    if isinstance(named, exp.Anonymous) and named.name == names.SERIAL_SEQUENCE:
        return _of_column(scope, *(item.name for item in named.expressions))
    if not isinstance(named, exp.Literal) or not named.is_string:
        raise BoughError(
            "0A000",
            f"{call.name}() needs the sequence's name as a literal",
            hint="Write nextval('schema.sequence'), or pg_get_serial_sequence('table', 'column') in its place.",
        )
    return scope.sequence(named.this)


def _of_column(scope: Scope, relation: str, name: str) -> SequenceObject | None:
    found = scope.named(relation)
    if found is None:
        raise BoughError("42P01", f'relation "{relation}" does not exist')
    _, catalog, table = found
    columns = {column.name: column for column in getattr(table, "columns", ())}
    if name not in columns:
        raise BoughError("42703", f'column "{name}" of relation "{table.name}" does not exist')
    owner = table.id, columns[name].id
    return next((item for item in catalog.sequences() if item.owned_by == owner), None)


def given(tree: exp.Expr, columns: Sequence[str]) -> Sequence[str]:
    """Those of the ``columns`` of an INSERT whose values it gives, all of them."""
    source = tree.args.get("expression")
    if not isinstance(source, exp.Values):
        return columns
    rows = [row.expressions for row in source.expressions if isinstance(row, exp.Tuple)]
    return [
        name
        for place, name in enumerate(columns)
        if not any(place < len(row) and _is_default(row[place]) for row in rows)
    ]


def _is_default(cell: exp.Expr) -> bool:
    return isinstance(cell, exp.Var) and cell.name.upper() == "DEFAULT"


def _sequences(default: str | None, scope: Scope) -> Iterator[SequenceObject]:
    from branching.ddl.edit import sequences_in  # which needs scopes

    return sequences_in(default, scope)
