"""A table of a branch as the statements that make it again, without its rows: SHOW CREATE TABLE of ``local``.

Rules:

1. What the catalog knows is there: declared types, defaults, computed columns, checks, references, where numbers start.
2. A sequence that belongs to a column is said at the column, as IDENTITY or serial; what is said is what is no default.
"""

from __future__ import annotations

from collections.abc import Iterator

from branching.ddl.counters import INTEGER_RANGE
from branching.diff.sql import constraint_text, index_text
from branching.model import Catalog, Column, Sequence, Table
from branching.names import literal
from migration.dialects.quoting import spelled
from migration.model import Counting

_SERIAL = {"BIGINT": "bigserial", "INTEGER": "serial", "SMALLINT": "smallserial"}


def definition(table: Table, catalog: Catalog) -> str:
    """The statements, separated by semicolons."""
    owned = owned_sequences(table, catalog)
    items = [_column(column, owned.get(column.id)) for column in table.columns]
    items += [constraint_text(constraint) for constraint in table.constraints]
    name = f"{spelled(table.schema)}.{spelled(table.name)}"
    statements = [f"CREATE TABLE {name} (\n" + ",\n".join(f"  {item}" for item in items) + "\n)"]
    if table.comment is not None:
        statements.append(f"COMMENT ON TABLE {name} IS {literal(table.comment)}")
    statements += [
        f"COMMENT ON COLUMN {name}.{spelled(column.name)} IS {literal(column.comment)}"
        for column in table.columns
        if column.comment is not None
    ]
    return ";\n".join([*statements, *(index_text(table, index) for index in table.indexes)])


def owned_sequences(table: Table, catalog: Catalog) -> dict[int, Sequence]:
    """The sequences of a table's serial and identity columns, by the column's id."""
    owners = ((item.owned_by, item) for item in catalog.sequences())
    return {owner[1]: item for owner, item in owners if owner is not None and owner[0] == table.id}


def counting(sequence: Sequence | None) -> Counting:
    """Where a column's numbers start, and how they go on."""
    return Counting() if sequence is None else Counting(sequence.start, sequence.increment)


def _column(column: Column, sequence: Sequence | None) -> str:
    kind = column.declared or column.type
    required = " NOT NULL" if column.not_null else ""
    if column.generated is not None:
        return f"{spelled(column.name)} {kind} GENERATED ALWAYS AS ({column.generated}) STORED{required}"
    if column.identity:
        word = "ALWAYS" if column.identity == "a" else "BY DEFAULT"
        options = " ".join(_options(sequence)) if sequence is not None else ""
        made = f" GENERATED {word} AS IDENTITY" + (f" ({options})" if options else "")
        return f"{spelled(column.name)} {kind}{required}{made}"
    if sequence is not None and not any(_options(sequence)) and "nextval" in (column.default or "").lower():
        return f"{spelled(column.name)} {_SERIAL.get(column.type, kind)}{required}"
    default = f" DEFAULT {column.default}" if column.default is not None else ""
    return f"{spelled(column.name)} {kind}{required}{default}"


def _options(sequence: Sequence) -> Iterator[str]:
    limit, up = INTEGER_RANGE[sequence.type], sequence.increment > 0
    least, greatest = (1, limit) if up else (-limit - 1, -1)
    if sequence.start != (sequence.minimum if up else sequence.maximum):
        yield f"START WITH {sequence.start}"
    if sequence.increment != 1:
        yield f"INCREMENT BY {sequence.increment}"
    if sequence.minimum != least:
        yield f"MINVALUE {sequence.minimum}"
    if sequence.maximum != greatest:
        yield f"MAXVALUE {sequence.maximum}"
    if sequence.cycle:
        yield "CYCLE"
