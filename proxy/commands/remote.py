"""The datasource and transfer commands: one dataclass each.

A *path* is a dotted name as written (``pg.public.users``); what its parts are depends on the datasource.
Where a table or a query can stand, it is an ``Origin``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from . import results
from .model import Command
from .reader import Path
from .results import Columns
from .tools import TOOLS

Options = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """A table by its path, or the text of a query: exactly one of the two."""

    path: Path | None = None
    query: str | None = None
    offset: int = field(default=0, compare=False)  # where ``query`` begins in the command's text


@dataclass(frozen=True, slots=True)
class CreateDatasource(Command):
    privilege: ClassVar[str] = "admin"
    tag: ClassVar[str] = "CREATE DATASOURCE"
    form: ClassVar[str] = "CREATE DATASOURCE [IF NOT EXISTS] name TYPE type OPTIONS (option 'value', …)"

    name: str
    type: str
    options: Options = field(default=(), repr=False)  # a password may be among them
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True)
class DropDatasource(Command):
    privilege: ClassVar[str] = "admin"
    tag: ClassVar[str] = "DROP DATASOURCE"
    form: ClassVar[str] = "DROP DATASOURCE [IF EXISTS] name"

    name: str
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class Question(Command):
    """A command that only asks."""

    tag: ClassVar[str] = "SHOW"
    returns_rows: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class TestDatasource(Question):
    __test__: ClassVar[bool] = False  # pytest: not a test case, whatever the name says
    tag: ClassVar[str] = "TEST DATASOURCE"
    form: ClassVar[str] = "TEST DATASOURCE name"
    result: ClassVar[Columns] = results.DATASOURCE_TEST

    name: str


@dataclass(frozen=True, slots=True)
class ShowDatasources(Question):
    form: ClassVar[str] = "SHOW DATASOURCES"
    result: ClassVar[Columns] = results.DATASOURCES


@dataclass(frozen=True, slots=True)
class ShowRemote(Question):
    form: ClassVar[str] = "SHOW DATABASES|SCHEMAS|TABLES FROM datasource[.schema]"
    result: ClassVar[Columns] = results.REMOTE_TABLES

    what: str  # databases, schemas or tables
    path: Path

    @property
    def columns(self) -> Columns | None:
        return {
            "databases": results.REMOTE_DATABASES,
            "schemas": results.REMOTE_SCHEMAS,
        }.get(self.what, results.REMOTE_TABLES)


@dataclass(frozen=True, slots=True)
class DescribeTable(Question):
    tag: ClassVar[str] = "DESCRIBE"
    form: ClassVar[str] = "DESCRIBE datasource.schema.table"
    result: ClassVar[Columns] = results.REMOTE_COLUMNS

    path: Path


@dataclass(frozen=True, slots=True)
class ShowCreateTable(Question):
    form: ClassVar[str] = "SHOW CREATE TABLE datasource.schema.table [FOR dialect]"
    result: ClassVar[Columns] = results.REMOTE_DEFINITION

    path: Path
    dialect: str | None = None


@dataclass(frozen=True, slots=True)
class QueryDatasource(Question):
    tag: ClassVar[str] = "QUERY"
    form: ClassVar[str] = "QUERY datasource AS $$ SELECT … $$"

    datasource: str
    query: str

    @property
    def columns(self) -> Columns | None:
        return None


@dataclass(frozen=True, slots=True)
class ExecuteOn(Command):
    privilege: ClassVar[str] = "write"
    tag: ClassVar[str] = "EXECUTE"  # the number of rows follows
    form: ClassVar[str] = "EXECUTE ON datasource [DRY RUN] [ROWS BETWEEN a AND b] AS $$ … $$"

    datasource: str
    statement: str
    dry_run: bool = False
    rows: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class ShowCapabilities(Question):
    form: ClassVar[str] = "SHOW MIGRATION CAPABILITIES FOR datasource|dialect"
    result: ClassVar[Columns] = results.CAPABILITIES

    name: str


@dataclass(frozen=True, slots=True)
class ShowTypeMapping(Question):
    form: ClassVar[str] = "SHOW TYPE MAPPING FROM dialect TO dialect"
    result: ClassVar[Columns] = results.TYPE_MAPPING

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class SuggestLayout(Question):
    tag: ClassVar[str] = "SUGGEST LAYOUT"
    form: ClassVar[str] = "SUGGEST LAYOUT FOR datasource|dialect ON table|(SELECT …) [FROM datasource]"
    result: ClassVar[Columns] = results.LAYOUT

    datasource: str
    origin: Origin
    source: str = "local"


@dataclass(frozen=True, slots=True)
class ValidateDdl(Question):
    tag: ClassVar[str] = "VALIDATE DDL"
    form: ClassVar[str] = "VALIDATE DDL FOR datasource|dialect [DRY RUN] AS $$ CREATE TABLE … $$"
    result: ClassVar[Columns] = results.DDL_VERDICT

    name: str
    statement: str
    dry_run: bool = False

    @property
    def writes(self) -> bool:
        return self.dry_run  # not every engine can make a table and roll it back

    @property
    def called(self) -> str:
        return self.tag + " DRY RUN" * self.dry_run


@dataclass(frozen=True, slots=True)
class Transfer(Command):
    privilege: ClassVar[str] = "write"
    tag: ClassVar[str] = "TRANSFER"
    form: ClassVar[str] = (
        "TRANSFER table|(SELECT …) [FROM datasource] TO datasource.schema.table [ON BRANCH branch] "
        "[MODE replace|append|upsert|create|incremental] [KEY (columns)] [CURSOR column] [WITH (…)]"
    )
    returns_rows: ClassVar[bool] = True
    result: ClassVar[Columns] = results.TRANSFER

    origin: Origin
    target: Path
    source: str = "local"
    branch: str | None = None
    mode: str = "replace"
    key: tuple[str, ...] = ()
    cursor: str | None = None
    options: Options = ()


@dataclass(frozen=True, slots=True)
class TransferSchema(Command):
    privilege: ClassVar[str] = "write"
    tag: ClassVar[str] = "TRANSFER"
    form: ClassVar[str] = (
        "TRANSFER SCHEMA schema [FROM datasource] TO datasource[.schema] [ON BRANCH branch] [WITH (…)]"
    )
    returns_rows: ClassVar[bool] = True
    result: ClassVar[Columns] = results.TRANSFER

    schema: str
    target: Path
    source: str = "local"
    branch: str | None = None
    options: Options = ()


@dataclass(frozen=True, slots=True)
class ExplainTransfer(Question):
    tag: ClassVar[str] = "EXPLAIN"
    form: ClassVar[str] = "EXPLAIN " + Transfer.form
    result: ClassVar[Columns] = results.TRANSFER_PLAN

    transfer: Transfer | TransferSchema


@dataclass(frozen=True, slots=True)
class Reconcile(Question):
    tag: ClassVar[str] = "RECONCILE"
    form: ClassVar[str] = (
        "RECONCILE table|(SELECT …) WITH table|(SELECT …) [KEY (columns)] [CHECKS ALL|LIGHT|(check, …)] "
        "[TOLERANCE x]"
    )
    result: ClassVar[Columns] = results.RECONCILIATION

    left: Origin
    right: Origin
    key: tuple[str, ...] = ()
    checks: tuple[str, ...] = ("all",)
    tolerance: float = 0.0


@dataclass(frozen=True, slots=True)
class ExplainReconcile(Question):
    tag: ClassVar[str] = "EXPLAIN"
    form: ClassVar[str] = "EXPLAIN " + Reconcile.form
    result: ClassVar[Columns] = results.TRANSFER_PLAN

    reconcile: Reconcile


@dataclass(frozen=True, slots=True)
class CallTool(Command):
    """One of the data tools (``tools.TOOLS``), a function only; ``arguments`` as they were given."""

    privilege: ClassVar[str] = "write"
    tag: ClassVar[str] = "SELECT"
    form: ClassVar[str] = "SELECT * FROM bough.tool(argument => value, …)"
    returns_rows: ClassVar[bool] = True

    name: str
    arguments: tuple[tuple[str, object], ...] = ()

    @property
    def columns(self) -> Columns | None:
        return TOOLS[self.name].result

    @property
    def writes(self) -> bool:
        return TOOLS[self.name].writes

    @property
    def called(self) -> str:
        return f"bough.{self.name}"


@dataclass(frozen=True, slots=True)
class ShowTransfers(Question):
    form: ClassVar[str] = "SHOW TRANSFERS"
    result: ClassVar[Columns] = results.TRANSFERS


@dataclass(frozen=True, slots=True)
class CancelTransfer(Command):
    privilege: ClassVar[str] = "write"
    tag: ClassVar[str] = "CANCEL TRANSFER"
    form: ClassVar[str] = "CANCEL TRANSFER id"

    id: int


@dataclass(frozen=True, slots=True)
class ResumeTransfer(Command):
    privilege: ClassVar[str] = "write"
    tag: ClassVar[str] = "RESUME TRANSFER"
    form: ClassVar[str] = "RESUME TRANSFER id"
    returns_rows: ClassVar[bool] = True
    result: ClassVar[Columns] = results.TRANSFER

    id: int
