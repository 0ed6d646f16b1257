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
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from migration.connectors.base import Connector, ReadColumn, Reader, Source
from migration.connectors.texts import date_text, moment_text
from migration.ddl_quoting import quote_name
from migration.dialects import contract
from migration.errors import MigrationError
from migration.fingerprint import fingerprint_query
from migration.measures import TableMeasure, differences, measure_batches, measure_class
from migration.measures_sql import measured_by, source_clause
from migration.model import ColumnSpec, TableSpec
from migration.rows import Difference, Pair, compare
from migration.transfer_model import CheckResult
from migration.types import CanonicalType, byte_string

LIGHT = ("schema", "count", "nulls", "min_max", "sums", "octets")
CHECKS = (*LIGHT, "distinct", "duplicate_keys", "fingerprint", "rows")
_LEVELS = {
    "l0": ("schema",),
    "l1": ("schema", "count"),
    "l2": LIGHT,
    "l3": (*LIGHT, "fingerprint"),
    "l4": (*LIGHT, "duplicate_keys", "rows"),
}
_GROUP = {"nonnull": "nulls", "min": "min_max", "max": "min_max", "infinite": "min_max", "sum": "sums"}
Verdict = Literal["pass", "fail", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Side:
    """One side: a datasource and what of it is compared."""

    connector: Connector
    source: Source

    @property
    def label(self) -> str:
        """Its name in reports."""
        return ".".join((self.connector.name, *self.source.path)) if self.source.path else self.connector.name


@dataclass(frozen=True, slots=True)
class Report:
    """The answer: a row for each check, the verdict, and samples of the rows that differ."""

    checks: tuple[CheckResult, ...]
    differences: tuple[Difference, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst of all checks."""
        found = {check.verdict for check in self.checks}
        return "fail" if "fail" in found else "inconclusive" if "inconclusive" in found else "pass"

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not a pass."""
        return tuple(
            f"{check.check}{f' of {check.column}' if check.column else ''}: "
            f"{check.detail or f'{check.source} <> {check.target}'}"
            for check in self.checks
            if check.verdict != "pass"
        )

    def rows(self) -> list[tuple[str, str, str | None, str | None, str, str]]:
        """As RECONCILE shows it: check, column, source, target, status, detail; the verdict last."""
        shown: list[tuple[str, str, str | None, str | None, str, str]] = [
            (check.check, check.column, check.source, check.target, str(check.verdict), check.detail)
            for check in self.checks
        ]
        shown += [
            (
                f"row {item.kind}",
                ", ".join(item.columns),
                item.left or None,
                item.right or None,
                "fail",
                f"key ({item.key})",
            )
            for item in self.differences
        ]
        return [*shown, ("verdict", "", None, None, self.verdict, "; ".join(self.reasons))]


def checks_of(names: Sequence[str]) -> tuple[str, ...]:
    """``all``, ``light``, a level or single checks, as their names in order; 22023 for what is none."""
    chosen: set[str] = set()
    for name in names:
        folded = name.strip().lower()
        if folded in ("", "all"):
            chosen |= set(CHECKS)
        elif folded == "light":
            chosen |= set(LIGHT)
        elif folded in _LEVELS:
            chosen |= set(_LEVELS[folded])
        elif folded in CHECKS:
            chosen.add(folded)
        else:
            raise MigrationError(
                "22023",
                f'no check "{name}"',
                hint=f"The checks are ALL, LIGHT, L0 to L4, {', '.join(CHECKS)}.",
            )
    return tuple(check for check in CHECKS if check in chosen)


def reconcile(
    a: Side,
    b: Side,
    key: Sequence[str] = (),
    checks: Sequence[str] = ("all",),
    tolerance: float = 0.0,
    *,
    pushed: bool = False,
) -> Report:
    """Compares ``a`` with ``b``. ``pushed`` lets the engines compute fingerprints instead of reading back."""
    chosen = checks_of(checks)
    with a.connector.reader() as left, b.connector.reader() as right:
        work = _Work((a, b), (left, right), tolerance)
        return work.run(chosen, tuple(key), pushed=pushed)


def estimate(
    a: Side, b: Side, key: Sequence[str] = (), checks: Sequence[str] = ("all",)
) -> list[tuple[str, str, int | None]]:
    """What it would cost, before it costs it: (step, detail, rows), as EXPLAIN shows steps."""
    chosen = checks_of(checks)
    found: list[tuple[str, str, int | None]] = []
    with a.connector.reader() as left, b.connector.reader() as right:
        work = _Work((a, b), (left, right), 0.0)
        key = work.key(tuple(key), work.pairs())
        by = f"by key ({', '.join(key)})" if key else "as one fingerprint: no KEY names rows"
        if "rows" in chosen or "fingerprint" in chosen:
            found.append(
                ("compare", f"rows {by}" if "rows" in chosen else "one fingerprint of all rows", None)
            )
        for side, reader in ((a, left), (b, right)):
            rows = reader.count(side.source)
            scans = int(bool(set(chosen) & {"nulls", "min_max", "sums", "octets"}))
            scans += int("distinct" in chosen) + int("duplicate_keys" in chosen and bool(key))
            reads = int("rows" in chosen or "fingerprint" in chosen)
            snapshot = "one snapshot" if reader.consistent else "no snapshot"
            found.append(("scan", f"{side.label}: {scans} scans by its engine, {snapshot}", rows * scans))
            come = "every row comes here to be compared" if reads else "no row comes here"
            found.append(("read", f"{side.label}: {come}", rows * reads))
    return found


class _Work:
    """One comparison: both sides, their readers and columns."""

    def __init__(self, sides: tuple[Side, Side], readers: tuple[Reader, Reader], tolerance: float) -> None:
        self.sides, self.readers, self.tolerance = sides, readers, tolerance
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
        if set(chosen) & {"nulls", "min_max", "sums", "octets"}:
            self._measures(pairs, chosen)
        if "distinct" in chosen:
            self._distinct(pairs)
        if "duplicate_keys" in chosen and key:
            self._duplicates(key)
        if "rows" in chosen and key:
            compared = compare(*self._streams(pairs), pairs, key, self.tolerance)
            self.checks += [check for check in compared.checks if check.check != "duplicate_key"]
            differing = compared.differences
        elif set(chosen) & {"fingerprint", "rows"} and not (pushed and self._pushed_fingerprint(pairs)):
            self.checks += compare(*self._streams(pairs), pairs, (), self.tolerance).checks
        for side, reader in zip(self.sides, self.readers, strict=True):
            if not reader.consistent:
                self.checks.append(
                    CheckResult("snapshot", "", "inconclusive", detail=f"{side.label} has no snapshots")
                )
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

    def _measures(self, pairs: Sequence[Pair], chosen: Sequence[str]) -> None:
        left, right = self._measure(0, pairs), self._measure(1, pairs)
        types = {pair.name: pair.left for pair in pairs}
        for name, column, agrees, one, other in differences(left, right, self.tolerance or 1e-9):
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
                one, other = (_readable(text, types[column]) for text in (one, other))
            self._add(name if name in ("min", "max") else group, column, agrees, one, other, detail)

    def _measure(self, index: int, pairs: Sequence[Pair]) -> TableMeasure:
        side, reader = self.sides[index], self.readers[index]
        columns = [(pair.name, pair.left if index == 0 else pair.right) for pair in pairs]
        found = measured_by(reader.row, side.connector.dialect, side.source, columns)
        if found is not None:
            return found
        reads = [ReadColumn(name, type_) for name, type_ in columns]
        return measure_batches(reader.read(side.source, reads), columns)

    def _distinct(self, pairs: Sequence[Pair]) -> None:
        comparable = [
            pair
            for pair in pairs
            if measure_class(pair.left) == measure_class(pair.right) != "opaque" and pair.left.kind != "list"
        ]
        counts = []
        for side, reader in zip(self.sides, self.readers, strict=True):
            item = contract(side.connector.dialect)
            listed = ", ".join(
                f"count(DISTINCT {quote_name(pair.name, item)}) AS d{i}" for i, pair in enumerate(comparable)
            )
            if not listed:
                return
            table = reader.fetch(f"SELECT {listed} FROM {source_clause(side.source, item.name)}")
            counts.append([int(table.column(i)[0].as_py()) for i in range(len(comparable))])
        for pair, one, other in zip(comparable, *counts, strict=True):
            self._add("distinct", pair.name, one == other, str(one), str(other))

    def _duplicates(self, key: tuple[str, ...]) -> None:
        counts = []
        for side, reader in zip(self.sides, self.readers, strict=True):
            item = contract(side.connector.dialect)
            names = ", ".join(quote_name(name, item) for name in key)
            table = reader.fetch(
                f"SELECT count(*) AS n FROM (SELECT {names} FROM {source_clause(side.source, item.name)} "
                f"GROUP BY {names} HAVING count(*) > 1) AS bough_keys"
            )
            counts.append(int(table.column(0)[0].as_py()))
        self._add("duplicate_keys", ", ".join(key), not any(counts), str(counts[0]), str(counts[1]))

    def _streams(self, pairs: Sequence[Pair]) -> tuple[Iterator[pa.RecordBatch], Iterator[pa.RecordBatch]]:
        left, right = (
            reader.read(
                side.source,
                [ReadColumn(pair.name, pair.left if index == 0 else pair.right) for pair in pairs],
            )
            for index, (side, reader) in enumerate(zip(self.sides, self.readers, strict=True))
        )
        return left, right

    def _pushed_fingerprint(self, pairs: Sequence[Pair]) -> bool:
        """True if both engines could say their fingerprint."""
        found = []
        for index, (side, reader) in enumerate(zip(self.sides, self.readers, strict=True)):
            columns = [(pair.name, pair.left if index == 0 else pair.right) for pair in pairs]
            forms = [max(pair.left, pair.right, key=lambda type_: type_.scale or 0) for pair in pairs]
            query = fingerprint_query(side.connector.dialect, side.source, columns, forms)
            if query is None:
                return False
            table = reader.fetch(query)
            found.append(":".join(str(table.column(number)[0].as_py()) for number in range(3)))
        self._add("fingerprint", "", found[0] == found[1], found[0], found[1], "computed by the engines")
        return True


def _readable(text: str, type_: CanonicalType) -> str:
    """The least or greatest of a column as people write it: measures of moments are nanoseconds, of dates days."""
    if not text.lstrip("-").isdigit() or type_.kind not in ("date", "timestamp", "instant", "time"):
        return text
    if type_.kind == "date":
        return date_text(int(text))
    moment = moment_text(int(text), "ns")
    whole, dot, fraction = moment.partition(".")
    shown = whole + (f".{fraction.rstrip('0')}" if dot and fraction.strip("0") else "")
    return shown.partition(" ")[2] if type_.kind == "time" else shown


def _table(side: Side, reader: Reader) -> TableSpec:
    columns: tuple[ColumnSpec, ...]
    if side.source.path:
        return side.connector.describe(side.source.path).spec
    columns = reader.describe(side.source)
    return TableSpec(("query",), columns, dialect=side.connector.dialect)
