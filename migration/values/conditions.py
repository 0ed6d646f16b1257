"""Conditions on values (``guards`` of a type mapping) as SQL that finds the values which break them.

Rules:

1. A condition is judged where the data is, in the source's dialect, if that is one of ``DIALECTS``; else the
   guarded columns are read and judged here by DuckDB over their canonical Arrow form.
2. A condition a source cannot break is not asked: PostgreSQL's text holds no NUL, DuckDB's decimals no NaN.
3. What no SQL can judge (keys and numbers inside JSON, members of a struct that was read) is judged in Python on the
   read column (``documents``).
4. A list breaks a condition if one of its elements does.

Besides the mapping's guards there are those of the way itself: ``dimensions:1`` (a PostgreSQL array value with
more dimensions, or not counted from 1), ``uuid`` (a text that is none, where the source does not look), ``held:type``
and ``utf8`` (a value of SQLite's that is not of its column's type, or no text, of ClickHouse's too; the reader finds
these), ``well_formed`` (JSON where the source does not look), ``charset:name`` (characters that a column of MySQL's
lacks), ``range:a..b``, ``scale:n`` and ``whole:n`` (digits behind and before the point) for targets that exist already.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from migration.dialects import contract
from migration.dialects.charsets import lacking
from migration.dialects.quoting import quote_text
from migration.measures.columns import MEASURED_DIGITS
from migration.types import CanonicalType, integer_range, list_of
from migration.values.documents import IN_PYTHON, LENGTHS, MEANT, TEMPORAL, is_meant
from migration.values.members import outside

DIALECTS = ("duckdb", "postgres", "mysql")
# The last instant DuckDB and Arrow have: 2^63 - 2 microseconds after 1970.
_LAST = "294247-01-10 04:00:54.775806"
_ENGINE_DIGITS = 38  # of DuckDB's widest number
_NUMBER = r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$"
_CHARACTERS = ("text", "enum", "json", "unknown")
_UUID = "(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}"


def is_implied(guard: str, type_: CanonicalType, dialect: str) -> bool:
    """True if no value of ``type_`` in a source of ``dialect`` can break ``guard``."""
    name = contract(dialect).name
    if guard in IN_PYTHON and type_.kind == "list" and all(leaf.kind in TEMPORAL for leaf in type_.leaves()):
        return True
    if guard == "no_null_inside" and type_.kind == "list" and type_.element:
        return not type_.element.is_nested
    if guard.startswith("charset:"):
        return all(leaf.kind not in _CHARACTERS for leaf in type_.leaves())
    element = type_.element if type_.kind == "list" and type_.element else type_
    if name in ("postgres", "greenplum", "redshift"):
        if guard == "no_nul":
            return element.kind not in ("json", "list", "struct", "map", "unknown") or element.normalised
        return guard.startswith("year:-4712..") or guard == "time:0..24"
    if name == "duckdb":
        if (
            guard == "json_unique_keys"
            and type_.is_nested
            and all(leaf.kind != "json" for leaf in type_.leaves())
        ):
            return True  # its maps and structs name nothing twice
        if guard in ("finite", "finite_numbers", "no_nan") and element.kind == "decimal":
            return True
        return guard == "time:0..24" or (guard.startswith("year:-290307..294247") and element.kind != "date")
    if name == "mysql" and guard.startswith("year:"):
        low, _, high = guard.removeprefix("year:").partition("..")
        return int(low) <= 0 and int(high) >= 9999  # its calendar has no other years
    if name in ("mysql", "sqlite") and guard in ("finite", "no_nan") and element.kind == "decimal":
        return element.precision is not None
    return False


def by_extremes(guard: str, type_: CanonicalType) -> bool:
    """True for conditions that a column's least and greatest value can prove (``is_proven``)."""
    word = guard.partition(":")[0]
    if word == "year":
        return type_.kind in TEMPORAL
    numbers = type_.is_integer or type_.kind in ("float32", "float64")
    numbers = numbers or (type_.kind == "decimal" and 0 < (type_.precision or 0) <= MEASURED_DIGITS)
    return word in ("finite", "no_nan", "range") and numbers


def is_proven(guard: str, type_: CanonicalType, measured: Mapping[str, Any]) -> bool:
    """True if a column with these measures has no value that breaks ``guard``; False says nothing.

    NaN is the greatest of numbers here, and ``min`` and ``max`` of times leave infinite ones out.
    """
    word, _, argument = guard.partition(":")
    low, high = measured.get("min"), measured.get("max")
    if low is None or high is None:
        return bool(measured.get("nonnull") == 0)
    if word != "year":
        if not (math.isfinite(low) and math.isfinite(high)):
            return False
        least, _, most = argument.partition("..")
        return word != "range" or bool(Decimal(least) <= low and high <= Decimal(most))
    unit = 1 if type_.kind == "date" else 86_400_000_000_000  # days, or nanoseconds
    least, _, most = argument.partition("..")
    # A year to spare at either end, so that no calendar has to be asked.
    first, last = (Decimal(year - 1970) * Decimal("365.2425") for year in (int(least) + 1, int(most)))
    return bool(first + 2 <= low // unit and high // unit <= last - 2)


def source_guards(type_: CanonicalType, dialect: str) -> tuple[str, ...]:
    """What must hold for a source's column to travel in canonical form at all."""
    if contract(dialect).name == "mysql":
        return ("calendar",) if type_.kind in TEMPORAL else ("time:0..24",) if type_.kind == "time" else ()
    if contract(dialect).name == "sqlite":
        return (f"held:{type_}",)
    if contract(dialect).name == "clickhouse":
        return ("utf8",) if _holds_text(type_) else ()
    if contract(dialect).family != "postgres-like":
        return ()
    if type_.kind == "list":
        inner = source_guards(type_.element, dialect) if type_.element else ()
        return ("dimensions:1", *inner)
    if type_.kind == "decimal" and type_.precision is not None:
        return ("finite",)
    if type_.kind in ("timestamp", "instant"):
        return ("year:-290307..294247",)
    return ()


def _holds_text(type_: CanonicalType) -> bool:
    """Whether something in it is read as a text that ClickHouse does not look into."""
    if type_.kind == "list" and type_.element is not None:
        return _holds_text(type_.element)
    return any(leaf.kind in ("text", "bytes") for leaf in type_.leaves()) and type_.kind != "bytes"


def spared(type_: CanonicalType, column: str, dialect: str) -> str:
    """``column`` (quoted) with NULL in place of what cannot travel in canonical form."""
    if (
        contract(dialect).name != "mysql" and contract(dialect).family != "postgres-like"
    ):  # elsewhere the reader's form holds them, for the transform to drop
        return column
    broken = [
        text for guard in source_guards(type_, dialect) if (text := offence(guard, type_, column, dialect))
    ]
    return f"CASE WHEN {' OR '.join(broken)} THEN NULL ELSE {column} END" if broken else column


def offence(guard: str, type_: CanonicalType, column: str, dialect: str) -> str | None:
    """A SQL condition that is true for values of ``column`` (quoted) that break ``guard``; None: not in SQL."""
    name = contract(dialect).name
    if name not in DIALECTS or guard in IN_PYTHON or guard.startswith(LENGTHS):
        return None
    if guard == "no_null":
        return f"{column} IS NULL"
    if guard == "no_null_inside":
        return hollow(type_, column) if name == "duckdb" else None
    if name == "mysql":
        return _mysql(guard, type_, column)
    if guard.startswith("items:"):
        size = f"len({column})" if name == "duckdb" else f"cardinality({column})"
        return f"{size} <> {int(guard.removeprefix('items:'))}"
    if guard == "dimensions:1":
        return f"(array_ndims({column}) > 1 OR array_lower({column}, 1) <> 1)"
    if type_.kind in ("struct", "map") and guard != "no_nul" and not guard.startswith("charset:"):
        return _inside(guard, type_, column) if name == "duckdb" else None
    if type_.kind == "list" and type_.element is not None:
        inner = offence(guard, type_.element, "x", dialect)
        if inner is None:
            return None
        if name == "duckdb":
            return f"len(list_filter({column}, lambda x: coalesce({inner}, false))) > 0"
        return f"EXISTS (SELECT 1 FROM unnest({column}) AS bough(x) WHERE {inner})"
    if name == "duckdb" and type_.kind == "instant" and (type_.precision or 0) > 6:
        column = (
            f"{column}::TIMESTAMP_NS"  # in UTC; of instants so fine it does not say whether they are finite
        )
    return _scalar(guard, type_, column, duckdb=name == "duckdb")


def hollow(type_: CanonicalType, column: str, depth: int = 0) -> str:
    """True for a list, map or struct of DuckDB's with a NULL where another of them could be."""
    found = [
        f"({column} IS NOT NULL AND {_hollow_part(f'struct_extract({column}, {_literal(field)})', of, depth)})"
        for field, of in type_.fields
        if of.is_nested
    ]
    if type_.element is not None and type_.element.is_nested:
        values, item = f"map_values({column})" if type_.kind == "map" else column, f"x{depth}"
        inner = _hollow_part(item, type_.element, depth + 1)
        found.append(f"coalesce(len(list_filter({values}, lambda {item}: {inner})) > 0, false)")
    return f"({' OR '.join(found)})" if found else "false"


def _hollow_part(column: str, type_: CanonicalType, depth: int) -> str:
    return f"({column} IS NULL OR {hollow(type_, column, depth)})"


def _inside(guard: str, type_: CanonicalType, column: str) -> str:
    """True for a struct or map of DuckDB's own with a part that breaks ``guard``."""
    parts = [(f"struct_extract({column}, {_literal(field)})", of) for field, of in type_.fields]
    if type_.kind == "map" and type_.key is not None and type_.element is not None:
        parts = [
            (f"map_keys({column})", list_of(type_.key)),
            (f"map_values({column})", list_of(type_.element)),
        ]
    found = [offence(guard, of, part, "duckdb") for part, of in parts if is_meant(guard, of)]
    return " OR ".join(f"coalesce({text}, false)" for text in found if text) or "false"


def _literal(text: str) -> str:
    return quote_text(text, contract("duckdb"))


def _mysql(guard: str, type_: CanonicalType, column: str) -> str | None:
    """What MySQL is asked about its texts; anything else is judged here."""
    word, _, argument = guard.partition(":")
    if word == "calendar":  # zero dates, days of month 0, and what ALLOW_INVALID_DATES lets in
        day, last = f"DAYOFMONTH({column})", f"DAYOFMONTH(LAST_DAY(CONCAT(LEFT({column}, 8), '01')))"
        return f"(MONTH({column}) = 0 OR {day} = 0 OR ({day} > 28 AND {day} > {last}))"
    if guard == "time:0..24":
        return f"({column} < '00:00:00' OR {column} > '24:00:00')"
    if type_.kind not in ("text", "enum", "json"):
        return None
    if word == "charset":
        return lacking(argument, column, "mysql")
    if word == "one_of":
        return outside(argument, f"CONVERT({column} USING utf8mb4)", "mysql")
    if type_.kind != "text":
        return None
    text = f"CONVERT({column} USING utf8mb4)"
    if word == "no_nul":  # by bytes: in most collations NUL is ignored, and so found everywhere
        return f"LOCATE(CHAR(0), CAST({text} AS BINARY)) > 0"
    measured = {"octets": "LENGTH", "chars": "CHAR_LENGTH"}.get(word)
    return f"{measured}({text}) > {int(argument)}" if measured else None


def _scalar(guard: str, type_: CanonicalType, column: str, *, duckdb: bool) -> str | None:
    kind = type_.kind
    word, _, argument = guard.partition(":")
    if word == "uuid":  # only texts of an engine without the type are asked, and those are judged here
        return f"NOT regexp_full_match({column}, '{_UUID}')" if duckdb else None
    if word in ("finite", "finite_moments", "finite_numbers", "no_nan"):
        if kind not in MEANT[word]:
            return None
        return _special(word, type_, column, duckdb=duckdb)
    text = _text(column, duckdb=duckdb)
    if word == "charset":
        return lacking(argument, text, "duckdb" if duckdb else "postgres")
    if word == "one_of":
        return outside(argument, text, "duckdb" if duckdb else "postgres")
    if word == "unpadded":
        return f"right({text}, 1) = ' '"
    if word == "octets_exactly":
        return f"octet_length({column}) <> {int(argument)}" if kind == "bytes" else None
    if word == "no_number":
        return _looks_like(_NUMBER, text, duckdb=duckdb)
    if word == "not_negative":
        below = f"starts_with({text}, '-') AND regexp_matches({text}, '[1-9]')"
        return f"({below})" if duckdb and kind == "decimal" else f"{column} < 0"
    if word == "seconds":
        low, _, high = argument.partition("..")
        seconds = f"epoch({column})" if duckdb else f"extract(epoch FROM {column})"
        return f"(isfinite({column}) AND ({seconds} < {low} OR {seconds} > {high}))"
    if word == "no_json_null":
        return f"trim({text}, ' \t\n\r') = 'null'" if kind == "json" and duckdb else None
    if word == "some_bits":
        return f"{text} = ''"
    if word == "no_nul":
        # A PostgreSQL json may hold the escape, never the character.
        nul = f"contains({text}, chr(0))" if duckdb else "false"
        escaped = f"contains({text}, '\\u0000')" if duckdb else f"strpos({text}, '\\u0000') > 0"
        return f"({nul} OR {escaped})" if kind in ("json", "struct", "map", "list") else nul
    if word == "year" and kind in TEMPORAL:
        return _years(argument, kind, column, duckdb=duckdb)
    if word == "time":
        return f"{column} >= TIME '24:00:00'" if "<" in argument else f"{column} > TIME '24:00:00'"
    if word == "fraction":
        return _fraction(int(argument), type_, column, duckdb=duckdb)
    if word in ("octets", "chars"):
        return _length(word, int(argument), kind, column, duckdb=duckdb)
    if word == "range":
        return _range(argument, type_, column, duckdb=duckdb)
    if word == "digits":
        return f"length(ltrim(replace(replace({text}, '-', ''), '.', ''), '0')) > {int(argument)}"
    if word in ("whole", "scale") and argument.startswith("-"):
        zeros = -int(argument)
        few = rf"(\.0{{{zeros}}}\d*|\.0*)?" if word == "whole" else r"(\.0*)?"
        many = "0*" if word == "whole" else rf"(\d*0{{{zeros}}}|0*)"
        return f"NOT ({_looks_like(f'^-?{many}{few}$', text, duckdb=duckdb)})"
    if word == "whole":
        whole = f"split_part({text}, '.', 1)" if duckdb else f"trunc({column})::text"
        return f"length(ltrim(replace({whole}, '-', ''), '0')) > {int(argument)}"
    if word == "scale":
        return f"length(rtrim(split_part({text}, '.', 2), '0')) > {int(argument)}"
    return None


def _range(argument: str, type_: CanonicalType, column: str, *, duckdb: bool) -> str:
    low, high = map(_number, argument.split(".."))
    # These may be texts, for they may have more digits.
    wide = type_.kind in ("int128", "uint128", "decimal")
    if duckdb and (wide or max(len(low), len(high)) > _ENGINE_DIGITS):
        return _beyond(int(low), int(high), f"{column}::VARCHAR")
    least, greatest = integer_range(type_.kind) if type_.is_integer else (-math.inf, math.inf)
    if type_.kind == "bool":
        column, least, greatest = f"{column}::integer", 0, 1
    # DuckDB gives a constant the column's type, which may not have it.
    beyond = [f"{column} < {low}"] if least < int(low) else []
    beyond += [f"{column} > {high}"] if greatest > int(high) else []
    return f"({' OR '.join(beyond)})" if beyond else "false"


def _beyond(low: int, high: int, text: str) -> str:
    """Numbers of more digits than DuckDB has are compared as their texts."""
    digits = f"ltrim(replace(split_part({text}, '.', 1), '-', ''), '0')"

    def more(most: int) -> str:
        size, figures = (0, "") if most == 0 else (len(str(most)), str(most))
        return f"(length({digits}) > {size} OR (length({digits}) = {size} AND {digits} > '{figures}'))"

    return f"CASE WHEN left({text}, 1) = '-' THEN {more(abs(low))} ELSE {more(high)} END"


def _text(column: str, *, duckdb: bool) -> str:
    return f"{column}::{'VARCHAR' if duckdb else 'text'}"


def _looks_like(pattern: str, text: str, *, duckdb: bool) -> str:
    return f"regexp_matches({text}, '{pattern}')" if duckdb else f"{text} ~ '{pattern}'"


def _number(text: str) -> str:
    return f"{Decimal(text):f}"


def _special(word: str, type_: CanonicalType, column: str, *, duckdb: bool) -> str | None:
    kind, nan_only = type_.kind, word == "no_nan"
    if kind in ("float32", "float64"):
        if duckdb:
            return f"isnan({column})" if nan_only else f"NOT isfinite({column})"
        values = "'NaN'" if nan_only else "'NaN', 'Infinity', '-Infinity'"
        return f"{column} IN ({values})"
    if kind == "decimal" and type_.precision is not None and not duckdb:
        return f"{column} = 'NaN'"  # a numeric with limits holds no infinity
    if kind == "decimal":
        values = "'NaN'" if nan_only else "'NaN', 'Infinity', '-Infinity'"
        return f"{_text(column, duckdb=duckdb)} IN ({values})"
    if kind in TEMPORAL and not nan_only:
        return f"NOT isfinite({column})"
    return None


def _years(argument: str, kind: str, column: str, *, duckdb: bool) -> str:
    low, high = (int(part) for part in argument.split(".."))
    if duckdb:
        return f"(isfinite({column}) AND (year({column}) < {low} OR year({column}) > {high}))"
    if high == 294247 and kind != "date":
        type_ = "timestamptz" if kind == "instant" else "timestamp"
        zone = "+00" if kind == "instant" else ""
        return f"(isfinite({column}) AND {column} > {type_} '{_LAST}{zone}')"
    # PostgreSQL has no year 0: 1 BC is -1 there and 0 here.
    zoned = f"{column} AT TIME ZONE 'UTC'" if kind == "instant" else column
    year = f"extract(year FROM {zoned})"
    year = f"(CASE WHEN {year} < 0 THEN {year} + 1 ELSE {year} END)"
    return f"(isfinite({column}) AND ({year} < {low} OR {year} > {high}))"


def _fraction(digits: int, type_: CanonicalType, column: str, *, duckdb: bool) -> str | None:
    fine = 9 if (type_.precision or 0) > 6 else 6
    if type_.kind == "interval":  # every engine's text of it ends in its fraction
        return _looks_like(rf"\.\d{{{digits}}}\d*[1-9]", _text(column, duckdb=duckdb), duckdb=duckdb)
    if digits >= fine:
        return "false"
    step = 10 ** (fine - digits)
    if duckdb:
        ticks = f"{'epoch_ns' if fine == 9 else 'epoch_us'}({column})"
        finite = f"isfinite({column}) AND " if type_.kind in TEMPORAL else ""
        return f"({finite}{ticks} % {step} <> 0)"
    finite = f"isfinite({column}) AND " if type_.kind in TEMPORAL else ""
    return f"({finite}extract(microseconds FROM {column})::bigint % {step} <> 0)"


def _length(word: str, most: int, kind: str, column: str, *, duckdb: bool) -> str:
    if word == "chars":
        return f"length({column}{'::VARCHAR' if duckdb else '::text'}) > {most}"
    if kind == "bytes":
        return f"octet_length({column}) > {most}"
    if duckdb:
        return f"strlen({column}::VARCHAR) > {most}"
    utf8 = f"CASE WHEN getdatabaseencoding() = 'UTF8' THEN NULL ELSE convert_to({column}::text, 'UTF8') END"
    return f"coalesce(octet_length({utf8}), octet_length({column}::text)) > {most}"


def sample_text(column: str, dialect: str) -> str:
    """A value of ``column`` as a short text, for messages."""
    name = contract(dialect).name
    if name == "mysql":
        return f"LEFT(CAST({column} AS CHAR), 80)"
    if name == "sqlite":
        return f"substr(CAST({column} AS TEXT), 1, 80)"
    text = f"{column}::VARCHAR" if name == "duckdb" else f"{column}::text"
    return f"substr({text}, 1, 80)" if name == "duckdb" else f"left({text}, 80)"
