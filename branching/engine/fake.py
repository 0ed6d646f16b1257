"""A verified fake of an engine, in memory and without DuckDB: what branching's own tests run on beside the real one.

It passes the same conformance suite. SQLite, from the standard library, evaluates its statements; snapshots, conflicts,
types and sequences are its own (``fake_store``, ``fake_sql``, ``fake_types``). It is small and slow: every transaction
copies the database. What it does not have its ``capabilities`` say, and asking for it is refused: MERGE, plans, files,
decimals beyond doubles, lists.

Databases live in the engine value that opened them: closed and opened again there, a database is as it was.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

from branching import names
from branching.engine import fake_sql, fake_types
from branching.engine.base import LOGICAL_DIALECT, Cursor, EngineError, OpenError
from branching.engine.capabilities import Capabilities
from branching.engine.fake_store import Store
from branching.engine.versioned import VersionedRows
from branching.errors import BoughError
from branching.names import BRANCH, RID, VERSION

if TYPE_CHECKING:
    from branching.database import Database
    from branching.engine.duckdb_script import Script
    from branching.engine.protocol import Progress

CAPABILITIES = Capabilities(
    sole_writer=True,
    notices_lost_updates=True,
    transactional_ddl=True,
    alters_columns=False,
    indexes_live_rows=True,
    native_foreign_keys=False,
    merge_into=False,
    row_places=False,
    errors_end_transactions=False,
    delta_enforces=frozenset({"not null", "check", "key", "default"}),
    explains=False,
    reads_files=False,
    exchanges_files=False,
)


def prepare(connection: sqlite3.Connection) -> None:
    """The functions that definitions in a database may call."""
    connection.create_function(fake_sql.CAST, 2, fake_types.cast, deterministic=True)
    connection.create_function(fake_sql.TRY_CAST, 2, fake_types.try_cast, deterministic=True)
    connection.create_function("concat_ws", -1, _concat_ws, deterministic=True)
    connection.create_function("row_text", -1, _row_text, deterministic=True)
    connection.create_function("nextval", 1, _no_session)
    connection.create_function("getvariable", 1, _no_session)


@cache
def functions() -> frozenset[str]:
    """The names of all functions: SQLite's and ours."""
    connection = sqlite3.connect(":memory:")
    prepare(connection)
    found = frozenset(row[0].lower() for row in connection.execute("PRAGMA function_list"))
    connection.close()
    return found


def _no_session(_name: str) -> int:
    raise ValueError("there is no session")


def _concat_ws(between: str, *values: object) -> str:
    return between.join(str(value) for value in values if value is not None)


def _row_text(*cells: object) -> str:
    pairs = zip(cells[::2], cells[1::2], strict=True)
    return "{" + ", ".join(f"'{name}': {'NULL' if value is None else value}" for name, value in pairs) + "}"


class FakeEngine(VersionedRows):
    name = "fake"
    dialect = fake_sql.DIALECT
    capabilities = CAPABILITIES

    def __init__(self) -> None:
        self._stores: dict[str, Store] = {}

    # -- databases --------------------------------------------------------------------------------------------------

    def connect(
        self, path: str, settings: Sequence[tuple[str, str]] = (), *, read_only: bool = False
    ) -> Cursor:
        from branching.engine.fake_cursor import FakeCursor

        if settings:
            raise OpenError(f"the fake engine has no setting {settings[0][0]}")
        store = Store(prepare) if path == ":memory:" else self._stores.setdefault(path, Store(prepare))
        return FakeCursor(self, store)

    def adopt(self, database: Database, progress: Progress) -> None:
        """Nothing: nobody else makes databases of this engine."""

    def log_size(self, path: str) -> int:
        return 0

    def export(
        self,
        database: Database,
        branch: str,
        target: Path,
        *,
        functions: Mapping[str, str],
        force: bool = False,
        progress: Progress = lambda _line: None,
    ) -> Script:
        raise BoughError("0A000", "this engine has no files to export to")

    def load(
        self, database: Database, source: Path, branch: str, progress: Progress = lambda _line: None
    ) -> list[str]:
        raise BoughError("0A000", "this engine has no files to import")

    # -- text -------------------------------------------------------------------------------------------------------

    def text(self, tree: exp.Expr) -> str:
        return fake_sql.text(tree)

    def expression(self, logical: str) -> str:
        return fake_sql.text(sqlglot.parse_one(logical, dialect=LOGICAL_DIALECT))

    def rows_of_lists(self, types: Sequence[str]) -> str | None:
        return None

    def replace_temporary(self, name: str, query: str) -> str:
        return f"CREATE OR REPLACE TEMPORARY TABLE {name} AS {query}"

    def row_text(self, cells: Mapping[str, str]) -> str:
        return f"row_text({', '.join(f'{names.literal(name)}, {value}' for name, value in cells.items())})"

    def spelled(self, type_text: str, value: str) -> str:
        return f"CAST({value} AS TEXT)"

    def digest(self, rows: str, columns: Sequence[str]) -> str:
        listed = names.columns(list(columns)) or "1"
        return f"SELECT {listed} FROM ({rows}) AS _rows ORDER BY {listed}"

    def explain(self, sql: str, *, analyze: bool = False, as_json: bool = False) -> str:
        raise BoughError("0A000", "this engine shows no plans")

    # -- storage ----------------------------------------------------------------------------------------------------

    def create_manifest(self) -> Iterable[str]:
        yield f"CREATE SCHEMA {names.MANIFEST_SCHEMA}"
        yield f"CREATE SCHEMA {names.DATA_SCHEMA}"
        yield f"CREATE SEQUENCE {names.RID_SEQUENCE}"

    def hidden_columns(self) -> tuple[str, ...]:
        return (
            f"{RID} BIGINT DEFAULT nextval('{names.RID_SEQUENCE}')",
            f"{VERSION} BIGINT DEFAULT getvariable('version')",
        )

    def branch_column(self) -> str:
        return f"{BRANCH} BIGINT NOT NULL DEFAULT getvariable('branch')"

    def add_column(self, target: str, definition: str) -> str:
        return f"ALTER TABLE {target} ADD COLUMN IF NOT EXISTS {definition}"

    def meets_old_versions(self, error: EngineError) -> bool:
        return False
