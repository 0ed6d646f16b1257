"""A session through libpq, as PostgreSQL, Greenplum and Redshift are reached: its options, its end, its errors."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterable, Mapping
from typing import Any

import psycopg

from migration.datasources.datasource import Datasource

_OPTIONS = {"database": "dbname"} | {
    name: name
    for name in (
        "host",
        "port",
        "user",
        "password",
        "service",
        "passfile",
        "application_name",
        "sslmode",
        "sslrootcert",
        "sslcert",
        "sslkey",
        "sslpassword",
    )
}
_ENDED = ("57P01", "57P02", "57P03", "57P05", "25P03")  # the server ends the session with them
_CODES = {"42P01": "HV00R", "22P02": "HV004", "22021": "HV004", "22P05": "HV004"}


def opened(
    datasource: Datasource, options: Mapping[str, str], defaults: Mapping[str, str], **more: Any
) -> psycopg.Connection[Any]:
    """A session in autocommit mode. ``defaults`` hold where neither the options nor their service say otherwise."""
    given = {_OPTIONS[name]: value for name, value in options.items() if name in _OPTIONS}
    given.setdefault("application_name", "bough")
    if "service" not in given:
        given = {**defaults, **given}
    return psycopg.connect(
        **given,  # type: ignore[arg-type]
        connect_timeout=max(2, round(datasource.connect_timeout)),
        autocommit=True,
        client_encoding="utf8",  # whatever the database's own is
        **more,
    )


def cancelled(sessions: Iterable[psycopg.Connection[Any]]) -> None:
    """Asks the server to stop what it does for them."""
    for session in tuple(sessions):
        with contextlib.suppress(psycopg.Error):
            session.cancel_safe(timeout=5)


def cut(session: psycopg.Connection[Any]) -> None:
    """Cuts its connection: who waits on it has an error."""
    with (
        contextlib.suppress(OSError, psycopg.Error),  # it has none any more
        socket.socket(fileno=os.dup(session.fileno())) as wire,
    ):
        wire.shutdown(socket.SHUT_RDWR)


def code_of(reason: BaseException) -> str:
    """The server's SQLSTATE, or what it is called between datasources; HV00N where none came."""
    state: str | None = getattr(reason, "sqlstate", None)
    if state in _ENDED or (state or "").startswith("08"):
        return "HV00N"  # it is that session which has ended, not the client's own
    if state:
        return _CODES.get(state, state)
    if "server closed the connection" in str(reason):
        return "HV00N"
    said = isinstance(reason, psycopg.Error) and not isinstance(reason, psycopg.OperationalError)
    return "HV000" if said else "HV00N"
