"""The whole transfer decided before a row moves: columns, casts, DDL, staging, how it is published.

Rules:

1. Planning reads and never writes. It opens the one snapshot that the transfer then reads from, so that what
   was counted and judged is what moves. Who plans and does not run closes the plan.
2. A table that exists keeps its shape; the columns must fit it. A new one gets the source's keys, NOT NULL,
   defaults and comments as far as the target can say them, and the layout its contract asks for.
3. The DDL passes ``ddl.validate`` for the target and its version, or the plan is refused with 42P16.
4. ``explain`` prints the plan that ``run`` carries out, not another one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from types import TracebackType
from typing import Self

from migration.connectors.base import Connector, Reader, Source
from migration.ddl.validation import errors, render
from migration.dialects import contract
from migration.dialects.quoting import quote_name
from migration.dialects.type_names import parse_type
from migration.errors import MigrationError
from migration.layout.choice import Layout
from migration.measures.sql import DIALECTS as MEASURED
from migration.measures.sql import source_clause
from migration.model import TableSpec
from migration.transfer import casts, watermarks
from migration.transfer import columns as column_plans
from migration.transfer import keys as transfer_keys
from migration.transfer.columns import ColumnPlan
from migration.transfer.journal import Journal
from migration.transfer.settling import settle
from migration.transfer.target_tables import need_place, new_table, target_layout
from migration.transfer.watermarks import check_cursor
from migration.transfer_model import TransferRequest
from migration.values.profile import Profile, rows_within, take

_VERSION = re.compile(r"\d+(?:\.\d+)*")
_RANGED = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32")


@dataclass(slots=True)
class TransferPlan:
    """A decided transfer, bound to its snapshot; a context manager that lets go of it."""

    request: TransferRequest
    columns: tuple[ColumnPlan, ...]
    profile: Profile
    source_table: TableSpec
    target_table: TableSpec
    target_exists: bool
    create_statements: tuple[str, ...]
    range_column: str | None
    notes: tuple[str, ...]
    version: str | None
    source: Connector = field(repr=False)
    target: Connector = field(repr=False)
    reader: Reader = field(repr=False)
    layout: Layout | None = None
    read_source: Source = field(default_factory=lambda: Source(query="SELECT"))
    watermark: str | None = None

    @property
    def rows(self) -> int:
        """The source's rows, counted in the snapshot."""
        return self.profile.rows

    @property
    def create_sql(self) -> str:
        """The DDL of a target that is made, or made anew; '' if it keeps its shape."""
        return ";\n".join(self.create_statements)

    @property
    def write_mode(self) -> str:
        """What the connector's ``publish`` is asked for."""
        if self.request.mode == "incremental":
            return "upsert" if self.request.key else "append"
        return "recreate" if self.target_exists and _is_redefined(self.request) else self.request.mode

    @property
    def batch_rows(self) -> int:
        """The most rows of a batch: fewer than asked for where rows are wide, or the target takes fewer at a time."""
        options = self.request.options
        return min(options.batch_rows, self.target.taken_rows, rows_within(self.profile, options.batch_bytes))

    @property
    def publish_method(self) -> str:
        """How the contract says staged rows become the target's."""
        if self.write_mode in ("append", "upsert") and self.target_exists:
            return f"{self.write_mode} in one transaction"
        return contract(self.target.dialect).publish

    def key_extremes(self) -> tuple[int, int] | None:
        """The least and greatest value of the range column."""
        if self.range_column is None:
            return None
        dialect = contract(self.source.dialect)
        name = quote_name(self.range_column, dialect)
        table = self.reader.fetch(
            f"SELECT min({name}) AS lo, max({name}) AS hi FROM {source_clause(self.read_source, dialect.name)}"
        )
        low, high = (table.column(index)[0].as_py() for index in range(2))
        return None if low is None else (int(low), int(high))

    def close(self) -> None:
        """Lets go of the source's snapshot."""
        self.reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def plan(
    request: TransferRequest,
    source: Connector,
    target: Connector,
    *,
    journal: Journal | None = None,
    snapshot: str | None = None,
) -> TransferPlan:
    """Decides everything, or raises: HV004 where a value would be lost, 42P16 where the DDL would be refused,
    23502 and 21000 where keys are missing or repeated, HV00R, 42703, 42P07 and 3F000 where tables, columns or schemas
    are not as the request says, 25006 where the target is read-only."""
    target.refuse_writing()
    existing: Callable[[], TableSpec | None] = partial(_existing, request, target)
    if source.dialect != target.dialect:  # another engine: it is asked while the source is opened
        beside = ThreadPoolExecutor(1, "transfer-target")
        existing = beside.submit(existing).result
        beside.shutdown(wait=False)  # what the source refuses does not wait for the target's answer
    reader = source.reader(snapshot)
    try:
        return _plan(request, source, target, reader, existing, journal)
    except BaseException:
        reader.close()
        raise


def _plan(
    request: TransferRequest,
    source: Connector,
    target: Connector,
    reader: Reader,
    seen: Callable[[], TableSpec | None],
    journal: Journal | None,
) -> TransferPlan:
    table = _source_table(request, source, reader)
    existing = seen()
    version = _version(target)
    shape = None if existing is None or _is_redefined(request) else existing
    notes = [*target.target_notes(request.target, kept=shape is not None), *reader.notes(request.source)]
    options = request.options
    ends = (source.dialect, target.dialect)
    lengths, charset = target.keeps_lengths, target.charset
    decided = column_plans.decide(
        table.columns, options, *ends, shape, version, lengths=lengths, charset=charset
    )
    names = [column.name for column in decided]
    _check_names(request, names)
    if shape is not None:
        _check_identity(request, shape, names)
    cursor = next((column for column in decided if column.name == request.cursor), None)
    asked = column_plans.questions(decided, source.dialect)
    asked += transfer_keys.questions(request.key, decided, source.dialect)
    read_source, watermark = request.source, None
    if cursor is not None:
        own = next(column for column in table.columns if column.name == cursor.name)
        check_cursor(cursor, own)
        if request.branch is not None:
            watermarks.check_into_branch(cursor, keyed=bool(request.key))
        asked += watermarks.questions(cursor, source.dialect)
        watermark = _watermark(request, target, existing, journal, cursor)
        if watermark is not None:
            keyed, nullable = bool(request.key), own.nullable
            read_source = watermarks.rows_after(
                read_source, cursor, watermark, source.dialect, inclusive=keyed, nullable=nullable
            )
    measured = [(c.name, c.read) for c in decided if c.expression is None]
    casts.refuse_other_money(decided, reader, target)
    casts.refuse_failing(decided, request.options.casts, reader, read_source)
    profile = take(
        reader,
        read_source,
        source.dialect,
        asked,
        measured if contract(source.dialect).name in MEASURED else (),
    )
    if cursor is not None:
        watermarks.refuse_values(cursor, profile)
    transfer_keys.refuse_missing(request.key, profile)
    decided = column_plans.judged(decided, profile, source.dialect)
    transfer_keys.refuse_repeated(request.key, decided, table, reader, read_source, source.dialect)
    layout = None
    statements: tuple[str, ...] = ()
    if shape is not None:
        target_table = shape
    else:
        layout = target_layout(table, decided, profile, target, version, request, reader, read_source)
        spec = new_table(request, table, decided, profile, target.dialect, notes)
        rendered = render(spec, target.dialect, layout, version)
        decided = _refit(decided, dict(rendered.mappings), target.dialect)
        notes += [note for note in rendered.notes if note not in notes]
        target_table, statements = spec, rendered.statements
        _validate(rendered.sql, target.dialect, version)
    if not reader.consistent:
        notes.append(
            f"{source.name}: the engine has no snapshots; rows written meanwhile may or may not move"
        )
    return TransferPlan(
        request,
        decided,
        profile,
        table,
        target_table,
        existing is not None,
        statements,
        _range_column(request, table, decided),
        tuple(notes),
        version,
        source,
        target,
        reader,
        layout,
        read_source,
        watermark,
    )


def _watermark(
    request: TransferRequest,
    target: Connector,
    existing: TableSpec | None,
    journal: Journal | None,
    cursor: ColumnPlan,
) -> str | None:
    """Where an incremental transfer goes on; None for the first, or if the target is gone or holds other rows."""
    key, earlier = request.watermark_key, request.earlier_watermark_key
    if key is None or earlier is None or journal is None:
        return None
    unsettled = journal.unsettled(request.source_label, request.target_label, request.branch)
    if unsettled is not None and unsettled.error is None:  # it publishes now: its staging is in use
        raise MigrationError(
            "40001",
            f"transfer {unsettled.id} from the same source to the same target is about to publish",
            detail="Where this one goes on is known when that is over.",
            hint="Run the transfer again.",
        )
    if unsettled is not None:
        settle(journal, unsettled, target)
    known = key if journal.watermark(*key) else earlier
    stored = journal.watermark(*known) if existing is not None else None
    if stored is None:
        if existing is not None and not request.key and watermarks.has_rows(target, request.target):
            raise watermarks.unmarked(request.target_label)
        return None
    if request.branch is None:
        replaced = journal.replaced_since(*known)
        if replaced is not None and not request.key:
            raise watermarks.replaced_by(replaced, request.target_label)
        return stored if replaced is None else None  # by key, all rows again are exact
    return watermarks.watermark_there(target, request.target, cursor)


def _source_table(request: TransferRequest, source: Connector, reader: Reader) -> TableSpec:
    if request.source.path:
        return source.describe(request.source.path).spec
    return TableSpec(("query",), reader.describe(request.source), dialect=source.dialect)


def _version(connector: Connector) -> str | None:
    match = _VERSION.search(connector.seen_version or connector.version())
    return match.group() if match else None


def _existing(request: TransferRequest, target: Connector) -> TableSpec | None:
    try:
        found = target.describe(request.target)
    except MigrationError as error:
        if error.sqlstate in ("HV00R", "42P01"):
            need_place(request, target)
            return None
        raise
    label = request.target_label
    if found.kind != "table":
        raise MigrationError(
            "42809", f'"{label}" is a {found.kind}', hint="Transfer into a table of another name."
        )
    if request.mode == "create":
        raise MigrationError(
            "42P07", f'table "{label}" already exists', hint="Use MODE replace or MODE append."
        )
    return found.spec


def _is_redefined(request: TransferRequest) -> bool:
    return request.options.recreate and request.mode in ("replace", "create")


def _check_names(request: TransferRequest, names: Sequence[str]) -> None:
    asked = [*request.key, *([request.cursor] if request.cursor else [])]
    for name in asked:
        if name not in names:
            raise MigrationError(
                "42703",
                f'the transfer has no column "{name}"',
                detail=f"Its columns are {', '.join(names)}.",
                column=name,
            )


def _check_identity(request: TransferRequest, shape: TableSpec, names: Sequence[str]) -> None:
    """An identity that is GENERATED ALWAYS takes a value in a new row, and PostgreSQL lets nobody change it."""
    if request.mode not in ("upsert", "incremental") or not request.key:
        return
    for column in shape.columns:
        fixed = column.identity == "always" and shape.dialect in ("postgres", "greenplum")
        if fixed and column.name in names and column.name not in request.key:
            raise MigrationError(
                "428C9",
                f'column "{column.name}" of the target is an identity GENERATED ALWAYS: no row that is there can get '
                "another",
                hint=f'SKIP ("{column.name}") gives new rows numbers of the target: '
                f"WITH (skip '\"{column.name}\"').",
                column=column.name,
            )


def _refit(
    decided: Sequence[ColumnPlan], rendered: dict[str, object], dialect: str
) -> tuple[ColumnPlan, ...]:
    """Types that rendering changed for the sake of a key or a row's length."""
    result = []
    for item in decided:
        mapping = rendered.get(item.name)
        type_ = getattr(mapping, "target_type", item.mapping.target_type)
        if type_ != item.mapping.target_type:
            changed = replace(item.mapping, target_type=type_)
            item = replace(item, mapping=changed, target=parse_type(type_, dialect))
        result.append(item)
    return tuple(result)


def _validate(sql: str, dialect: str, version: str | None) -> None:
    found = errors(sql, dialect, version)
    if found:
        raise MigrationError(
            "42P16",
            f"the table cannot be created in {dialect}: {found[0]}",
            detail="\n".join(found),
            hint="CAST, SKIP or rename the column in a query, or create the table first.",
        )


def _range_column(request: TransferRequest, table: TableSpec, decided: Sequence[ColumnPlan]) -> str | None:
    """The one column that splits the source into pieces: a whole number, never NULL."""
    candidates = [table.primary_key] + [key.columns for key in table.keys if key.kind == "unique"]
    if not request.source.path:
        candidates.append(request.key)
    for names in candidates:
        column = table.column(names[0]) if len(names) == 1 else None
        item = next((item for item in decided if names and item.name == names[0]), None)
        if column is None or item is None or item.expression is not None:
            continue
        if column.type.kind in _RANGED and (not column.nullable or names == table.primary_key):
            return column.name
    return None


def is_ranged(item: TransferPlan) -> bool:
    """Whether rows move in pieces that are committed one by one."""
    size = item.request.options.range_rows
    if item.target.dialect in ("spark", "hive"):  # plain files: a piece cannot be deleted to be moved again
        return False
    return bool(size and item.range_column and item.rows > size and not item.request.cursor)


def range_count(item: TransferPlan) -> int:
    """Into how many pieces the source is cut."""
    size = item.request.options.range_rows
    return -(-item.rows // size) if is_ranged(item) else 1
