"""The engine's errors as Postgres errors: SQLSTATE, Postgres' words, DETAIL, HINT.

``from_engine(exception_type, message, …)`` is a pure function of texts; it never sees the engine. Rules:

1. The table PATTERNS is read from top to bottom, the first match wins; the exception's type decides where
   no text does.
2. No physical name or path leaves: storage columns and schemas, file names and addresses are scrubbed, and
   what the engine says beyond its first line is dropped.
3. ``errors_as_json`` text is understood as well as plain text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from branching.errors import BoughError

Scrub = Callable[[str], str]

_PREFIX = re.compile(
    r"^(?:TransactionContext|Binder|Catalog|Parser|Conversion|Constraint|Out of Range|Invalid Input|Invalid"
    r"|Transaction|Out of Memory|Not implemented|Permission|IO|INTERNAL|FATAL|Internal|INTERRUPT|Syntax"
    r"|Mismatch Type|Dependency|Sequence|Serialization|Invalid Configuration|Executor)"
    r"(?: Error)?:?\s*(?:Error:\s*)?",
)
_PATH = re.compile(r"(?:\"|')?(?:/[\w.+@~-]+){2,}(?:\"|')?")
_PHYSICAL = re.compile(r"\b(?:bough\w*|memory|system|temp)\.(?=[\w\"])|\"(?:bough\w*)\"\.")
_STORAGE_SCHEMA = re.compile(r"\bbough_?[\w]*\.|(?<![\w\"])\"?_[a-z]+_?\d+\"?\.(?=\"?\w)")
_TEMPORARY = re.compile(r"\b_bough_temp_")
_STORAGE_COLUMN = re.compile(r",?\s*\b(?:_rid|_c|_b)\b")


def scrub(text: str) -> str:
    """``text`` without storage names and paths."""
    text = _PATH.sub("(file)", text)
    text = _PHYSICAL.sub("", text)
    text = _STORAGE_SCHEMA.sub("", text)
    text = _TEMPORARY.sub("", text)
    return _STORAGE_COLUMN.sub("", text)


@dataclass(frozen=True, slots=True)
class _Pattern:
    text: re.Pattern[str]
    sqlstate: str
    message: str | Callable[[re.Match[str]], str] | None = None  # None: the engine's own words
    detail: Callable[[re.Match[str]], str] | None = None
    hint: str | None = None


def _unqualified(name: str) -> str:
    return name.rpartition(".")[2].strip('"')


def _duplicate(match: re.Match[str]) -> str:
    return "duplicate key value violates unique constraint"


def _duplicate_detail(match: re.Match[str]) -> str:
    pairs = [part.split(":", 1) for part in match.group("key").split(", ") if ":" in part]
    pairs = [
        (name.strip(), value.strip()) for name, value in pairs if name.strip() not in ("_rid", "_c", "_b")
    ]
    names = ", ".join(name for name, _ in pairs)
    values = ", ".join(value.strip("'\"") for _, value in pairs)
    return f"Key ({names})=({values}) already exists."


def _p(
    text: str,
    sqlstate: str,
    message: str | Callable[[re.Match[str]], str] | None = None,
    detail: Callable[[re.Match[str]], str] | None = None,
    hint: str | None = None,
) -> _Pattern:
    return _Pattern(re.compile(text, re.DOTALL), sqlstate, message, detail, hint)


_RETRY = "Run the transaction again."
_NO_FUNCTION_HINT = (
    "No function matches the given name and argument types. You might need to add explicit type casts."
)
_SERIALIZE = "could not serialize access due to concurrent update"

PATTERNS: tuple[_Pattern, ...] = (
    # conflicts
    _p(r"Conflict on update|Conflict on tuple deletion", "40001", _SERIALIZE, hint=_RETRY),
    _p(r"Transaction conflict|write-write conflict", "40001", _SERIALIZE, hint=_RETRY),
    _p(r"another transaction has (?:dropped|altered|deleted)", "40001", _SERIALIZE, hint=_RETRY),
    _p(r"Failed to commit.*(?:PRIMARY KEY or UNIQUE|primary key|unique)", "40001",
       "could not serialize access due to a concurrent insert of the same key", hint=_RETRY),
    _p(r"Could not commit creation of dependency", "40001", _SERIALIZE, hint=_RETRY),
    _p(r"No space left on device|could not write.*space", "53100", "no space left on device"),
    # constraints
    _p(r"Duplicate key \"(?P<key>.*?)\" violates (?:primary key|unique) constraint", "23505", _duplicate,
       _duplicate_detail),
    _p(r"NOT NULL constraint failed: (?P<name>\S+)", "23502", lambda m: (
        f'null value in column "{_unqualified(m["name"])}" of relation "{_table_of(m["name"])}" '
        "violates not-null constraint")),
    _p(r"CHECK constraint failed on table (?P<table>\S+) with expression (?P<check>.*)", "23514", lambda m: (
        f'new row for relation "{_unqualified(m["table"])}" violates check constraint'),
       lambda m: f"Failing check: {m['check'].splitlines()[0]}."),
    _p(r"CHECK constraint failed(?: on table| for)? ?(?P<table>[\w\"]*)", "23514", lambda m: (
        f'new row for relation "{m["table"]}" violates check constraint')),
    _p(r"[Vv]iolates foreign key constraint", "23503"),
    _p(r"DO UPDATE SET clause cannot contain a subquery", "0A000",
       "a sub-query in ON CONFLICT … DO UPDATE SET is not supported",
       hint="MERGE INTO takes it, with the values as its source."),
    _p(r"Multiple assignments to same column (?P<v>\".*?\")", "42601",
       lambda m: f"multiple assignments to same column {m['v']}"),
    # values
    _p(r"value too long for type [\w ]+\(\d+\)", "22001", lambda m: m.group(0)),
    _p(r"[Dd]ivision by zero", "22012", "division by zero"),
    _p(r"Unknown TimeZone '(?P<zone>.*?)'", "22023", lambda m: f'time zone "{m["zone"]}" not recognized'),
    _p(r"date/time field value out of range|field value out of range", "22008"),
    _p(r"invalid (?:date|timestamp|time|interval) (?:field )?format: \"(?P<v>.*?)\"", "22007",
       lambda m: f'invalid input syntax for type {_kind_in(m.group(0))}: "{m["v"]}"'),
    _p(r"cannot take logarithm of zero", "2201E", "cannot take logarithm of zero"),
    _p(r"cannot take logarithm of a negative", "2201E", "cannot take logarithm of a negative number"),
    _p(r"cannot take square root of a negative", "2201F", "cannot take square root of a negative number"),
    _p(r"a negative number raised to a non-integer power", "2201F",
       "a negative number raised to a non-integer power yields a complex result"),
    _p(r"zero raised to a negative power is undefined", "2201F", "zero raised to a negative power is undefined"),
    _p(r"negative substring length not allowed", "22011", "negative substring length not allowed"),
    _p(r"field position must not be zero", "22023", "field position must not be zero"),
    _p(r"cannot replace existing key", "22023", "cannot replace existing key"),
    _p(r"index (?P<i>-?\d+) out of valid range, 0\.\.(?P<n>-?\d+)", "2202E", lambda m: m.group(0)),
    _p(r"unrecognized encoding: \"(?P<v>.*?)\"", "22023", lambda m: f'unrecognized encoding: "{m["v"]}"'),
    _p(r"string '(?P<v>invalid input syntax for type \w+: \".*?\")' to", "22P02", lambda m: m["v"]),
    _p(r"Could not (?:convert|parse) string '(?P<v>.*?)' to (?P<t>[\w ()]+)", "22P02",
       lambda m: f'invalid input syntax for type {postgres_type(m["t"])}: "{m["v"]}"'),
    _p(r"Could not convert string \"(?P<v>.*?)\" to (?P<t>\w+)", "22P02",
       lambda m: f'invalid input syntax for type {postgres_type(m["t"])}: "{m["v"]}"'),
    _p(r"Type \w+ with value '(?P<v>.*?)' can't be cast to the destination type (?P<t>[\w\[\]]+)", "22P02",
       lambda m: f'malformed array literal: "{m["v"]}"' if m["t"].endswith("]")
       else f'invalid input syntax for type {postgres_type(m["t"])}: "{m["v"]}"'),
    _p(r"out of range for the destination type (?P<t>\w+)", "22003",
       lambda m: f"{postgres_type(m['t'])} out of range"),
    _p(r"Could not cast value .* to DECIMAL", "22003", "numeric field overflow"),
    _p(r"Overflow in \w+ of (?P<t>\w+)", "22003", lambda m: f"{postgres_type(m['t'])} out of range"),
    _p(r"Malformed JSON", "22P02", "invalid input syntax for type json"),
    _p(r"[Ii]nvalid escape string|regex|RE2|invalid (?:perl operator|escape sequence)", "2201B"),
    _p(r"(?:More than one row returned by a subquery|Scalar subquery can only return a single row)", "21000",
       "more than one row returned by a subquery used as an expression"),
    _p(r"value too long for type", "22001"),
    _p(r"Cannot use \"(?P<n>[^\"]+)\" in this context", "0A000",
       lambda m: f"an index cannot be made of an expression with {m['n']}",
       hint="Add a generated column with the expression, and make the index on that column."),
    # names
    _p(r"Table with name \"?(?P<n>[^\"!\s]+)\"? does not exist", "42P01",
       lambda m: f'relation "{m["n"]}" does not exist'),
    _p(r"View with name \"?(?P<n>[^\"!\s]+)\"? does not exist", "42P01",
       lambda m: f'relation "{m["n"]}" does not exist'),
    _p(r"Sequence with name \"?(?P<n>[^\"!\s]+)\"? does not exist", "42P01",
       lambda m: f'relation "{m["n"]}" does not exist'),
    _p(r"Schema with name \"?(?P<n>[^\"!\s]+)\"? does not exist", "3F000",
       lambda m: f'schema "{m["n"]}" does not exist'),
    _p(r"Type with name \"?(?P<n>[^\"!\s]+)\"? does not exist", "42704",
       lambda m: f'type "{m["n"]}" does not exist'),
    _p(r"Referenced table \"(?P<n>.*?)\" not found", "42P01",
       lambda m: f'missing FROM-clause entry for table "{m["n"]}"'),
    _p(r"Referenced column \"(?P<n>.*?)\" (?:was )?not found", "42703",
       lambda m: f'column "{m["n"]}" does not exist'),
    _p(r"Table \"(?P<t>.*?)\" does not have a column named \"(?P<n>.*?)\"", "42703",
       lambda m: f'column {m["t"]}.{m["n"]} does not exist'),
    _p(r"does not have a column (?:with name|named) \"?(?P<n>[^\"!\s]+)\"?", "42703",
       lambda m: f'column "{m["n"]}" does not exist'),
    _p(r"[Cc]olumn (?:with name )?\"?(?P<n>[^\"!\s]+)\"? (?:does not exist|was not found|not found)", "42703",
       lambda m: f'column "{m["n"]}" does not exist'),
    _p(r"Ambiguous reference to column name \"(?P<n>.*?)\"", "42702",
       lambda m: f'column reference "{m["n"]}" is ambiguous'),
    _p(r"Ambiguous reference to table \"(?P<n>.*?)\"|Duplicate alias \"(?P<m>.*?)\"", "42712",
       lambda m: f'table name "{m["n"] or m["m"]}" specified more than once'),
    _p(r"(?:Table|View|Sequence|Index) with name \"?(?P<n>[^\"!\s]+)\"? already exists", "42P07",
       lambda m: f'relation "{m["n"]}" already exists'),
    _p(r"Schema with name \"?(?P<n>[^\"!\s]+)\"? already exists", "42P06",
       lambda m: f'schema "{m["n"]}" already exists'),
    _p(r"Column with name (?P<n>\S+) already exists", "42701",
       lambda m: f'column "{m["n"]}" specified more than once'),
    _p(r"with name \"?(?P<n>[^\"!\s]+)\"? already exists", "42710", lambda m: f'"{m["n"]}" already exists'),
    _p(r"(?:Function|Macro)(?: Function)? with name \"?(?P<n>[^\"!\s]+)\"? does not exist", "42883",
       lambda m: f"function {m['n']} does not exist",
       hint="No function matches the given name and argument types."),
    _p(r"No function matches the given name and argument types '(?P<n>.*?)'", "42883",
       lambda m: _no_function(m["n"]),
       hint=_NO_FUNCTION_HINT),
    _p(r"Macro \"?(?P<n>\w+)\"?\(?\)? does not support the supplied arguments", "42883",
       lambda m: f"function {m['n']} does not exist for these argument types",
       hint="You might need to add explicit type casts."),
    _p(r"Could not choose a best candidate function for the function call \"(?P<n>.*?)\"", "42725",
       lambda m: f"function {m['n'].lower()} is not unique",
       hint="Could not choose a best candidate function. You might need to add explicit type casts."),
    _p(r"must appear in the GROUP BY clause", "42803"),
    _p(r"cannot contain aggregates|aggregate function calls cannot be nested", "42803"),
    _p(r"cannot contain window functions", "42P20"),
    _p(r"Cannot compare values of type (?P<a>\S+) and (?:type )?(?P<b>\S+)", "42883",
       lambda m: f"operator does not exist: {postgres_type(m['a'])} = {postgres_type(m['b'])}",
       hint="You might need to add explicit type casts."),
    _p(r"(?:Unimplemented type for cast|Cannot (?:cast|concatenate)|Cannot mix values of type)", "42804"),
    _p(r"Column name/value mismatch for insert on .*?: expected (?P<c>\d+) columns but (?P<v>\d+) values", "42601",
       lambda m: "INSERT has more expressions than target columns" if int(m["v"]) > int(m["c"])
       else "INSERT has more target columns than expressions"),
    _p(r"Duplicate column name \"(?P<n>.*?)\" in INSERT", "42701",
       lambda m: f'column "{m["n"]}" specified more than once'),
    _p(r"columns as conflict target are not referenced by", "42P10",
       "there is no unique or exclusion constraint matching the ON CONFLICT specification"),
    _p(r"Cannot insert into a generated column", "428C9", "cannot insert a non-DEFAULT value into a generated column"),
    _p(r"update column \"(?P<n>.*?)\" because it is a generated column", "428C9",
       lambda m: f'column "{m["n"]}" can only be updated to DEFAULT'),
    _p(r"does not contain column \"(?P<n>.*?)\" referenced in check constraint", "42703",
       lambda m: f'column "{m["n"]}" does not exist'),
    _p(r"table \S+ has (?P<c>\d+) columns but (?P<v>\d+) values were supplied", "42601",
       lambda m: "INSERT has more expressions than target columns" if int(m["v"]) > int(m["c"])
       else "INSERT has more target columns than expressions"),
    _p(r"(?:UNION|INTERSECT|EXCEPT|Set operations).*same number of (?:result )?columns", "42601",
       "each UNION query must have the same number of columns"),
    _p(r"Can only (?:update|delete from|insert into) base table|is not an? table", "42809"),
    _p(r"Cannot (?:drop|alter) entry .* because there are entries that depend on it", "2BP01",
       "cannot drop it because other objects depend on it", hint="Use DROP ... CASCADE."),
    _p(r"transaction is read-only|in read-only mode|read-only transaction", "25006",
       "cannot execute a write in a read-only transaction"),
    _p(r"cannot start a transaction within a transaction", "25001",
       "there is already a transaction in progress"),
    _p(r"no transaction is active", "25P01", "there is no transaction in progress"),
    _p(r"Current transaction is aborted", "25P02",
       "current transaction is aborted, commands ignored until end of transaction block"),
    _p(r"nextval: (?P<text>reached (?:maximum|minimum) value of sequence \"[^\"]+\"(?: \(-?\d+\))?)", "2200H",
       lambda m: f'nextval: {m["text"]}'),
    _p(r"(?P<text>setval: value -?\d+ is out of bounds for sequence .*)", "22003", lambda m: m["text"]),
    _p(r"(?P<text>(?:START|MINVALUE)[^\n]* (?:must|cannot) be (?:less|greater) than M(?:IN|AX)VALUE \(-?\d+\))",
       "22023", lambda m: m["text"]),
    _p(r"not yet defined in this session|currval: sequence", "55000"),
    _p(r"syntax error at or near \"(?P<n>.*?)\"", "42601", lambda m: f'syntax error at or near "{m["n"]}"'),
    _p(r"Interrupted|INTERRUPT", "57014", "canceling statement due to user request"),
    _p(r"[Oo]ut of [Mm]emory|failed to (?:allocate|pin|offload)", "53200", "out of memory",
       hint="The statement needs more memory than memory_limit allows."),
    _p(r"has been invalidated|FATAL", "57P02", "the engine stopped after a fatal error and is being reopened",
       hint="Connect again."),
    _p(r"Max expression depth|maximum.*depth", "54001", "stack depth limit exceeded"),
)  # fmt: skip

_BY_TYPE = {
    "ParserException": "42601",
    "SyntaxException": "42601",
    "BinderException": "42804",
    "CatalogException": "42704",
    "ConversionException": "22P02",
    "OutOfRangeException": "22003",
    "InvalidInputException": "22023",
    "ConstraintException": "23000",
    "TransactionException": "40001",
    "SerializationException": "40001",
    "OutOfMemoryException": "53200",
    "InterruptException": "57014",
    "IOException": "58030",
    "PermissionException": "42501",
    "NotImplementedException": "0A000",
    "NotSupportedError": "0A000",
    "TypeMismatchException": "42804",
    "FatalException": "57P02",
    "InternalException": "XX000",
    "DependencyException": "2BP01",
    "SequenceException": "2200H",
    "InvalidTypeException": "42704",
}

_POSTGRES_TYPES = {
    "INT8": "smallint", "INT16": "smallint", "INT32": "integer",
    "INT64": "bigint", "INT128": "numeric", "TINYINT": "smallint",
    "SMALLINT": "smallint", "INTEGER": "integer", "BIGINT": "bigint",
    "BOOL": "boolean", "BOOLEAN": "boolean", "DOUBLE": "double precision",
    "FLOAT": "real", "VARCHAR": "text", "HUGEINT": "numeric",
    "TIMESTAMP": "timestamp", "DATE": "date", "TIME": "time",
    "UUID": "uuid", "INTERVAL": "interval", "BLOB": "bytea",
    "JSON": "json", "STRING_LITERAL": "unknown", "INTEGER_LITERAL": "integer",
    "UINT8": "smallint", "UINT16": "integer", "UINT32": "bigint",
    "UINT64": "numeric",
}  # fmt: skip


def postgres_type(name: str) -> str:
    """Postgres' word for an engine type in an error text."""
    bare, bracket, rest = name.strip().partition("[")
    if bare.startswith("DECIMAL"):
        return "numeric"
    if bare.startswith("TIMESTAMP WITH"):
        return "timestamp with time zone"
    return _POSTGRES_TYPES.get(bare, bare.lower()) + bracket + rest


def _table_of(qualified: str) -> str:
    return _unqualified(qualified.rpartition(".")[0])


def _kind_in(text: str) -> str:
    return next(
        (kind for kind in ("timestamp", "date", "time", "interval") if f"invalid {kind}" in text), "date"
    )


def _no_function(signature: str) -> str:
    name, _, arguments = signature.partition("(")
    types = [postgres_type(item) for item in arguments.rstrip(")").split(", ") if item]
    if re.match(r"^[a-z_]\w*(\.\w+)*$", name, re.IGNORECASE):
        return f"function {_unqualified(name)}({', '.join(types)}) does not exist"
    if len(types) == 2:
        return f"operator does not exist: {types[0]} {name} {types[1]}"
    return f"operator does not exist: {name} {' '.join(types)}"


def from_engine(exception_type: str, message: str, scrub: Scrub = scrub) -> BoughError:
    """The Postgres error for an engine exception: its class name and its text (plain, or as JSON)."""
    first = _from_json(message).strip()
    for pattern in PATTERNS:
        if match := pattern.text.search(first):
            text = pattern.message(match) if callable(pattern.message) else pattern.message
            detail = pattern.detail(match) if pattern.detail else None
            return BoughError(
                pattern.sqlstate,
                scrub(text if text is not None else _own_words(first)),
                detail=scrub(detail) if detail else None,
                hint=pattern.hint,
            )
    sqlstate = _BY_TYPE.get(exception_type, "XX000")
    return BoughError(sqlstate, scrub(_own_words(first)))


def _own_words(message: str) -> str:
    first = message.splitlines()[0] if message else "unknown error"
    return _PREFIX.sub("", first) or first


def _from_json(message: str) -> str:
    """The text inside ``errors_as_json``. Its position counts in our rewritten text, so it is of no use."""
    at = message.find('{"exception_type"')
    if at < 0:
        return message
    try:
        return str(json.loads(message[at:])["exception_message"])
    except (ValueError, KeyError):
        return message
