"""A stand-in for BigQuery: the requests our connector makes of its REST API, with DuckDB behind them.

It proves that the connector speaks the API and that values survive it; it proves nothing about BigQuery. SQL is
translated by sqlglot; jobs, pages, load jobs from Parquet and JSON, copy jobs, dry runs and errors are done as the
service does them. One project, ``p``; datasets are schemas.
"""

from __future__ import annotations

import base64
import io
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import duckdb
import pyarrow.parquet as pq
import sqlglot
from sqlglot import exp
from trino_stand_in import told_names

_FIELDS = {
    "BIGINT": "INTEGER", "INTEGER": "INTEGER", "HUGEINT": "INTEGER", "DOUBLE": "FLOAT", "BOOLEAN": "BOOLEAN",
    "VARCHAR": "STRING", "BLOB": "BYTES", "DATE": "DATE", "TIME": "TIME", "TIMESTAMP": "DATETIME",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP", "JSON": "JSON",
}  # fmt: skip
_LOAD = {"INTEGER": "BIGINT", "NUMERIC": "VARCHAR", "BYTES": "BLOB", "FLOAT": "VARCHAR"}
Names = tuple[str, str]


class Refused(Exception):
    """An error as the API gives it."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message

    def body(self) -> dict[str, Any]:
        item = {"reason": self.reason, "message": self.message, "domain": "global"}
        return {"error": {"code": self.status, "message": self.message, "errors": [item]}}


class Job:
    """One job, on a thread and a cursor of its own."""

    def __init__(
        self, service: Service, name: str, configuration: dict[str, Any], payload: bytes = b""
    ) -> None:
        self.service, self.name, self.configuration = service, name, configuration
        self.cursor = service.engine.cursor()
        self.schema: list[dict[str, Any]] = []
        self.rows: list[Any] = []
        self.touched: int | None = None
        self.loaded = 0
        self.error: Refused | None = None
        self.cancelled = False
        self.thread = threading.Thread(target=self._run, args=(payload,), daemon=True)
        self.thread.start()
        self.thread.join(0.5)

    def _run(self, payload: bytes) -> None:
        try:
            if "query" in self.configuration:
                self.service.query(self)
            elif "copy" in self.configuration:
                self.service.copy(self)
            else:
                self.service.load(self, payload)
        except Refused as refused:
            self.error = refused
        except (duckdb.Error, sqlglot.errors.SqlglotError) as reason:
            stopped = self.cancelled
            self.error = Refused(400, "stopped" if stopped else _reason(str(reason)), str(reason))

    def resource(self) -> dict[str, Any]:
        running = self.thread.is_alive()
        status: dict[str, Any] = {"state": "RUNNING" if running else "DONE"}
        if not running and self.error is not None:
            status["errorResult"] = {"reason": self.error.reason, "message": self.error.message}
        query: dict[str, Any] = {
            "schema": {"fields": self.schema},
            "statementType": "SELECT" if self.schema else "X",
        }
        if self.touched is not None:
            query["numDmlAffectedRows"] = str(self.touched)
        return {
            "kind": "bigquery#job", "id": f"p:US.{self.name}", "status": status,
            "jobReference": {"projectId": "p", "jobId": self.name, "location": "US"},
            "configuration": self.configuration,
            "statistics": {"query": query, "load": {"outputRows": str(self.loaded)}},
        }  # fmt: skip


class Service:
    """What lies behind the requests."""

    def __init__(self) -> None:
        self.engine = duckdb.connect()
        self.engine.execute("SET TimeZone = 'UTC'; CREATE MACRO to_json_string(x) AS to_json(x)::VARCHAR")
        self.tables: dict[Names, dict[str, Any]] = {}
        self.jobs: dict[str, Job] = {}
        self.requests: list[tuple[str, Any]] = []
        self.uploads: dict[str, dict[str, Any]] = {}

    def datasets(self) -> list[str]:
        found = self.engine.cursor().execute(
            "SELECT schema_name FROM duckdb_schemas() WHERE NOT internal AND schema_name <> 'main'"
        )
        return [name for (name,) in found.fetchall()]

    def table(self, names: Names) -> dict[str, Any]:
        found = self.tables.get(names)
        if found is None:
            raise Refused(404, "notFound", f"Not found: Table p:{'.'.join(names)}")
        count = self.engine.cursor().execute(f'SELECT count(*) FROM "{names[0]}"."{names[1]}"').fetchone()
        return {
            "tableReference": {"projectId": "p", "datasetId": names[0], "tableId": names[1]}, "type": "TABLE",
            "numRows": str(count[0] if count else 0), **found,
        }  # fmt: skip

    def query(self, job: Job) -> None:
        given = job.configuration["query"]
        home = given.get("defaultDataset", {}).get("datasetId")
        if home:
            job.cursor.execute(f"SET schema = '{home}'")
        text = given["query"]
        self.requests.append(("dry run" if job.configuration.get("dryRun") else "query", text))
        statements = [tree for tree in sqlglot.parse(text, read="bigquery") if tree is not None]
        if job.configuration.get("dryRun") or len(statements) > 1:
            job.cursor.execute("BEGIN")
        try:
            for tree in statements:
                if isinstance(tree, exp.Transaction | exp.Commit):
                    continue
                self.run(job, tree, home)
        except Exception:
            if len(statements) > 1 and not job.configuration.get("dryRun"):
                job.cursor.execute("ROLLBACK")
            raise
        if job.configuration.get("dryRun"):
            job.cursor.execute("ROLLBACK")
        elif len(statements) > 1:
            job.cursor.execute("COMMIT")

    def run(self, job: Job, tree: Any, home: str | None) -> None:
        information = re.search(
            r"(?i)SELECT ddl FROM .*TABLES`? WHERE table_name = '(\w+)'", tree.sql("bigquery")
        )
        if information:
            found = (
                [[f"CREATE TABLE {information[1]}"]]
                if any(t == information[1] for _, t in self.tables)
                else []
            )
            job.schema, job.rows = [{"name": "ddl", "type": "STRING", "mode": "NULLABLE"}], found
            return
        for table in tree.find_all(exp.Table):
            table.set("catalog", None)
        known = dict(self.tables)
        self.define(job, tree, home)
        names = told_names(tree)
        twice = ", ".join(sorted({name for name in names if names.count(name) > 1}))
        if twice:
            message = f"Duplicate column names in the result are not supported. Found duplicate(s): {twice}"
            raise Refused(400, "invalidQuery", message)
        sql = tree.transform(_typed).sql("duckdb")
        try:
            cursor = job.cursor.execute(sql)
        finally:
            if job.configuration.get("dryRun"):
                self.tables = known
        if isinstance(tree, exp.Insert | exp.Delete | exp.Update | exp.Merge | exp.TruncateTable):
            touched = cursor.fetchone()
            job.touched = touched[0] if touched else 0
        elif isinstance(tree, exp.Query):
            job.schema = [_field(item[0], str(item[1])) for item in cursor.description or ()]
            job.rows = [] if job.configuration.get("dryRun") else cursor.fetchall()

    def define(self, job: Job, tree: Any, home: str | None) -> None:
        """What a statement does to the catalog; its clauses that only BigQuery has are taken out."""
        if isinstance(tree, exp.Create) and tree.kind == "TABLE":
            like = tree.find(exp.LikeProperty)
            target = tree.find(exp.Table)
            names = _names(target, home)
            if names in self.tables:
                raise Refused(409, "duplicate", f"Already Exists: Table p:{'.'.join(names)}")
            if like is not None:
                source = self.table(_names(like.this, home))
                kept = {key: source[key] for key in ("schema", "description", "labels") if key in source}
                self.tables[names] = kept
                other = like.this.sql("duckdb")
                tree.set("properties", None)
                tree.set("expression", sqlglot.parse_one(f"SELECT * FROM {other} LIMIT 0", read="duckdb"))
                return
            self.tables[names] = _described(tree)
            tree.set("properties", None)
            for constraint in list(tree.find_all(exp.PrimaryKey, exp.ForeignKey)):
                constraint.pop()
            for definition in tree.find_all(exp.ColumnDef):
                definition.set("constraints", [
                    item for item in definition.args.get("constraints") or ()
                    if isinstance(item.kind, exp.NotNullColumnConstraint | exp.DefaultColumnConstraint)
                ])  # fmt: skip
        elif isinstance(tree, exp.Drop) and tree.kind == "TABLE":
            self.tables.pop(_names(tree.find(exp.Table), home), None)
        elif isinstance(tree, exp.Alter):
            old, new = _names(tree.this, home), tree.args["actions"][0].this
            self.tables[(old[0], new.name)] = self.tables.pop(old)

    def copy(self, job: Job) -> None:
        given = job.configuration["copy"]
        source = given.get("sourceTable") or given["sourceTables"][0]
        pair = [(item["datasetId"], item["tableId"]) for item in (source, given["destinationTable"])]
        self.requests.append(("copy", given["writeDisposition"]))
        assert given["writeDisposition"] == "WRITE_TRUNCATE"
        assert given["createDisposition"] == "CREATE_NEVER"
        (one, other) = (self.table(names) for names in pair)
        path = ['"' + '"."'.join(names) + '"' for names in pair]
        job.cursor.execute(f"CREATE OR REPLACE TABLE {path[1]} AS FROM {path[0]}")
        self.tables[pair[1]] = {**{k: other[k] for k in ("labels",) if k in other}, "schema": one["schema"]}

    def load(self, job: Job, payload: bytes) -> None:
        given = job.configuration["load"]
        names = (given["destinationTable"]["datasetId"], given["destinationTable"]["tableId"])
        self.requests.append(("load", given["sourceFormat"]))
        fields = {field["name"]: field for field in self.table(names)["schema"]["fields"]}
        assert given["createDisposition"] == "CREATE_NEVER" and given["writeDisposition"] == "WRITE_APPEND"
        assert [field["name"] for field in given["schema"]["fields"]] and given["schema"]["fields"] == [
            fields[field["name"]] for field in given["schema"]["fields"]
        ]
        path = f'"{names[0]}"."{names[1]}"'
        if given["sourceFormat"] == "PARQUET":
            arrow = pq.read_table(io.BytesIO(payload))
            columns = ", ".join(f'"{name}"' for name in arrow.column_names)
            job.cursor.register("load_data", arrow)
            job.cursor.execute(f"INSERT INTO {path} ({columns}) SELECT {columns} FROM load_data")
            job.cursor.unregister("load_data")
            job.loaded = arrow.num_rows
            return
        rows = [json.loads(line, parse_float=Decimal) for line in payload.decode().splitlines()]
        job.cursor.execute("BEGIN")
        for row in rows:
            columns, values = ", ".join(f'"{name}"' for name in row), []
            for name, value in row.items():
                kind, repeated = fields[name]["type"], fields[name]["mode"] == "REPEATED"
                values.append([_read(v, kind) for v in value] if repeated else _read(value, kind))
            job.cursor.execute(f"INSERT INTO {path} ({columns}) VALUES ({', '.join('?' * len(row))})", values)
        job.cursor.execute("COMMIT")
        job.loaded = len(rows)


def _names(table: Any, home: str | None) -> Names:
    return (table.db or home or "", table.name)


def _described(tree: Any) -> dict[str, Any]:
    fields = []
    for definition in tree.find_all(exp.ColumnDef):
        written = definition.kind.sql("bigquery")
        repeated = re.fullmatch(r"ARRAY<(.*)>", written)
        name, _, rest = (repeated[1] if repeated else written).partition("(")
        field: dict[str, Any] = {
            "name": definition.name,
            "type": {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN"}.get(name, name),
        }
        kinds = [type(item.kind) for item in definition.args.get("constraints") or ()]
        field["mode"] = (
            "REPEATED" if repeated else "REQUIRED" if exp.NotNullColumnConstraint in kinds else "NULLABLE"
        )
        numbers = [part.strip() for part in rest.rstrip(")").split(",") if part]
        if numbers and name in ("STRING", "BYTES"):
            field["maxLength"] = numbers[0]
        elif numbers:
            field["precision"] = numbers[0]
            if len(numbers) > 1:
                field["scale"] = numbers[1]
        fields.append(field)
    found: dict[str, Any] = {"schema": {"fields": fields}}
    key = tree.find(exp.PrimaryKey)
    if key is not None:
        found["tableConstraints"] = {"primaryKey": {"columns": [part.name for part in key.expressions]}}
    return found


def _typed(node: Any) -> Any:
    """NUMERIC without numbers has 38 digits, 9 of them fraction."""
    if isinstance(node, exp.DataType) and node.this in (exp.DType.DECIMAL, exp.DType.BIGDECIMAL):
        return exp.DataType.build(
            f"DECIMAL({', '.join(p.sql() for p in node.expressions) or '38, 9'})", dialect="duckdb"
        )
    return node


def _field(name: str, type_: str) -> dict[str, Any]:
    if type_.endswith("[]"):
        return {**_field(name, type_[:-2]), "mode": "REPEATED"}
    decimal = re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", type_)
    if decimal:
        kind = "NUMERIC" if int(decimal[2]) <= 9 and int(decimal[1]) - int(decimal[2]) <= 29 else "BIGNUMERIC"
    else:
        kind = _FIELDS.get(type_.strip('"'), "STRING")
    return {"name": name, "type": kind, "mode": "NULLABLE"}


def _read(value: Any, kind: str) -> Any:
    """A value of a JSON line, for DuckDB."""
    if kind == "BYTES":
        return base64.b64decode(value)
    return (
        json.dumps(value, default=str)
        if kind == "JSON"
        else str(value)
        if not isinstance(value, bool)
        else value
    )


def _cell(value: Any, kind: str) -> Any:
    if isinstance(value, list):
        return {"v": [_cell(item, kind) for item in value]}
    if value is None:
        return {"v": None}
    if kind == "TIMESTAMP":
        since = value.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
        return {"v": str((since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds)}
    if kind == "BYTES":
        return {"v": base64.b64encode(value).decode()}
    if kind == "FLOAT" and value in (float("inf"), float("-inf")):
        return {"v": "Infinity" if value > 0 else "-Infinity"}
    if kind == "FLOAT":
        return {"v": "NaN" if value != value else repr(value)}
    if kind == "BOOLEAN":
        return {"v": str(value).lower()}
    if kind == "DATETIME":
        return {"v": value.isoformat()}
    return {"v": f"{value:f}" if isinstance(value, Decimal) else str(value)}


def _reason(message: str) -> str:
    return (
        "notFound"
        if "does not exist" in message
        else "duplicate"
        if "already exists" in message
        else "invalidQuery"
    )


class Handler(BaseHTTPRequestHandler):
    """The requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    service: Service

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self._answer(self.get)

    def do_POST(self) -> None:
        self._answer(self.post)

    def do_PUT(self) -> None:
        self._answer(self.put)

    def _answer(self, method: Any) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        parts = urlsplit(self.path)
        self.asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        headers: dict[str, str] = {}
        try:
            status, found = (
                200,
                method(parts.path.split("/bigquery/v2/", 1)[-1].strip("/").split("/"), headers),
            )
        except Refused as refused:
            status, found = refused.status, refused.body()
        data = json.dumps(found).encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(data)),
            **headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def get(self, path: list[str], headers: dict[str, str]) -> dict[str, Any]:
        service = self.service
        match path:
            case ["projects"]:
                return {
                    "projects": [
                        {
                            "id": "p",
                            "projectReference": {"projectId": "p"},
                            "numericId": "1",
                            "friendlyName": "p",
                        }
                    ]
                }
            case ["projects", "p", "datasets"]:
                return {
                    "datasets": [
                        {"datasetReference": {"projectId": "p", "datasetId": d}} for d in service.datasets()
                    ]
                }
            case ["projects", "p", "datasets", dataset, "tables"]:
                found = [names for names in service.tables if names[0] == dataset]
                return {
                    "tables": [
                        {"tableReference": {"projectId": "p", "datasetId": d, "tableId": t}, "type": "TABLE"}
                        for d, t in found
                    ]
                }
            case ["projects", "p", "datasets", dataset, "tables", table]:
                return service.table((dataset, table))
            case ["projects", "p", "jobs", name]:
                return service.jobs[name].resource()
            case ["projects", "p", "queries", name]:
                return self.results(service.jobs[name])
        raise Refused(404, "notFound", f"the stand-in does not know GET {self.path}")

    def results(self, job: Job) -> dict[str, Any]:
        job.thread.join(min(10.0, int(self.asked.get("timeoutMs", "10000")) / 1000))
        reference = {"projectId": "p", "jobId": job.name, "location": "US"}
        if job.thread.is_alive():
            return {"jobComplete": False, "jobReference": reference}
        if job.error is not None:
            raise job.error
        start, size = int(self.asked.get("pageToken", "0")), int(self.asked.get("maxResults", "100000"))
        page = job.rows[start : start + size]
        kinds = [field["type"] for field in job.schema]
        rows = [{"f": [_cell(value, kind) for value, kind in zip(row, kinds, strict=True)]} for row in page]
        found: dict[str, Any] = {
            "jobComplete": True, "jobReference": reference, "schema": {"fields": job.schema}, "rows": rows,
            "totalRows": str(len(job.rows)),
        }  # fmt: skip
        if not size:
            del found["rows"]
        if start + size < len(job.rows) and size:
            found["pageToken"] = str(start + size)
        if job.touched is not None:
            found["numDmlAffectedRows"] = str(job.touched)
        return found

    def post(self, path: list[str], headers: dict[str, str]) -> dict[str, Any]:
        service = self.service
        if self.path.startswith("/upload/"):
            if self.asked["uploadType"] == "resumable":
                name = str(len(service.uploads))
                service.uploads[name] = {"job": json.loads(self.body), "data": b""}
                headers["Location"] = f"http://127.0.0.1:{self.server.server_address[1]}/upload/{name}"
                return {}
            boundary = re.search(rb'boundary="?([^";]+)', self.headers["Content-Type"].encode())
            assert boundary is not None
            _, head, data, _ = self.body.split(b"--" + boundary[1], 3)
            return self.job(json.loads(head.split(b"\r\n\r\n", 1)[1]), data.split(b"\r\n\r\n", 1)[1][:-2])
        match path:
            case ["projects", "p", "jobs"]:
                return self.job(json.loads(self.body))
            case ["projects", "p", "jobs", name, "cancel"]:
                service.jobs[name].cancelled = True
                service.jobs[name].cursor.interrupt()
                return {"job": service.jobs[name].resource()}
        raise Refused(404, "notFound", f"the stand-in does not know POST {self.path}")

    def put(self, path: list[str], headers: dict[str, str]) -> dict[str, Any]:
        upload = self.service.uploads[path[-1]]
        upload["data"] += self.body
        return self.job(upload["job"], upload["data"])

    def job(self, resource: dict[str, Any], payload: bytes = b"") -> dict[str, Any]:
        name = resource.get("jobReference", {}).get("jobId") or f"job{len(self.service.jobs)}"
        job = self.service.jobs[name] = Job(self.service, name, resource["configuration"], payload)
        if job.error is not None and resource["configuration"].get("dryRun"):
            raise job.error
        return job.resource()


@contextmanager
def bigquery_service() -> Iterator[tuple[str, Service]]:
    """Its address, and what lies behind it."""
    service = Service()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Requests", (Handler,), {"service": service}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        service.engine.close()
