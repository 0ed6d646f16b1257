"""Stream Load, the way into StarRocks and Doris: rows over HTTP, all of them or none.

Rules:

1. Every value travels as a JSON string that the engine casts, so no number passes through a double; ``strict_mode``
   makes a failed cast an error and ``max_filter_ratio`` 0 makes an error the end of the load.
2. A load has a label. Sent again after a lost connection, the label says whether it was done: never twice.
3. A load is prepared, its counts are compared with what was sent, and then committed (two phases).
4. A frontend answers 307 with a backend's address before it reads the body; only then the body is sent.
"""

from __future__ import annotations

import base64
import http.client
import json
import secrets
import socket
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from migration.errors import MigrationError

_REDIRECTS = (301, 302, 307, 308)
_DONE = ("FINISHED", "VISIBLE", "COMMITTED")
_FORM = {
    "format": "json",
    "strip_outer_array": "true",
    "strict_mode": "true",
    "max_filter_ratio": "0",
    "timezone": "UTC",
    "Expect": "100-continue",
}


class StreamLoad:
    """Loads into one cluster; ``kind`` is the dialect, because the two commit in different ways."""

    def __init__(self, kind: str, host: str, port: int, user: str, password: str, **how: Any) -> None:
        self.kind, self.host, self.port = kind, host, port
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._authorization = f"Basic {token}"
        self._secure: bool = how.get("secure", False)
        self._timeout: float = how.get("timeout", 600.0)

    def load(self, database: str, table: str, columns: str, body: bytes, rows: int) -> None:
        """Loads a JSON array of ``rows`` objects, or raises with nothing loaded."""
        label = f"bough_{secrets.token_hex(12)}"
        if self.kind == "doris":
            self._doris(database, table, columns, body, rows, label)
        else:
            self._starrocks(database, table, columns, body, rows, label)

    def _doris(self, database: str, table: str, columns: str, body: bytes, rows: int, label: str) -> None:
        headers = {**_FORM, "label": label, "columns": columns, "two_phase_commit": "true"}
        path = f"/api/{database}/{table}/_stream_load"
        answer = self._sent_again(path, headers, body)
        if answer.get("Status") == "Label Already Exists":
            self._existing(answer)
            return
        operation = "commit" if self._is_whole(answer, rows) else "abort"
        given = {"txn_id": str(answer.get("TxnId", "")), "txn_operation": operation}
        if answer.get("TxnId"):
            ended = self.request("PUT", f"/api/{database}/_stream_load_2pc", given, b"")
            if (
                operation == "commit"
                and str(ended.get("status", ended.get("Status", ""))).lower() != "success"
            ):
                raise self._failed(ended)
        if operation == "abort":
            raise self._failed(answer, rows)

    def _starrocks(self, database: str, table: str, columns: str, body: bytes, rows: int, label: str) -> None:
        place = {"label": label, "db": database, "table": table}
        begun = self.request("POST", "/api/transaction/begin", place, b"")
        if begun.get("Status") not in ("OK", "Success"):
            raise self._failed(begun)
        try:
            loaded = self.request(
                "PUT", "/api/transaction/load", {**_FORM, **place, "columns": columns}, body
            )
            if loaded.get("Status") not in ("OK", "Success"):
                raise self._failed(loaded, rows)
            prepared = self.request("POST", "/api/transaction/prepare", place, b"")
            if not self._is_whole(prepared, rows):
                raise self._failed(prepared, rows)
        except (MigrationError, OSError):
            self.request("POST", "/api/transaction/rollback", place, b"")
            raise
        for attempt in (1, 2):  # a commit may be asked for twice
            try:
                ended = self.request("POST", "/api/transaction/commit", place, b"")
                break
            except OSError:
                if attempt == 2:
                    raise
        if ended.get("Status") not in ("OK", "Success", "Publish Timeout"):
            raise self._failed(ended)

    def _sent_again(self, path: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
        try:
            return self.request("PUT", path, headers, body)
        except OSError:  # the label tells whether the first one arrived
            return self.request("PUT", path, headers, body)

    @staticmethod
    def _is_whole(answer: Mapping[str, Any], rows: int) -> bool:
        done = answer.get("Status") in ("OK", "Success", "Publish Timeout")
        filtered = int(answer.get("NumberFilteredRows", 0)) + int(answer.get("NumberUnselectedRows", 0))
        return done and filtered == 0 and int(answer.get("NumberLoadedRows", -1)) == rows

    def _existing(self, answer: Mapping[str, Any]) -> None:
        if answer.get("ExistingJobStatus") not in _DONE:
            raise self._failed(answer)

    @staticmethod
    def _failed(answer: Mapping[str, Any], rows: int | None = None) -> MigrationError:
        counts = ""
        if rows is not None and "NumberLoadedRows" in answer:
            filtered = answer.get("NumberFilteredRows", 0)
            counts = f" Sent {rows} rows, {answer['NumberLoadedRows']} fit, {filtered} did not."
        url = answer.get("ErrorURL")
        return MigrationError(
            "HV004" if counts else "HV000",
            f"Stream Load refused the rows: {answer.get('Message') or answer.get('msg') or answer.get('Status')}",
            detail=f"The load is taken back.{counts}" + (f" Rows: {url}" if url else ""),
            hint="CAST the column in the query, or give the target a type that holds the value.",
        )

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
        """One request, following the frontend to a backend; the body goes to who asks for it."""
        host, port, secure = self.host, self.port, self._secure
        for _ in range(4):
            connection = self._connection(host, port, secure=secure)
            try:
                connection.putrequest(method, path)
                for name, value in headers.items():
                    connection.putheader(name, value)
                connection.putheader("Authorization", self._authorization)
                connection.putheader("Content-Length", str(len(body)))
                connection.endheaders()
                if body and _asks_for_body(connection):
                    connection.send(body)
                response = connection.getresponse()
                data = response.read()
            finally:
                connection.close()
            if response.status in _REDIRECTS:
                place = urlsplit(response.headers["Location"])
                host, port = place.hostname or host, place.port or port
                secure, path = (
                    place.scheme == "https",
                    place.path + (f"?{place.query}" if place.query else ""),
                )
                continue
            return self._answer(response.status, data)
        raise MigrationError("HV00N", "Stream Load is redirected in a circle")

    def _answer(self, status: int, data: bytes) -> dict[str, Any]:
        try:
            found = json.loads(data)
        except ValueError:
            found = {"Status": "Fail", "Message": data.decode(errors="replace")[:500]}
        if status in (401, 403):
            raise MigrationError(
                "28P01", "Stream Load does not know this user", hint="See user and password."
            )
        if status >= 400 or not isinstance(found, dict):
            raise MigrationError("HV000", f"Stream Load answered {status}", detail=str(found)[:500])
        return found

    def _connection(self, host: str, port: int, *, secure: bool) -> http.client.HTTPConnection:
        if secure:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(host, port, timeout=self._timeout, context=context)
        return http.client.HTTPConnection(host, port, timeout=self._timeout)


def _asks_for_body(connection: http.client.HTTPConnection) -> bool:
    """Looks at the first line of the answer: 100 asks for the body, anything else is the answer."""
    if isinstance(connection.sock, ssl.SSLSocket):
        return True  # TLS cannot be looked into; a server that redirects reads the body away
    seen = b""
    while b"\r\n" not in seen:
        found = connection.sock.recv(len(seen) + 64, socket.MSG_PEEK)
        if not found:
            raise ConnectionResetError("the server closed the connection")
        if found == seen:
            continue
        seen = found
    return b" 100 " in seen.partition(b"\r\n")[0] + b" "
