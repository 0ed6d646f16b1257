"""Whether staging holds what the source has, asked before anything is published.

Levels, each with those before it:

- L0: the target acknowledged as many rows as were sent.
- L1: staging counts as many rows as the source in its snapshot.
- L2: per column: values that are not NULL, least, greatest, exact sum, octets: what the source's engine measured
  against what the target's engine says it holds. What passes through our hands is measured too where the source's
  engine cannot say what the target must hold, or where the two disagree.
- L3: an order-independent fingerprint of all rows on both sides.
- L4: every row by its key; the differing ones are named.

Rules:

1. A verdict is ``pass``, ``fail`` or ``inconclusive``, and comes from code. ``fail`` blocks publication.
2. Columns whose loss was allowed are compared behind the transform only, not with the source's own measures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from migration.connectors.base import Path as TablePath
from migration.connectors.base import ReadColumn, Source, Writer
from migration.dialects import contract
from migration.dialects.quoting import quote_name, quote_path
from migration.errors import MigrationError
from migration.measures.columns import TableMeasure, differences, measure_batches, measure_class
from migration.measures.sql import measured_by
from migration.reconcile.rows import Comparison, compare
from migration.transfer.plan import TransferPlan
from migration.transfer_model import CheckResult
from migration.values.transform import Transform

LEVEL_OF = {"L0": 0, "L1": 1, "L2": 2, "L3": 3, "L4": 4}


def verify(
    item: TransferPlan,
    writer: Writer,
    staging: TablePath,
    sent: int,
    acknowledged: int,
    passed: TableMeasure | None,
    level: str,
) -> tuple[CheckResult, ...]:
    """All checks up to ``level``. ``passed`` is None where earlier pieces were moved by another process."""
    depth = LEVEL_OF[level]
    checks = [_same("acknowledged", sent, acknowledged)]
    if depth >= 2:  # one scan: it counts too
        checks += _measures(item, writer, staging, passed)
    elif depth == 1:
        checks.append(_same("count", item.rows, writer.count(staging)))
    checks += _keys(item, writer, staging)
    if depth >= 3:
        checks += _rows(item, writer, staging, by_key=depth >= 4)
    return tuple(checks)


_KEYS = {
    "key_missing": ("23502", "rows of the source have no key ({key})", "Rows with a NULL in it: {count}."),
    "duplicate_key": ("21000", "the key ({key}) is not unique in the source", "Keys that repeat: {count}."),
}


def verdict(checks: Sequence[CheckResult]) -> str:
    """The worst of all."""
    found = {check.verdict for check in checks}
    return "fail" if "fail" in found else "inconclusive" if "inconclusive" in found else "pass"


def raise_failed(item: TransferPlan, checks: Sequence[CheckResult]) -> None:
    """VT002 if one check failed; its DETAIL names them all. 23502 or 21000 if the rows are those of the source, and
    their keys are none."""
    failed = [check for check in checks if check.verdict == "fail"]
    if not failed:
        return
    if all(check.check in _KEYS for check in failed):
        raise _no_key(failed[0])
    lines = []
    for check in failed:
        column = f' of "{check.column}"' if check.column else ""
        sides = f": source {check.source}, target {check.target}" if check.source is not None else ""
        lines.append(f"{check.check}{column}{sides}{'; ' + check.detail if check.detail else ''}")
    raise MigrationError(
        "VT002",
        f'the rows staged for "{item.request.target_label}" are not those of the source',
        detail="\n".join(lines),
        hint="Nothing was published. EXPLAIN TRANSFER shows how each column is moved.",
    )


def _no_key(check: CheckResult) -> MigrationError:
    state, message, detail = _KEYS[check.check]
    return MigrationError(
        state,
        message.format(key=check.column),
        detail=detail.format(count=check.target),
        hint="Nothing was published. Choose another KEY, or leave these rows out in a query: TRANSFER (SELECT ...).",
    )


def _same(name: str, source: int, target: int) -> CheckResult:
    return CheckResult(name, "", "pass" if source == target else "fail", str(source), str(target))


def _types(item: TransferPlan) -> list[tuple[str, object]]:
    return [(column.name, column.target) for column in item.columns]


def staged_measure(item: TransferPlan, writer: Writer, staging: TablePath) -> TableMeasure:
    """What staging adds up to, by its engine or, where that was never checked, read back."""
    columns = [(column.name, column.target) for column in item.columns]
    expected = None if writer.in_transaction else _own(item)
    found = measured_by(writer.row, item.target.dialect, Source(path=staging), columns, expected)
    if found is not None:
        return found
    return measure_batches(read_staging(item, writer, staging), columns)


def read_staging(item: TransferPlan, writer: Writer, staging: TablePath) -> Iterator[pa.RecordBatch]:
    """Staging's rows in the form they were sent; by the writer where nobody else can see them."""
    columns = [ReadColumn(column.name, column.target) for column in item.columns]
    own = writer.read_staging(staging, columns)
    if own is not None:
        yield from own
        return
    with item.target.reader() as reader:
        yield from reader.read(Source(path=staging), columns)


def read_source(item: TransferPlan) -> Iterator[pa.RecordBatch]:
    """The source's rows once more, from the same snapshot, in the form they are sent."""
    transform = Transform([column.form for column in item.columns])
    try:
        for batch in item.reader.read(item.read_source, [column.read_column for column in item.columns]):
            yield transform(batch)
    finally:
        transform.close()


def measured_on_the_way(item: TransferPlan) -> frozenset[str]:
    """The columns that are measured as they pass: those whose source's own measure does not say what the target must
    hold, because they are cast, or the source's engine does not measure itself."""
    if LEVEL_OF[item.request.options.verify] < 2:
        return frozenset()
    own = _own(item)
    return frozenset(
        column.name
        for column in item.columns
        if own is None
        or column.name not in own.columns
        or own.columns[column.name][0] != measure_class(column.target)
    )


def _own(item: TransferPlan) -> TableMeasure | None:
    """What the source's engine measured of the columns that move as they are."""
    own = item.profile.measure
    if own is None:
        return None
    changed = {column.name for column in item.columns if column.form.lossy or column.expression}
    return TableMeasure(own.rows, {name: each for name, each in own.columns.items() if name not in changed})


def _measures(
    item: TransferPlan, writer: Writer, staging: TablePath, passed: TableMeasure | None
) -> list[CheckResult]:
    staged = staged_measure(item, writer, staging)
    columns = [(column.name, column.target) for column in item.columns]
    checks = [_same("count", item.rows, staged.rows)]
    on_the_way = measured_on_the_way(item)
    if passed is None and on_the_way:
        passed = measure_batches(read_source(item), columns, on_the_way)
    if passed is not None:
        checks += _compared(passed, staged, item, "")
    own = _own(item)
    if own is not None:
        found = _compared(own, staged, item, "source_")
        doubtful = {check.column for check in found if check.verdict == "fail"} - on_the_way
        if doubtful - {""}:  # whose fault: the reader's if what it gives now is what the target holds
            checks += _compared(measure_batches(read_source(item), columns, doubtful), staged, item, "")
        checks += found
    return checks


def _compared(left: TableMeasure, right: TableMeasure, item: TransferPlan, prefix: str) -> list[CheckResult]:
    """One row for each column that agrees, one for each measure that does not."""
    checks = []
    agreeing: dict[str, list[str]] = {}
    for measure, column, agrees, one, other in differences(left, right, item.request.options.tolerance):
        if agrees:
            agreeing.setdefault(column, []).append(measure)
        else:
            checks.append(CheckResult(prefix + measure, column, "fail", one, other))
    for column, measures in agreeing.items():
        checks.append(CheckResult(f"{prefix}measures", column, "pass", detail=", ".join(measures)))
    return checks


def _keys(item: TransferPlan, writer: Writer, staging: TablePath) -> list[CheckResult]:
    """Duplicate and missing keys, where publishing or the engine would not notice."""
    key = item.request.key
    if not key:
        return []
    dialect = contract(item.target.dialect)
    names = ", ".join(quote_name(name, dialect) for name in key)
    table = quote_path(staging, dialect)
    missing = " OR ".join(f"{quote_name(name, dialect)} IS NULL" for name in key)
    found = writer.fetch(f"SELECT count(*) AS n FROM {table} WHERE {missing}").column(0)[0].as_py()
    doubles = (
        writer.fetch(
            f"SELECT count(*) AS n FROM (SELECT {names} FROM {table} GROUP BY {names} HAVING count(*) > 1) AS d"
        )
        .column(0)[0]
        .as_py()
    )
    label = ", ".join(key)
    return [
        CheckResult("key_missing", label, "fail" if found else "pass", "0", str(found)),
        CheckResult("duplicate_key", label, "fail" if doubles else "pass", "0", str(doubles)),
    ]


def _rows(item: TransferPlan, writer: Writer, staging: TablePath, *, by_key: bool) -> list[CheckResult]:
    key = item.request.key or item.source_table.primary_key
    columns = [(column.name, column.target) for column in item.columns]
    found: Comparison = compare(
        read_source(item), read_staging(item, writer, staging), columns, key if by_key else ()
    )
    return list(found.checks)
