"""A stand-in for Redshift: a PostgreSQL server behind a proxy that speaks a little of Redshift, and moto for S3.

The proxy says it is PostgreSQL 8.0.2, refuses what Redshift lacks, takes clauses that only Redshift has out of
statements, and answers ``COPY ... FROM 's3://...'`` by loading the objects of the manifest from moto. It proves which
statements are sent and that they fit together; it proves nothing about Redshift itself.
"""

from __future__ import annotations

import gzip
import io
import json
import logging
import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pyarrow.parquet as pq
from servers import Server, free_port

from migration.connectors.postgres_encoding import csv_bytes

DATABASE = "redshift_stand_in"
_CLAUSES = re.compile(
    r"(?i)\s*(?:\bDISTSTYLE\s+\w+|\bDISTKEY\s*\([^()]*\)|\bSORTKEY(?:\s*\([^()]*\)|\s+AUTO)|\bENCODE\s+\w+|(?<=IDENTITY)\(1,1\))"
)
# What Redshift does not have, as far as somebody who knows PostgreSQL would write it.
_LACKING = re.compile(
    r"(?is)\bTO\s+STDOUT\b|\bFROM\s+STDIN\b|pg_export_snapshot|to_regclass|::regclass|WITH\s+ORDINALITY"
    r"|\bLATERAL\b|\bFILTER\s*\(|client_connection_check|bytea_output|IntervalStyle|standard_conforming|pg_enum"
    r"|attidentity|attgenerated|\bTRUNCATE\b|INCLUDING\s+ALL|\bON\s+CONFLICT\b|\bRETURNING\b|FROM\s*\(\s*VALUES"
    r"|pg_get_serial_sequence|SESSION\s+CHARACTERISTICS|regexp_matches|string_agg|\bUNLOGGED\b|::oid"
)
_COPY = re.compile(
    r"(?is)^COPY\s+(?P<table>\S+)(?:\s+\((?P<columns>.*?)\))?\s+FROM\s+'(?P<url>s3://[^']*)'\s+"
    r"(?:IAM_ROLE\s+(?:default|'(?P<role>[^']*)')|ACCESS_KEY_ID\s+'(?P<id>[^']*)'\s+SECRET_ACCESS_KEY\s+'(?P<key>[^']*)')"
    r"(?:\s+REGION\s+AS\s+'[^']*')?\s+MANIFEST\s+FORMAT\s+AS\s+(?P<form>PARQUET|CSV)"
    r"(?P<gzip>\s+GZIP\s+NULL\s+AS\s+'(?P<null>[^']*)'\s+DATEFORMAT\s+'auto'\s+TIMEFORMAT\s+'auto')?"
    r"(?P<ids>\s+EXPLICIT_IDS)?$"
)
_PREPARED = """
SET allow_system_table_mods = on;
CREATE DOMAIN pg_catalog.super AS jsonb;
CREATE DOMAIN pg_catalog.varbyte AS text CHECK (VALUE ~ '^([0-9a-fA-F]{2})*$');
CREATE FUNCTION public.to_hex(text) RETURNS text LANGUAGE sql AS $$ SELECT lower($1) $$;
"""


@dataclass
class StandIn:
    """Where it listens, what it was asked, and its S3 (a client of boto3's)."""

    port: int
    s3: Any
    endpoint: str
    statements: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)  # what lay in S3 while COPY ran

    def options(self, **more: str) -> dict[str, str]:
        """Options of a datasource."""
        return {
            "host": "127.0.0.1", "port": str(self.port), "user": "bough", "database": DATABASE,
            "password": "the db secret", "s3_staging": "s3://lake/in/coming", "s3_endpoint": self.endpoint,
            "s3_region": "us-east-1", "access_key": "AKIAEXAMPLE", "secret_key": "the s3 secret", **more,
        }  # fmt: skip

    def left(self) -> list[str]:
        """The keys that lie in the bucket."""
        found = self.s3.list_objects_v2(Bucket="lake")
        return [item["Key"] for item in found.get("Contents", ())]


class _Session:
    """One client, in lockstep: a request goes up, its answer comes down."""

    def __init__(self, stand_in: StandIn, client: socket.socket, upstream: socket.socket) -> None:
        self.stand_in, self.client, self.upstream = stand_in, client, upstream
        self.counted = 0

    def run(self) -> None:
        with suppress(OSError):
            while True:  # requests for TLS and the start-up have no type byte
                head = exactly(self.client, 8)
                length, code = struct.unpack("!II", head)
                self.upstream.sendall(head + exactly(self.client, length - 8))
                if code == 80877102:  # a cancel request has no answer
                    return
                if code >> 16 == 3:
                    break
                self.client.sendall(exactly(self.upstream, 1))
            self.answer()
            while True:
                kind, body = message(self.client)
                if kind == b"Q":
                    self.asked(body[:-1].decode())
                elif kind in (b"X", b"P", b"B", b"S"):
                    if kind != b"X":
                        raise OSError("nothing is bound or prepared here")
                    self.upstream.sendall(packed(kind, body))
                    return
                else:
                    self.upstream.sendall(packed(kind, body))

    def asked(self, text: str) -> None:
        self.stand_in.statements.append(text)
        lacking = _LACKING.search(text)
        copy = _COPY.match(text)
        if lacking is not None:
            self.refused(f"the stand-in for Redshift has no {lacking[0]}")
        elif copy is not None and "WRONG" in (copy["id"] or copy["role"] or ""):
            self.refused(f"not allowed: {text}")
        elif copy is not None:
            self.copied(copy)
        elif text.upper().startswith("COPY"):
            self.refused("the stand-in cannot read this COPY")
        else:
            text = _CLAUSES.sub("", text)
            text = re.sub(r"(?i)(?<=CHAR)\(MAX\)", "", text)
            text = re.sub(r"(?i)\bVARBYTE\s*\(\d+\)", "varbyte", text)
            text = re.sub(r"(?i)SET enable_case_sensitive_identifier TO true", "SELECT 1", text)
            text = text.replace("SELECT pg_last_copy_count()", f"SELECT {self.counted}")
            text = text.replace(
                "SELECT version()", "SELECT 'PostgreSQL 8.0.2 on i686-pc-linux-gnu, Redshift 1.0.98765'::text"
            )
            self.upstream.sendall(packed(b"Q", text.encode() + b"\0"))
            self.answer()

    def copied(self, copy: re.Match[str]) -> None:
        """The rows of the manifest go up by COPY FROM STDIN; its start is hidden from the client."""
        try:
            rows = b"".join(self.fetched(copy))
        except Exception as reason:
            self.refused(f"S3: {reason}")
            return
        columns = f" ({copy['columns']})" if copy["columns"] else ""
        statement = f"COPY {copy['table']}{columns} FROM STDIN (FORMAT csv, NULL '{copy['null'] or ''}')"
        self.upstream.sendall(packed(b"Q", statement.encode() + b"\0"))
        kind, body = message(self.upstream)
        if kind == b"G":
            for start in range(0, len(rows), 1 << 16):
                self.upstream.sendall(packed(b"d", rows[start : start + (1 << 16)]))
            self.upstream.sendall(packed(b"c", b""))
        else:
            self.client.sendall(packed(kind, body))
        self.answer()

    def fetched(self, copy: re.Match[str]) -> Iterator[bytes]:
        self.stand_in.loaded[:] = self.stand_in.left()
        for entry in json.loads(self.object(copy["url"]))["entries"]:
            data = self.object(entry["url"])
            assert len(data) == entry["meta"]["content_length"]
            if copy["form"] == "CSV":
                yield gzip.decompress(data)
                continue
            for batch in pq.read_table(io.BytesIO(data)).to_batches():
                yield csv_bytes(batch)

    def object(self, url: str) -> bytes:
        bucket, _, key = url.removeprefix("s3://").partition("/")
        return bytes(self.stand_in.s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    def answer(self) -> None:
        """What the server says, up to the end of its answer."""
        while True:
            kind, body = message(self.upstream)
            if kind == b"S" and body.startswith(b"server_version\0"):
                body = b"server_version\x008.0.2\0"
            if kind == b"S" and body.startswith(b"client_encoding\0"):
                body = b"client_encoding\0UNICODE\0"
            if kind == b"C" and body.startswith(b"COPY "):
                self.counted = int(body[5:-1])
                body = b"COPY\0"
            self.client.sendall(packed(kind, body))
            if kind == b"R" and struct.unpack("!I", body[:4])[0] in (3, 5, 10, 11):
                raise OSError("the server behind asks for no password")
            if kind == b"Z":
                return

    def refused(self, text: str) -> None:
        """An error of our own; a transaction is ended by one the server makes itself."""
        self.upstream.sendall(
            packed(b"Q", b"DO $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '0A000'; END $$\0")
        )
        kind, body = message(self.upstream)
        while kind != b"Z":
            kind, body = message(self.upstream)
        fields = b"SERROR\0C0A000\0M" + text.encode() + b"\0\0"
        self.client.sendall(packed(b"E", fields) + packed(kind, body))


def packed(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def message(source: socket.socket) -> tuple[bytes, bytes]:
    head = exactly(source, 5)
    return head[:1], exactly(source, struct.unpack("!I", head[1:])[0] - 4)


def exactly(source: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = source.recv(size - len(data))
        if not part:
            raise ConnectionError
        data += part
    return data


def _serve(stand_in: StandIn, listener: socket.socket, server_port: int) -> None:
    def served(client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", server_port)) as upstream:
            _Session(stand_in, client, upstream).run()

    with suppress(OSError):  # the listener is closed at the end
        while True:
            client, _ = listener.accept()
            threading.Thread(target=served, args=(client,), daemon=True).start()


@contextmanager
def redshift_server(server: Server) -> Iterator[StandIn]:
    """The stand-in, in a database of its own of a PostgreSQL server."""
    import boto3
    from moto.server import ThreadedMotoServer

    address = f"host={server.host} port={server.port} user={server.user}"
    with psycopg.connect(f"{address} dbname={server.database}", autocommit=True) as session:
        session.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)".encode())
        session.execute(f"CREATE DATABASE {DATABASE}".encode())
        session.execute(f"ALTER DATABASE {DATABASE} SET standard_conforming_strings = off".encode())
        session.execute(f"ALTER DATABASE {DATABASE} SET escape_string_warning = off".encode())
    with psycopg.connect(f"{address} dbname={DATABASE}", autocommit=True) as session:
        session.execute(_PREPARED.encode())
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=free_port(), verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    s3 = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    s3.create_bucket(Bucket="lake")
    listener = socket.create_server(("127.0.0.1", 0))
    stand_in = StandIn(listener.getsockname()[1], s3, endpoint)
    threading.Thread(target=_serve, args=(stand_in, listener, server.port), daemon=True).start()
    try:
        yield stand_in
    finally:
        listener.close()
        moto.stop()
