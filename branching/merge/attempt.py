"""One try at a merge: its transaction, the instant it sees, and when it is tried again.

Nobody may begin to write the source while its base moves (``Line.sealed``); writers that are running are waited for, so
the attempt's snapshot holds every change of the source. A conflict with a transaction on the target is tried again.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TypeVar

from branching import names, overlay
from branching.database import FORK_WAIT, Database
from branching.engine.base import Cursor, EngineError, ErrorKind
from branching.engine.points import Point
from branching.errors import BoughError
from branching.lines import Line
from branching.manifest import Author
from branching.merge.conflicts import Conflict
from branching.merge.plan import CatalogPlan, Policy, TablePlan, plan_catalogs, strategy_of
from branching.merge.sides import Sides, sides_of
from branching.merge.stage import Stage
from branching.merge.verify import Violation
from branching.model import Catalog
from branching.resolve import Scope
from branching.transaction import Transaction

_TRIES = 6
HOLD = 0.5  # seconds for which a merge holds writers at a time
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
    replaced: dict[int, frozenset[int]] = field(default_factory=dict)  # columns, see ``merge.conversions``
    reopened: bool = False  # a manual merge, its conflicts settled
    undo: bool = True  # keeps what BRANCH REVERT MERGE needs
    restores: bool = False  # is an undo: columns that come back bring all their values
    aside: dict[int, str] = field(default_factory=dict)  # rows of created tables that were moved
    move: Callable[[Attempt], object] | None = None  # instead of moving the source's base
    view: Line | None = None  # where the target's rows are read, if not on the target
    brings: Line | None = None  # of a refresh: the parent
    again: Callable[[], Attempt | None] | None = None  # begins another try, to find what this one ran into
    plan: Callable[[Attempt], None] | None = None  # how its rows are planned
    origin: str = ""  # what it is a merge of, as ``bough.merges`` tells

    title: str = ""
    advice: str = ""  # what to do about conflicts

    def __post_init__(self) -> None:
        self.database.disk.check()
        source, target = self.source.name, self.target.name
        self.origin = self.origin or source
        self.title = self.title or f'merge of "{source}" into "{target}"'
        self.advice = self.advice or (
            f'BRANCH CONFLICTS "{source}" INTO "{target}" shows them. Then BRANCH MERGE "{source}" INTO "{target}"'
            " STRATEGY branch_wins, main_wins or manual."
        )

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


def policy_of(strategy: str, per_table: Mapping[str, str] | None) -> Policy:
    return Policy(
        strategy_of(strategy), {name: strategy_of(text) for name, text in (per_table or {}).items()}
    )


def check_policy(policy: Policy, *catalogs: Catalog) -> None:
    """A strategy for a table that nobody has is a mistake, not a wish: 42P01."""
    known = {table.name for catalog in catalogs for table in catalog.tables()}
    known |= {f"{table.schema}.{table.name}" for catalog in catalogs for table in catalog.tables()}
    if missing := sorted(set(policy.per_table) - known):
        raise BoughError(
            "42P01",
            f'relation "{missing[0]}" does not exist',
            detail="ON CONFLICT … USING names a table of one of the branches.",
            hint="EXPLAIN BRANCH MERGE lists the tables.",
        )


def lines_of(database: Database, source: str, target: str) -> tuple[Line, Line] | None:
    """Source and target; None where the merge is a refresh of the target from its parent."""
    one, other = database.line(source), database.line(target)
    if one is other:
        raise BoughError(
            "22023",
            f'cannot merge branch "{source}" into itself',
            detail="Source and target of a merge are two branches.",
            hint=f"BRANCH MERGE {names.quote(source)} alone merges it into its parent.",
        )
    if other.record.parent == one.id:
        return None
    if one.is_trunk:
        raise BoughError(
            "0A000",
            f'cannot merge "{source}" into "{target}", which was not made from it',
            hint=f"BRANCH REFRESH {names.quote(target)} brings its own parent's changes in.",
            detail=f'"{source}" is no ancestor that "{target}" could be brought up to date with.',
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
        return begin_merge(database, source, target, policy, tables, author)

    return repeated(database, source, target, begin, run)


def repeated(
    database: Database,
    source: Line,
    target: Line,
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
        with sealed(database, source, target) if sealing else nullcontext():
            attempt = begin()
            if attempt is None:
                continue
            attempt.again = begin
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
def sealed(database: Database, line: Line, target: Line) -> Iterator[None]:
    """Nobody writes the line, nor begins to, while its base moves; the target's own base does not move meanwhile.

    Both are taken in one step, so merges never wait for each other in a circle. Whoever begins to write is held while
    the running writers end, for ``HOLD`` seconds at a time: steady writers do not starve a merge, nor it them.
    """
    token, gate, end = object(), database.gate, time.monotonic() + FORK_WAIT
    with gate:
        while True:
            free = gate.wait_for(
                lambda: line.sealed is None and target.sealed is None and not line.receiving,
                timeout=end - time.monotonic(),
            )
            if not free:
                raise _busy(line, target)
            line.sealed = token
            target.receiving += 1
            if gate.wait_for(lambda: not line.writers, timeout=min(HOLD, end - time.monotonic())):
                break
            line.sealed = None
            target.receiving -= 1
            gate.notify_all()
            if time.monotonic() >= end:
                raise _busy(line, target)
            gate.wait_for(lambda: not line.writers, timeout=HOLD / 2)
    try:
        yield
    finally:
        with gate:
            line.sealed = None
            target.receiving -= 1
            gate.notify_all()


def _busy(line: Line, target: Line) -> BoughError:
    if line.writers:
        return BoughError(
            "55P03",
            f'could not merge "{line.name}": a transaction that writes it is still open',
            detail=f"It has been open for more than {FORK_WAIT:.0f} s.",
            hint="COMMIT or ROLLBACK it, then merge again; bough.sessions shows it.",
        )
    other = target if target.sealed is not None else line
    return BoughError(
        "55P03",
        f'could not merge "{line.name}": branch "{other.name}" is being merged',
        detail=f"That merge has been running for more than {FORK_WAIT:.0f} s.",
        hint="Merge again when it has ended.",
    )


def begin_merge(
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
    started = database.fork_point()
    cursor = database.root.cursor()
    transaction = Transaction(
        database, cursor, target, author, explicit=False, keeps_own=database.retention > 0
    )
    try:
        cursor.query(f"SELECT count(*) FROM {M}.meta")
        if not transaction.confirm():
            transaction.rollback()
            cursor.close()
            return None
        transaction.statement = f'BRANCH MERGE "{source.name}" INTO "{target.name}"'
        sides = sides_of(database, transaction.physical, source, target)
        catalog = plan_catalogs(sides.base_catalog, source.catalog, transaction.catalog, policy)
        check_policy(policy, sides.base_catalog, source.catalog, transaction.catalog)
        chosen = frozenset(tables) if tables is not None else None
        attempt = Attempt(
            database, transaction, source, target, sides, policy, catalog, chosen, database.next_id(), started
        )
        if chosen is not None:
            _check_tables(attempt, chosen)
        return attempt
    except BaseException:
        transaction.rollback()
        cursor.close()
        raise


def begin_on(
    database: Database, target: Line, policy: Policy, author: Author, statement: str
) -> Attempt | None:
    """A transaction on ``target`` for a change whose plan is made by the caller."""
    database.loaded(target)
    started = database.fork_point()
    cursor = database.root.cursor()
    transaction = Transaction(
        database, cursor, target, author, explicit=False, keeps_own=database.retention > 0
    )
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
        raise BoughError(
            "42P01",
            f'relation "{name}" does not exist on branch "{attempt.source.name}"',
            detail=f'Neither "{attempt.source.name}" nor "{attempt.target.name}" has it, nor had it where they parted.',
            hint=f"BRANCH DIFF {names.quote(attempt.source.name)} lists what changed.",
        )


def target_sql(attempt: Attempt, plan: TablePlan) -> str:
    """All rows of the target, with identity, version and (on the trunk) place."""
    target, line = plan.target, attempt.view or attempt.transaction.line
    assert target is not None
    if line.is_trunk:
        assert target.storage.base is not None
        return overlay.trunk(
            target, attempt.transaction.physical.bases[target.storage.base], place_of=attempt.cursor.engine
        )
    rows = attempt.scope().relation_sql(target, line, hidden=True)
    return f"SELECT *, CAST(NULL AS BIGINT) AS {names.PLACE} FROM ({rows}) AS _rows"


def token_of(attempt: Attempt) -> str:
    """Changes whenever either side has moved."""
    facts: list[object] = []
    for line in (attempt.source, attempt.brings or attempt.target):
        head = attempt.cursor.query(
            f"SELECT coalesce(max(version), 0) FROM {M}.commits WHERE branch = ?", (line.id,)
        )[0][0]
        if line.is_trunk:
            head = max(head, attempt.database.commit_log.head)
        facts += [line.id, line.seq, head, line.record.base.dump()]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def check_token(attempt: Attempt, token: str | None) -> None:
    if token is not None and token_of(attempt) != token:
        raise BoughError(
            "40001",
            f'"{attempt.source.name}" or "{attempt.target.name}" has changed since the merge was explained',
            hint="EXPLAIN BRANCH MERGE again for a new token.",
            detail=f"The token was {token}.",
        )
