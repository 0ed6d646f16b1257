"""The HTTP connections of one ClickHouse datasource, so that they can be cut: the driver's own are shared by all its
clients, and it shows no socket."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from typing import Any
from weakref import WeakSet

from clickhouse_connect.driver.httputil import check_env_proxy, get_pool_manager
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool


class Connections:
    """``manager`` is what the driver takes. ``cut`` works from any thread."""

    def __init__(self, scheme: str, host: str, port: int, tls: Mapping[str, Any]) -> None:
        self._open: WeakSet[socket.socket] = WeakSet()
        given = dict(tls) if scheme == "https" else {}
        given[f"{scheme}_proxy"] = check_env_proxy(scheme, host, port)
        self.manager = get_pool_manager(**given)
        self.manager.pool_classes_by_scheme = {
            "http": self._noting(HTTPConnectionPool),
            "https": self._noting(HTTPSConnectionPool),
        }

    def cut(self) -> None:
        """Cuts all of them: who waits on one has an error."""
        for each in tuple(self._open):
            with contextlib.suppress(OSError):  # it is over already
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Lets go of those that nobody uses."""
        self.manager.clear()

    def _noting(self, pool: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
        """A kind of pool whose connections are noted as they are made."""
        kind: Any = pool.ConnectionCls
        noted = self._open

        class Noted(kind):  # type: ignore[misc]
            def connect(self) -> None:
                super().connect()
                noted.add(self.sock)

        return type(pool.__name__, (pool,), {"ConnectionCls": Noted})
