"""Merging a branch: plan aside, apply in one engine transaction, move the branch's base. All or nothing.

Steps, all in one engine transaction whose snapshot holds every committed change of the source:

1. nobody may begin to write the source while its base moves (``Line.sealed``); running writers are waited for;
2. the catalogs are merged (``merge_plan``), then each table's rows are staged (``merge_stage``), reading only;
3. conflicts and violations are decided or refuse the merge: nothing has been written so far;
4. schema changes, then rows are written; foreign keys are verified; what undoes the merge is kept;
5. the branch's base becomes this moment: its later changes count from here.

EXPLAIN stops after 3.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TypeVar

from branching import constraint_errors, manifest, merge_rows, merge_schema, merge_stage, names
from branching.database import FORK_WAIT, Database
from branching.engine.base import Cursor, EngineError, ErrorKind
from branching.errors import BoughError
from branching.lines import CatalogRef, Line
from branching.manifest import Author
from branching.merge_conflicts import Conflict, object_conflict, row_conflicts, schema_conflicts
from branching.merge_plan import (
    ABORT,
    BRANCH,
    MANUAL,
    CatalogPlan,
    MergeResult,
    MergeRow,
    Policy,
    TablePlan,
    plan_catalogs,
    strategy_of,
)
from branching.merge_sides import Sides, sides_of
from branching.merge_stage import Stage
from branching.merge_verify import Violation, broken_foreign_keys, violations
from branching.model import Column, Table
from branching.points import Point
from branching.resolve import Scope
from branching.transaction import Transaction

_TRIES = 6
_T = TypeVar("_T")
M = names.MANIFEST_SCHEMA


@dataclass(slots=True)
class Attempt:
    """One try at a merge: its transaction, what it plans, what it found."""

    database: Database
    transaction: Transaction
    source: Line
    target: Line
    sides: Sides
    policy: Policy
    catalog: CatalogPlan
    tables: frozenset[str] | None
    merge_id: int
    started: Point
    stages: dict[int, Stage] = field(default_factory=dict)  # position in the plan → stage
    created: dict[int, int] = field(default_factory=dict)
    conflicts: list[Conflict] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    reopened: bool = False  # a manual merge, its conflicts settled
    undo: bool = True  # keeps what BRANCH REVERT MERGE needs
    aside: dict[int, str] = field(default_factory=dict)  # rows of created tables that were moved
    move: Callable[[Attempt], object] | None = None  # instead of moving the source's base
    view: Line | None = None  # where the target's rows are read, if not on the target

    @property
    def cursor(self) -> Cursor:
        return self.transaction.cursor

    def scope(self) -> Scope:
        return Scope(
            self.database, self.transaction.line, self.transaction.catalog, self.transaction.physical
        )

    def wanted(self, plan: TablePlan) -> bool:
        shown = plan.shown
        return (
            self.tables is None or shown.name in self.tables or f"{shown.schema}.{shown.name}" in self.tables
        )

    def conflicts_of(self, plan: TablePlan) -> int:
        return sum(1 for item in self.conflicts if item.table is plan.shown)


# -- the public calls ---------------------------------------------------------------------------------------------


def merge(
    database: Database,
    source: str,
    target: str,
    *,
    strategy: str = ABORT,
    per_table: Mapping[str, str] | None = None,
    token: str | None = None,
    tables: Sequence[str] | None = None,
    discard: bool = False,
    author: Author,
) -> MergeResult:
    """Merges branch ``source`` into ``target``; one row per table."""
    from branching import branches
    from branching.conflicts import open_manual

    policy = policy_of(strategy, per_table)
    lines = _lines(database, source, target)
    if lines is None:
        from branching.merge_refresh import refresh

        return refresh(database, target, strategy=strategy, per_table=per_table, author=author)

    def run(attempt: Attempt) -> MergeResult:
        _check_token(attempt, token)
        plan_rows(attempt)
        if left := undecided(attempt, ABORT):
            raise refused(attempt, left)
        if undecided(attempt, MANUAL):
            return open_manual(attempt)
        return apply(attempt)

    result = attempted(database, *lines, policy, run, tables=tables, author=author)
    if discard and not any(row.action == "conflict" for row in result.rows):
        branches.discard(database, source, own_sessions=lines[0].sessions)
    return result


def explain(
    database: Database,
    source: str,
    target: str,
    *,
    strategy: str = ABORT,
    per_table: Mapping[str, str] | None = None,
    tables: Sequence[str] | None = None,
    author: Author,
) -> tuple[tuple[MergeRow, ...], str]:
    """The rows a merge would return, and a token that ``merge`` takes; nothing is written."""
    lines = _lines(database, source, target)
    if lines is None:
        raise BoughError(
            "0A000",
            f'EXPLAIN is not possible for a merge of "{source}" into its own branch "{target}"',
            hint=f"BRANCH REFRESH {target} brings the parent's changes in.",
        )

    def run(attempt: Attempt) -> tuple[tuple[MergeRow, ...], str]:
        plan_rows(attempt)
        for position, stage in attempt.stages.items():
            plan = attempt.catalog.tables[position]
            attempt.violations += violations(attempt.cursor, stage, plan, target_sql(attempt, plan))
        found = token_of(attempt)
        attempt.transaction.rollback()
        return rows(attempt), found

    return attempted(database, *lines, policy_of(strategy, per_table), run, tables=tables, author=author)


def policy_of(strategy: str, per_table: Mapping[str, str] | None) -> Policy:
    return Policy(
        strategy_of(strategy), {name: strategy_of(text) for name, text in (per_table or {}).items()}
    )


def branch_lines(database: Database, source: str, target: str) -> tuple[Line, Line]:
    """Source and target of a merge that is no refresh."""
    lines = _lines(database, source, target)
    if lines is None:
        raise BoughError(
            "0A000",
            f'"{target}" was made from "{source}": its conflicts are with what it would bring in',
            hint=f"BRANCH REFRESH {target}.",
        )
    return lines


def _lines(database: Database, source: str, target: str) -> tuple[Line, Line] | None:
    """Source and target; None where the merge is a refresh of the target from its parent."""
    one, other = database.line(source), database.line(target)
    if one is other:
        raise BoughError("22023", f'cannot merge branch "{source}" into itself')
    if other.record.parent == one.id:
        return None
    if one.is_trunk:
        raise BoughError(
            "0A000",
            f'cannot merge "{source}" into "{target}", which was not made from it',
            hint=f"BRANCH REFRESH {target} brings its own parent's changes in.",
        )
    return one, other


def attempted(
    database: Database,
    source: Line,
    target: Line,
    policy: Policy,
    run: Callable[[Attempt], _T],
    *,
    tables: Sequence[str] | None = None,
    author: Author,
) -> _T:
    """Runs ``run`` on a fresh attempt, again if another transaction got in its way."""

    def begin() -> Attempt | None:
        return _begin(database, source, target, policy, tables, author)

    return repeated(database, source, begin, run)


def repeated(
    database: Database,
    source: Line,
    begin: Callable[[], Attempt | None],
    run: Callable[[Attempt], _T],
    *,
    sealing: bool = True,
) -> _T:
    """Runs ``run`` while nobody writes the source, again if a transaction on the target got in its way."""
    last: BaseException | None = None
    for number in range(_TRIES):
        if number:
            time.sleep(min(0.005 * 2**number, 0.2))
        with _sealed(database, source) if sealing else nullcontext():
            attempt = begin()
            if attempt is None:
                continue
            try:
                return run(attempt)
            except EngineError as error:
                if error.kind is not ErrorKind.CONFLICT:
                    raise
                last = error
            finally:
                attempt.transaction.rollback()  # nothing, if it was committed
                attempt.cursor.close()
    raise BoughError(
        "40001",
        f'could not merge "{source.name}" due to concurrent changes',
        detail="Other transactions kept changing the same rows.",
        hint="Retry the merge.",
    ) from last


@contextmanager
def _sealed(database: Database, line: Line) -> Iterator[None]:
    """Nobody writes the line, nor begins to, while its base moves."""
    token = object()
    with database.gate:
        if not database.gate.wait_for(lambda: not line.writers and line.sealed is None, timeout=FORK_WAIT):
            raise BoughError(
                "55P03",
                f'could not merge "{line.name}": a transaction that writes it is still open',
                detail=f"It has been open for more than {FORK_WAIT:.0f} s.",
                hint="COMMIT or ROLLBACK it, then merge again; bough.sessions shows it.",
            )
        line.sealed = token
    try:
        yield
    finally:
        with database.gate:
            line.sealed = None
            database.gate.notify_all()


def _begin(
    database: Database,
    source: Line,
    target: Line,
    policy: Policy,
    tables: Sequence[str] | None,
    author: Author,
) -> Attempt | None:
    """A transaction with its snapshot taken and confirmed; None if the catalog moved meanwhile."""
    database.loaded(source)
    database.loaded(target)
    started = database.clock.now()
    cursor = database.root.cursor()
    transaction = Transaction(database, cursor, target, author, explicit=False)
    try:
        cursor.query(f"SELECT count(*) FROM {M}.meta")
        if not transaction.confirm():
            transaction.rollback()
            cursor.close()
            return None
        transaction.statement = f'BRANCH MERGE "{source.name}" INTO "{target.name}"'
        sides = sides_of(database, transaction.physical, source, target)
        catalog = plan_catalogs(sides.base_catalog, source.catalog, transaction.catalog, policy)
    except BaseException:
        transaction.rollback()
        cursor.close()
        raise
    chosen = frozenset(tables) if tables is not None else None
    attempt = Attempt(
        database, transaction, source, target, sides, policy, catalog, chosen, database.next_id(), started
    )
    if chosen is not None:
        _check_tables(attempt, chosen)
    return attempt


def begin_on(
    database: Database, target: Line, policy: Policy, author: Author, statement: str
) -> Attempt | None:
    """A transaction on ``target`` for a change whose plan is made by the caller."""
    database.loaded(target)
    started = database.clock.now()
    cursor = database.root.cursor()
    transaction = Transaction(database, cursor, target, author, explicit=False)
    cursor.query(f"SELECT count(*) FROM {M}.meta")
    if not transaction.confirm():
        transaction.rollback()
        cursor.close()
        return None
    transaction.statement = statement
    sides = Sides(database, transaction.physical, target, target)
    empty = CatalogPlan((), (), ())
    return Attempt(
        database, transaction, target, target, sides, policy, empty, None, database.next_id(), started
    )


def _check_tables(attempt: Attempt, chosen: frozenset[str]) -> None:
    known = {plan.shown.name for plan in attempt.catalog.tables}
    known |= {f"{plan.shown.schema}.{plan.shown.name}" for plan in attempt.catalog.tables}
    if missing := chosen - known:
        name = sorted(missing)[0]
        raise BoughError("42P01", f'relation "{name}" does not exist on branch "{attempt.source.name}"')


# -- planning -------------------------------------------------------------------------------------------------------


def plan_rows(
    attempt: Attempt,
    settle: Callable[[TablePlan], Callable[[str, tuple[Column, ...]], None] | None] = lambda _plan: None,
) -> None:
    """Stages every table's rows and collects the conflicts. Reads only."""
    plans = list(attempt.catalog.tables)
    for position, plan in enumerate(plans):
        if not attempt.wanted(plan):
            continue
        strategy = attempt.policy.of(plan.shown.schema, plan.shown.name)
        found = schema_conflicts(attempt.cursor, attempt.sides, plan, attempt.view or attempt.target)
        plan, refill = _with_saved_columns(plan, found, strategy)
        if found and strategy == BRANCH and plan.kind == "keep" and plan.target is None:
            plan = replace(plan, kind="create", merged=plan.source)
        plans[position] = plan
        attempt.conflicts += found
        source = plan.source
        if plan.kind == "rows" and source is not None and (refill or _maybe_changed(attempt, plan)):
            rows_of = attempt.sides.rows(plan.base, source)
            visible = attempt.sides.visible(source, attempt.source)
            if refill:
                rows_of = replace(
                    rows_of,
                    rids=f"{rows_of.rids} UNION SELECT {names.RID} FROM ({visible}) AS _all",
                    source=visible,
                )
            stage = merge_stage.build(
                attempt.cursor, position, plan, rows_of, target_sql(attempt, plan), visible, strategy,
                settle(plan), everything=refill,
            )  # fmt: skip
            attempt.stages[position] = stage
            attempt.conflicts += row_conflicts(attempt.cursor, stage, plan.shown)
    attempt.catalog = replace(attempt.catalog, tables=tuple(plans))
    for item, conflict in attempt.catalog.conflicts:
        if attempt.tables is None:
            attempt.conflicts.append(object_conflict(item, conflict))


def _with_saved_columns(plan: TablePlan, found: list[Conflict], strategy: str) -> tuple[TablePlan, bool]:
    """A dropped column with values the other side changed stays if that side wins; whether it must be filled anew."""
    merged, target, source = plan.merged, plan.target, plan.source
    if plan.kind != "rows" or merged is None or target is None or source is None:
        return plan, False
    refill = False
    for name in dict.fromkeys(item.column for item in found if item.rid is not None):
        ours = target.column(name or "")
        kept = ours if strategy != BRANCH else None
        if ours is None and strategy == BRANCH:
            kept, refill = source.column(name or ""), True
        if kept is not None and all(column.id != kept.id for column in merged.columns):
            merged = replace(merged, columns=(*merged.columns, kept))
    return replace(plan, merged=merged), refill


def _maybe_changed(attempt: Attempt, plan: TablePlan) -> bool:
    if attempt.sides.base_line is not None or plan.base is None:
        return True
    return plan.source is not None and plan.source.id in attempt.source.touched


def target_sql(attempt: Attempt, plan: TablePlan) -> str:
    assert plan.target is not None
    return attempt.scope().relation_sql(plan.target, attempt.view or attempt.transaction.line, hidden=True)


def undecided(attempt: Attempt, strategy: str) -> list[Conflict]:
    """Conflicts in tables that this strategy is to decide."""
    return [
        item
        for item in attempt.conflicts
        if attempt.policy.of(item.table.schema, item.table.name) == strategy
    ]


def refused(attempt: Attempt, found: list[Conflict]) -> BoughError:
    counts: dict[str, int] = {}
    for item in found:
        shown = f"{item.table.schema}.{item.table.name}"
        counts[shown] = counts.get(shown, 0) + 1
    source, target = attempt.source.name, attempt.target.name
    return BoughError(
        "VB001",
        f'merge of "{source}" into "{target}" has {len(found)} conflicts',
        detail="\n".join(f"{name}: {count} conflicts" for name, count in sorted(counts.items())),
        hint=f'BRANCH CONFLICTS "{source}" INTO "{target}" shows them. Then BRANCH MERGE "{source}" INTO "{target}"'
        " STRATEGY branch_wins, main_wins or manual.",
    )


def token_of(attempt: Attempt) -> str:
    """Changes whenever either side has moved."""
    facts: list[object] = []
    for line in (attempt.source, attempt.target):
        head = attempt.cursor.query(
            f"SELECT coalesce(max(version), 0) FROM {M}.commits WHERE branch = ?", (line.id,)
        )[0][0]
        facts += [line.id, line.seq, head, line.record.base.dump()]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def _check_token(attempt: Attempt, token: str | None) -> None:
    if token is not None and token_of(attempt) != token:
        raise BoughError(
            "40001",
            f'"{attempt.source.name}" or "{attempt.target.name}" has changed since the merge was explained',
            hint="EXPLAIN BRANCH MERGE again for a new token.",
        )


# -- applying -------------------------------------------------------------------------------------------------------


def apply(attempt: Attempt) -> MergeResult:
    """Writes the plan and commits."""
    _check_violations(attempt)
    try:
        _write(attempt)
    except EngineError as error:
        if error.kind is ErrorKind.CONSTRAINT:
            attempt.transaction.rollback()
            raise _native_violation(attempt, error) from error
        raise
    found = _broken_foreign_keys(attempt)
    if found:
        attempt.transaction.rollback()
        raise refuse(attempt, found)
    result = rows(attempt)
    record_merge(attempt, "merged")
    (attempt.move or move_base)(attempt)
    attempt.transaction.commit()
    return MergeResult(attempt.merge_id, result)


def _broken_foreign_keys(attempt: Attempt) -> list[Violation]:
    written, shrunk = set(), set()
    for position, plan in enumerate(attempt.catalog.tables):
        table = plan.merged
        stage = attempt.stages.get(position)
        if table is not None and (
            position in attempt.created or (stage is not None and stage.counts.changes)
        ):
            written.add(table.id)
            if stage is not None and stage.counts.updated + stage.counts.deleted:
                shrunk.add(table.id)
    version = attempt.transaction.write()
    return broken_foreign_keys(
        attempt.cursor, attempt.scope(), version, frozenset(written), frozenset(shrunk)
    )


def _check_violations(attempt: Attempt) -> None:
    """On a branch the keys of the rows below are nobody's constraint: they are looked up before writing."""
    if attempt.transaction.line.is_trunk:
        return
    for position, stage in attempt.stages.items():
        plan = attempt.catalog.tables[position]
        attempt.violations += violations(attempt.cursor, stage, plan, target_sql(attempt, plan))
    if attempt.violations:
        attempt.transaction.rollback()
        raise refuse(attempt, attempt.violations)


def _native_violation(attempt: Attempt, error: EngineError) -> BoughError:
    """The engine has refused one row: plans again to list all that the merge would break."""
    again = _begin(
        attempt.database, attempt.source, attempt.target, attempt.policy,
        sorted(attempt.tables) if attempt.tables is not None else None, attempt.transaction.author,
    )  # fmt: skip
    found: list[Violation] = []
    if again is not None:
        try:
            plan_rows(again)
            for position, stage in again.stages.items():
                plan = again.catalog.tables[position]
                found += violations(again.cursor, stage, plan, target_sql(again, plan))
        finally:
            again.transaction.rollback()
            again.cursor.close()
    if found:
        return refuse(attempt, found)
    for plan in attempt.catalog.tables:
        if plan.merged is not None and (explained := constraint_errors.explain(error, plan.merged)):
            return explained
    raise error


def refuse(attempt: Attempt, found: list[Violation]) -> BoughError:
    """Keeps the list of violations, in a transaction of its own, and makes the error."""
    cursor = attempt.database.root.cursor()
    try:
        cursor.begin()
        insert_merge(cursor, attempt, "refused")
        for item in found:
            cursor.execute(
                f"INSERT INTO {M}.violations VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    attempt.merge_id,
                    item.schema,
                    item.table,
                    item.constraint,
                    item.kind,
                    item.key,
                    item.detail,
                ),
            )
        cursor.commit()
    finally:
        cursor.rollback()
        cursor.close()
    first = found[0]
    shown = [f"{item.schema}.{item.table}: {item.constraint}: {item.detail}" for item in found[:20]]
    if len(found) > 20:
        shown.append(f"… and {len(found) - 20} more")
    return BoughError(
        first.sqlstate,
        f'merge of "{attempt.source.name}" into "{attempt.target.name}" violates {len(found)} constraints',
        detail="\n".join(shown),
        hint=f"SELECT * FROM bough.violations WHERE merge_id = {attempt.merge_id}; change the branch, merge again.",
        schema=first.schema,
        table=first.table,
        constraint=first.constraint,
    )


def _write(attempt: Attempt) -> None:
    transaction = attempt.transaction
    transaction.write()
    ddl = merge_schema.ddl_for(transaction, attempt.scope())
    if attempt.tables is None:
        merge_schema.apply_objects(ddl, attempt.catalog, late=False)
    for position, plan in enumerate(attempt.catalog.tables):
        if not attempt.wanted(plan):
            continue
        if plan.kind == "create":
            _create(attempt, ddl, position, plan)
        elif plan.kind == "drop" and not _kept(attempt, plan):
            assert plan.target is not None
            ddl.drop_table(plan.target, cascade=True)
        elif plan.kind == "rows":
            _write_table(attempt, ddl, position, plan)
    if attempt.tables is None:
        merge_schema.apply_objects(ddl, attempt.catalog, late=True)


def _kept(attempt: Attempt, plan: TablePlan) -> bool:
    """Whether a table the branch dropped stays, because the target changed it and wins."""
    strategy = attempt.policy.of(plan.shown.schema, plan.shown.name)
    return attempt.conflicts_of(plan) > 0 and strategy != "branch_wins"


def _create(attempt: Attempt, ddl: merge_schema.MergeDdl, position: int, plan: TablePlan) -> None:
    source = plan.source
    assert source is not None
    if plan.target is not None:
        ddl.drop_table(plan.target, cascade=True)
    made = merge_schema.create(ddl, source)
    columns = [(name, names.quote(name)) for name in made.stored]
    rows_sql = attempt.aside.get(position) or attempt.sides.visible(source, attempt.source)
    attempt.created[position] = merge_rows.copy_in(attempt.transaction, ddl.scope, made, rows_sql, columns)


def _write_table(attempt: Attempt, ddl: merge_schema.MergeDdl, position: int, plan: TablePlan) -> None:
    target, merged = plan.target, plan.merged
    assert target is not None and merged is not None and plan.source is not None
    table = next(item for item in ddl.catalog.tables() if item.id == target.id)
    if reshapes(plan):
        table = merge_schema.reshape(ddl, table, merged, (plan.source,))
    stage = attempt.stages.get(position)
    if stage is not None and stage.counts.changes:
        scope = attempt.scope()
        merge_rows.apply(attempt.transaction, scope, stage, table)
        if attempt.undo:
            merge_rows.keep_undo(attempt.transaction, attempt.merge_id, stage, table)


def move_base(attempt: Attempt) -> None:
    """The source's changes count from here on; into another branch than its parent, what it is now is kept aside."""
    from branching.merge_pairs import keep_pair

    if attempt.tables is not None:
        return  # the rest of the branch is still to be merged
    version = attempt.transaction.write()
    if attempt.sides.base_line is not None:
        keep_pair(attempt.transaction, attempt.source, attempt.target)
        return
    source, started = attempt.source, attempt.started
    unseen = set(started.in_flight) | set(range(started.version + 1, version))
    record = replace(
        source.record,
        base=Point(version, tuple(sorted(unseen))),
        base_catalog=CatalogRef(source.id, source.seq),
        inherited=True,
    )
    attempt.transaction.put_record(record)


def record_merge(attempt: Attempt, state: str) -> None:
    attempt.transaction.merge = attempt.merge_id
    insert_merge(attempt.cursor, attempt, state, attempt.transaction.write())


def insert_merge(
    cursor: Cursor, attempt: Attempt, state: str, version: int | None = None, note: str | None = None
) -> None:
    """The merge's row; one that was open before is ended instead."""
    if attempt.reopened:
        cursor.execute(
            f"UPDATE {M}.merges SET state = ?, version = ?, merged_at = now(), detail = ? WHERE id = ?",
            (state if state == "merged" else "open", version, _schema_note(attempt), attempt.merge_id),
        )
        return
    cursor.execute(
        f"INSERT INTO {M}.merges VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            attempt.merge_id,
            manifest.now(),
            attempt.source.name,
            attempt.target.name,
            attempt.policy.strategy,
            state,
            attempt.transaction.author.role,
            version,
            note if note is not None else _schema_note(attempt),
        ),
    )


def _schema_note(attempt: Attempt) -> str | None:
    """``schema`` where the merge changed definitions: such a merge is not undone by rows alone."""
    for plan in attempt.catalog.tables:
        if not attempt.wanted(plan):
            continue
        if plan.kind in ("create", "drop"):
            return "schema"
        if plan.kind == "rows" and reshapes(plan):
            return "schema"
    return None


def reshapes(plan: TablePlan) -> bool:
    """Whether the merge changes the target's definition of the table."""
    if plan.merged is None or plan.target is None:
        return False
    return replace(plan.merged, storage=plan.target.storage) != plan.target


def rows(attempt: Attempt) -> tuple[MergeRow, ...]:
    """The result, a row per table that the merge looked at."""
    return tuple(
        _row(attempt, position, plan)
        for position, plan in enumerate(attempt.catalog.tables)
        if attempt.wanted(plan)
    )


def _row(attempt: Attempt, position: int, plan: TablePlan) -> MergeRow:
    shown: Table = plan.merged or plan.shown
    conflicts = attempt.conflicts_of(plan)
    broken = sum(1 for item in attempt.violations if (item.schema, item.table) == (shown.schema, shown.name))
    row = MergeRow(shown.schema, shown.name, conflicts=conflicts, violations=broken)
    undecided = attempt.policy.of(plan.shown.schema, plan.shown.name) in (ABORT, MANUAL)
    if conflicts and undecided and not attempt.reopened:
        return replace(row, action="conflict")
    if plan.kind == "create":
        count = attempt.created.get(position)
        if count is None and plan.source is not None:
            visible = attempt.sides.visible(plan.source, attempt.source)
            count = attempt.cursor.query(f"SELECT count(*) FROM ({visible}) AS _all")[0][0]
        return replace(row, inserted=count or 0, action="created")
    if plan.kind == "drop":
        return replace(row, action="unchanged" if _kept(attempt, plan) else "dropped")
    stage = attempt.stages.get(position)
    changed = reshapes(plan)
    if stage is None:
        return replace(row, action="merged" if changed else "unchanged")
    counts = stage.counts
    return replace(
        row,
        inserted=counts.inserted,
        updated=counts.updated,
        deleted=counts.deleted,
        auto_merged_cells=counts.merged_cells,
        action="merged" if changed or counts.changes else "unchanged",
    )


def refresh(
    database: Database,
    branch: str,
    *,
    strategy: str = ABORT,
    per_table: Mapping[str, str] | None = None,
    author: Author,
) -> MergeResult:
    """BRANCH REFRESH: the parent's new changes into the branch."""
    from branching.merge_refresh import refresh as run

    return run(database, branch, strategy=strategy, per_table=per_table, author=author)


def revert(
    database: Database,
    merge_id: int,
    author: Author,
    *,
    strategy: str = ABORT,
    per_table: Mapping[str, str] | None = None,
) -> MergeResult:
    """BRANCH REVERT MERGE: undoes a merge on its target, itself a three-way change."""
    from branching.merge_revert import revert as run

    return run(database, merge_id, author, strategy=strategy, per_table=per_table)


def continue_merge(database: Database, source: str, author: Author, target: str | None = None) -> MergeResult:
    """BRANCH MERGE … CONTINUE: applies a manual merge whose conflicts are settled."""
    from branching.conflicts import continue_merge as run

    return run(database, source, author, target)


def abort_merge(database: Database, source: str, target: str | None = None) -> None:
    """BRANCH MERGE … ABORT: drops an open manual merge."""
    from branching.conflicts import abort_merge as run

    run(database, source, target)
