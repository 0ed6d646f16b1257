"""Shadow mode's background: statements of sessions run again on their own branch and on its shadows, and compared.

Rules:

1. Nothing here can reach a client: what is offered is taken or dropped at once, without waiting, and whatever fails
   afterwards is an entry of the log.
2. Both sides are run again, together, in one read-only transaction: at one instant, shortly after the client's own.
   A difference is a difference between branches, never between two moments.
3. Clients come first: who has replayed rests for as long as that took, so the background takes half a thread at most.
4. Everything is bounded: statements waiting (number and bytes), statements at work, the time of one, entries of the
   log, pairs of branches counted. Results are fingerprinted in the engine, never kept.
5. Differences and errors are logged, everything is counted. A statement that fails on its own branch and on the shadow
   alike (it reads what only its own transaction has) says nothing: it counts as skipped.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlglot import exp

from branching import Database
from branching.shadow import Answer, Comparison
from branching.snapshot import Reading
from branching.volatility import is_volatile
from proxy.session.errors import error_response
from proxy.settings import Settings

_LONGEST_REST = 1.0  # seconds
_LONGEST_STATEMENT = 4000  # characters of it in the log
_LONGEST_PARAMETER = 200
_MOST_PARAMETERS = 100


@dataclass(frozen=True, slots=True)
class Replay:
    """One statement of a client, to be run again."""

    at: datetime
    started: float  # of ``time.monotonic``, when the client's own had begun to answer
    pid: int
    role: str
    branch: str
    shadows: tuple[str, ...]
    text: str
    tree: exp.Expr
    parameters: Sequence[Any]
    reading: Reading
    size: int  # about as many bytes as it takes


@dataclass(slots=True)
class _Counts:
    replayed: int = 0
    same: int = 0
    different: int = 0
    errors: int = 0
    skipped: int = 0
    dropped: int = 0
    elapsed_ms: float = 0.0
    shadow_elapsed_ms: float = 0.0


@dataclass(slots=True)
class _Work:
    """What one worker is at."""

    comparison: Comparison | None = None
    timed_out: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


class Replays:
    """One per server. Threads are started by the first statement offered."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._waiting: deque[Replay] = deque()
        self._bytes = 0
        self._busy = 0
        self._changed = threading.Condition()
        self._closed = False
        self._threads: list[threading.Thread] = []
        self._works: list[_Work] = []
        self._log: deque[tuple[Any, ...]] = deque(maxlen=settings.shadow_log_size)
        self._counts: OrderedDict[tuple[str, str], _Counts] = OrderedDict()

    # -- what sessions see ------------------------------------------------------------------------------------

    def offer(self, replay: Replay) -> None:
        """Takes a statement, or drops it where too many wait. Never waits, never raises."""
        with self._changed:
            full = len(self._waiting) >= self._settings.shadow_queue_size
            if self._closed or full or self._bytes + replay.size > self._settings.shadow_queue_bytes:
                self._count(replay.branch, replay.shadows, "dropped")
                return
            self._waiting.append(replay)
            self._bytes += replay.size
            if len(self._threads) < self._settings.shadow_workers and self._busy + len(self._waiting) > len(
                self._threads
            ):
                self._start()
            self._changed.notify()

    def skip(self, branch: str, shadows: Iterable[str]) -> None:
        """A statement that cannot be compared."""
        with self._changed:
            self._count(branch, shadows, "skipped")

    def log_rows(self) -> list[tuple[Any, ...]]:
        with self._changed:
            return list(self._log)

    def stat_rows(self) -> list[tuple[Any, ...]]:
        with self._changed:
            return [
                (
                    branch, shadow, item.replayed, item.same, item.different, item.errors, item.skipped,
                    item.dropped, round(item.elapsed_ms, 3), round(item.shadow_elapsed_ms, 3),
                )
                for (branch, shadow), item in sorted(self._counts.items())
            ]  # fmt: skip

    def wait(self, seconds: float) -> bool:
        """Whether everything offered has been replayed within that time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._busy, timeout=seconds)

    def close(self) -> None:
        """Drops what waits, stops what runs, and ends the threads."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._bytes = 0
            self._changed.notify_all()
            works = list(self._works)
        for work in works:
            with work.lock:
                if work.comparison is not None:
                    work.comparison.interrupt()
        for thread in self._threads:
            thread.join()

    # -- the work ---------------------------------------------------------------------------------------------

    def _start(self) -> None:
        work = _Work()
        thread = threading.Thread(target=self._run, args=(work,), name="shadow", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no more threads on this machine: what waits is done by those there are
            return
        self._works.append(work)
        self._threads.append(thread)

    def _run(self, work: _Work) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return
                replay = self._waiting.popleft()
                self._bytes -= replay.size
                self._busy += 1
            started = time.monotonic()
            try:
                self._replay(replay, work)
            except Exception as error:  # an error that is no branch's own: the engine's, or a bug of ours
                self._failed(replay, error, work)
            finally:
                with self._changed:
                    self._busy -= 1
                    self._changed.notify_all()
                    rest = min(time.monotonic() - started, _LONGEST_REST)
                    self._changed.wait_for(lambda: self._closed, timeout=rest)

    def _replay(self, replay: Replay, work: _Work) -> None:
        if is_volatile(replay.tree) or replay.tree.find(exp.TableSample) is not None:
            self.skip(replay.branch, replay.shadows)
            return
        lag = (time.monotonic() - replay.started) * 1000
        comparison = Comparison(
            self._database,
            (replay.branch, *replay.shadows),
            replay.tree,
            reading=replay.reading,
            parameters=replay.parameters,
            tolerance=self._settings.shadow_tolerance,
        )
        work.timed_out = False
        with work.lock:
            work.comparison = comparison
        limit = self._settings.shadow_timeout.total_seconds()
        timer = threading.Timer(limit, self._time_out, (work, comparison)) if limit else None
        try:
            if self._closed:
                return
            if timer is not None:
                timer.daemon = True
                timer.start()
            comparison.weigh()
            own, *shadows = comparison.answers
            verdicts = [
                None if own.error or shadow.error else comparison.same(own, shadow) for shadow in shadows
            ]
        finally:
            if timer is not None:
                timer.cancel()
            with work.lock:
                work.comparison = None
            comparison.close()
        for shadow, same in zip(shadows, verdicts, strict=True):
            self._compared(replay, own, shadow, same, lag)

    def _time_out(self, work: _Work, comparison: Comparison) -> None:
        with work.lock:
            if work.comparison is comparison:
                work.timed_out = True
                comparison.interrupt()

    def _compared(self, replay: Replay, own: Answer, shadow: Answer, same: bool | None, lag: float) -> None:
        """Counts one comparison, and logs it if it is not a match."""
        if own.error is not None and shadow.error is not None:
            self.skip(replay.branch, (shadow.branch,))
            return
        error, note = None, _note(replay.tree)
        if own.error is not None:
            error = f'on branch "{own.branch}": {told(own.error)}'
        elif shadow.error is not None:
            error = told(shadow.error)
        elif own.columns != shadow.columns:
            note = "the columns differ"
        with self._changed:
            counts = self._count(replay.branch, (shadow.branch,), "replayed")
            if error is not None:
                counts.errors += 1
            else:
                counts.elapsed_ms += own.elapsed_ms
                counts.shadow_elapsed_ms += shadow.elapsed_ms
                if same:
                    counts.same += 1
                    return
                counts.different += 1
            self._enter(replay, shadow.branch, (_figures(own), _figures(shadow)), error, note, lag)

    def _failed(self, replay: Replay, error: Exception, work: _Work) -> None:
        if self._closed:
            return
        response = error_response(error)
        text = f"{response.sqlstate}: {response.message}"
        if work.timed_out:
            text = "57014: canceling the replay due to shadow_timeout"
        with self._changed:
            for shadow in replay.shadows:
                counts = self._count(replay.branch, (shadow,), "replayed")
                counts.errors += 1
                nothing: tuple[None, None] = (None, None)
                lag = (time.monotonic() - replay.started) * 1000
                self._enter(replay, shadow, (nothing, nothing), text, None, lag)

    def _count(self, branch: str, shadows: Iterable[str], what: str) -> _Counts:
        """One more of ``what`` for each pair. With ``_changed`` held."""
        counts = _Counts()
        for shadow in shadows:
            counts = self._counts.setdefault((branch, shadow), _Counts())
            self._counts.move_to_end((branch, shadow))
            setattr(counts, what, getattr(counts, what) + 1)
        while len(self._counts) > self._settings.shadow_log_size:
            self._counts.popitem(last=False)
        return counts

    def _enter(
        self,
        replay: Replay,
        shadow: str,
        figures: tuple[tuple[int | None, float | None], tuple[int | None, float | None]],
        error: str | None,
        note: str | None,
        lag: float,
    ) -> None:
        (rows, elapsed), (shadow_rows, shadow_elapsed) = figures
        self._log.append(
            (
                replay.at,
                replay.role,
                replay.text[:_LONGEST_STATEMENT],
                replay.branch,
                shadow,
                False,
                elapsed,
                shadow_elapsed,
                rows,
                shadow_rows,
                error,
                note,
                [_shown(value) for value in replay.parameters[:_MOST_PARAMETERS]] or None,
                replay.pid,
                round(lag, 3),
            )
        )


def _figures(answer: Answer) -> tuple[int | None, float | None]:
    return (None, None) if answer.error is not None else (answer.rows, round(answer.elapsed_ms, 3))


def _note(tree: exp.Expr) -> str | None:
    """Why two right answers may differ."""
    if tree.args.get("limit") is not None and tree.args.get("order") is None:
        return "LIMIT without ORDER BY: which rows is left open"
    return None


def _shown(value: Any) -> str:
    return "NULL" if value is None else str(value)[:_LONGEST_PARAMETER]


def told(error: Exception) -> str:
    """An error as a client would be told of it, with its code."""
    response = error_response(error)
    return f"{response.sqlstate}: {response.message}"
