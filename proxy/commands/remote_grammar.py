"""The grammar of the datasource and transfer commands.

SQL meant for a datasource stands between ``$$`` (or quotes), because only that datasource knows its grammar;
a query of ours stands in parentheses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from branching.errors import BoughError

from . import remote as commands
from .model import Command
from .names import check_choice
from .options import read_pairs, tolerance
from .reader import Reader

MODES = ("replace", "append", "upsert", "create", "incremental")


def _origin(reader: Reader) -> commands.Origin:
    if reader.at_symbol("("):
        opening = reader.peek()
        query, offset = reader.parenthesised()
        if not query:
            raise reader.error(opening)
        return commands.Origin(query=query, offset=offset)
    return commands.Origin(path=reader.path("table name"))


def _body(reader: Reader, *, whole: bool = False) -> str:
    """``AS $$ … $$`` and nothing behind it; ``whole``: with the blanks around it, where places in it are told."""
    reader.expect("as")
    token = reader.peek()
    body = reader.string()
    if not body.strip():
        raise reader.error(token)
    reader.end()
    return body if whole else body.strip()


def _options(reader: Reader) -> commands.Options:
    seen: dict[str, str] = {}
    for name, value in read_pairs(reader):
        if name.value in seen:
            raise BoughError(
                "42601", f'option "{name.value}" is given twice', position=name.start + 1, hint=reader.form
            )
        seen[name.value] = value.value
    return tuple(seen.items())


def read_create_datasource(reader: Reader) -> Command:
    reader.form = commands.CreateDatasource.form
    reader.expect("create", "datasource")
    if_not_exists = reader.accept("if", "not", "exists")
    name = reader.name("datasource name")
    reader.expect("type")
    kind = reader.name("datasource type").lower()
    options = _options(reader) if reader.accept("options") else ()
    reader.end()
    return commands.CreateDatasource(name, kind, options, if_not_exists)


def read_drop_datasource(reader: Reader) -> Command:
    reader.form = commands.DropDatasource.form
    reader.expect("drop", "datasource")
    if_exists = reader.accept("if", "exists")
    name = reader.name("datasource name")
    reader.end()
    return commands.DropDatasource(name, if_exists)


def read_test_datasource(reader: Reader) -> Command:
    reader.form = commands.TestDatasource.form
    reader.expect("test", "datasource")
    name = reader.name("datasource name")
    reader.end()
    return commands.TestDatasource(name)


def read_show_datasources(reader: Reader) -> Command:
    reader.form = commands.ShowDatasources.form
    reader.expect("show", "datasources")
    reader.end()
    return commands.ShowDatasources()


def read_show_remote(reader: Reader) -> Command:
    """SHOW DATABASES|SCHEMAS|TABLES FROM ds[.schema]"""
    reader.form = commands.ShowRemote.form
    reader.expect("show")
    what = reader.take().value
    reader.expect("from")
    token = reader.peek()
    alone = token.kind == "string" and not set(token.value) & set('."')
    path = (reader.name("datasource name"),) if alone else reader.path("datasource name")
    reader.end()
    return commands.ShowRemote(what, path)


def read_describe(reader: Reader) -> Command:
    reader.form = commands.DescribeTable.form
    reader.take()
    path = reader.path("table name")
    reader.end()
    return commands.DescribeTable(path)


def read_show_create_table(reader: Reader) -> Command:
    reader.form = commands.ShowCreateTable.form
    reader.expect("show", "create", "table")
    path = reader.path("table name")
    dialect = reader.name("dialect") if reader.accept("for") else None
    reader.end()
    return commands.ShowCreateTable(path, dialect)


def read_query(reader: Reader) -> Command:
    reader.form = commands.QueryDatasource.form
    reader.expect("query")
    datasource = reader.name("datasource name")
    return commands.QueryDatasource(datasource, _body(reader))


def read_execute(reader: Reader) -> Command:
    reader.form = commands.ExecuteOn.form
    reader.expect("execute", "on")
    datasource = reader.name("datasource name")
    dry_run, rows = False, None
    for clause in _clauses(reader, ("dry", "run"), ("rows",)):
        if clause == "run":
            dry_run = True
            continue
        reader.expect("between")
        token = reader.peek()
        low = reader.integer()
        reader.expect("and")
        rows = (low, reader.integer())
        if rows[1] < low:
            raise BoughError(
                "22023",
                f"ROWS BETWEEN {rows[0]} AND {rows[1]} is an empty range",
                hint="The smaller number comes first.",
                position=token.start + 1,
            )
    return commands.ExecuteOn(datasource, _body(reader), dry_run, rows)


def read_show_capabilities(reader: Reader) -> Command:
    reader.form = commands.ShowCapabilities.form
    reader.expect("show", "migration", "capabilities", "for")
    name = reader.name("datasource name")
    reader.end()
    return commands.ShowCapabilities(name)


def read_show_type_mapping(reader: Reader) -> Command:
    reader.form = commands.ShowTypeMapping.form
    reader.expect("show", "type", "mapping", "from")
    source = reader.name("dialect")
    reader.expect("to")
    target = reader.name("dialect")
    reader.end()
    return commands.ShowTypeMapping(source, target)


def read_suggest_layout(reader: Reader) -> Command:
    reader.form = commands.SuggestLayout.form
    reader.expect("suggest", "layout", "for")
    datasource = reader.name("datasource name")
    reader.expect("on")
    origin = _origin(reader)
    source = reader.name("datasource name") if reader.accept("from") else "local"
    reader.end()
    return commands.SuggestLayout(datasource, origin, source)


def read_validate_ddl(reader: Reader) -> Command:
    reader.form = commands.ValidateDdl.form
    reader.expect("validate", "ddl", "for")
    name = reader.name("datasource name")
    dry_run = reader.accept("dry", "run")
    return commands.ValidateDdl(name, _body(reader, whole=True), dry_run)


def read_transfer(reader: Reader) -> Command:
    """TRANSFER …, and EXPLAIN TRANSFER …"""
    explain = reader.accept("explain")
    reader.expect("transfer")
    schema = (
        reader.at("schema")
        and reader.peek(1).kind in ("word", "quoted", "string")
        and not (reader.peek(1).kind == "word" and reader.peek(1).value in ("to", "from"))
    )
    transfer = _transfer_schema(reader) if schema else _transfer_table(reader)
    return commands.ExplainTransfer(transfer) if explain else transfer


def _transfer_schema(reader: Reader) -> commands.TransferSchema:
    reader.form = commands.TransferSchema.form
    reader.expect("schema")
    schema = reader.name("schema name")
    source = reader.name("datasource name") if reader.accept("from") else "local"
    reader.expect("to")
    target = reader.path("datasource name")
    branch: str | None = None
    options: commands.Options = ()
    for clause in _clauses(reader, ("on", "branch"), ("with",)):
        if clause == "with":
            options = _options(reader)
        else:
            branch = reader.name("branch name")
    reader.end()
    return commands.TransferSchema(schema, target, source, branch, options)


def _clauses(reader: Reader, *clauses: tuple[str, ...]) -> Iterator[str]:
    """The last word of each clause that is there, taken: in any order, each once."""
    left = list(clauses)
    while found := next((words for words in left if reader.accept(*words)), None):
        left.remove(found)
        yield found[-1]


def _transfer_table(reader: Reader) -> commands.Transfer:
    reader.form = commands.Transfer.form
    origin = _origin(reader)
    source = reader.name("datasource name") if reader.accept("from") else "local"
    reader.expect("to")
    target = reader.path("table name")
    branch: str | None = None
    mode, cursor = "replace", None
    key: tuple[str, ...] = ()
    options: commands.Options = ()
    for clause in _clauses(reader, ("on", "branch"), ("mode",), ("key",), ("cursor",), ("with",)):
        if clause == "branch":
            branch = reader.name("branch name")
        elif clause == "mode":
            token = reader.take()  # CREATE is a reserved word
            mode = check_choice(token.value, MODES, "mode", position=token.start + 1)
        elif clause == "key":
            key = reader.columns()
        elif clause == "cursor":
            cursor = reader.named_column()
        else:
            options = _options(reader)
    reader.end()
    return commands.Transfer(origin, target, source, branch, mode, key, cursor, options)


def read_reconcile(reader: Reader) -> Command:
    explain = reader.accept("explain")
    reader.form = commands.ExplainReconcile.form if explain else commands.Reconcile.form
    reader.expect("reconcile")
    left = _origin(reader)
    reader.expect("with")
    right = _origin(reader)
    key: tuple[str, ...] = ()
    checks: tuple[str, ...] = ("all",)
    limit = 0.0
    for clause in _clauses(reader, ("key",), ("checks",), ("tolerance",)):
        if clause == "key":
            key = reader.columns()
        elif clause == "tolerance":
            token = reader.peek()
            limit = tolerance(str(reader.number()), token.start + 1)
        elif reader.at_symbol("("):
            checks = reader.columns()
        elif not reader.accept("all"):
            level = next((word for word in ("l0", "l1", "l2", "l3", "l4") if reader.accept(word)), "light")
            if level == "light":
                reader.expect(level)
            checks = (level,)
    reader.end()
    asked = commands.Reconcile(left, right, key, checks, limit)
    return commands.ExplainReconcile(asked) if explain else asked


def read_show_transfers(reader: Reader) -> Command:
    reader.form = commands.ShowTransfers.form
    reader.expect("show", "transfers")
    reader.end()
    return commands.ShowTransfers()


def read_cancel_transfer(reader: Reader) -> Command:
    reader.form = commands.CancelTransfer.form
    reader.expect("cancel", "transfer")
    number = reader.integer()
    reader.end()
    return commands.CancelTransfer(number)


def read_resume_transfer(reader: Reader) -> Command:
    reader.form = commands.ResumeTransfer.form
    reader.expect("resume", "transfer")
    number = reader.integer()
    reader.end()
    return commands.ResumeTransfer(number)


READERS: Mapping[tuple[str, ...], Callable[[Reader], Command]] = {
    ("create", "datasource"): read_create_datasource,
    ("drop", "datasource"): read_drop_datasource,
    ("test", "datasource"): read_test_datasource,
    ("show", "datasources"): read_show_datasources,
    ("show", "databases", "from"): read_show_remote,
    ("show", "schemas", "from"): read_show_remote,
    ("show", "tables", "from"): read_show_remote,
    ("show", "create", "table"): read_show_create_table,
    ("show", "migration"): read_show_capabilities,
    ("show", "type"): read_show_type_mapping,
    ("show", "transfers"): read_show_transfers,
    ("query",): read_query,
    ("execute", "on"): read_execute,
    ("suggest",): read_suggest_layout,
    ("validate", "ddl"): read_validate_ddl,
    ("transfer",): read_transfer,
    ("explain", "transfer"): read_transfer,
    ("reconcile",): read_reconcile,
    ("explain", "reconcile"): read_reconcile,
    ("cancel", "transfer"): read_cancel_transfer,
    ("resume", "transfer"): read_resume_transfer,
}
