"""A stand-in for a ClickHouse server's HTTP interface: the real engine (chdb) behind the protocol, in a process of
its own. The engine, its SQL, types, errors and readonly mode are ClickHouse's; streaming of results, users,
clusters and TLS are not there.

Run as ``python clickhouse_shim.py PORT DIRECTORY``.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import chdb

USER, PASSWORD = "bough", "open sesame"
_TRANSPORT = {
    "query", "database", "default_format", "session_id", "session_timeout", "query_id", "wait_end_of_query",
    "client_protocol_version", "compress", "decompress", "user", "password", "role", "enable_http_compression",
    "send_progress_in_http_headers", "http_headers_progress_interval_ms", "quota_key", "buffer_size",
}  # fmt: skip
_CODE = re.compile(r"Code: (\d+)")
_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*$", re.IGNORECASE)
_INSERT = re.compile(r"(?is)\s*INSERT\s+INTO\s+(.*?)\s+FORMAT\s+(\w+)\s*$")


class Handler(BaseHTTPRequestHandler):
    """One request is one statement on a handle of its own."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one packet for head and body
    path_of_engine = ""

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self.answer(200, b"Ok.\n", {})

    def do_POST(self) -> None:
        parameters = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        body = self.body()
        if (self.headers.get("X-ClickHouse-User"), self.headers.get("X-ClickHouse-Key")) != (USER, PASSWORD):
            basic = self.headers.get("Authorization", "")
            if not basic.startswith("Basic "):
                self.failed("Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)")
                return
            import base64

            if base64.b64decode(basic[6:]).decode() != f"{USER}:{PASSWORD}":
                self.failed("Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)")
                return
        text = parameters.get("query") or body.decode()
        data = body if "query" in parameters else b""
        handle = chdb.connect(self.path_of_engine)
        try:
            self.run(handle, text, data, parameters)
        except RuntimeError as reason:
            self.failed(str(reason))
        finally:
            handle.close()

    def run(self, handle: chdb.Connection, text: str, data: bytes, parameters: dict[str, str]) -> None:
        if parameters.get("database"):
            handle.query(f"USE `{parameters['database']}`")
        settings = {name: value for name, value in parameters.items() if name not in _TRANSPORT}
        readonly = settings.pop("readonly", None)
        assignments = [f"{name} = '{value}'" for name, value in settings.items()]
        assignments += [f"readonly = {readonly}"] if readonly else []
        if assignments:
            handle.query("SET " + ", ".join(assignments))
        insert = _INSERT.fullmatch(text)
        if insert is not None and data:
            with tempfile.NamedTemporaryFile(dir=tempfile.gettempdir(), suffix=".data") as file:
                Path(file.name).write_bytes(data)
                done = handle.query(f"INSERT INTO {insert[1]} FROM INFILE '{file.name}' FORMAT {insert[2]}")
                self.answer(200, b"", {"written_rows": str(done.rows_read())})
            return
        format_ = _FORMAT.search(text)
        name = format_[1] if format_ else parameters.get("default_format", "TabSeparated")
        done = handle.query(text, name)
        self.answer(200, done.bytes() or b"", {}, name)

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().strip(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def failed(self, message: str) -> None:
        match = _CODE.search(message)
        self.answer(500, message.encode(), {}, code=match[1] if match else "1001")

    def answer(
        self, status: int, body: bytes, summary: dict[str, str], format_: str = "", code: str = ""
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-ClickHouse-Summary", json.dumps(summary))
        if format_:
            self.send_header("X-ClickHouse-Format", format_)
        if code:
            self.send_header("X-ClickHouse-Exception-Code", code)
        self.end_headers()
        self.wfile.write(body)


def main(port: int, directory: str) -> None:
    """Serves until it is killed."""
    Handler.path_of_engine = directory
    keeper = chdb.connect(directory)  # the engine lives as long as one handle does
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    try:
        server.serve_forever()
    finally:
        keeper.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
