"""All tables of a schema, parents before children, so that references hold at every moment.

Rules:

1. Tables go in the order of their foreign keys. Tables that refer to each other in a circle lose the references that
   make it, and the result says so. They keep the others, and what refers to them from outside comes behind them.
2. One table is one transfer with its own journal row. What is published stays published if a later table fails;
   the error names the table, and a rerun replaces what is there. Options that name columns are each table's own
   (``schema.options``).
3. Views follow the tables (``schema.views``).
4. A target schema that is missing is made, once all tables are planned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from migration.connectors.base import Connector, Path, Source
from migration.dialects import contract
from migration.dialects.quoting import quote_path, spelled
from migration.errors import MigrationError
from migration.model import TableSpec
from migration.schema.options import check_columns, check_tables, of_table
from migration.schema.views import NO_VIEWS, SchemaViews, explain_views, run_views
from migration.transfer.explain import explain
from migration.transfer.journal import Journal
from migration.transfer.monitor import Cancelled, Report
from migration.transfer.plan import TransferPlan, plan
from migration.transfer.target_tables import DATABASES
from migration.transfer.undertaking import undertake
from migration.transfer_model import TransferOptions, TransferRequest, TransferResult


def in_order(tables: Sequence[TableSpec]) -> tuple[list[TableSpec], dict[str, set[str]]]:
    """All tables, parents first; and for each those it refers to that refer, however far, to it: a circle."""
    waiting = {table.name: table for table in sorted(tables, key=lambda table: table.name)}
    paths = {_full(table.path, table) for table in tables}
    needs: Mapping[str, set[str]] = {
        name: {
            key.ref_table[-1]
            for key in table.keys
            if key.kind == "foreign" and key.ref_table and _full(key.ref_table, table) in paths
        }
        - {name}
        for name, table in waiting.items()
    }
    above = {name: _above(name, needs) for name in waiting}
    circles = {name: {other for other in needs[name] if name in above[other]} for name in waiting}
    placed: list[str] = []
    while len(placed) < len(waiting):
        placed += [
            name for name in waiting if name not in placed and needs[name] - circles[name] <= set(placed)
        ]
    return [waiting[name] for name in placed], circles


def _full(path: Path, table: TableSpec) -> Path:
    """A path with the schema of ``table`` where it has none."""
    return (*table.path[:-1], *path)[-len(table.path) :]


def _above(name: str, needs: Mapping[str, set[str]]) -> set[str]:
    """All that a table refers to, however far."""
    found: set[str] = set()
    new = needs[name]
    while new:
        found |= new
        new = {each for other in new for each in needs[other]} - found
    return found


def requests(
    schema: str,
    source: Connector,
    target_schema: Sequence[str],
    options: TransferOptions,
    *,
    views: SchemaViews = NO_VIEWS,
    source_name: str = "",
    target_name: str = "",
    branch: str | None = None,
    role: str = "",
    source_branch: str | None = None,
) -> list[TransferRequest]:
    """One request for each table of ``schema`` and each view that moves as one, in the order to run them."""
    entries = [entry for entry in source.tables(schema) if entry.kind == "table"]
    check_tables(options, (entry.name for entry in entries))
    if not entries and not views.as_tables:
        known, name = schema in source.schemas(), source_name or source.name
        code, what = ("HV00R", "has no tables") if known else ("3F000", "does not exist")
        lists = "TABLES" if known else "SCHEMAS"
        raise MigrationError(
            code,
            f'schema "{schema}" of "{name}" {what}',
            hint=f"SHOW {lists} FROM {spelled(name)} lists them.",
        )
    entries = [entry for entry in entries if entry.name not in options.skip_tables]
    if not entries and not views.as_tables:
        raise MigrationError("22023", f'option skip_tables leaves no table of schema "{schema}" to move')
    specs = [source.describe((entry.schema, entry.name)).spec for entry in entries]
    ordered, circles = in_order(specs)
    rows = [source.describe((entry.schema, entry.name)).spec for entry in views.as_tables]
    check_columns(options, schema, (*ordered, *rows))
    return [
        TransferRequest(
            Source(path=(schema, table.name)),
            (*target_schema, table.name),
            options=of_table(options, table.name, table.columns),
            source_name=source_name or source.name,
            target_name=target_name,
            branch=branch,
            role=role,
            source_branch=source_branch,
            foreign_keys=True,
            circle=tuple(sorted(circles.get(table.name, ()))),
        )
        for table in (*ordered, *rows)
    ]


def explain_schema(
    items: Sequence[TransferRequest],
    source: Connector,
    target: Connector,
    views: SchemaViews = NO_VIEWS,
) -> list[tuple[str, str, int | None]]:
    """The plans of all tables, one after the other; nothing is written."""
    rows: list[tuple[str, str, int | None]] = []
    for request in items:
        with _planned(request, source, target) as item:
            rows.append(("table", request.target_label, item.rows))
            rows += explain(item)
    return rows + explain_views(views)


def _planned(
    request: TransferRequest, source: Connector, target: Connector, journal: Journal | None = None
) -> TransferPlan:
    """One table's plan; what refuses it names the table."""
    with _naming(request):
        return plan(request, source, target, journal=journal)


@contextmanager
def _naming(request: TransferRequest) -> Iterator[None]:
    try:
        yield
    except MigrationError as error:
        if error.sqlstate[:2] not in ("57", "08"):
            error.table = error.table or request.source.path[-1]
            error.message = f'table "{request.source.path[-1]}": {error.message}'
        raise


def run_schema(
    items: Sequence[TransferRequest],
    source: Connector,
    target: Connector,
    *,
    views: SchemaViews = NO_VIEWS,
    journal: Journal | None = None,
    progress: Report | None = None,
    cancelled: Cancelled | None = None,
) -> Iterator[TransferResult]:
    """Runs them in order; a result for each as it is published. Every table is planned before the first moves; views
    come last."""
    for request in items:  # a column that cannot move is known before anything is written
        _planned(request, source, target, journal).close()
    make_schema(target, items[0].target[:-1])
    for request in items:
        with _naming(request):
            result = undertake(
                request, source, target, journal=journal or Journal(), progress=progress, cancelled=cancelled
            )
        if request is items[-1]:
            result = replace(result, notes=(*result.notes, *_sequences(items, source, target)))
        yield result
    if views.plans:
        names = (items[0].source_name, items[0].target_name)
        yield from run_views(views, source, target, items[0].options, names=names, cancelled=cancelled)


def _sequences(items: Sequence[TransferRequest], source: Connector, target: Connector) -> Iterator[str]:
    """Sequences that belong to no column: made where both engines have them, and a note for each."""
    for found in source.sequences(items[0].source.path[0]):
        label = f"sequence {found.path[-1]}"
        try:
            made = target.make_sequence((*items[0].target[:-1], found.path[-1]), found)
        except MigrationError as error:
            yield f"{label} is not made: {error.message}"
        else:
            if not made:
                yield f"{label} is not made: {target.dialect} gets none from here"
                continue
            yield f"{label} made" + ("" if found.last is None else f", behind {found.last}")


def make_schema(target: Connector, path: Path) -> None:
    """Makes the schema that tables go to, where the engine has schemas and it is missing."""
    item = contract(target.dialect)
    if not path or item.name == "sqlite" or path[-1] in target.schemas():
        return
    word = "DATABASE" if item.name in DATABASES else "SCHEMA"
    target.execute(f"CREATE {word} IF NOT EXISTS {quote_path(path, item)}")
