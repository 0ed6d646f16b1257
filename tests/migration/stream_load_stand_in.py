"""A stand-in for the HTTP side of StarRocks and Doris: a frontend that redirects to a backend, labels, two phases.

The rows land in MariaDB, which also stands in for the MySQL protocol. It proves that the connector speaks the
protocol; it proves nothing about the engines.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pymysql
from servers import Server


class Cluster:
    """What frontend and backend share."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.open: dict[str, Any] = {}  # label to transaction
        self.counts: dict[str, tuple[int, int]] = {}
        self.states: dict[str, str] = {}
        self.drop_answers = 0  # how many answers of loads get lost
        self.requests: list[tuple[str, str]] = []
        self.backend = 0

    def session(self) -> Any:
        server = self.server
        return pymysql.connect(
            host=server.host, port=server.port, user=server.user, password=server.password,
            database=server.database, charset="utf8mb4", sql_mode="STRICT_ALL_TABLES",
        )  # fmt: skip

    def load(self, label: str, table: str, headers: Any, body: bytes) -> dict[str, Any]:
        assert headers["strict_mode"] == "true" and headers["max_filter_ratio"] == "0"
        session = self.session()
        names, makes = [], []
        for part in re.split(r", (?=`|bough_)", headers["columns"]):
            made = re.fullmatch(r"`([^`]+)` = from_binary\((\w+), 'hex'\)", part)
            if made:
                names[-1] = (made[2], made[1])
                makes[-1] = "UNHEX(%s)"
            else:
                names.append((part.strip("`"), part.strip("`")))
                makes.append("%s")
        loaded = filtered = 0
        with session.cursor() as cursor:
            for row in json.loads(body):
                columns = ", ".join(f"`{name}`" for _, name in names)
                try:
                    cursor.execute(
                        f"INSERT INTO `{table}` ({columns}) VALUES ({', '.join(makes)})",
                        [row[key] for key, _ in names],
                    )
                    loaded += 1
                except pymysql.Error:
                    filtered += 1
        self.open[label] = session
        before = self.counts.get(label, (0, 0))
        self.counts[label] = (before[0] + loaded, before[1] + filtered)
        return self.answer(label)

    def answer(self, label: str) -> dict[str, Any]:
        loaded, filtered = self.counts.get(label, (0, 0))
        status = "Fail" if filtered else "Success"
        return {
            "TxnId": 7, "Label": label, "Status": status, "Message": "too many filtered rows" if filtered else "OK",
            "NumberTotalRows": loaded + filtered, "NumberLoadedRows": loaded, "NumberFilteredRows": filtered,
            "ErrorURL": "http://be/errors" if filtered else "",
        }  # fmt: skip

    def end(self, label: str, *, commit: bool) -> None:
        session = self.open.pop(label)
        if commit:
            session.commit()
        session.close()
        self.states[label] = "VISIBLE" if commit else "ABORTED"


class Frontend(BaseHTTPRequestHandler):
    """Knows the users, and where the backends are."""

    protocol_version = "HTTP/1.1"
    cluster: Cluster

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def handle_expect_100(self) -> bool:
        return True  # whether the body is wanted is decided in do_PUT

    def do_PUT(self) -> None:
        self.handle_one()

    def do_POST(self) -> None:
        self.handle_one()

    def handle_one(self) -> None:
        self.cluster.requests.append((type(self).__name__, self.path))
        if self.headers["Authorization"] != "Basic Ym91Z2g6b3BlbiBzZXNhbWU=":  # bough:open sesame
            self.send_error(401)
            self.close_connection = True
            return
        self.send_response(307)
        self.send_header("Location", f"http://127.0.0.1:{self.cluster.backend}{self.path}")
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.close_connection = True


class Backend(Frontend):
    """Takes the rows."""

    def handle_one(self) -> None:
        cluster, label = self.cluster, self.headers.get("label", "")
        cluster.requests.append((type(self).__name__, self.path))
        if self.headers.get("Expect"):
            self.send_response_only(100)
            self.end_headers()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        parts = self.path.strip("/").split("/")
        if parts[-1] == "_stream_load":
            if label in cluster.counts:
                found = {
                    "Status": "Label Already Exists",
                    "ExistingJobStatus": cluster.states.get(label, "PRECOMMITTED"),
                }
            else:
                found = cluster.load(label, parts[2], self.headers, body)
                cluster.last = label  # type: ignore[attr-defined]
        elif parts[-1] == "_stream_load_2pc":
            cluster.end(cluster.last, commit=self.headers["txn_operation"] == "commit")  # type: ignore[attr-defined]
            found = {"status": "Success"}
        elif parts[-1] == "load":
            found = cluster.load(label, self.headers["table"], self.headers, body)
        elif parts[-1] == "begin":
            found = {"Status": "OK"}
        elif parts[-1] == "prepare":
            found = cluster.answer(label)
        else:
            if label in cluster.open:
                cluster.end(label, commit=parts[-1] == "commit")
            found = {"Status": "OK"}
        if cluster.drop_answers and parts[-1] == "commit":
            cluster.drop_answers -= 1
            self.close_connection = True
            return
        data = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def stream_load_cluster(server: Server) -> Iterator[tuple[int, Cluster]]:
    """The frontend's port, and the cluster behind it."""
    cluster = Cluster(server)
    servers = [
        ThreadingHTTPServer(("127.0.0.1", 0), type(kind.__name__, (kind,), {"cluster": cluster}))
        for kind in (Frontend, Backend)
    ]
    cluster.backend = int(servers[1].server_address[1])
    threads = [threading.Thread(target=each.serve_forever) for each in servers]
    for thread in threads:
        thread.start()
    try:
        yield int(servers[0].server_address[1]), cluster
    finally:
        for each, thread in zip(servers, threads, strict=True):
            each.shutdown()
            thread.join()
            each.server_close()
        for session in cluster.open.values():
            session.close()
