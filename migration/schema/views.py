"""Views of a schema that moves: planned before the first table moves, proven and made after the last.

Rules:

1. A view moves as a view if its text can be said in the target's words (``schema.view_text``) and its query there gives
   the rows the view gives here. Anything else is refused before a table moves, or where only rows can tell, after: the
   error names the views, and ``skip_views`` and ``views_as_tables`` say what to do with them.
2. A view is compared before it is made, as a query over the tables that have moved, by the transfer's level.
   What depends on the moment (``now()``) is not compared, and the result says so.
3. Views are made in the order they read each other; all in one transaction where the engine's DDL has one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from migration.connectors.base import Connector, Path, Source, TableEntry, Writer
from migration.connectors.queries import quoted_path
from migration.dialects import contract
from migration.errors import MigrationError
from migration.reconcile.compare import Side, reconcile
from migration.schema.options import of_table
from migration.schema.view_text import Relation, Untranslatable, ViewText, inlined, translated, written
from migration.transfer_model import CheckResult, TransferOptions, TransferResult, cancelled_error

_CHECKS = {
    "L0": (),
    "L1": ("count",),
    "L2": ("light",),
    "L3": ("light", "fingerprint"),
    "L4": ("light", "fingerprint"),
}


@dataclass(frozen=True, slots=True)
class ViewPlan:
    """One view: ``query`` is its text, ``proof`` the same without other views in it."""

    source: Path
    target: Path
    query: str
    proof: str
    depends_on_the_moment: bool


@dataclass(frozen=True, slots=True)
class SchemaViews:
    """What becomes of a schema's views."""

    plans: tuple[ViewPlan, ...] = ()
    as_tables: tuple[TableEntry, ...] = ()
    skipped: tuple[str, ...] = ()


NO_VIEWS = SchemaViews()
_OURS = ("HV00N", "57014")  # nobody could be asked: no view's fault


def plan_views(
    schema: str,
    source: Connector,
    target: Connector,
    target_schema: Sequence[str],
    options: TransferOptions,
) -> SchemaViews:
    """0A000 names every view that cannot move as one; 22023 a name in the options that is no view."""
    entries = source.tables(schema)
    views = {entry.name: entry for entry in entries if entry.kind in ("view", "materialized view")}
    skipped = _chosen(options.skip_views, views, "skip_views")
    as_tables = [
        name for name in _chosen(options.views_as_tables, views, "views_as_tables") if name not in skipped
    ]
    relations: dict[str, Relation] = {}
    texts: dict[str, ViewText] = {}
    reasons: dict[str, str] = {}
    for entry in entries:
        if entry.name in (*skipped, *options.skip_tables):
            continue
        if entry.kind not in ("table", "view", "materialized view"):
            continue
        try:
            columns = source.describe((entry.schema, entry.name)).spec.columns
        except MigrationError as error:
            if entry.name not in views or error.sqlstate in _OURS:
                raise
            reasons[entry.name] = f"it cannot be described: {error.message}"
        else:
            left = (
                of_table(options, entry.name, columns).skip
                if entry.name in as_tables or entry.name not in views
                else ()
            )
            moved = tuple(column for column in columns if column.name not in left)
            relations[entry.name] = Relation(entry.name, moved, (*target_schema, entry.name))
    wanted = [views[name] for name in views if name in relations and name not in as_tables]
    tables = (
        {entry.name for entry in _there(target, target_schema) if entry.kind == "table"} if wanted else set()
    )
    for entry in wanted:
        try:
            texts[entry.name] = _text(entry, source, target, schema, relations)
            if entry.name in tables:
                raise Untranslatable("there is a table of that name at the target")
        except Untranslatable as reason:
            reasons[entry.name] = str(reason)
    plans: dict[str, ViewPlan] = {}
    if not reasons:
        plans = _ordered(schema, texts, relations, target, reasons)
    if reasons:
        raise _refused(schema, reasons)
    return SchemaViews(
        tuple(plans.values()), tuple(views[name] for name in as_tables), tuple(sorted(skipped))
    )


def run_views(
    found: SchemaViews,
    source: Connector,
    target: Connector,
    options: TransferOptions,
    *,
    names: tuple[str, str],
    cancelled: Callable[[], bool] | None = None,
) -> Iterator[TransferResult]:
    """Proves all, makes all, and gives a result for each. ``names``: those of the datasources, source and target."""
    proofs = []
    for plan in found.plans:
        if cancelled is not None and cancelled():
            raise cancelled_error("TRANSFER SCHEMA")
        began = time.monotonic()
        proofs.append((*_proven(plan, source, target, options), began))
    with target.writer() as writer:
        statements = _make(writer, target, found.plans)
    for plan, statement, (verdict, checks, notes, began) in zip(found.plans, statements, proofs, strict=True):
        yield TransferResult(
            rows_transferred=0,
            source_row_count=0,
            source_row_count_verified=verdict == "pass",
            transferred_row_count=0,
            target_table=".".join(plan.target),
            target_datasource=names[1] or target.name,
            source_datasource=names[0] or source.name,
            mode="replace",
            target_table_created=True,
            target_table_create_sql=statement,
            transfer_id=0,
            bytes=0,
            seconds=time.monotonic() - began,
            method="CREATE VIEW",
            verdict=verdict,
            checks=checks,
            notes=notes,
        )


def explain_views(found: SchemaViews) -> list[tuple[str, str, int | None]]:
    """What becomes of the views, as EXPLAIN shows steps."""
    rows: list[tuple[str, str, int | None]] = []
    for plan in found.plans:
        rows += [("view", ".".join(plan.target), None), ("create", plan.query, None)]
        if plan.depends_on_the_moment:
            rows.append(("note", "its rows depend on the moment and are not compared", None))
    return rows + [("skipped view", name, None) for name in found.skipped]


def _chosen(names: Sequence[str], views: Mapping[str, TableEntry], option: str) -> list[str]:
    if "*" in names:
        return list(views)
    unknown = [name for name in names if name not in views]
    if unknown:
        raise MigrationError(
            "22023",
            f"option {option} names no view: {', '.join(unknown)}",
            hint=f"Views: {', '.join(sorted(views)) or 'there are none'}.",
        )
    return list(names)


def _there(target: Connector, schema: Sequence[str]) -> list[TableEntry]:
    if schema and contract(target.dialect).name != "sqlite" and schema[-1] not in target.schemas():
        return []
    return target.tables(schema[-1] if schema else None)


def _text(
    entry: TableEntry, source: Connector, target: Connector, schema: str, relations: Mapping[str, Relation]
) -> ViewText:
    if entry.kind == "materialized view":
        raise Untranslatable("it is materialized")
    try:
        text = source.definition((entry.schema, entry.name))
    except MigrationError as error:
        if error.sqlstate in _OURS:
            raise
        raise Untranslatable(f"{source.dialect} does not give its text: {error.message}") from None
    if text is None:
        raise Untranslatable(f"{source.dialect} does not give its text")
    columns = [column.name for column in relations[entry.name].columns]
    others = {name: relation for name, relation in relations.items() if name != entry.name}
    return translated(text, columns, schema, others, source.dialect, target.dialect)


def _ordered(
    schema: str,
    texts: Mapping[str, ViewText],
    relations: Mapping[str, Relation],
    target: Connector,
    reasons: dict[str, str],
) -> dict[str, ViewPlan]:
    """Those that are read before those that read them; ``reasons`` grows by those that cannot be written."""
    plans: dict[str, ViewPlan] = {}
    trees: dict[Path, object] = {}
    waiting = dict(sorted(texts.items()))
    while waiting:
        ready = [name for name, text in waiting.items() if not set(text.reads) & set(waiting)]
        if not ready:  # no engine lets views read each other in a circle
            reasons.update(dict.fromkeys(waiting, "it reads itself by way of others"))
            return plans
        for name in ready:
            text = waiting.pop(name)
            path = relations[name].target
            trees[path] = inlined(text.tree, trees)
            moment = text.depends_on_the_moment or any(
                plans[other].depends_on_the_moment for other in text.reads if other in plans
            )
            try:
                query, proof = written(text.tree, target.dialect), written(trees[path], target.dialect)
            except Untranslatable as reason:
                reasons[name] = str(reason)
                continue
            plans[name] = ViewPlan((schema, name), path, query, proof, moment)
    return plans


def _proven(
    plan: ViewPlan, source: Connector, target: Connector, options: TransferOptions
) -> tuple[str, tuple[CheckResult, ...], tuple[str, ...]]:
    """The verdict on a view's rows, the checks and notes; VT002 where they differ."""
    chosen = _CHECKS[options.verify]
    if plan.depends_on_the_moment or not chosen:
        why = "its rows depend on the moment" if plan.depends_on_the_moment else f"by verify {options.verify}"
        return "inconclusive", (), (f"not compared: {why}",)
    name = plan.source[-1]
    sides = Side(source, Source(path=plan.source)), Side(target, Source(query=plan.proof))
    try:
        report = reconcile(*sides, checks=chosen, tolerance=options.tolerance)
    except MigrationError as reason:
        if reason.sqlstate == "57014":
            raise
        raise _differs(name, reason.message, plan) from None
    if report.verdict == "fail":
        raise _differs(name, "; ".join(report.reasons), plan)
    return report.verdict, report.checks, ()


def _make(writer: Writer, target: Connector, plans: Sequence[ViewPlan]) -> list[str]:
    """Makes them all; the statements."""
    item = contract(target.dialect)
    here = slice(-1, None) if item.name == "sqlite" else slice(None)  # it takes no schema before a name
    paths = {plan.target: quoted_path(plan.target[here], item) for plan in plans}
    together = writer.transactional_ddl
    word = "CREATE VIEW" if together else "CREATE OR REPLACE VIEW"
    statements = [f"{word} {paths[plan.target]} AS {plan.query}" for plan in plans]
    if together:
        writer.begin()
        for plan in reversed(plans):
            if writer.exists(plan.target):
                writer.execute(f"DROP VIEW {paths[plan.target]}")
    for statement in statements:
        writer.execute(statement)
    if together:
        writer.commit()
    return statements


def _differs(name: str, why: str, plan: ViewPlan) -> MigrationError:
    return MigrationError(
        "VT002",
        f'view "{name}" does not give the same rows at the target',
        detail=f"{why}. The query there: {plan.query}",
        hint=f"The tables have moved, no view was made. {_options([name])}",
    )


def _refused(schema: str, reasons: Mapping[str, str]) -> MigrationError:
    return MigrationError(
        "0A000",
        f'{len(reasons)} of the views of schema "{schema}" cannot move as views: {", ".join(reasons)}',
        detail="\n".join(f"{name}: {reason}." for name, reason in reasons.items()),
        hint=f"Nothing has moved. {_options(list(reasons))}",
    )


def _options(names: Sequence[str]) -> str:
    listed = ", ".join(f'"{name}"' if not name.isidentifier() else name for name in names)
    return f"WITH (skip_views '{listed}') leaves them behind, WITH (views_as_tables '{listed}') moves their rows."
