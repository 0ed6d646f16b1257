"""What a statement for another database may be: read by that database's grammar, never searched as text.

Rules:

1. One statement. PostgreSQL and its relatives are read by PostgreSQL's own parser, everything else by sqlglot
   in its dialect; a text that neither reads is refused, because nobody can say what it does.
2. A query reads: no data-modifying part anywhere in the tree, no INTO, no row locks, no command. Functions
   that reach files, other servers, other sessions or settings are refused by name. The engine's own
   read-only mode stands behind this; neither is enough alone.
3. Executable comments (``/*! ... */``) are statements in disguise and refused.
4. EXECUTE takes one statement too, and no transaction control: the caller decides what is committed.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from typing import Any, Literal

import pglast
import sqlglot
from pglast import ast as pg
from pglast.visitors import Visitor
from sqlglot import Token, TokenType, exp

from migration.dialects import contract
from migration.errors import MigrationError

StatementKind = Literal["query", "dml", "ddl"]

# What has a body of statements, with their semicolons.
_WITH_BODY = {
    "sqlite": re.compile(r"CREATE\s+(?:TEMP(?:ORARY)?\s+)?TRIGGER\b", re.IGNORECASE),
    "mysql": re.compile(
        r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:DEFINER\s*=\s*[^;]*?\s)??(?:AGGREGATE\s+)?"
        r"(?:TRIGGER|PROCEDURE|FUNCTION|EVENT)\b",
        re.IGNORECASE,
    ),
}
# MySQL's and SQLite's REPLACE is an INSERT that makes room first; sqlglot reads neither it nor MySQL's priorities.
_INSERTS = re.compile(
    r"(?:REPLACE\b(?:\s+(?:LOW_PRIORITY|DELAYED)\b)?|INSERT\s+(?:LOW_PRIORITY|HIGH_PRIORITY|DELAYED)\b)",
    re.IGNORECASE,
)
_BLANK = re.compile(r"(?:\s+|--[^\n]*\n|#[^\n]*\n|/\*.*?\*/)*", re.DOTALL)
_PG_WRITES = ("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt")
_PG_QUERIES = ("SelectStmt", "VariableShowStmt")
_PG_TRANSACTION = (
    "TransactionStmt",
    "VariableSetStmt",
    "DiscardStmt",
    "PrepareStmt",
    "ExecuteStmt",
    "DoStmt",
)
_WRITES = (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.DDL, exp.Drop, exp.Alter, exp.TruncateTable)
_FORBIDDEN = (exp.Command, exp.Copy, exp.Attach, exp.Detach, exp.Set, exp.Pragma, exp.Use, exp.Kill, exp.Into)
_TRANSACTION = (exp.Transaction, exp.Commit, exp.Rollback, exp.Set, exp.Use, exp.Kill, exp.Attach, exp.Detach)
_REACHING = re.compile(
    r"(?:pg_(?:read|ls|stat_file|terminate|cancel|reload|rotate|advisory|logical|create|drop|replication|promote"
    r"|switch|export_snapshot|wal|file|import|sleep|backup|start|stop|notify|restore|log_|execute|try_advisory|copy_|stat_reset"
    r"|stat_statements_reset|clear_|set_|prewarm|autoprewarm|truncate_|current_xact_id\b(?!_)).*"
    r"|(?:brin|gin)_(?:summarize|desummarize|clean).*|sleep|benchmark|(?:enable|disable)_(?:logging|profiling)|write_log"
    r"|truncate_duckdb_logs"
    r"|lo_.*|dblink.*|set_config|setval|nextval|query_to_xml.*|database_to_xml.*|schema_to_xml.*|table_to_xml.*"
    r"|cursor_to_xml.*|ts_stat|txid_current|load_file|get_lock|release_lock|release_all_locks|sys_exec|sys_eval"
    r"|master_pos_wait|load_extension|readfile|writefile|edit|fts3_tokenizer"
    r"|read_(?:csv|json|ndjson|parquet|text|blob|xlsx).*|parquet_.*|sniff_csv|query|query_table|getenv"
    r"|sqlite_(?:scan|attach|query)|postgres_(?:scan|query|execute|attach).*|mysql_(?:scan|query|execute)"
    r"|iceberg_.*|delta_scan|duckdb_secrets|which_secret|from_substrait.*|pragma_.*|checkpoint|force_checkpoint"
    r"|url(?:cluster)?|file(?:cluster)?|s3(?:cluster|queue)?|gcs|hdfs(?:cluster)?|azureblobstorage(?:cluster)?"
    r"|remote(?:secure)?|cluster(?:allreplicas)?|executable|jdbc|odbc|mysql|postgresql|mongodb|redis|sqlite"
    r"|deltalake|hudi|iceberg|input|mergetreeindex|python|arrowstream)"
)

_BEYOND = ("INTO", "SETTINGS", "PARALLEL", "SELECT", "UNION")  # no words of a SHOW

# What is explained has to be a query itself: with ANALYZE it runs.
_EXPLAIN = re.compile(
    r"(?is)(?:\s|--[^\n]*\n|/\*(?!M?!).*?\*/)*EXPLAIN\s+(?:(?:ANALYZE|VERBOSE|EXTENDED|QUERY\s+PLAN|QUERY\s+TREE|PLAN|AST|SYNTAX|PIPELINE|"
    r"ESTIMATE|\w+\s*=\s*\w+,?|\([^()]*\))\s+)*(?P<what>(?:SELECT|WITH|FROM|VALUES|TABLE|\()\W*.*)"
)
# The clauses that PostgreSQL's parser does not know; what is checked is the statement without them.
_LAYOUTS = {
    "greenplum": re.compile(r"(?i)\bDISTRIBUTED\s+(?:BY\s*\([^()]*\)|RANDOMLY|REPLICATED)"),
    "redshift": re.compile(
        r"(?i)\bDISTSTYLE\s+(?:AUTO|EVEN|KEY|ALL)\b|\bDISTKEY\b(?:\s*\([^()]*\))?|\bENCODE\s+\w+"
        r"|\b(?:COMPOUND\s+|INTERLEAVED\s+)?SORTKEY\b(?:\s*\([^()]*\)|\s+AUTO\b)?|\bBACKUP\s+(?:YES|NO)\b"
        r"|\b(?:GENERATED\s+BY\s+DEFAULT\s+AS\s+)?IDENTITY\s*\([^()]*\)"
        r"|(?<=CHAR)\s*\(\s*MAX\s*\)"
    ),
}


def check_query(text: str, dialect: str) -> None:
    """Raises unless ``text`` is one statement of ``dialect`` that only reads: 25006, 42601.

    >>> check_query("WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d", "postgres")
    Traceback (most recent call last):
    migration.errors.MigrationError: the statement would write
    """
    if contract(dialect).sqlglot in ("postgres", "redshift"):
        _check_postgres_query(_one_postgres(text, dialect))
        return
    explained = _EXPLAIN.match(text)
    if explained is not None and explained["what"]:
        check_query(explained["what"], dialect)
        return
    if _shows(text, dialect):
        return
    tree = _one(text, dialect)
    if not isinstance(tree, exp.Query | exp.Values | exp.Describe | exp.Show):
        raise _writes(f"{tree.key.upper()} is no query")
    for node in tree.walk():
        if isinstance(node, (*_WRITES, *_FORBIDDEN)):
            raise _writes(f"It contains {node.key.upper()}")
        if isinstance(node, exp.Lock) or node.args.get("locks"):
            raise _writes("It locks rows")
        if node.args.get("settings") or isinstance(node, exp.SettingsProperty):
            raise _reaches("SETTINGS")
        name = _function_name(node)
        if name is not None and _REACHING.fullmatch(name.lower()):
            raise _reaches(name)


def _shows(text: str, dialect: str) -> bool:
    """Whether it is a SHOW of a dialect whose SHOW has no grammar here; 25006 where it does more than name what it
    shows: a function needs brackets."""
    reader = sqlglot.Dialect.get_or_raise(contract(dialect).sqlglot)
    try:
        first, *rest = reader.tokenize(text)
        if first.token_type is not TokenType.SHOW or first.token_type not in reader.tokenizer_class.COMMANDS:
            return False
        _single(rest[:1])  # all words behind a command are one token, a semicolon ends it
        if [token for token in rest[1:] if token.token_type is not TokenType.SEMICOLON]:
            _single(rest)
        words = reader.tokenize(f"SELECT {rest[0].text}")[1:]
    except (sqlglot.errors.SqlglotError, ValueError):
        return False  # who reads it says why
    for number, token in enumerate(words):
        if token.token_type is TokenType.L_PAREN:
            raise _writes("A SHOW with brackets is not read")
        if number and token.token_type is not TokenType.STRING and token.text.upper() in _BEYOND:
            raise _reaches(token.text.upper())
    return True


def check_statement(text: str, dialect: str) -> StatementKind:
    """Raises unless ``text`` is one statement that EXECUTE may run; says what it is."""
    if contract(dialect).sqlglot in ("postgres", "redshift"):
        kind = type(_one_postgres(text, dialect)).__name__
        if kind in _PG_TRANSACTION:
            raise _no_control(kind.removesuffix("Stmt"))
        return "query" if kind in _PG_QUERIES else "dml" if kind in _PG_WRITES else "ddl"
    body = _WITH_BODY.get(contract(dialect).name)
    if body is not None and body.match(text, _BLANK.match(text).end()):  # type: ignore[union-attr]
        _one_with_body(text, dialect)
        return "ddl"
    tree = _one(as_insert(text, dialect), dialect)
    if isinstance(tree, _TRANSACTION) or (
        isinstance(tree, exp.Command)
        and tree.name.upper() in ("BEGIN", "START", "COMMIT", "ROLLBACK", "LOCK")
    ):
        raise _no_control(tree.key.upper())
    if isinstance(tree, exp.Query):
        return "query"
    return "dml" if isinstance(tree, exp.Insert | exp.Update | exp.Delete | exp.Merge) else "ddl"


def leading_word(text: str) -> str:
    """The first word of a statement, behind its comments, in capitals."""
    found = re.compile(r"\w+").match(text, _BLANK.match(text).end())  # type: ignore[union-attr]
    return found[0].upper() if found is not None else ""


def refuse_uncounted(text: str, dialect: str) -> None:
    """0A000 for a statement whose WITH writes: PostgreSQL counts the rows of its last part only."""
    if contract(dialect).sqlglot not in ("postgres", "redshift"):
        return
    clause = getattr(_one_postgres(text, dialect), "withClause", None)
    if any(
        type(each.ctequery).__name__ in _PG_WRITES for each in (clause.ctes if clause is not None else ())
    ):
        raise MigrationError(
            "0A000",
            "the rows that a WITH query writes are not counted",
            detail="Nothing was run.",
            hint="Run each of the statements by itself, or leave ROWS BETWEEN out.",
        )


def as_insert(text: str, dialect: str) -> str:
    """A statement that inserts, however it says so, as an INSERT that writes the same table."""
    start = _BLANK.match(text).end()  # type: ignore[union-attr]
    found = _INSERTS.match(text, start) if contract(dialect).name in _WITH_BODY else None
    return text if found is None else f"{text[:start]}INSERT {text[found.end() :].lstrip()}"


def _one_with_body(text: str, dialect: str) -> None:
    """42601 unless ``text`` is one statement, with those of its body."""
    tokens = _tokens(text, dialect)
    lite = contract(dialect).name == "sqlite"  # which itself knows the semicolon that ends a trigger
    for number, token in enumerate(tokens):
        if token.token_type is not TokenType.SEMICOLON:
            continue
        ends = sqlite3.complete_statement(text[: token.end + 1]) if lite else not _is_open(tokens[:number])
        if ends and any(each.token_type is not TokenType.SEMICOLON for each in tokens[number:]):
            _single(tokens)


def _is_open(tokens: Sequence[Token]) -> bool:
    """Whether a BEGIN or a CASE waits for its END; other blocks say what they end."""
    depth = 0
    for token, behind in zip(tokens, [*tokens[1:], None], strict=True):
        word = token.text.upper() if token.token_type is not TokenType.STRING else ""
        after = behind.text.upper() if behind is not None else ""
        if word == "END" and after not in ("IF", "LOOP", "WHILE", "REPEAT", "FOR"):
            depth -= 1 if after != "CASE" else 2  # the CASE behind it is no new one
        depth += word in ("BEGIN", "CASE")
    return depth > 0


def _tokens(text: str, dialect: str) -> Sequence[Token]:
    item = contract(dialect)
    try:
        tokens = sqlglot.Dialect.get_or_raise(item.sqlglot).tokenize(text)
    except sqlglot.errors.SqlglotError as reason:
        raise MigrationError("42601", f"this is no statement of {item.name}", detail=_plain(reason)) from None
    if any(comment.startswith(("!", "M!")) for token in tokens for comment in token.comments):
        raise MigrationError("0A000", "executable comments are not supported", hint="Remove /*! ... */.")
    return tokens


def _one_postgres(text: str, dialect: str = "postgres") -> Any:
    try:
        statements = pglast.parse_sql(text)
    except pglast.parser.ParseError as reason:
        plain = _LAYOUTS[dialect].sub("", text) if dialect in _LAYOUTS else text
        if plain != text:
            return _one_postgres(plain)
        location = reason.args[1] if len(reason.args) > 1 and isinstance(reason.args[1], int) else None
        position = None if location is None else location + 1
        raise MigrationError("42601", str(reason.args[0]), position=position) from None
    return _single(statements).stmt


def _one(text: str, dialect: str) -> Any:
    item = contract(dialect)
    _tokens(text, dialect)
    try:
        trees = [tree for tree in sqlglot.parse(text, read=item.sqlglot) if tree is not None]
    except (sqlglot.errors.SqlglotError, IndexError, AttributeError, TypeError, ValueError) as reason:
        raise MigrationError("42601", f"this is no statement of {item.name}", detail=_plain(reason)) from None
    return _single(trees)


def _plain(reason: Exception) -> str:
    """What a parser says, without the terminal's escapes that underline a word."""
    return re.sub(r"\x1b\[[0-9;]*m", "", str(reason))


def _single(statements: Any) -> Any:
    found = list(statements)
    if len(found) != 1:
        message = "there is no statement" if not found else "more than one statement"
        raise MigrationError("42601", message, hint="Send exactly one statement.")
    return found[0]


class _Reads(Visitor):
    def visit(self, ancestors: object, node: pg.Node) -> None:
        if type(node).__name__ in _PG_WRITES:
            raise _writes("It contains " + type(node).__name__.removesuffix("Stmt").upper())

    def visit_SelectStmt(self, ancestors: object, node: pg.SelectStmt) -> None:
        if node.intoClause is not None:
            raise _writes("SELECT INTO makes a table")
        if node.lockingClause:
            raise _writes("It locks rows")

    def visit_FuncCall(self, ancestors: object, node: pg.FuncCall) -> None:
        name = str(node.funcname[-1].sval) if node.funcname else ""
        if _REACHING.fullmatch(name.lower()):
            raise _reaches(name)


def _check_postgres_query(statement: Any) -> None:
    kind = type(statement).__name__
    if kind == "ExplainStmt":
        statement = statement.query
        kind = type(statement).__name__
    if kind in _PG_WRITES:
        raise _writes(f"It contains {kind.removesuffix('Stmt').upper()}")
    if kind not in _PG_QUERIES:
        raise _writes(f"{kind.removesuffix('Stmt')} is no query")
    _Reads()(statement)


def _function_name(node: exp.Expr) -> str | None:
    if isinstance(node, exp.Anonymous):
        return str(node.name)
    if isinstance(node, exp.Func):
        return str(node.sql_name())
    if isinstance(node, exp.Schema) and isinstance(node.parent, exp.Describe):  # DESCRIBE url('…')
        return str(node.this.name)
    if isinstance(node, exp.Table) and isinstance(node.this, exp.Func):
        return _function_name(node.this)
    return None


def _writes(detail: str) -> MigrationError:
    return MigrationError(
        "25006",
        "the statement would write",
        detail=detail + ".",
        hint="QUERY only reads. Use EXECUTE ON a datasource whose role is read_write.",
    )


def _reaches(name: str) -> MigrationError:
    return MigrationError(
        "25006",
        f"function {name} is not allowed in a query",
        detail="It reaches files, other servers, other sessions or settings.",
        hint="Leave it out of the query.",
    )


def _no_control(what: str) -> MigrationError:
    return MigrationError(
        "25001",
        f"{what} is not allowed here",
        detail="The statement's transaction belongs to EXECUTE.",
        hint="Send the statement alone; DRY RUN rolls it back.",
    )
