"""Two tables or queries, on any two datasources, compared: which checks agree, and which rows do not.

Checks, by name; ``LIGHT`` is all that need one scan of each side, ``ALL`` adds the rows:

| check | what is compared | level |
|---|---|---|
| ``schema`` | columns by name, types by meaning | L0 |
| ``count`` | rows | L1 |
| ``nulls``, ``min_max``, ``sums``, ``octets`` | per column | L2 |
| ``distinct`` | different values per column | L2 |
| ``duplicate_keys`` | keys that repeat, on each side | L2 |
| ``fingerprint`` | all rows at once, in any order | L3 |
| ``rows`` | every row by key: missing, extra, changed with column names | L4 |

Rules:

1. Each side is one snapshot for all checks. A side that has none is said to have none, and what differs there is
   ``inconclusive``.
2. The verdict is code's: ``fail`` if a check failed, else ``inconclusive`` if one could not be judged, else
   ``pass``. A check nobody could run is never silently a pass.
3. Columns are paired by name. A column that one side lacks fails ``schema`` and takes no part in the rest.
4. Without a KEY the key is the primary key both sides share; without that, rows are compared by fingerprint.
5. Each side is read once: where its rows come here anyway, whatever its engine does not measure is measured, and
   different values and keys are counted, of the rows that come.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from migration.connectors.base import Connector, ReadColumn, Reader, Source
from migration.dialects import contract
from migration.dialects.quoting import quote_name
from migration.errors import MigrationError
from migration.measures.columns import (
    BatchMeasure,
    TableMeasure,
    differences,
    finished,
    measure_batches,
    measure_class,
)
from migration.measures.fingerprint import fingerprint_query
from migration.measures.sql import measure_query, measured_by, source_clause
from migration.model import ColumnSpec, TableSpec
from migration.reconcile.report import MEASURED, Report, Verdict, checks_of, readable
from migration.reconcile.rows import Comparison, Difference, Pair, Watch, compare
from migration.transfer_model import CheckResult
from migration.types import CanonicalType, byte_string

_GROUP = {"nonnull": "nulls", "min": "min_max", "max": "min_max", "infinite": "min_max", "sum": "sums"}


@dataclass(frozen=True, slots=True)
class Side:
    """One side: a datasource and what of it is compared."""

    connector: Connector
    source: Source

    @property
    def label(self) -> str:
        """Its name in reports."""
        return ".".join((self.connector.name, *self.source.path)) if self.source.path else self.connector.name


def reconcile(
    a: Side,
    b: Side,
    key: Sequence[str] = (),
    checks: Sequence[str] = ("all",),
    tolerance: float = 0.0,
    *,
    pushed: bool = False,
    watch: Watch | None = None,
) -> Report:
    """Compares ``a`` with ``b``. ``pushed`` lets the engines compute fingerprints instead of reading back."""
    chosen = checks_of(checks)
    with a.connector.reader() as left, b.connector.reader() as right:
        work = _Work((a, b), (left, right), tolerance, watch or Watch())
        return work.run(chosen, tuple(key), pushed=pushed)


def estimate(
    a: Side, b: Side, key: Sequence[str] = (), checks: Sequence[str] = ("all",)
) -> list[tuple[str, str, int | None]]:
    """What it would cost, before it costs it: (step, detail, rows), as EXPLAIN shows steps."""
    chosen = checks_of(checks)
    found: list[tuple[str, str, int | None]] = []
    with a.connector.reader() as left, b.connector.reader() as right:
        work = _Work((a, b), (left, right), 0.0, Watch())
        key = work.key(tuple(key), work.pairs())
        by = f"by key ({', '.join(key)})" if key else "as one fingerprint: no KEY names rows"
        if "rows" in chosen or "fingerprint" in chosen:
            found.append(
                ("compare", f"rows {by}" if "rows" in chosen else "one fingerprint of all rows", None)
            )
        compared = bool(set(chosen) & {"fingerprint", "rows"})
        for index, (side, reader) in enumerate(((a, left), (b, right))):
            rows = reader.count(side.source)
            measured = bool(set(chosen) & set(MEASURED))
            itself = measured and work.measures_itself(index)
            reads = int(compared or (measured and not itself))
            scans = int(itself) + int("distinct" in chosen and not compared)
            scans += int("duplicate_keys" in chosen and bool(key) and "rows" not in chosen)
            snapshot = "one snapshot" if reader.consistent else "no snapshot"
            found.append(("scan", f"{side.label}: {scans} scans by its engine, {snapshot}", rows * scans))
            come = "every row comes here to be compared" if reads else "no row comes here"
            found.append(("read", f"{side.label}: {come}", rows * reads))
    return found


class _Work:
    """One comparison: both sides, their readers and columns."""

    def __init__(
        self, sides: tuple[Side, Side], readers: tuple[Reader, Reader], tolerance: float, watch: Watch
    ) -> None:
        self.sides, self.readers, self.tolerance, self.watch = sides, readers, tolerance, watch
        self.tables = tuple(_table(side, reader) for side, reader in zip(sides, readers, strict=True))
        self.checks: list[CheckResult] = []

    def run(self, chosen: Sequence[str], key: tuple[str, ...], *, pushed: bool) -> Report:
        pairs = self.pairs()
        key = self.key(key, pairs)
        differing: tuple[Difference, ...] = ()
        if "schema" in chosen:
            self._schema(pairs)
        if "count" in chosen:
            counts = [r.count(s.source) for r, s in zip(self.readers, self.sides, strict=True)]
            self._add("count", "", counts[0] == counts[1], *map(str, counts))
        fingerprint = None
        reads = bool(set(chosen) & {"fingerprint", "rows"})
        if reads and pushed and not ("rows" in chosen and key):
            fingerprint = self._pushed_fingerprint(pairs)
        reads = reads and fingerprint is None
        measures = (
            [self._measure(side, pairs, reads=reads) for side in (0, 1)]
            if set(chosen) & set(MEASURED)
            else None
        )
        found = self._compared(pairs, key if "rows" in chosen else (), chosen, measures) if reads else None
        if measures is not None:
            self._measures(pairs, chosen, *map(_ended, measures))
        if "distinct" in chosen:
            self._distinct(pairs, found)
        if "duplicate_keys" in chosen and key:
            self._duplicates(key, found)
        if fingerprint is not None:
            self.checks.append(fingerprint)
        if found is not None:
            self.checks += [item for item in found.checks if item.check not in ("duplicate_key", "distinct")]
            differing = found.differences
        for side, reader in zip(self.sides, self.readers, strict=True):
            if not reader.consistent:
                self.checks.append(
                    CheckResult("snapshot", "", "inconclusive", detail=f"{side.label} has no snapshots")
                )
            self.checks += [
                CheckResult("snapshot", "", "inconclusive", detail=f"{side.label}: {note}")
                for note in reader.notes(side.source)
            ]
        return Report(tuple(self.checks), differing)

    def _add(self, check: str, column: str, passes: bool, one: str, other: str, detail: str = "") -> None:
        self.checks.append(CheckResult(check, column, "pass" if passes else "fail", one, other, detail))

    def key(self, key: tuple[str, ...], pairs: Sequence[Pair]) -> tuple[str, ...]:
        """The key that rows are compared by: ``key``, or the primary key both sides share."""
        shared = tuple(self.tables[0].primary_key)
        key = key or (shared if shared == tuple(self.tables[1].primary_key) else ())
        self._check_key(key, pairs)
        return key

    def pairs(self) -> list[Pair]:
        """The columns that both sides have."""
        left, right = self.tables
        found = []
        for column in left.columns:
            other = right.column(column.name)
            if other is not None:
                one, two = column.type, other.type
                # A String of ClickHouse holds bytes: beside a column of bytes it is one itself.
                if two.kind == "bytes" and self.sides[0].connector.dialect == "clickhouse":
                    one = byte_string() if one.kind == "text" else one
                if one.kind == "bytes" and self.sides[1].connector.dialect == "clickhouse":
                    two = byte_string() if two.kind == "text" else two
                found.append(Pair(column.name, one, two))
        if not found:
            raise MigrationError(
                "42703",
                f'"{self.sides[0].label}" and "{self.sides[1].label}" have no column in common',
                hint="Name the columns alike in a query: (SELECT a AS b FROM …).",
            )
        return found

    def _check_key(self, key: tuple[str, ...], pairs: Sequence[Pair]) -> None:
        names = {pair.name for pair in pairs}
        for name in key:
            if name not in names:
                raise MigrationError(
                    "42703", f'key column "{name}" is not on both sides', column=name, hint="KEY (columns)."
                )

    def _schema(self, pairs: Sequence[Pair]) -> None:
        named = {pair.name for pair in pairs}
        for table, other in ((self.tables[0], 0), (self.tables[1], 1)):
            for column in table.columns:
                if column.name not in named:
                    one, two = (str(column.type), None) if other == 0 else (None, str(column.type))
                    detail = f"only in {self.sides[other].label}"
                    self.checks.append(CheckResult("schema", column.name, "fail", one, two, detail))
        for pair in pairs:
            types = (str(pair.left), str(pair.right))
            detail = "" if types[0] == types[1] else f"compared as {pair.form}"
            self.checks.append(CheckResult("schema", pair.name, "pass", *types, detail))

    def _measures(
        self, pairs: Sequence[Pair], chosen: Sequence[str], left: TableMeasure, right: TableMeasure
    ) -> None:
        types = {pair.name: pair.left for pair in pairs}
        for name, column, agrees, one, other in differences(
            left, right, self.tolerance or 1e-9, self.tolerance
        ):
            group = _GROUP.get(name, name)
            if name == "rows" or group not in chosen:
                continue
            detail = ""
            if name == "nonnull":
                nulls = (left.rows - int(one), right.rows - int(other))
                shares = [
                    f"{n / rows:.2%}" for n, rows in zip(nulls, (left.rows, right.rows), strict=True) if rows
                ]
                agrees, (one, other), detail = nulls[0] == nulls[1], map(str, nulls), ", ".join(shares)
            elif name in ("min", "max"):
                one, other = (readable(text, types[column]) for text in (one, other))
            self._add(name if name in ("min", "max") else group, column, agrees, one, other, detail)

    def measures_itself(self, index: int) -> bool:
        """Whether a side's engine adds its columns up, or its rows have to come here for it."""
        side = self.sides[index]
        columns = self._columns(index, self.pairs())
        return measure_query(side.connector.dialect, side.source, columns) is not None

    def _measure(self, index: int, pairs: Sequence[Pair], *, reads: bool) -> TableMeasure | BatchMeasure:
        """A side's measure by its engine, or of its rows: those that will come (``reads``), or read for it."""
        self.watch.check()
        side, reader = self.sides[index], self.readers[index]
        columns = self._columns(index, pairs)
        found = measured_by(reader.row, side.connector.dialect, side.source, columns)
        if found is not None:
            return found
        return BatchMeasure(columns) if reads else measure_batches(self._stream(index, pairs), columns)

    def _compared(
        self,
        pairs: Sequence[Pair],
        key: tuple[str, ...],
        chosen: Sequence[str],
        measures: Sequence[TableMeasure | BatchMeasure] | None,
    ) -> Comparison:
        """Every row of both sides, read once."""
        left, right = self._stream(0, pairs), self._stream(1, pairs)
        if measures is not None:
            left, right = _passing(left, measures[0]), _passing(right, measures[1])
        counted = [pair.name for pair in _comparable(pairs, self.tolerance)] if "distinct" in chosen else []
        return compare(left, right, pairs, key, self.tolerance, distinct=counted, watch=self.watch)

    def _distinct(self, pairs: Sequence[Pair], found: Comparison | None) -> None:
        if found is not None:
            self.checks += [check for check in found.checks if check.check == "distinct"]
            return
        comparable = _comparable(pairs, self.tolerance)
        counts = []
        for side, reader in zip(self.sides, self.readers, strict=True):
            item = contract(side.connector.dialect)
            listed = ", ".join(
                f"count(DISTINCT {quote_name(pair.name, item)}) AS d{i}" for i, pair in enumerate(comparable)
            )
            if not listed:
                return
            counts.append(reader.row(f"SELECT {listed} FROM {source_clause(side.source, item.name)}"))
        for pair, one, other in zip(comparable, *counts, strict=True):
            self._add("distinct", pair.name, int(one) == int(other), str(one), str(other))

    def _duplicates(self, key: tuple[str, ...], found: Comparison | None) -> None:
        label = ", ".join(key)
        for check in found.checks if found is not None else ():
            if check.check == "duplicate_key":
                self.checks.append(replace(check, check="duplicate_keys"))
                return
        counts = []
        for side, reader in zip(self.sides, self.readers, strict=True):
            item = contract(side.connector.dialect)
            names = ", ".join(quote_name(name, item) for name in key)
            (count,) = reader.row(
                f"SELECT count(*) AS n FROM (SELECT {names} FROM {source_clause(side.source, item.name)} "
                f"GROUP BY {names} HAVING count(*) > 1) AS bough_keys"
            )
            counts.append(int(count))
        self._add("duplicate_keys", label, not any(counts), str(counts[0]), str(counts[1]))

    def _columns(self, index: int, pairs: Sequence[Pair]) -> list[tuple[str, CanonicalType]]:
        return [(pair.name, pair.left if index == 0 else pair.right) for pair in pairs]

    def _stream(self, index: int, pairs: Sequence[Pair]) -> Iterator[pa.RecordBatch]:
        reads = [ReadColumn(name, type_) for name, type_ in self._columns(index, pairs)]
        for batch in self.readers[index].read(self.sides[index].source, reads):
            self.watch.check()
            yield batch

    def _pushed_fingerprint(self, pairs: Sequence[Pair]) -> CheckResult | None:
        """By the engines; None where one has no recipe for it."""
        found = []
        for index, (side, reader) in enumerate(zip(self.sides, self.readers, strict=True)):
            columns = self._columns(index, pairs)
            forms = [max(pair.left, pair.right, key=lambda type_: type_.scale or 0) for pair in pairs]
            query = fingerprint_query(side.connector.dialect, side.source, columns, forms)
            if query is None:
                return None
            table = reader.fetch(query)
            found.append(":".join(str(table.column(number)[0].as_py()) for number in range(3)))
        agrees: Verdict = "pass" if found[0] == found[1] else "fail"
        return CheckResult("fingerprint", "", agrees, found[0], found[1], "computed by the engines")


def _passing(
    batches: Iterator[pa.RecordBatch], measure: TableMeasure | BatchMeasure
) -> Iterator[pa.RecordBatch]:
    """The same batches; what no engine has measured takes them in."""
    for batch in batches:
        if isinstance(measure, BatchMeasure):
            measure.add(batch)
        yield batch


def _ended(measure: TableMeasure | BatchMeasure) -> TableMeasure:
    return finished(measure) if isinstance(measure, BatchMeasure) else measure


def _comparable(pairs: Sequence[Pair], tolerance: float) -> list[Pair]:
    """Columns whose different values can be counted on both sides; floats that are nearly equal cannot."""
    return [
        pair
        for pair in pairs
        if measure_class(pair.left) == measure_class(pair.right) != "opaque"
        and pair.left.kind != "list"
        and not (tolerance and pair.form == "float")
    ]


def _table(side: Side, reader: Reader) -> TableSpec:
    columns: tuple[ColumnSpec, ...]
    if side.source.path:
        return side.connector.describe(side.source.path).spec
    columns = reader.describe(side.source)
    return TableSpec(("query",), columns, dialect=side.connector.dialect)
