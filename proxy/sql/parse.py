"""One statement's text to what it is: a sqlglot tree, or a value that says it all.

Rules:

1. Postgres' grammar decides first what the statement is; a word in the text never does. Only if it cannot
   read the text, DuckDB's dialect is tried; if that fails too, the error is Postgres' own. A reserved word that names
   an argument (``limit => 5``), as our functions have them, is read as if it were quoted.
2. sqlglot's opaque ``Command`` never survives. What is neither a query, nor DML, nor one of the kinds read
   from Postgres' tree is refused with ``0A000``.
3. ``Parsed`` is shared by a cache: treat its tree as immutable; copy before changing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Literal

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

from branching.ddl.model import CreateMacro, CreateView, Drop, Name
from branching.errors import BoughError
from proxy.sql import as_of, ddl, nesting, overriding, rules, table, utility
from proxy.sql import postgres_grammar as grammar
from proxy.sql.dialect import read_postgres
from proxy.sql.postgres_grammar import SyntaxFailure
from proxy.sql.split import MAX_TEXT, Source, separate_parameters
from proxy.sql.statements import Explain, Kind, Payload

Dialect = Literal["postgres", "duckdb"]
_RETURNS_ROWS = frozenset(
    {Kind.SELECT, Kind.SHOW, Kind.EXPLAIN, Kind.FETCH, Kind.PIVOT, Kind.SUMMARIZE, Kind.DESCRIBE}
)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A statement read. Exactly one of ``tree`` (queries, DML, CREATE TABLE [AS]) and ``payload`` is set."""

    text: str
    offset: int
    kind: Kind
    tag: str  # the command tag without counts
    dialect: Dialect
    tree: exp.Expr | None = None
    payload: Payload | None = None
    parameter_count: int = 0
    returns_rows: bool = False
    failure: SyntaxFailure | None = field(default=None)  # why Postgres' grammar refused a duckdb text
    notices: tuple[str, ...] = ()


_DML = {
    "SelectStmt": Kind.SELECT,
    "InsertStmt": Kind.INSERT,
    "UpdateStmt": Kind.UPDATE,
    "DeleteStmt": Kind.DELETE,
    "MergeStmt": Kind.MERGE,
}


def parse(source: Source | str) -> Parsed:
    """What ``source`` is. Raises ``BoughError`` (42601 with position, 0A000, 54000, 54001)."""
    if isinstance(source, str):
        source = Source(source)
    if len(source.text) > MAX_TEXT:
        raise BoughError("54000", f"the statement is longer than {MAX_TEXT} characters")
    nesting.check(source.text)
    try:
        marked = as_of.mark(source.text)
        if marked is None:
            return _parse(source)
        parsed = _parse(Source(marked.text, source.offset))
        payload = as_of.put_back(marked, source, parsed.tree, parsed.payload)
        return replace(parsed, text=source.text, payload=payload)
    except RecursionError:
        raise BoughError(
            "54001", "stack depth limit exceeded", hint="Simplify the statement: it nests too deep."
        )


def _parse(source: Source) -> Parsed:
    node = grammar.statement_node(source.text)
    if isinstance(node, SyntaxFailure):
        quoted = grammar.quoted_arguments(source.text)
        if quoted is not None and not isinstance(grammar.statement_node(quoted), SyntaxFailure):
            return replace(_parse(Source(quoted, source.offset)), text=source.text)
        return _parse_duckdb(source, node)
    if node in _DML:
        return _query(source, _DML[node])
    statement = grammar.statement_tree(source.text)
    if read := utility.read(statement, source.text, source.offset) or ddl.read(statement, source.text):
        kind, tag, payload = read
        rows = kind in _RETURNS_ROWS
        return Parsed(source.text, source.offset, kind, tag, "postgres", None, payload, 0, rows)
    if node == "CreateStmt":
        tree = table.create_table(statement)
        return _made(source, Kind.CREATE_TABLE, "postgres", tree)
    if node == "CreateTableAsStmt":
        return _table_as(source, statement)
    raise BoughError(
        "0A000",
        f"{source.text.split(None, 1)[0].upper()} of this kind is not supported",
        hint="docs/dialect.md lists the supported statements.",
    )


def _table_as(source: Source, statement: object) -> Parsed:
    what = getattr(statement, "objtype").name  # noqa: B009  (a node of Postgres' tree)
    if what == "OBJECT_MATVIEW":
        raise BoughError("0A000", "materialized views are not supported", hint="Use CREATE TABLE … AS.")
    tree = table.create_table_as(statement)
    return _made(source, Kind.CREATE_TABLE_AS, "postgres", tree)


def _query(source: Source, kind: Kind) -> Parsed:
    text, said = overriding.take_out(source.text) if kind is Kind.INSERT else (source.text, "")
    try:
        tree = read_postgres(text)
    except (ParseError, TokenError) as error:
        raise table.unreadable(error)
    overriding.note(tree, said)
    if isinstance(tree, exp.Create) and kind is Kind.SELECT:  # SELECT … INTO
        return _made(source, Kind.CREATE_TABLE_AS, "postgres", tree)
    into = tree.args.get("into")
    if into is not None:
        tree.set("into", None)
        temporary = (
            exp.Properties(expressions=[exp.TemporaryProperty()]) if into.args.get("temporary") else None
        )
        tree = exp.Create(this=into.this, kind="TABLE", expression=tree, properties=temporary)
        return _made(source, Kind.CREATE_TABLE_AS, "postgres", tree)
    if not isinstance(tree, _CLASSES[kind]):
        raise table.unreadable(None)
    return _made(source, kind, "postgres", tree)


_CLASSES: dict[Kind, tuple[type[exp.Expr], ...]] = {
    Kind.SELECT: (exp.Query, exp.Values, exp.Table),
    Kind.INSERT: (exp.Insert,),
    Kind.UPDATE: (exp.Update,),
    Kind.DELETE: (exp.Delete,),
    Kind.MERGE: (exp.Merge,),
}


def _made(
    source: Source, kind: Kind, dialect: Dialect, tree: exp.Expr, failure: SyntaxFailure | None = None
) -> Parsed:
    if tree.find(exp.Command):
        raise table.unreadable(None)
    for write in tree.find_all(exp.Insert, exp.Update, exp.Delete, exp.Merge):
        if write is not tree and isinstance(write.parent, (exp.CTE, exp.Subquery)):
            raise BoughError(
                "0A000",
                "INSERT, UPDATE, DELETE and MERGE inside WITH are not supported",
                hint="Send the write as a statement of its own; RETURNING works there.",
            )
    numbers = [_number(parameter) for parameter in tree.find_all(exp.Parameter, exp.Placeholder)]
    rows = kind in _RETURNS_ROWS or tree.args.get("returning") is not None
    tag = "SELECT" if kind is Kind.CREATE_TABLE_AS else kind.value
    return Parsed(
        source.text, source.offset, kind, tag, dialect, tree, None, max(numbers, default=0), rows, failure
    )


def _number(parameter: exp.Expr) -> int:
    text = parameter.name
    if not text.isdecimal():
        raise BoughError("42601", f"parameter ${text} is not a number", hint="Parameters are $1, $2, …")
    return int(text)


# -- DuckDB's dialect ---------------------------------------------------------------------------------------

_DROP_TABLE_MACRO = re.compile(r"^(\s*DROP\s+MACRO)\s+TABLE\b", re.IGNORECASE)
_NO_COLUMNS = re.compile(r"^\s*INSERT\s+INTO\s+[^\s(]+\s*\(\s*\)", re.IGNORECASE)
_EXPLAIN = re.compile(r"\s*EXPLAIN\s+(ANALYZE\s+)?(?!\()", re.IGNORECASE)
_DUCKDB_KINDS: tuple[tuple[type[exp.Expr], Kind], ...] = (
    (exp.Pivot, Kind.PIVOT),
    (exp.Summarize, Kind.SUMMARIZE),
    (exp.Describe, Kind.DESCRIBE),
    (exp.Insert, Kind.INSERT),
    (exp.Update, Kind.UPDATE),
    (exp.Delete, Kind.DELETE),
    (exp.Merge, Kind.MERGE),
    (exp.Query, Kind.SELECT),
    (exp.Values, Kind.SELECT),
)


def _parse_duckdb(source: Source, failure: SyntaxFailure) -> Parsed:
    if match := _EXPLAIN.match(source.text):
        inner = Source(source.text[match.end() :], source.offset + match.end())
        parsed = parse(inner)
        options: tuple[tuple[str, str | bool], ...] = (("analyze", True),) if match.group(1) else ()
        return Parsed(source.text, source.offset, Kind.EXPLAIN, "EXPLAIN", parsed.dialect, None,
                      Explain(inner, options), 0, True)  # fmt: skip
    try:
        text = _DROP_TABLE_MACRO.sub(r"\1", source.text)
        tree = sqlglot.parse_one(separate_parameters(text), read="duckdb")
    except (ParseError, TokenError):
        raise syntax_error(failure, source)
    if isinstance(tree, (exp.Column, exp.Alias, exp.Literal)):
        raise syntax_error(failure, source)
    if isinstance(tree, exp.Insert) and _NO_COLUMNS.search(source.text):
        raise syntax_error(failure, source)
    if isinstance(tree, exp.Create):
        return _duckdb_create(source, tree, failure)
    if isinstance(tree, exp.Drop) and str(tree.args.get("kind")).upper() == "MACRO":
        named = tuple(table_name(item) for item in tree.args["tables"])
        dropped = Drop("macro", named, bool(tree.args.get("exists")), bool(tree.args.get("cascade")))
        return Parsed(source.text, source.offset, Kind.DROP, "DROP MACRO", "duckdb", None, dropped)
    for class_, kind in _DUCKDB_KINDS:
        if isinstance(tree, class_):
            if isinstance(tree, (exp.Summarize, exp.Describe)) and isinstance(tree.this, exp.Table):
                tree.set("this", exp.select("*").from_(tree.this.copy()))  # a query can be rewritten inside
            return _made(source, kind, "duckdb", tree, failure)
    if isinstance(tree, exp.Command) and not _is_duckdb_command(tree):
        raise syntax_error(failure, source)
    raise BoughError(
        "0A000",
        f"{source.text.split(None, 1)[0].upper()} is not supported",
        hint="BRANCH SWITCH goes to another branch, SET search_path to another schema."
        if isinstance(tree, exp.Use)
        else "It cannot be proven to stay on its branch.",
    )


_COMMANDS = frozenset(
    {"ATTACH", "DETACH", "LOAD", "INSTALL", "CALL", "EXPORT", "IMPORT", "PRAGMA", "SHOW", "USE"}
)


def _is_duckdb_command(tree: exp.Command) -> bool:
    return str(tree.this).upper() in _COMMANDS


def _duckdb_create(source: Source, tree: exp.Create, failure: SyntaxFailure) -> Parsed:
    kind = str(tree.args.get("kind")).upper()
    if kind == "TABLE" and tree.expression is not None:
        return _made(source, Kind.CREATE_TABLE_AS, "duckdb", tree, failure)
    if kind == "TABLE":
        if _is_foreign(tree, source.text):
            raise syntax_error(failure, source)
        return _made(source, Kind.CREATE_TABLE, "duckdb", table.from_duckdb(tree), failure)
    if kind not in ("VIEW", "MACRO", "FUNCTION") or tree.find(exp.Command):
        raise BoughError("0A000", f"CREATE {kind} in this form is not supported")
    replaces, missing_ok = bool(tree.args.get("replace")), bool(tree.args.get("exists"))
    payload: Payload
    if kind == "VIEW":
        target = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
        columns = tuple(item.name for item in tree.this.expressions) if target is not tree.this else ()
        body = rules.apply(tree.expression, dialect="duckdb")
        assert isinstance(body, exp.Query)
        payload = CreateView(table_name(target), body, columns, replaces, missing_ok)
        return Parsed(source.text, source.offset, Kind.CREATE_VIEW, "CREATE VIEW", "duckdb", None, payload)
    function = tree.this
    if not isinstance(function, exp.UserDefinedFunction):
        raise table.unreadable(None)
    if isinstance(tree.expression, exp.MacroOverloads):
        raise BoughError(
            "0A000", "a macro of several forms is not supported", hint="Make a macro for each form."
        )
    if any(isinstance(item, exp.ColumnDef) for item in function.expressions):
        raise BoughError("0A000", "types of a macro's parameters are not supported", hint="Leave them out.")
    if tree.find(exp.TemporaryProperty):
        raise BoughError("0A000", "temporary macros are not supported", hint="Leave TEMP out.")
    parameters = tuple(item.name for item in function.expressions)
    returns = tree.find(exp.ReturnsProperty)
    body_ = rules.apply(tree.expression, names=False, dialect="duckdb")
    payload = CreateMacro(
        table_name(function.this), parameters, body_, returns is not None, replaces, missing_ok
    )
    return Parsed(source.text, source.offset, Kind.CREATE_MACRO, "CREATE MACRO", "duckdb", None, payload)


_UNSIGNED = re.compile(r"\bunsigned\b", re.IGNORECASE)


def _is_foreign(tree: exp.Create, text: str) -> bool:
    """Whether a CREATE TABLE is in words that neither Postgres nor DuckDB reads, and sqlglot does: ``ENGINE=``,
    ``int unsigned``, ``integer(10)``, COMMENT of a column."""
    properties = tree.args.get("properties")
    if properties is not None and any(
        not isinstance(item, exp.TemporaryProperty) for item in properties.expressions
    ):
        return True
    if tree.find(exp.CommentColumnConstraint, exp.CharacterSetColumnConstraint) is not None:
        return True
    kinds = [column.args.get("kind") for column in tree.find_all(exp.ColumnDef)]
    types = [kind for kind in kinds if isinstance(kind, exp.DataType)]
    if any(kind.this in exp.DataType.INTEGER_TYPES and kind.expressions for kind in types):
        return True
    return any(kind.this in exp.DataType.UNSIGNED_INTEGER_TYPES for kind in types) and bool(
        _UNSIGNED.search(text)
    )


def table_name(node: exp.Expr) -> Name:
    """The name in a sqlglot table node, folded."""
    node = rules.apply(node.copy(), dialect="duckdb")
    return Name(node.name, node.args["db"].name if node.args.get("db") else None)


def syntax_error(failure: SyntaxFailure, source: Source) -> BoughError:
    """Postgres' own syntax error, its position counted in the whole query string."""
    position = None if failure.position is None else failure.position + source.offset
    return BoughError("42601", failure.message, position=position)
