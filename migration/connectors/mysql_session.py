"""A session through PyMySQL, as MySQL, MariaDB, StarRocks and Doris are reached: its beginning and its end."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Mapping
from typing import Any

import pymysql


def opened(
    options: Mapping[str, str], port: str, seconds: float, prepare: Callable[[Any], None], **given: Any
) -> Any:
    """A session in autocommit mode, prepared; ``port`` where the options name none. The driver's ``connect_timeout`` is
    for the connection alone: a server that takes it and says nothing would be waited for without an end."""
    limit = max(1, round(seconds))
    session = pymysql.connect(
        host=options.get("host", "127.0.0.1"),
        port=int(options.get("port", port)),
        user=options.get("user"),
        password=options.get("password", ""),
        charset="utf8mb4",
        autocommit=True,
        connect_timeout=limit,
        read_timeout=limit,
        **given,
    )
    try:
        with session.cursor() as cursor:
            prepare(cursor)
    except BaseException:
        with contextlib.suppress(pymysql.Error):
            session.close()
        raise
    session._read_timeout = None  # a statement may take as long as it takes
    return session


def kill(killer: Any, session: Any, seconds: float) -> None:
    """Ends what ``session`` runs. The server has ``seconds`` to answer ``killer``, another session with it."""
    killer._read_timeout = seconds
    with killer.cursor() as cursor:
        cursor.execute(f"KILL QUERY {int(session.thread_id())}")


def cut(session: Any) -> None:
    """Cuts its connection: who waits on it has an error."""
    with contextlib.suppress(OSError, AttributeError):  # it has none any more
        session._sock.shutdown(socket.SHUT_RDWR)
