"""What a statement may reach: table functions by allow-list, scalars by deny-list, files by directory.

Rules:

1. A table function that is not listed here is refused: files, settings, other catalogs and SQL in strings are
   all behind table functions.
2. Scalar functions are refused if they touch files, settings or other objects by a name in a string, or run
   for as long as the caller likes. A test walks ``duckdb_functions()`` and asks that every function with side
   effects is classified here.
3. A file may be read only below a directory of ``GuardContext.file_directories``, by its real path (no
   symbolic link, ``..`` or glob leads out), and never the database file or its companions.
4. The engine's own lock is the second wall, not the first: it leaves its database file readable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from sqlglot import exp

from branching.ddl import model as ddl_model
from branching.errors import BoughError
from branching.model import Catalog
from proxy.sql.function_lists import (
    CATALOG_TABLE_FUNCTIONS,
    DENIED_SCALARS,
    FILE_FUNCTIONS,
    TABLE_FUNCTIONS,
)
from proxy.sql.parse import Parsed
from proxy.sql.statements import Copy


@dataclass(frozen=True, slots=True)
class GuardContext:
    """What a session was granted. ``database_path`` is the served file, never readable through SQL."""

    file_directories: tuple[Path, ...] = ()
    database_path: Path | None = None
    table_functions: frozenset[str] = frozenset()  # further ones that the session itself answers


_TABLE_FUNCTIONS = TABLE_FUNCTIONS | CATALOG_TABLE_FUNCTIONS
_COPY_HINT = (
    "Use COPY … FROM STDIN or TO STDOUT; psql's \\copy reads and writes the client's files and programs."
)
_GLOB = re.compile(r"[*?\[{]")
_FILE_NAME = re.compile(
    r"(^[a-z0-9+]+://)|[/\\]|\.(csv|tsv|txt|json|jsonl|ndjson|parquet|xlsx|db|duckdb|arrow|gz|zst|wal)$",
    re.IGNORECASE,
)


def with_macros(context: GuardContext, catalog: Catalog) -> GuardContext:
    """The context, with the table macros of a branch allowed in FROM."""
    own = frozenset(macro.name.lower() for macro in catalog.macros.values() if macro.is_table)
    return replace(context, table_functions=context.table_functions | own) if own else context


def guard(parsed: Parsed, tree: exp.Expr | None, context: GuardContext) -> None:
    """Raise ``BoughError`` (42501 for files, 0A000 for the rest) unless everything named is allowed."""
    payload = parsed.payload
    if isinstance(payload, Copy) and (payload.filename is not None or payload.program):
        if payload.program:
            raise BoughError("42501", "COPY … PROGRAM is not allowed", hint=_COPY_HINT)
        assert payload.filename is not None
        try:
            allowed_file(payload.filename, context, write=not payload.from_client)
        except BoughError as error:
            error.hint = _COPY_HINT
            raise
    if tree is not None:
        guard_tree(tree, context)
    for inner in _trees(payload):
        guard_tree(inner, context)


def _trees(payload: object) -> Iterator[exp.Expr]:
    """The trees inside a DDL value."""
    if isinstance(payload, ddl_model.CreateView):
        yield payload.query
    elif isinstance(payload, ddl_model.CreateMacro):
        yield payload.body
    elif isinstance(payload, ddl_model.CreateIndex):
        yield from (item for item in payload.columns if isinstance(item, exp.Expr))
    elif isinstance(payload, ddl_model.AlterTable):
        for action in payload.actions:
            for value in (getattr(action, name, None) for name in ("column", "default", "using")):
                if isinstance(value, exp.Expr):
                    yield value
            if isinstance(action, ddl_model.AddConstraint) and action.constraint.expression is not None:
                yield action.constraint.expression


def guard_tree(tree: exp.Expr, context: GuardContext) -> None:
    """Check every function and every table name of a tree."""
    for listing in tree.find_all(exp.Summarize, exp.Describe, exp.Show, exp.Pragma):
        if isinstance(listing, (exp.Show, exp.Pragma)):
            raise BoughError("0A000", "SHOW and PRAGMA inside a query are not supported")
        if isinstance(listing.this, exp.Literal):
            allowed_file(listing.this.name, context)
    for node in tree.find_all(exp.Table, exp.Func, exp.Command):
        if isinstance(node, exp.Command):
            raise BoughError("0A000", "this statement cannot be proven to stay on its branch")
        if isinstance(node, exp.Table):
            _table(node, context)
        elif isinstance(node, exp.Func):
            _function(node, context)


def _table(node: exp.Table, context: GuardContext) -> None:
    inner = node.this
    if isinstance(inner, exp.Dot):
        inner = inner.expression
    if isinstance(inner, exp.Func):
        name = function_name(inner)
        if name in FILE_FUNCTIONS:
            for path in _paths(inner):
                allowed_file(path, context)
        elif name not in _TABLE_FUNCTIONS and name not in context.table_functions:
            if node.text("db") == "bough":
                raise BoughError(
                    "42883",
                    f"function bough.{name} does not exist",
                    detail="No command has a function of that name.",
                    hint="docs/commands.md lists the functions of schema bough, as branch_create and branch_merge.",
                )
            raise BoughError(
                "0A000",
                f"table function {name}() is not allowed",
                hint="Only table functions that cannot leave the branch are; docs/dialect.md lists them.",
            )
        return
    if _FILE_NAME.search(node.name) and not node.args.get("db"):
        allowed_file(node.name, context)


def function_name(node: exp.Func) -> str:
    """The name a function is called by, lower case."""
    if isinstance(node, (exp.Anonymous, exp.AnonymousAggFunc)):
        return str(node.name).lower()
    return _SPECIAL_NAMES.get(type(node)) or str(node.sql_name()).lower()


_SPECIAL_NAMES: dict[type[exp.Expr], str] = {
    exp.ReadCSV: "read_csv",
    exp.ReadParquet: "read_parquet",
    exp.GenerateSeries: "generate_series",
    exp.ExplodingGenerateSeries: "generate_series",
    exp.Explode: "unnest",
    exp.Unnest: "unnest",
}


def _function(node: exp.Func, context: GuardContext) -> None:
    name = function_name(node)
    if name in DENIED_SCALARS:
        raise BoughError(
            "0A000",
            f"function {name}() is not allowed",
            hint="It can reach outside the branch.",
        )
    if name in FILE_FUNCTIONS and not isinstance(node.parent, (exp.Table, exp.Dot)):
        raise BoughError("0A000", f"function {name}() is not allowed here", hint="Use it in FROM.")


def _paths(node: exp.Func) -> Iterator[str]:
    """The file names a reading function is given; anything but literals is refused."""
    arguments = list(node.expressions) if isinstance(node, exp.Anonymous) else []
    first = node.this if isinstance(node.this, exp.Expr) else None
    if first is None and arguments:
        first = arguments[0]
    items = first.expressions if isinstance(first, exp.Array) else [first]
    if not items:
        items = [None]
    for item in items:
        if not (isinstance(item, exp.Literal) and item.is_string):
            raise BoughError("42501", "file names must be string literals", hint="read_csv('/granted/x.csv')")
        yield item.name


def belongs_to(real: Path, served: Path) -> bool:
    """Whether a resolved path is the ``served`` database, or is kept beside it, by name or as a hard link.

    What is kept beside it has a name that begins with its name, and need not exist yet.
    """

    def is_own(file: Path) -> bool:
        return file.parent == served.parent and file.name.startswith(served.name)

    if any(is_own(file) for file in (real, *real.parents)):
        return True
    return real.is_file() and any(
        real.samefile(file) for file in served.parent.iterdir() if is_own(file) and file.is_file()
    )


def allowed_file(name: str, context: GuardContext, *, write: bool = False) -> Path:
    """The real path of ``name``, if a granted directory holds it; else 42501. Never says what exists."""
    denied = BoughError(
        "42501",
        f'access to file "{name}" is not allowed',
        hint="Files are readable only below a directory that the setting file_directories grants.",
    )
    if write or "://" in name or "\x00" in name or name.startswith("~"):
        raise denied
    if not Path(name).is_absolute():
        raise denied
    steady = name
    if match := _GLOB.search(name):
        steady = name[: match.start()].rpartition("/")[0] or "/"
        if ".." in name[match.start() :]:
            raise denied
    real = Path(steady).resolve()
    for directory in context.file_directories:
        root = directory.resolve()
        if (real == root and match) or root in real.parents or (match and real == root):
            break
    else:
        raise denied
    if context.database_path is not None:
        database = context.database_path.resolve()
        if match:
            if database.parent == real or real in database.parents:
                raise denied
        elif belongs_to(real, database):
            raise denied
    return real
