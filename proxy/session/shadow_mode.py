"""Shadow mode as a session sees it: ``SET shadow_branches``, and what is handed to the background.

Rules:

1. A statement's client pays for a few assignments: what is wanted is worked out when a setting changes, everything else
   in the background.
2. Only a SELECT that has begun to answer is offered, and only one of plain tables and views: what the session answers
   itself (system views, commands, its settings) would say nothing about a branch, or do something twice.
3. A shadow that does not exist is an error of the SET, and of nothing else: neither a connection nor a query fails
   because somebody has discarded a branch.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from branching.errors import BoughError
from branching.snapshot import Reading
from proxy.gucs import branch_list
from proxy.session.replays import Replay
from proxy.session.shadow import reading
from proxy.sql.prepare import Prepared

if TYPE_CHECKING:
    from proxy.session.session import Session

_ENTRY = 1000  # bytes of a waiting statement besides its text and its values


@dataclass(frozen=True, slots=True)
class Shadowing:
    """What a session wants replayed, and how it reads."""

    branches: tuple[str, ...]
    rate: float
    reading: Reading


def check(session: Session, value: str) -> None:
    """Refuses (42704) a list that names a branch which does not exist."""
    try:
        names = branch_list(value)
    except ValueError:
        return  # the setting's own check says it better
    for name in names:
        if not session.service.database.has_branch(name):
            raise BoughError(
                "42704",
                f'branch "{name}" does not exist',
                detail="shadow_branches has not been changed.",
                hint="BRANCH LIST shows the branches; SET shadow_branches = '' turns shadow mode off.",
            )
    if names and not session.service.settings.shadow_mode_enabled:
        _notice(
            session, "shadow mode is turned off on this server (shadow_mode_enabled): nothing is replayed"
        )


def greet(session: Session) -> None:
    """Says which shadows of the startup options there are not."""
    missing = [
        name
        for name in branch_list(session.setting("shadow_branches"))
        if not session.service.database.has_branch(name)
    ]
    if missing:
        _notice(session, f"shadow_branches names branches that do not exist: {', '.join(missing)}")


def wanted(session: Session) -> Shadowing | None:
    """What the session's settings ask for; None if nothing is to be replayed."""
    value = session.setting("shadow_branches")
    if not value or not session.service.settings.shadow_mode_enabled:
        return None
    rate = float(session.setting("shadow_sample_rate") or 1)
    return Shadowing(branch_list(value), rate, reading(session)) if rate else None


def offer(session: Session, prepared: Prepared, tree: exp.Expr, values: Sequence[Any], *, ours: bool) -> None:
    """Hands a SELECT that has begun to answer to the background. ``ours``: the session answers part of it."""
    shadowing, connection = session.shadowing, session.connection
    if shadowing is None or connection is None:
        return
    if shadowing.rate < 1 and random.random() >= shadowing.rate:
        return
    here = connection.branch
    shadows = tuple(name for name in shadowing.branches if name != here)
    if not shadows:
        return
    replays = session.service.replays
    if ours or _reads_temporary(tree, connection.temporary):
        replays.skip(here, shadows)
        return
    text = prepared.parsed.text
    replays.offer(
        Replay(
            at=datetime.now(UTC),
            started=time.monotonic(),
            pid=session.pid,
            role=session.user,
            branch=here,
            shadows=shadows,
            text=text,
            tree=tree,
            parameters=tuple(values),
            reading=shadowing.reading,
            size=_ENTRY + len(text) + sum(map(_size, values)),
        )
    )


def _reads_temporary(tree: exp.Expr, temporary: Any) -> bool:
    return bool(temporary) and any(
        node.name in temporary and not node.args.get("db") for node in tree.find_all(exp.Table)
    )


def _size(value: Any) -> int:
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, list | tuple):
        return sum(map(_size, value)) + 64
    return 32


def _notice(session: Session, text: str) -> None:
    if session.connection is not None:
        session.connection.notices.append(text)
