"""DuckDB as an engine of branches: what it can do, and how it spells branch storage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sqlglot import exp

from branching import names
from branching.engine import duckdb_guard
from branching.engine.base import Cursor, EngineError
from branching.engine.capabilities import Capabilities
from branching.engine.duckdb_forms import text_form
from branching.engine.versioned import VersionedRows
from branching.names import BRANCH, RID, VERSION

if TYPE_CHECKING:
    from branching.database import Database
    from branching.engine.duckdb_script import Script
    from branching.engine.protocol import Progress

_VERSION_VARIABLE = "bough_ver"
_BRANCH_VARIABLE = "bough_branch"
HIDDEN_COLUMNS = (
    f"{RID} BIGINT DEFAULT nextval('{names.RID_SEQUENCE}')",
    f"{VERSION} BIGINT DEFAULT getvariable('{_VERSION_VARIABLE}')",
)

_OLD_VERSIONS = ("outstanding updates", "contains duplicates on indexed")

CAPABILITIES = Capabilities(
    sole_writer=True,  # it locks the file
    notices_lost_updates=False,
    transactional_ddl=True,
    alters_columns=True,
    indexes_live_rows=False,
    native_foreign_keys=False,  # it has some, but they refuse too much: see docs/design/storage.md
    merge_into=True,
    row_places=True,
    errors_end_transactions=True,
    delta_enforces=frozenset({"not null", "check", "key", "default"}),
    explains=True,
    reads_files=True,
    exchanges_files=True,
)


class DuckDBEngine(VersionedRows):
    name = "duckdb"
    dialect = "duckdb"
    capabilities = CAPABILITIES

    # -- databases --------------------------------------------------------------------------------------------------

    def connect(
        self, path: str, settings: Sequence[tuple[str, str]] = (), *, read_only: bool = False
    ) -> Cursor:
        from branching.engine.duckdb import connect

        return connect(path, settings, read_only=read_only, engine=self)

    def adopt(self, database: Database, progress: Progress) -> None:
        from branching.engine.duckdb_adopt import adopt

        adopt(database, progress)

    def log_size(self, path: str) -> int:
        try:
            return Path(f"{path}.wal").stat().st_size
        except OSError:
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
        from branching.engine.duckdb_export import export

        return export(database, branch, target, functions=functions, force=force, progress=progress)

    def load(
        self, database: Database, source: Path, branch: str, progress: Progress = lambda _line: None
    ) -> list[str]:
        from branching.engine.duckdb_load import load

        return load(database, source, branch, progress)

    # -- text -------------------------------------------------------------------------------------------------------

    def text(self, tree: exp.Expr) -> str:
        return tree.sql("duckdb")

    def expression(self, logical: str) -> str:
        return logical

    def rows_of_lists(self, types: Sequence[str]) -> str | None:
        return "SELECT " + ", ".join(f"unnest(CAST(? AS {type_}[]))" for type_ in types)

    def replace_temporary(self, name: str, query: str) -> str:
        return f"CREATE OR REPLACE TEMP TABLE {name} AS {query}"

    def row_text(self, cells: Mapping[str, str]) -> str:
        items = ", ".join(f"{names.literal(name)}: {value}" for name, value in cells.items())
        return f"CAST({{{items}}} AS VARCHAR)"

    def spelled(self, type_text: str, value: str) -> str:
        return text_form(type_text, value)

    def explain(self, sql: str, *, analyze: bool = False, as_json: bool = False) -> str:
        return f"EXPLAIN {'ANALYZE ' if analyze else ''}{'(FORMAT json) ' if as_json else ''}{sql}"

    def digest(self, rows: str, columns: Sequence[str]) -> str:
        hashed = f"hash({names.columns(list(columns))})" if columns else "0"
        return f"SELECT count(*), CAST(sum({hashed}) AS VARCHAR) FROM ({rows}) AS _rows"

    # -- storage ----------------------------------------------------------------------------------------------------

    def create_manifest(self) -> Iterable[str]:
        yield f"CREATE SCHEMA {names.MANIFEST_SCHEMA}"
        yield f"CREATE SCHEMA {names.DATA_SCHEMA}"
        yield f"CREATE SEQUENCE {names.RID_SEQUENCE}"

    def hidden_columns(self) -> tuple[str, ...]:
        return HIDDEN_COLUMNS

    def branch_column(self) -> str:
        return f"{BRANCH} BIGINT NOT NULL DEFAULT getvariable('{_BRANCH_VARIABLE}')"

    def unmasked(self, rows: str, shown: str, mask: str, branch: int) -> str:
        """An anti join lets a predicate on the key reach the base's index; NOT IN does not, and NOT EXISTS takes
        DuckDB twice as long to plan."""
        return (
            f"SELECT {shown} FROM {rows} AS _below ANTI JOIN {mask} AS _mask"
            f" ON _mask.{BRANCH} = {branch} AND _mask.{RID} = _below.{RID}"
        )

    def add_column(self, target: str, definition: str) -> str:
        return f"ALTER TABLE {target} ADD COLUMN IF NOT EXISTS {definition}"

    def meets_old_versions(self, error: EngineError) -> bool:
        return any(text in error.message for text in _OLD_VERSIONS)


class DuckDBQuestions:
    """The questions of a ``Cursor``, in DuckDB's words. A cursor adds ``execute`` and ``query``."""

    def write_as(self: Cursor, version: int, branch: int | None = None) -> None:
        self.execute(f"SET VARIABLE {_VERSION_VARIABLE} = {version}")
        if branch is not None:
            self.execute(f"SET VARIABLE {_BRANCH_VARIABLE} = {branch}")

    def checkpoint(self: Cursor) -> None:
        path = self.query(
            "SELECT path FROM duckdb_databases() WHERE database_name = current_database() AND path IS NOT NULL"
        )
        guarded = bool(path) and duckdb_guard.save(
            path[0][0], [row[0] for row in self.query("SELECT block_id FROM pragma_metadata_info()")]
        )
        self.execute("CHECKPOINT")
        if guarded:
            duckdb_guard.drop(path[0][0])

    def next_start(self: Cursor, sequence: str, value: int, *, given: bool = False) -> None:
        self.query(f"SELECT setval({names.literal(sequence)}, {value}, {str(given).lower()})")

    def tables(self: Cursor) -> frozenset[tuple[str, str]]:
        return frozenset(
            self.query(
                "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = current_database()"
            )
        )

    def columns_of(self: Cursor, schema: str, table: str) -> tuple[str, ...]:
        rows = self.query(
            "SELECT column_name FROM duckdb_columns() WHERE schema_name = ? AND table_name = ?"
            " AND database_name = current_database() ORDER BY column_index",
            (schema, table),
        )
        return tuple(row[0] for row in rows)

    def last_value(self: Cursor, sequence: str) -> int | None:
        rows = self.query(
            "SELECT last_value FROM duckdb_sequences() WHERE database_name = current_database()"
            " AND ? IN (schema_name || '.' || sequence_name,"
            """ '"' || schema_name || '"."' || sequence_name || '"')""",
            (sequence,),
        )
        return rows[0][0] if rows else None

    def has_function(self: Cursor, name: str) -> bool:
        return bool(
            self.query(
                "SELECT 1 FROM duckdb_functions() WHERE internal AND lower(function_name) = lower(?) LIMIT 1",
                (name,),
            )
        )

    def type_name(self: Cursor, text: str) -> str:
        return str(self.query(f"SELECT typeof(CAST(NULL AS {text}))")[0][0])
