"""SQL that compares results in the engine: fingerprints, and the rows that not all of them have.

A *source* is SQL whose columns are called ``c0``, ``c1``, …: a result kept in a temporary table, or the query itself.
Rules:

1. Rows are compared as multisets. Where order counts, a row's position is one more column of it.
2. With a tolerance, floats are compared by cells two tolerances wide (of the value, where that is above one), on two
   grids half a cell apart: values closer than the tolerance share a cell of one of them, values further apart than
   three times of it share none. Equal rows are paired first, then those with the same cells of the one grid, then of
   the other, in the order of their values. Rows that lie within a few tolerances of each other can be paired in more
   ways than one: the way that is taken need not be the one that leaves the fewest over.
3. Everything happens in the engine, which spills to disk; no result comes to Python to be compared.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from branching.engine.base import ResultColumn

POSITION = "_position"
_FLOATS = frozenset({"DOUBLE", "FLOAT"})
_NULL = frozenset({'"NULL"'})  # the type of a bare NULL


def named(sql: str, count: int) -> str:
    """A query as a source."""
    return f"SELECT * FROM ({sql}\n) AS _source({', '.join(_names(count))})"


def numbered(source: str) -> str:
    """A source with its rows' positions."""
    return f"SELECT row_number() OVER () AS {POSITION}, * FROM ({source})"


def has_floats(columns: Sequence[ResultColumn]) -> bool:
    return any(column.type in _FLOATS for column in columns)


def fingerprint_sql(
    source: str, columns: Sequence[ResultColumn], *, tolerance: float = 0, ordered: bool = False
) -> str:
    """One row: how many rows there are, and the sum of their hashes."""
    keys = _keys(columns, tolerance, 0.0)
    if ordered:
        source, keys = numbered(source), [POSITION, *keys]
    return f"SELECT count(*), coalesce(sum(hash({', '.join(keys)})), 0) FROM ({source})"


def fingerprint_text(total: int) -> str:
    """A sum of hashes as it is shown."""
    return f"{total % (1 << 96):024x}"


def difference_sql(
    sources: Sequence[str],
    columns: Sequence[ResultColumn],
    *,
    tolerance: float = 0,
    ordered: bool = False,
    kept: bool = True,
) -> str:
    """The rows that not all sources have: ``_source`` (from 0), ``_count``, then the columns.

    ``kept``: the sources can be read twice, and give the same rows again.
    """
    names = _names(len(columns))
    position = [POSITION] if ordered else []
    parts = [
        f"SELECT {number} AS _from, {', '.join([*position, *names])}"
        f" FROM ({numbered(source) if ordered else source})"
        for number, source in enumerate(sources)
    ]
    exact = f"hash({', '.join([*position, *names])})"
    counts = [f"count(*) FILTER (WHERE _from = {number})" for number in range(len(sources))]
    odd = " OR ".join(f"{counts[0]} <> {count}" for count in counts[1:]) or "true"
    # Most rows are in all sources: what is there equally often everywhere goes by its hash, before rows are compared.
    text = (
        f"WITH _all AS {'' if kept else 'MATERIALIZED '}({' UNION ALL '.join(parts)}), _odd AS ("
        f"SELECT _hash FROM (SELECT _from, {exact} AS _hash FROM _all) GROUP BY _hash HAVING {odd}), _rest AS ("
        f"SELECT * FROM _all WHERE {exact} IN (SELECT _hash FROM _odd))"
    )
    grids = [(0.0, 0.0)]
    if tolerance and has_floats(columns):
        grids += [(tolerance, 0.0), (tolerance, 0.5)]
    rest = "_rest"
    order = ", ".join([*position, *names])
    for number, (width, shift) in enumerate(grids):
        key = ", ".join([*position, *_keys(columns, width, shift)])
        # The n-th row of its kind has found its like where every source has an n-th row of that kind.
        text += (
            f", _n{number} AS (SELECT *, row_number() OVER (PARTITION BY _from, {key} ORDER BY {order}) AS _nth"
            f" FROM {rest})"
            f", _m{number} AS (SELECT *, count(*) OVER (PARTITION BY _nth, {key}) AS _met FROM _n{number})"
            f", _rest{number} AS (SELECT * EXCLUDE (_nth, _met) FROM _m{number} WHERE _met < {len(sources)})"
        )
        rest = f"_rest{number}"
    return (
        f"{text} SELECT _from AS _source, count(*) AS _count, {', '.join(names)} FROM {rest}"
        f" GROUP BY _from, {order} ORDER BY {order}, _from"
    )


def common_columns(results: Sequence[Sequence[ResultColumn]]) -> list[str | None]:
    """Per column the type to cast it to so that all results agree; None where they do already."""
    casts: list[str | None] = []
    for group in zip(*results, strict=True):
        types = {column.type for column in group}
        casts.append(None if len(types) == 1 and types != _NULL else wider(types - _NULL))
    return casts


def cast(source: str, casts: Sequence[str | None]) -> str:
    """A source with these columns cast."""
    if not any(casts):
        return source
    items = [
        name if kind is None else f"CAST({name} AS {kind}) AS {name}"
        for name, kind in zip(_names(len(casts)), casts, strict=True)
    ]
    return f"SELECT {', '.join(items)} FROM ({source})"


_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_DIGITS = dict(zip(_INTEGERS, (3, 5, 10, 19, 39), strict=True))
_UNSIGNED = {"UTINYINT": "SMALLINT", "USMALLINT": "INTEGER", "UINTEGER": "BIGINT", "UBIGINT": "HUGEINT"}
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")
_MOST_DIGITS = 38


def wider(types: set[str]) -> str:
    """A type that holds the values of all of them, as text if need be."""
    if len(types) == 1:
        return next(iter(types))
    types = {_UNSIGNED.get(kind, kind) for kind in types}
    exact = {kind for kind in types if kind in _DIGITS or _DECIMAL.fullmatch(kind)}
    if types and types <= set(_INTEGERS):
        return max(types, key=_INTEGERS.index)
    if types and types == exact:
        return _decimal(types)
    if types and types <= exact | set(_FLOATS):
        return "DOUBLE"
    if types == {"DATE", "TIMESTAMP"}:
        return "TIMESTAMP"
    return "VARCHAR"


def _decimal(types: set[str]) -> str:
    """The DECIMAL with enough digits on both sides of the point, if there is one."""
    whole = scale = 0
    for kind in types:
        found = _DECIMAL.fullmatch(kind)
        width, after = (int(found[1]), int(found[2])) if found else (_DIGITS[kind], 0)
        whole, scale = max(whole, width - after), max(scale, after)
    return f"DECIMAL({whole + scale},{scale})" if whole + scale <= _MOST_DIGITS else "VARCHAR"


def _keys(columns: Sequence[ResultColumn], tolerance: float, shift: float) -> list[str]:
    keys = []
    for name, column in zip(_names(len(columns)), columns, strict=True):
        if tolerance and column.type in _FLOATS:
            # asinh grows as the value does below one, and as its logarithm does above
            keys.append(f"floor(asinh(CAST({name} AS DOUBLE)) / {2 * tolerance!r} + {shift!r})")
        else:
            keys.append(name)
    return keys


def _names(count: int) -> list[str]:
    return [f"c{number}" for number in range(count)]
