"""Quoting, reserved names and the names of storage. The only place that spells them."""

from __future__ import annotations

RID = "_bough_rid"  # a row's identity: survives updates of its key, never reused
VERSION = "_bough_ver"  # the version that wrote the row
BRANCH = "_bough_branch"  # in delta tables: whose row it is
PLACE = "_bough_place"  # where the engine has a row of the trunk now: good for this transaction only
SERIAL_SEQUENCE = "bough_serial_sequence"  # a call for the sequence of a column, where a sequence is named
PLACE_COLUMN = "rowid"  # what engines call that, and show as a column that no table has
ENDED = "_bough_end"  # in history: the version that replaced or deleted the row
HIDDEN = frozenset({RID, VERSION, BRANCH, ENDED})
HIDDEN_PREFIX = "_bough_"

TEMPORARY_PREFIX = "_bough_temp_"  # of temporary tables, in the engine
PIN_PREFIX = "_bough_pin_"  # of forks that only keep a snapshot

MANIFEST_SCHEMA = "bough_meta"
DATA_SCHEMA = "bough_data"
CATALOG_DATABASE = "bough_catalog"
RID_SEQUENCE = f"{DATA_SCHEMA}.rid"
FUNCTIONS = "bough_fn"  # the database of the functions that only Bough has
EXPORTED_FUNCTIONS = "bough_functions"  # the schema of a plain file that has those its views call
SHOWN_TEMPORARY_SCHEMA = "pg_temp_1"  # what catalogs say; either name is the session's own
TEMPORARY_SCHEMAS = ("pg_temp", SHOWN_TEMPORARY_SCHEMA)
RESERVED_SCHEMAS = frozenset({"bough", MANIFEST_SCHEMA, DATA_SCHEMA, FUNCTIONS, EXPORTED_FUNCTIONS})


def temporary(name: str) -> str:
    """A session's temporary table in the engine, under a name that no other table has."""
    return quote(TEMPORARY_PREFIX + name)


def may_be_temporary(schema: str | None) -> bool:
    """Whether a name in this schema, or in none that is said, can mean a temporary table."""
    return schema is None or schema in TEMPORARY_SCHEMAS


def is_pin(branch: str) -> bool:
    """Whether a branch is a kept snapshot, which no list shows and nobody connects to."""
    return branch.startswith(PIN_PREFIX)


def quote(name: str) -> str:
    """``name`` as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """``text`` as a string literal."""
    return "'" + text.replace("'", "''") + "'"


def columns(names: tuple[str, ...] | list[str], prefix: str = "") -> str:
    """A list of quoted identifiers, each behind ``prefix`` and a dot if one is given."""
    dot = f"{prefix}." if prefix else ""
    return ", ".join(dot + quote(name) for name in names)


def delta(shape: int) -> str:
    """Full after-images of rows that branches hold over a table of this shape."""
    return f"{DATA_SCHEMA}.d{shape}"


def before(shape: int) -> str:
    """Images, as of the base of a branch, of the rows it changed; ``shape`` is that of the table in the base."""
    return f"{DATA_SCHEMA}.b{shape}"


def mask(base: int) -> str:
    """Identities of rows of a base table that branches replace or delete."""
    return f"{DATA_SCHEMA}.m{base}"


def ended(shape: int) -> str:
    """Rows that branches held in a delta of this shape, until a version that the retention still covers."""
    return f"{DATA_SCHEMA}.e{shape}"


def copy(base: int) -> str:
    """A branch's own copy of a table, unqualified: what it reads in the place of the trunk's."""
    return f"c{base}"


def holds_branches(table: str) -> bool:
    """Whether a storage table (unqualified) holds rows by branch."""
    return table[0] in "dbme" and table[1:].isdigit()


def history(base: int, maker: int | None = None) -> str:
    """Old images of rows of a base table that some fork or the retention still needs. With ``maker``: those of the
    version that could not see, or had to leave to another, the table that is meant for all."""
    return f"{DATA_SCHEMA}.h{base}" + (f"_{maker}" if maker is not None else "")


def history_of(table: str) -> int | None:
    """The base whose old images a storage table (unqualified) holds, if it holds such."""
    base = table[1:].partition("_")[0]
    return int(base) if table[0] == "h" and base.isdigit() else None


def undo(merge: int, table: int) -> str:
    """What a merge changed in a table: the rows before and after."""
    return f"{DATA_SCHEMA}.u{merge}_{table}"
