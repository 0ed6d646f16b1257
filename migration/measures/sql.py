"""The same measures as ``migration.measures.columns``, as one query that an engine runs over its own table.

Rules:

1. The query returns one row of texts; ``read_row`` turns it into a ``TableMeasure``. Text, because the sums
   of one engine do not fit the integers of another.
2. Only engines whose aggregates were checked against ours on a real server are in ``DIALECTS``. For every
   other engine the rows are read back and measured in Arrow.
3. Each expression is over one quoted column; nothing of the data becomes SQL.
4. Infinite times are rare, and leaving them out costs a condition for each row and measure. So they are asked about
   first by the extremes alone (``_QUICK``): a column whose extremes are finite holds none. Any other is asked again.
5. What the other side measured is expected here too: where its extremes are far from what a sum cannot take, the sum
   needs no condition (``_TAME``). An engine that then meets such a value says so, and is asked again with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any

from migration.connectors.base import Source
from migration.dialects import contract
from migration.dialects.quoting import quote_name, quote_path
from migration.errors import MigrationError
from migration.measures.columns import (
    DECIMAL_DIGITS,
    FLOAT_LIMIT,
    SUMMED_DIGITS,
    MeasureClass,
    TableMeasure,
    measure_class,
)
from migration.measures.text import POSTGRES_TEXT, QUICK_TEXT, UNKNOWN
from migration.types import CanonicalType

_PLENTY = Context(prec=200)
Expressions = Mapping[MeasureClass, Mapping[str, str]]
Ask = Callable[[str], Sequence[Any]]  # ``Reader.row``

_NUMBER = {"min": "min({c})", "max": "max({c})", "sum": "sum({c})"}
_DUCKDB: Expressions = {
    "int": _NUMBER,
    "decimal": _NUMBER,
    "wide": {"min": "min({c})", "max": "max({c})"},
    "float": {
        "min": "min({c})::DOUBLE",
        "max": "max({c})::DOUBLE",
        "sum": f"sum({{c}}::DOUBLE) FILTER (WHERE abs({{c}}) < {FLOAT_LIMIT!r})",
    },
    "bool": {"sum": "count(*) FILTER (WHERE {c})"},
    "text": {
        "octets": "sum(strlen({c}::VARCHAR))",
        "min": "min({c}::VARCHAR COLLATE C)",
        "max": "max({c}::VARCHAR COLLATE C)",
    },
    "bytes": {"octets": "sum(octet_length({c}))"},
    "days": {
        "min": "min({c}) FILTER (WHERE isfinite({c})) - DATE '1970-01-01'",
        "max": "max({c}) FILTER (WHERE isfinite({c})) - DATE '1970-01-01'",
        "infinite": "count({c}) FILTER (WHERE NOT isfinite({c}))",
        "sum": "sum({c} - DATE '1970-01-01') FILTER (WHERE isfinite({c}))",
    },
    "clock": {
        "min": "epoch_us(min({c}) FILTER (WHERE isfinite({c})))::HUGEINT * 1000",
        "max": "epoch_us(max({c}) FILTER (WHERE isfinite({c})))::HUGEINT * 1000",
        "infinite": "count({c}) FILTER (WHERE NOT isfinite({c}))",
        "sum": "sum(epoch_us({c}))::HUGEINT * 1000",  # of an infinite one it is NULL
    },
    "opaque": {},
}
_EPOCH = "trunc(extract(epoch FROM {f}({{c}}) FILTER (WHERE isfinite({{c}}))) * 1000000000)"
_POSTGRES: Expressions = {
    "int": _NUMBER,
    "decimal": _NUMBER,
    "wide": _NUMBER,
    "float": {
        "min": "min({c})::float8",
        "max": "max({c})::float8",
        "sum": f"sum({{c}}::float8) FILTER (WHERE abs({{c}}) < {FLOAT_LIMIT!r})",
    },
    "bool": {"sum": "count(*) FILTER (WHERE {c})"},
    "text": POSTGRES_TEXT,
    "bytes": {"octets": "sum(octet_length({c}))"},
    "days": {
        "min": "min({c}) FILTER (WHERE isfinite({c})) - DATE '1970-01-01'",
        "max": "max({c}) FILTER (WHERE isfinite({c})) - DATE '1970-01-01'",
        "infinite": "count({c}) FILTER (WHERE NOT isfinite({c}))",
        "sum": "sum({c} - DATE '1970-01-01') FILTER (WHERE isfinite({c}))",
    },
    "clock": {
        "min": _EPOCH.format(f="min"),
        "max": _EPOCH.format(f="max"),
        "infinite": "count({c}) FILTER (WHERE NOT isfinite({c}))",
    },
    "opaque": {},
}
# Aggregates of no row are 0 there, or '', unless they are asked to be NULL; sums of integers wrap.
_TICKS = "toInt128(toUnixTimestamp64Micro(toDateTime64({f}({{c}}), 6))) * 1000"
_CLICKHOUSE: Expressions = {
    "int": {"min": "minOrNull({c})", "max": "maxOrNull({c})", "sum": "sumOrNull(toInt128({c}))"},
    "decimal": {"min": "minOrNull({c})", "max": "maxOrNull({c})", "sum": "sumOrNull({c})"},
    "wide": {"min": "minOrNull({c})", "max": "maxOrNull({c})", "sum": "sumOrNull({wide})"},
    "float": {
        "min": "if(count({c}) > 0 AND countIf(NOT isNaN({c})) = 0, nan, "
        "toFloat64(minOrNullIf({c}, NOT isNaN({c}))))",
        "max": "if(countIf(isNaN({c})) > 0, nan, toFloat64(maxOrNull({c})))",
        "sum": f"sumOrNullIf(toFloat64({{c}}), abs({{c}}) < {FLOAT_LIMIT!r})",
    },
    "bool": {"sum": "countIf({c})"},
    "text": {
        "octets": "sumOrNull(length(toString({c})))",
        "min": "minOrNull(toString({c}))",
        "max": "maxOrNull(toString({c}))",
    },
    "bytes": {"octets": "sumOrNull(length({c}))"},
    "days": {
        "min": "toInt32(minOrNull(toDate32({c})))",
        "max": "toInt32(maxOrNull(toDate32({c})))",
        "sum": "sumOrNull(toInt64(toInt32(toDate32({c}))))",
    },
    "clock": {
        "min": _TICKS.format(f="minOrNull"),
        "max": _TICKS.format(f="maxOrNull"),
        "sum": "sumOrNull(toInt128(toUnixTimestamp64Micro(toDateTime64({c}, 6)))) * 1000",
    },
    "opaque": {},
}
_FINITE = "CASE WHEN isfinite({f}({{c}})) THEN {e} END"
_NONE_INFINITE = "CASE WHEN count({c}) = 0 OR (isfinite(min({c})) AND isfinite(max({c}))) THEN 0 END"


def _quick(days: str, clock: str) -> Expressions:
    found: dict[MeasureClass, Mapping[str, str]] = {}
    for kind, expression in (("days", days), ("clock", clock)):
        ends = {f: _FINITE.format(f=f, e=expression.format(f=f)) for f in ("min", "max")}
        found["days" if kind == "days" else "clock"] = {**ends, "infinite": _NONE_INFINITE}
    return found


_QUICK: Mapping[str, Expressions] = {
    "duckdb": _quick("{f}({{c}}) - DATE '1970-01-01'", "epoch_us({f}({{c}}))::HUGEINT * 1000"),
    "postgres": {
        **_quick("{f}({{c}}) - DATE '1970-01-01'", "trunc(extract(epoch FROM {f}({{c}})) * 1000000000)"),
        "text": QUICK_TEXT,
    },
}
# Sums without the condition that keeps infinities and overflows out; the engine raises at both.
_TAME: Mapping[str, Expressions] = {
    "postgres": {
        "float": {"sum": "sum({c}::float8)"},
        "days": {"sum": "sum({c} - DATE '1970-01-01')"},
    }
}
_SELECTED = 1600  # PostgreSQL takes 1664 expressions
_TOO_MUCH = ("22003", "22008")  # a sum overflowed; an infinite date was subtracted
_FINER = {  # what changes where a clock has more than microseconds
    "duckdb": (("epoch_us(", "epoch_ns("), ("HUGEINT * 1000", "HUGEINT")),
    "clickhouse": (("64Micro(", "64Nano("), (", 6)", ", 9)"), (" * 1000", "")),
}
_TIME_OF_DAY: Mapping[str, Mapping[str, str]] = {
    "duckdb": {
        "min": "epoch_us(min({c}))::HUGEINT * 1000",
        "max": "epoch_us(max({c}))::HUGEINT * 1000",
        "sum": "sum(epoch_us({c}))::HUGEINT * 1000",
    },
    "postgres": {
        "min": "trunc(extract(epoch FROM min({c})) * 1000000000)",
        "max": "trunc(extract(epoch FROM max({c})) * 1000000000)",
    },
}
DIALECTS: Mapping[str, tuple[Expressions, str]] = {
    "duckdb": (_DUCKDB, "CAST({e} AS VARCHAR)"),
    "postgres": (_POSTGRES, "({e})::text"),
    "clickhouse": (_CLICKHOUSE, "toString({e})"),
}


@dataclass(frozen=True, slots=True)
class MeasureQuery:
    """A query and what its columns mean: (column, class, measure), the first being the number of rows."""

    sql: str
    items: tuple[tuple[str, MeasureClass, str], ...]
    selected: tuple[str, ...]  # the items' expressions, each with its alias


def source_clause(source: Source, dialect: str) -> str:
    """``source`` as it stands behind FROM."""
    if source.path:
        return quote_path(source.path, contract(dialect))
    return f"(\n{strip_statement(source.query)}\n) AS bough_source"


def strip_statement(query: str) -> str:
    """A query without the semicolon at its end."""
    return re.sub(r"[\s;]+\Z", "", query)


def measure_query(
    dialect: str,
    source: Source,
    columns: Sequence[tuple[str, CanonicalType]],
    *,
    quick: bool = False,
    tame: Collection[str] = (),
) -> MeasureQuery | None:
    """One scan that measures ``columns``; None where the engine's aggregates were never checked.

    A ``quick`` one may not know all of a column (``unsure``), which is then to be asked about by one that is not.
    The engine may raise 22003 or 22008 at values of a ``tame`` column that it cannot add up.
    """
    name = contract(dialect).name
    if name not in DIALECTS:
        return None
    expressions, as_text = DIALECTS[name]
    selected, items = [as_text.format(e="count(*)")], [("", _none(), "rows")]
    for column, type_ in columns:
        kind = measure_class(type_)
        quoted = quote_name(column, contract(dialect))
        if name == "duckdb" and kind == "clock" and type_.precision in (0, 3):
            quoted += "::TIMESTAMP"  # epoch_us fails for what is infinite or far away in a coarser type
        found = {**expressions[kind], **(_QUICK.get(name, {}).get(kind, {}) if quick else {})}
        if column in tame:
            found |= _TAME.get(name, {}).get(kind, {})
        if type_.kind == "time":
            if name not in _TIME_OF_DAY:
                return None
            found = dict(_TIME_OF_DAY[name])
        for measure, template in {"nonnull": "count({c})", **found}.items():
            if "{wide}" in template:
                if (type_.precision or 0) > SUMMED_DIGITS:
                    continue
                cast = (
                    "toInt256({c})" if type_.kind != "decimal" else f"toDecimal256({{c}}, {type_.scale or 0})"
                )
                template = template.replace("{wide}", cast)
            expression = template.replace("{c}", quoted)
            if (type_.precision or 0) > 6 and kind == "clock":
                for coarse, fine in _FINER.get(name, ()):
                    expression = expression.replace(coarse, fine)
            selected.append(as_text.replace("{e}", expression))
            items.append((column, kind, measure))
    numbered = tuple(f"{expression} AS m{index}" for index, expression in enumerate(selected))
    text = f"SELECT {', '.join(numbered)} FROM {source_clause(source, dialect)}"
    return MeasureQuery(text, tuple(items), numbered)


def measured_by(
    ask: Ask,
    dialect: str,
    source: Source,
    columns: Sequence[tuple[str, CanonicalType]],
    expected: TableMeasure | None = None,
) -> TableMeasure | None:
    """What the engine behind ``ask`` says its columns add up to; None as of ``measure_query``.

    ``expected`` is what the other side adds up to; with it an error of the engine may come first, so it is not for an
    open transaction.
    """
    query = measure_query(dialect, source, columns, quick=True, tame=_tame_columns(expected))
    if query is None:
        return None
    try:
        row = answered(ask, query.selected, source_clause(source, dialect))
    except MigrationError as error:
        if expected is None or error.sqlstate not in _TOO_MUCH:
            raise
        return measured_by(ask, dialect, source, columns)
    return completed(ask, dialect, source, columns, query, row)


def _tame_columns(expected: TableMeasure | None) -> frozenset[str]:
    if expected is None:
        return frozenset()
    return frozenset(name for name, (kind, values) in expected.columns.items() if _is_tame(kind, values))


def _is_tame(kind: MeasureClass, values: Mapping[str, Any]) -> bool:
    if kind == "days":
        return not values.get("infinite")
    ends = [values.get("min"), values.get("max")]
    return kind == "float" and all(end is not None and abs(end) < FLOAT_LIMIT for end in ends)


def completed(
    ask: Ask,
    dialect: str,
    source: Source,
    columns: Sequence[tuple[str, CanonicalType]],
    query: MeasureQuery,
    row: Sequence[Any],
) -> TableMeasure:
    """The answer of a quick query, and of others for the columns it does not know all of."""
    measure, unknown = read_row(query, row), unsure(query, row)
    if unknown:
        exact = measure_query(dialect, source, [each for each in columns if each[0] in unknown])
        assert exact is not None
        rest = read_row(exact, answered(ask, exact.selected, source_clause(source, dialect)))
        measure = TableMeasure(measure.rows, {**measure.columns, **rest.columns})
    if contract(dialect).name == "duckdb":
        measure = _with_wide_sums(ask, source, columns, measure)
    return measure


def _with_wide_sums(
    ask: Ask,
    source: Source,
    columns: Sequence[tuple[str, CanonicalType]],
    measure: TableMeasure,
) -> TableMeasure:
    """DuckDB adds up to 38 digits: a sum that the extremes bound is plain, any other is made of halves, which costs a
    microsecond a row."""
    parts: list[tuple[str, int]] = []
    selected: list[str] = []
    for name, type_ in columns:
        kind, values = measure.columns[name]
        if kind != "wide" or "min" not in values:
            continue
        quoted, scale = quote_name(name, contract("duckdb")), type_.scale or 0
        most = max(values["min"].copy_abs(), values["max"].copy_abs()).scaleb(scale, _PLENTY)
        whole = quoted if type_.kind != "decimal" or not scale else f"trunc({quoted})"
        if _PLENTY.multiply(most, values["nonnull"]) < 10**38:
            found = {1: f"sum({quoted})" if type_.kind != "uint128" else f"sum({quoted}::HUGEINT)"}
        elif scale > DECIMAL_DIGITS:
            continue
        else:
            number = whole if type_.kind == "uint128" else f"{whole}::HUGEINT"
            found = {
                1 << 62: f"sum(({number} >> 62)::HUGEINT)",
                1: f"sum(({number} & {(1 << 62) - 1})::HUGEINT)",
            }
            if scale:
                found[0] = f"sum({quoted} - trunc({quoted}))"
        for factor, expression in found.items():
            parts.append((name, factor))
            selected.append(f"({expression})::VARCHAR AS m{len(selected)}")
    if not parts:
        return measure
    sums: dict[str, Decimal] = {}
    row = ask(f"SELECT {', '.join(selected)} FROM {source_clause(source, 'duckdb')}")
    for (name, factor), text in zip(parts, row, strict=True):
        part = _PLENTY.multiply(Decimal(text), Decimal(factor or 1))
        sums[name] = _PLENTY.add(sums.get(name, Decimal(0)), part)
    added = {
        name: (kind, {**values, "sum": sums[name]} if name in sums else values)
        for name, (kind, values) in measure.columns.items()
    }
    return TableMeasure(measure.rows, added)


def unsure(query: MeasureQuery, row: Sequence[Any]) -> frozenset[str]:
    """The columns that a quick query does not know all of: an infinite time is there, or texts are not in UTF-8."""
    return frozenset(
        column
        for (column, _, measure), text in zip(query.items, row, strict=True)
        if (measure == "infinite" and text is None) or (measure == "octets" and text == UNKNOWN)
    )


def answered(ask: Ask, selected: Sequence[str], clause: str) -> list[Any]:
    """The one row of aggregates over ``clause``, in several scans where they are more than an engine takes at once."""
    row: list[Any] = []
    for start in range(0, len(selected), _SELECTED):
        row += ask(f"SELECT {', '.join(selected[start : start + _SELECTED])} FROM {clause}")
    return row


def _none() -> MeasureClass:
    return "opaque"


def read_row(query: MeasureQuery, row: Sequence[Any]) -> TableMeasure:
    """The answer of a measure query."""
    columns: dict[str, tuple[MeasureClass, dict[str, Any]]] = {}
    for (column, kind, measure), text in zip(query.items[1:], row[1:], strict=True):
        values = columns.setdefault(column, (kind, {}))[1]
        if text is not None:
            values[measure] = _value(kind, measure, str(text))
    return TableMeasure(int(row[0]), columns)


def _value(kind: MeasureClass, measure: str, text: str) -> Any:
    if measure in ("nonnull", "octets", "infinite"):
        return int(Decimal(text))
    if kind == "float":
        return float(text)
    if kind == "text":
        return text.encode()
    if kind in ("decimal", "wide"):
        number = Decimal(text)
        return number if number.is_finite() else float(text)
    return int(Decimal(text))
