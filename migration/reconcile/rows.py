"""Two streams of rows compared by one process: a fingerprint of each, or the rows that differ by key.

Rules:

1. Both sides are brought to one form per column before they are compared (``Pair``): numbers as numbers whatever
   their type, instants and UTC wall clocks as one clock, JSON by its meaning, anything with text as text.
2. Reading back both sides and joining them here is faster than asking the engines for digests row by row unless
   the network is slow, and it names the columns. DuckDB does the join and spills to disk if it must.
3. A fingerprint is the number of rows and the sum of row hashes: the order of rows has no part in it. It is
   never stored, because the hash belongs to one version of DuckDB.
4. Floats are equal within the tolerance, NaN equals NaN, -0 equals 0.
5. What else the rows tell is asked of them while they are here (``distinct``): another scan by an engine costs more,
   and counts as that engine's collation has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from migration.connectors.arrow import arrow_type
from migration.connectors.duckdb_forms import plain_type
from migration.errors import MigrationError
from migration.local_engine import EngineError, EngineStopped, open_engine
from migration.measures.columns import measure_class
from migration.scratch import Scratch
from migration.transfer_model import CheckResult
from migration.types import CanonicalType
from migration.values.json_meaning import canonical_json, canonical_value
from migration.values.transform import text_expression

SAMPLES = 100
_WHOLE = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_NUMBERS = ("int", "decimal", "wide", "bool")


@dataclass(frozen=True, slots=True)
class Pair:
    """A column of both sides: its name and both canonical types. ``exact``: a whole number is no float next to it."""

    name: str
    left: CanonicalType
    right: CanonicalType
    exact: bool = False

    @property
    def form(self) -> str:
        """The common form: number, float, clock, json, text, or the kind both have."""
        sides = [(type_, measure_class(type_)) for type_ in (self.left, self.right)]
        floats = [kind == "float" for _, kind in sides]
        numbers = [kind in _NUMBERS or type_.kind == "decimal" for type_, kind in sides]
        if all(numbers):
            return "number"
        if all(one or other for one, other in zip(floats, numbers, strict=True)):
            whole = any(type_.kind in (*_WHOLE, "int128", "uint128") for type_, _ in sides)
            return "number" if self.exact and whole else "float"
        same = self.left.kind == self.right.kind
        if same and self.left.kind in ("bytes", "list", "date", "interval"):
            return self.left.kind
        if all(type_.kind in ("date", "timestamp", "instant") for type_ in (self.left, self.right)):
            return "clock"
        # A list beside a text: as JSON, which is how it is stored there.
        json_like = ("json", "struct", "map", "list")
        if self.left.kind in json_like or self.right.kind in json_like:
            return "json"
        return "text"

    def whole(self, column: str) -> str | None:
        """SQL for a number that is whole on both sides, where a text would take twice the room; else None."""
        kinds = {self.left.kind, self.right.kind}
        if not kinds <= {"bool", *_WHOLE} or kinds == {"bool"}:
            return None
        return f"{column}::{'HUGEINT' if 'uint64' in kinds else 'BIGINT'}"


@dataclass(frozen=True, slots=True)
class Difference:
    """One row that differs. ``kind`` is missing (not on the right), extra or changed."""

    kind: str
    key: str
    columns: tuple[str, ...] = ()
    left: str = ""
    right: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was found; ``differences`` holds samples, the counts in ``checks`` are complete."""

    checks: tuple[CheckResult, ...]
    differences: tuple[Difference, ...] = ()


@dataclass(slots=True)
class Watch:
    """How a comparison is stopped: ``cancelled`` is asked between batches and steps, ``interrupt`` (from any thread)
    ends the step that runs here."""

    cancelled: Callable[[], bool] = lambda: False
    engine: Any = None

    def check(self) -> None:
        """57014 if nobody wants the answer any more."""
        if self.cancelled():
            raise _cancelled()

    def interrupt(self) -> None:
        """Ends what the engine here does."""
        engine = self.engine
        if engine is not None:
            engine.interrupt()


def _cancelled() -> MigrationError:
    return MigrationError("57014", "the comparison was cancelled")


def compare(
    left: Iterable[pa.RecordBatch],
    right: Iterable[pa.RecordBatch],
    columns: Sequence[tuple[str, CanonicalType]] | Sequence[Pair],
    key: Sequence[str] = (),
    tolerance: float = 0.0,
    samples: int = SAMPLES,
    distinct: Sequence[str] = (),
    watch: Watch | None = None,
) -> Comparison:
    """With a key every row is compared, else the fingerprints of both sides. ``distinct`` names columns whose different
    values are counted too."""
    given = (item if isinstance(item, Pair) else Pair(item[0], item[1], item[1]) for item in columns)
    pairs = [replace(pair, exact=not tolerance) for pair in given]
    watch = watch or Watch()
    with (
        Scratch() as scratch,
        open_engine(str(scratch.path)) as watch.engine,
    ):
        try:
            return _compared(watch, (left, right), pairs, key, tolerance, samples, distinct)
        except EngineStopped:
            raise _cancelled() from None
        finally:
            watch.engine = None


def _compared(
    watch: Watch,
    sides: tuple[Iterable[pa.RecordBatch], Iterable[pa.RecordBatch]],
    pairs: Sequence[Pair],
    key: Sequence[str],
    tolerance: float,
    samples: int,
    distinct: Sequence[str],
) -> Comparison:
    engine = watch.engine
    engine.execute("SET preserve_insertion_order = false")
    counts = []
    for table, batches in zip(("l", "r"), sides, strict=True):
        _load(engine, table, batches, pairs, left_side=table == "l")
        watch.check()
        counts.append(_distinct(engine, table, pairs, distinct))
    checks = [
        CheckResult("distinct", name, "pass" if one == other else "fail", str(one), str(other))
        for name, one, other in zip(distinct, *counts, strict=True)
    ]
    watch.check()
    found = (
        _by_key(engine, pairs, tuple(key), tolerance, samples)
        if key
        else _by_fingerprint(engine, pairs, tolerance)
    )
    return Comparison((*checks, *found.checks), found.differences)


def _load(
    engine: Any,
    table: str,
    batches: Iterable[pa.RecordBatch],
    pairs: Sequence[Pair],
    *,
    left_side: bool,
) -> None:
    """The rows of one side as a table. What reading them raises is raised as it is, not as the engine puts it."""
    types = [pair.left if left_side else pair.right for pair in pairs]
    forms = [pair.form for pair in pairs]
    schema = pa.schema(
        [
            pa.field(f"c{i}", pa.string() if form == "json" else plain_type(arrow_type(type_)))
            for i, (type_, form) in enumerate(zip(types, forms, strict=True))
        ]
    )
    raised: list[Exception] = []

    def watched() -> Iterator[pa.RecordBatch]:
        try:
            yield from _renamed(batches, schema, forms)
        except Exception as error:
            raised.append(error)
            raise

    engine.register("incoming", pa.RecordBatchReader.from_batches(schema, watched()))
    selected = ", ".join(
        f"{pair.whole(f'c{i}') or _common(f'c{i}', type_, pair.form)} AS c{i}"
        for i, (type_, pair) in enumerate(zip(types, pairs, strict=True))
    )
    try:
        engine.execute(f"CREATE TABLE {table} AS SELECT {selected} FROM incoming")
    except EngineError:
        if raised:
            raise raised[0] from None
        raise
    engine.unregister("incoming")


def _distinct(engine: Any, table: str, pairs: Sequence[Pair], names: Sequence[str]) -> list[int]:
    """Different values of each column, one column at a time: the values of all would be in memory together."""
    places = [pair.name for pair in pairs]
    asked = (f"SELECT count(DISTINCT c{places.index(name)}) FROM {table}" for name in names)
    return [int(engine.execute(text).fetchall()[0][0]) for text in asked]


def _renamed(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, forms: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        arrays = []
        for array, field, form in zip(batch.columns, schema, forms, strict=True):
            if pa.types.is_decimal256(array.type):
                array = pa.array([None if v is None else f"{v:f}" for v in array.to_pylist()], pa.string())
            if form == "json":
                speak = canonical_json if pa.types.is_string(array.type) else canonical_value
                array = pa.array([speak(value) for value in array.to_pylist()], pa.string())
            arrays.append(array if array.type == field.type else array.cast(field.type))
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _common(column: str, type_: CanonicalType, form: str) -> str:
    if form == "float":
        return f"{column}::DOUBLE + 0.0"
    if form == "number" and type_.kind in ("float32", "float64"):
        float_ = f"{column}::DOUBLE"
        whole = f"{float_} = trunc({float_}) AND abs({float_}) < 1.7e38"
        return f"CASE WHEN {whole} THEN {float_}::HUGEINT::VARCHAR ELSE {float_}::VARCHAR END"
    if form == "number":
        text = f"{column}::INTEGER::VARCHAR" if type_.kind == "bool" else f"{column}::VARCHAR"
        trimmed = f"rtrim(rtrim({text}, '0'), '.')"
        return f"CASE WHEN contains({text}, '.') THEN {trimmed} ELSE {text} END"
    if form == "clock":
        ns = (type_.precision or 0) > 6
        if type_.kind == "instant":
            return f"({column} AT TIME ZONE 'UTC')"
        return column if ns else f"{column}::TIMESTAMP"
    if form == "list" and type_.innermost.kind == "interval":
        return _listed(column, type_)
    if form in ("json", "bytes", "list", "date"):
        return column
    if form == "interval":
        return _interval(column)
    if type_.fixed:
        return f"rtrim({column}::VARCHAR, ' ')"
    return text_expression(column, type_.kind)


def _interval(column: str) -> str:
    """Text to text: an interval's equality takes a month for 30 days."""
    return f"replace({column}::VARCHAR, '+', '')::INTERVAL::VARCHAR"


def _listed(column: str, type_: CanonicalType, depth: int = 0) -> str:
    if type_.element is None:
        return _interval(column)
    item = f"x{depth}"
    return f"list_transform({column}, lambda {item}: {_listed(item, type_.element, depth + 1)})"


def _by_fingerprint(engine: Any, pairs: Sequence[Pair], tolerance: float) -> Comparison:
    hashed = [f"c{i}" for i, pair in enumerate(pairs) if not (tolerance and pair.form == "float")]
    row = f"hash({', '.join(hashed)})" if hashed else "0::UBIGINT"
    found = [
        engine.execute(f"SELECT count(*), coalesce(sum({row}::HUGEINT), 0) FROM {table}").fetchall()[0]
        for table in ("l", "r")
    ]
    agrees = found[0] == found[1]
    texts = [f"{rows}:{total:x}" for rows, total in found]
    detail = "" if agrees else "KEY (columns) names the rows that differ"
    checks = [CheckResult("fingerprint", "", "pass" if agrees else "fail", texts[0], texts[1], detail)]
    return Comparison(tuple(checks))


def _differs(index: int, pair: Pair, tolerance: float) -> str:
    left, right = f"l.c{index}", f"r.c{index}"
    if tolerance and pair.form == "float":
        # An infinite or NaN difference is no greater than an infinite or NaN bound.
        close = f"abs({left} - {right}) <= {tolerance!r} * greatest(abs({left}), abs({right}), 1e-300)"
        close = f"isfinite({left}) AND isfinite({right}) AND {close}"
        return f"({left} IS DISTINCT FROM {right} AND NOT coalesce({close}, false))"
    return f"({left} IS DISTINCT FROM {right})"


def _by_key(
    engine: Any,
    pairs: Sequence[Pair],
    key: tuple[str, ...],
    tolerance: float,
    samples: int,
) -> Comparison:
    names = [pair.name for pair in pairs]
    places = [names.index(name) for name in key]
    columns = ", ".join(f"c{i}" for i in places)
    doubles = [
        int(
            engine.execute(
                f"SELECT count(*) FROM (SELECT 1 FROM {table} GROUP BY {columns} HAVING count(*) > 1)"
            ).fetchall()[0][0]
        )
        for table in ("l", "r")
    ]
    label = ", ".join(key)
    checks = [
        CheckResult(
            "duplicate_key", label, "fail" if any(doubles) else "pass", str(doubles[0]), str(doubles[1])
        )
    ]
    joined = " AND ".join(f"l.c{i} IS NOT DISTINCT FROM r.c{i}" for i in places)
    if any(doubles):
        joined += _numbered(engine, columns, len(pairs))
    shown = " || ', ' || ".join(f"coalesce(coalesce(l.c{i}, r.c{i})::VARCHAR, 'NULL')" for i in places)
    parts = [_differs(i, pair, tolerance) for i, pair in enumerate(pairs) if i not in places]
    flags = ", ".join(parts) or "false"
    engine.execute("ALTER TABLE l ADD COLUMN here BOOLEAN DEFAULT true")
    engine.execute("ALTER TABLE r ADD COLUMN here BOOLEAN DEFAULT true")
    engine.execute(
        f"CREATE TABLE d AS SELECT CASE WHEN r.here IS NULL THEN 'missing' WHEN l.here IS NULL THEN 'extra' "
        f"ELSE 'changed' END AS kind, {shown} AS key, [{flags}] AS flags, l.rowid AS lid, r.rowid AS rid "
        f"FROM l FULL JOIN r ON {joined} WHERE l.here IS NULL OR r.here IS NULL OR {' OR '.join(parts) or 'false'}"
    )
    counts = dict(engine.execute("SELECT kind, count(*) FROM d GROUP BY kind").fetchall())
    others = [i for i in range(len(pairs)) if i not in places]
    differences = _samples(engine, pairs, others, samples)
    for kind in ("missing", "extra", "changed"):
        count = counts.get(kind, 0)
        keys = [difference for difference in differences if difference.kind == kind]
        detail = "; ".join(_sentence(difference) for difference in keys[:10])
        checks.append(
            CheckResult(f"rows_{kind}", label, "fail" if count else "pass", "0", str(count), detail)
        )
    return Comparison(tuple(checks), tuple(differences))


def _numbered(engine: Any, key: str, width: int) -> str:
    """Numbers the rows of one key on both sides, in the order of their values: each has one counterpart at most, where
    all with all would be the square of their number. What the join asks besides the key."""
    every = ", ".join(f"c{i}" for i in range(width))
    for table in ("l", "r"):
        engine.execute(
            f"CREATE OR REPLACE TABLE {table} AS SELECT *, row_number() OVER (PARTITION BY {key} ORDER BY {every}) "
            f"AS nth FROM {table}"
        )
    return " AND l.nth = r.nth"


def _samples(engine: Any, pairs: Sequence[Pair], others: Sequence[int], samples: int) -> list[Difference]:
    values = []
    for side in ("l", "r"):
        listed = ", ".join(f"left({side}.c{i}::VARCHAR, 200)" for i in others)
        values.append(f"[{listed}]::VARCHAR[]")
    rows = engine.execute(
        f"SELECT kind, key, flags, {values[0]}, {values[1]} FROM (SELECT *, row_number() OVER "
        f"(PARTITION BY kind ORDER BY key) AS n FROM d) AS d LEFT JOIN l ON l.rowid = lid "
        f"LEFT JOIN r ON r.rowid = rid WHERE n <= {int(samples)} ORDER BY kind, n"
    ).fetchall()
    found = []
    for kind, key, flags, left, right in rows:
        if kind != "changed":
            found.append(Difference(kind, key))
            continue
        differing = [index for index, flag in enumerate(flags) if flag]
        names = tuple(pairs[others[index]].name for index in differing)
        found.append(
            Difference(
                kind,
                key,
                names,
                *(
                    ", ".join("NULL" if side[index] is None else str(side[index]) for index in differing)
                    for side in (left, right)
                ),
            )
        )
    return found


def _sentence(difference: Difference) -> str:
    if difference.kind != "changed":
        return f"({difference.key})"
    return f"({difference.key}) {', '.join(difference.columns)}: {difference.left} <> {difference.right}"
