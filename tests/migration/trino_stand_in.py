"""A stand-in for a Trino coordinator: the client protocol of /v1/statement with DuckDB behind it.

It proves that the connector speaks the protocol and that values survive it; it proves nothing about Trino. SQL is
translated by sqlglot; EXECUTE IMMEDIATE ... USING, paging, update counts and errors are done as Trino does them.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import duckdb
import sqlglot
from sqlglot import exp

PAGE = 100
_TYPES = {
    "TINYINT": "tinyint", "SMALLINT": "smallint", "INTEGER": "integer", "BIGINT": "bigint", "DOUBLE": "double",
    "FLOAT": "real", "BOOLEAN": "boolean", "VARCHAR": "varchar", "BLOB": "varbinary", "DATE": "date",
    "TIMESTAMP": "timestamp(6)", "TIMESTAMP WITH TIME ZONE": "timestamp(6) with time zone", "TIME": "time(6)",
    "JSON": "json", "UUID": "uuid", "HUGEINT": "decimal(38,0)", "INTEGER[]": "array(integer)", "\"NULL\"": "varchar",
}  # fmt: skip


def trino_type(text: str) -> str:
    return _TYPES.get(text) or text.lower().replace(" ", "")


def told_names(tree: exp.Expr) -> list[str]:
    """The names that a star over a subquery has: DuckDB numbers those that are the same, other engines do not."""
    inner = tree.find(exp.Subquery) if isinstance(tree, exp.Select) and tree.is_star else None
    if inner is None or inner.args["alias"].columns or not isinstance(inner.this, exp.Select):
        return []
    return [] if inner.this.is_star else inner.this.named_selects


class Handler(BaseHTTPRequestHandler):
    """Statements run at once; their rows are handed out page by page."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    engine: duckdb.DuckDBPyConnection
    lock = threading.Lock()
    pages: dict[str, list[dict[str, Any]]] = {}  # noqa: RUF012

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with self.lock:
            name = str(len(self.pages) + 1)
            try:
                found = self.run(text)
            except (duckdb.Error, sqlglot.errors.SqlglotError) as reason:
                found = [{"error": _error(str(reason))}]
            self.pages[name] = found
        self.page(name, 0)

    def do_GET(self) -> None:
        _, _, name, number = self.path.rsplit("/", 3)
        self.page(name, int(number))

    def do_DELETE(self) -> None:
        self.send_response(204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def page(self, name: str, number: int) -> None:
        pages = self.pages[name]
        home = f"http://127.0.0.1:{self.server.server_address[1]}"
        body: dict[str, Any] = {"id": name, "infoUri": home, "stats": {"state": "RUNNING"}, **pages[number]}
        if number + 1 < len(pages):
            body["nextUri"] = f"{home}/v1/statement/{name}/{number + 1}"
        else:
            body["stats"] = {"state": "FAILED" if "error" in body else "FINISHED"}
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def run(self, text: str) -> list[dict[str, Any]]:
        text = text.strip().rstrip(";")
        immediate = re.fullmatch(r"(?is)EXECUTE IMMEDIATE\s+('(?:[^']|'')*')(?:\s+USING\s+(.*))?", text)
        binds: list[exp.Expr] = []
        if immediate:
            text = immediate[1][1:-1].replace("''", "'")
            if immediate[2]:
                binds = list(sqlglot.parse_one(f"SELECT {immediate[2]}", read="trino").expressions)
        if "system.metadata.catalogs" in text:
            return [*self.rows([("connector_name", "varchar")], [["memory"]])]
        if "system.runtime.nodes" in text:
            return [*self.rows([("node_version", "varchar")], [["476"]])]
        like = re.fullmatch(r"(?is)CREATE TABLE (\S+) \(LIKE (\S+) INCLUDING PROPERTIES\)", text)
        if like:
            self.engine.execute(f"CREATE TABLE {like[1]} AS FROM {like[2]} LIMIT 0")
            return [{"updateType": "CREATE TABLE"}]
        renamed = re.fullmatch(r"(?is)ALTER TABLE (\S+) RENAME TO (?:\S+\.)?(\S+)", text)
        if renamed:
            self.engine.execute(f"ALTER TABLE {renamed[1]} RENAME TO {renamed[2]}")
            return [{"updateType": "RENAME TABLE"}]
        tree = sqlglot.parse_one(text, read="trino")
        for mark, value in zip(list(tree.find_all(exp.Placeholder)), binds, strict=True):
            mark.replace(value)
        sql = tree.sql("duckdb").replace("CURRENT_SCHEMA()", "'main'").replace("CURRENT_SCHEMA", "'main'")
        sql = re.sub(r"(?i)\bJSON_FORMAT\(", "to_json(", sql)
        cursor = self.engine.execute(sql)
        if isinstance(tree, exp.Insert | exp.Delete | exp.Update | exp.Merge):
            touched = cursor.fetchone()
            return [{"updateType": type(tree).__name__.upper(), "updateCount": touched[0] if touched else 0}]
        if not isinstance(tree, exp.Query | exp.Describe | exp.Show):
            return [{"updateType": tree.key.upper()}]
        names = told_names(tree) or [item[0] for item in cursor.description or ()]
        columns = [
            (name, trino_type(str(item[1])))
            for name, item in zip(names, cursor.description or (), strict=True)
        ]
        found = cursor.fetchall()
        if "information_schema.columns" in text:  # where types are named as DuckDB does
            found = [(row[0], trino_type(row[1]), *row[2:]) for row in found]
        return [*self.rows(columns, found)]

    def rows(self, columns: list[tuple[str, str]], found: list[Any]) -> Iterator[dict[str, Any]]:
        head = {
            "columns": [
                {"name": name, "type": type_, "typeSignature": _signature(type_)} for name, type_ in columns
            ]
        }
        yield {}
        for start in range(0, len(found), PAGE):
            yield {**head, "data": [[_json(value) for value in row] for row in found[start : start + PAGE]]}
        yield head


def _signature(type_: str) -> dict[str, Any]:
    if type_ == "varchar":  # its length is always told
        return {"rawType": type_, "arguments": [{"kind": "LONG", "value": 2147483647}]}
    raw, _, rest = type_.partition("(")
    tail = rest.partition(")")[2]
    arguments = [
        {"kind": "LONG", "value": int(part)}
        if part.strip().isdigit()
        else {"kind": "TYPE", "value": _signature(part)}
        for part in rest.partition(")")[0].split(",")
        if part
    ]
    return {"rawType": raw + tail, "arguments": arguments}


def _json(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float) and value != value:
        return "NaN"
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _error(message: str) -> dict[str, Any]:
    name, number = ("TABLE_NOT_FOUND", 46) if "does not exist" in message else ("GENERIC_USER_ERROR", 0)
    if "already exists" in message:
        name, number = "TABLE_ALREADY_EXISTS", 47
    return {
        "message": message,
        "errorCode": number,
        "errorName": name,
        "errorType": "USER_ERROR",
        "failureInfo": {},
    }


@contextmanager
def trino_server() -> Iterator[int]:
    """The port it listens on."""
    engine = duckdb.connect()
    engine.execute("SET TimeZone = 'UTC'")
    kind = type("Statements", (Handler,), {"engine": engine, "pages": {}, "lock": threading.Lock()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        engine.close()
