"""One session's settings: SET, SET LOCAL, RESET and what a transaction's end does to them.

Rules:

1. ``SET`` in a transaction is undone by its ROLLBACK, ``SET LOCAL`` also by its COMMIT, as in Postgres; going
   back to a savepoint undoes what was set after it.
2. ``RESET`` returns to what the session STARTED with (defaults under its startup options), so that a pool
   hands every borrower the same session.
3. Maps are replaced, never changed in place, so that beginning a transaction costs two references.
4. The server's own settings (``branch_ttl``) are shown beside the session's, and cannot be SET.
5. ``branch`` is changed by a command: the session checks the name, moves, and then says so by ``assign``,
   which no ROLLBACK undoes. After RESET ALL or the end of a transaction the session moves to what is here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from branching.errors import BoughError
from proxy.gucs import BY_NAME, GUCS, Guc, check_value, find_guc
from proxy.settings import Settings

MOST_CUSTOM = 1000
LONGEST_OPTIONS = 10_000  # Postgres' own cap of a startup packet
MOST_OPTIONS = 200
# These describe the running transaction: setting one never outlives it.
_TRANSACTION_ONLY = frozenset({"transaction_isolation", "transaction_read_only", "transaction_deferrable"})
_NOT_RESET = frozenset({"session_authorization", "role"})

_Values = Mapping[str, str]


class SessionSettings:
    """The values of one session. Names are matched without regard to case."""

    def __init__(
        self,
        startup: Mapping[str, str] | None = None,
        *,
        defaults: Mapping[str, str] | None = None,
        server: Settings | None = None,
    ) -> None:
        """``startup`` comes from the client and is checked; ``defaults`` and ``server`` are the server's."""
        values = {guc.name: guc.default for guc in GUCS}
        self._server: dict[str, Guc] = {}
        for name, shown, _, _, text in server.rows() if server else ():
            if name in BY_NAME:  # the session has one of that name, which the server's is the default of
                values[name] = check_value(BY_NAME[name], shown)
            else:
                self._server[name] = Guc(name, shown, str, text, read_only=True)
                values[name] = shown
        for given in (defaults or {}, startup or {}):
            for name, value in given.items():
                guc = self._find(name)
                if guc.read_only and given is startup:
                    raise _cannot_change(guc)
                values[guc.name] = check_value(guc, value)
        _check_count(len(values) - len(self._server))
        self._startup: _Values = values
        self._session: _Values = {}
        self._local: _Values = {}
        self._begun: _Values | None = None  # the session's values when the transaction began
        self._savepoints: list[tuple[str, _Values, _Values]] = []
        self._reported: dict[str, str] = {}

    def _find(self, name: str) -> Guc:
        return self._server.get(name.lower()) or find_guc(name)

    def _changeable(self, name: str) -> Guc:
        guc = self._find(name)
        if guc.read_only or guc.by_command:
            raise _cannot_change(guc)
        return guc

    # -- values -----------------------------------------------------------------------------------------

    @property
    def stamp(self) -> tuple[object, object]:
        """Changes (by identity) whenever a value may have: for keeping what was derived from values."""
        return self._session, self._local

    def get(self, name: str) -> str | None:
        """The value of ``name``; None for a name of the client's own that was never set."""
        guc = self._find(name)
        for values in (self._local, self._session, self._startup):
            if guc.name in values:
                return values[guc.name]
        return None

    def show(self, name: str) -> tuple[str, str]:
        """(name as Postgres spells it, value), or 42704."""
        guc = self._find(name)
        value = self.get(name)
        if value is None:
            raise BoughError("42704", f'unrecognized configuration parameter "{name}"')
        return guc.name, value

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """SHOW ALL: name, setting, description."""
        values = {**self._startup, **self._session, **self._local}
        for name in sorted(values, key=str.lower):
            yield name, values[name], self._find(name).help

    def set(self, name: str, value: str, *, local: bool = False) -> str:
        """SET [LOCAL]; returns the value as SHOW gives it. LOCAL outside a transaction changes nothing."""
        guc = self._changeable(name)
        checked = check_value(guc, value)
        if local or guc.name in _TRANSACTION_ONLY:
            if self._begun is not None:
                self._local = {**self._local, guc.name: checked}
        else:
            self._session = {**self._session, guc.name: checked}
            self._local = _without(self._local, guc.name)
        _check_count(len(self._startup) - len(self._server) + len(self._session) + len(self._local))
        return checked

    def assign(self, name: str, value: str, *, local: bool = False) -> None:
        """Says what is the case now: no ROLLBACK undoes it; ``local`` lasts until the transaction ends."""
        guc = self._find(name)
        change = {guc.name: check_value(guc, value)}
        if local:
            self._local = {**self._local, **change}
            return
        self._session = {**self._session, **change}
        self._local = _without(self._local, guc.name)
        if self._begun is not None:
            self._begun = {**self._begun, **change}
        self._savepoints = [
            (savepoint, {**session, **change}, _without(local, guc.name))
            for savepoint, session, local in self._savepoints
        ]

    def is_local(self, name: str) -> bool:
        """Whether the value lasts until the transaction ends."""
        return self._find(name).name in self._local

    def reset(self, name: str) -> None:
        """RESET name, and SET name TO DEFAULT."""
        guc = self._changeable(name)
        self._session = _without(self._session, guc.name)
        self._local = _without(self._local, guc.name)

    def reset_all(self) -> None:
        """RESET ALL: everything the session started with."""
        self._session = {name: value for name, value in self._session.items() if name in _NOT_RESET}
        self._local = {}

    # -- transactions -----------------------------------------------------------------------------------

    def begin(self) -> None:
        self._begun = self._session

    def commit(self) -> None:
        self._local = {}
        self._begun = None
        self._savepoints.clear()

    def rollback(self) -> None:
        if self._begun is not None:
            self._session = self._begun
        self.commit()

    def savepoint(self, name: str) -> None:
        self._savepoints.append((name, self._session, self._local))

    def rollback_to(self, name: str) -> None:
        """ROLLBACK TO SAVEPOINT: the savepoint stays, what was set after it goes."""
        index = self._find_savepoint(name)
        _, self._session, self._local = self._savepoints[index]
        del self._savepoints[index + 1 :]

    def release(self, name: str) -> None:
        del self._savepoints[self._find_savepoint(name) :]

    def _find_savepoint(self, name: str) -> int:
        for index in range(len(self._savepoints) - 1, -1, -1):
            if self._savepoints[index][0] == name:
                return index
        raise BoughError("3B001", f'savepoint "{name}" does not exist')

    # -- what the client is told ------------------------------------------------------------------------

    def changes(self) -> list[tuple[str, str]]:
        """The reported settings whose value differs from what was reported last (ParameterStatus)."""
        changed = []
        for guc in GUCS:
            if guc.reported:
                value = self.get(guc.name) or ""
                if self._reported.get(guc.name) != value:
                    self._reported[guc.name] = value
                    changed.append((guc.name, value))
        return changed


def _without(values: _Values, name: str) -> _Values:
    if name not in values:
        return values
    return {key: value for key, value in values.items() if key != name}


def _cannot_change(guc: Guc) -> BoughError:
    return BoughError("55P02", f'parameter "{guc.name}" cannot be changed', hint=guc.help)


def _check_count(count: int) -> None:
    if count > len(GUCS) + MOST_CUSTOM:
        raise BoughError("54000", f"a session has at most {MOST_CUSTOM} settings of its own")


def parse_startup_options(options: str) -> dict[str, str]:
    """The settings in a startup packet's ``options``: ``-c name=value``, ``-cname=value``, ``--name=value``.

    A backslash keeps the character after it (``my\\ agent``). Words that are no setting are skipped: clients
    send values with unescaped spaces. Nothing here is ever made into SQL.
    """
    if len(options) > LONGEST_OPTIONS:
        raise BoughError("22023", f"startup options have at most {LONGEST_OPTIONS} characters")
    found: dict[str, str] = {}
    words = iter(_words(options))
    for word in words:
        if word == "-c":
            word = next(words, "")
        elif word.startswith("-c") or word.startswith("--"):
            word = word[2:]
        else:
            continue
        name, equals, value = word.partition("=")
        if equals and not name:
            raise BoughError("22023", "a startup option has no name", hint="Write -c name=value.")
        if equals:
            found[name.replace("-", "_")] = value
        if len(found) > MOST_OPTIONS:
            raise BoughError("22023", f"there are more than {MOST_OPTIONS} startup options")
    return found


def _words(options: str) -> list[str]:
    return [
        re.sub(r"\\(.?)", r"\1", match, flags=re.DOTALL)
        for match in re.findall(r"(?:\\.|[^\s\\]|\\$)+", options, flags=re.DOTALL)
    ]
