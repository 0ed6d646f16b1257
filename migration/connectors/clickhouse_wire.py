"""One session with ClickHouse, over HTTP or in process (chdb): statements out, Arrow streams back.

Rules:

1. Settings are what makes values exact: a NULL is never a default, casts keep NULL, strings are bytes, moments
   are UTC, a name in WHERE is the column and not an alias. Every session has them.
2. A reading session has ``readonly = 1`` besides: the server refuses to write, to open files and other servers,
   and to let a statement change its settings. A user whose profile allows no settings at all is served if the
   server's own zone is UTC.
3. A result is whole or an error. The server may break off in the middle of a stream and Arrow takes that for
   its end, so the end mark is looked for.
4. Every statement carries the session's mark in a comment; that is how ``KILL QUERY`` finds it.
"""

from __future__ import annotations

import contextlib
import io
import re
import secrets
import threading
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any

import clickhouse_connect
import pyarrow as pa
from clickhouse_connect.driver.exceptions import ClickHouseError
from urllib3 import Timeout

from migration.connectors.clickhouse_pool import Connections
from migration.errors import MigrationError

__all__ = ["CODES", "EXACT", "ClickHouseError", "Server", "Wire", "code_of"]

EXACT: Mapping[str, str] = {
    "session_timezone": "UTC",
    "input_format_null_as_default": "0",
    "cast_keep_nullable": "1",
    "prefer_column_name_to_alias": "1",
    "output_format_arrow_string_as_string": "0",
    "output_format_arrow_low_cardinality_as_dictionary": "0",
    "output_format_json_quote_64bit_integers": "0",
    "output_format_json_quote_denormals": "1",
    "output_format_json_named_tuples_as_objects": "1",
    "max_block_size": "65536",
}
CODES = {
    6: "HV004", 27: "HV004", 41: "HV004", 46: "42883", 47: "42703", 48: "0A000", 57: "42P07", 60: "HV00R",
    62: "42601", 70: "HV004", 81: "3D000", 131: "22001", 159: "57014", 164: "25006", 192: "28P01",
    193: "28P01", 194: "28P01", 209: "HV00N", 210: "HV00N", 241: "53200", 252: "53400", 291: "42501",
    321: "22003", 349: "23502", 394: "57014", 407: "22003", 497: "42501", 516: "28P01", 691: "HV004",
}  # fmt: skip
_PATIENCE = 300  # seconds until a server sends something, as its own clients have it
_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
_EVERYTHING, _NOTHING = 0, 1  # the setting readonly: what a user may set
_CODE = re.compile(r"Code: (\d+)")


class Wire:
    """A session; ``close`` ends it. ``each`` are the settings sent with every statement (HTTP has no session)."""

    def __init__(self, client: Any, each: Mapping[str, str], *, shared: bool = False) -> None:
        self.client = client
        self._shared = shared
        self.mark = "bough-" + secrets.token_hex(6)
        self._each = dict(each)

    def batches(self, text: str) -> Generator[pa.RecordBatch, None, None]:
        """The result of a query, as the server's Arrow."""
        with contextlib.closing(self._parts(text)) as parts:
            next(parts)
            yield from parts

    def _parts(self, text: str) -> Generator[Any, None, None]:
        """The schema of a result and its batches."""
        source = _Tail(self.client.raw_stream(self._marked(text), settings=self._each, fmt="ArrowStream"))
        try:
            reader = pa.ipc.open_stream(source)
            yield reader.schema
            yield from reader
            broken = not source.tail.endswith(_END)
        except (pa.ArrowInvalid, OSError):
            broken = True
        finally:
            with contextlib.suppress(OSError):
                source.close()
        if broken:
            raise _broken_off(source.tail)

    def table(self, text: str) -> pa.Table:
        """A small result whole."""
        schema, *found = self._parts(text)
        return pa.Table.from_batches(found, schema)

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        """A small result as Python rows; strings are text."""
        table = self.table(text)
        columns = []
        for name, column in zip(table.column_names, table.columns, strict=True):
            try:
                values = column.to_pylist()
                columns.append([value.decode() if isinstance(value, bytes) else value for value in values])
            except UnicodeDecodeError as reason:
                raise _no_text(text, name, reason.object) from None
        return list(zip(*columns, strict=True))

    def command(self, text: str) -> int | None:
        """Runs one statement; the rows it wrote, None where the server does not count them."""
        answer = self.client.command(self._marked(text), settings=self._each)
        summary = getattr(answer, "summary", None) or {}
        return int(summary["written_rows"]) if "written_rows" in summary else None

    def insert(self, table: str, names: Sequence[str], blocks: Iterable[bytes]) -> int | None:
        """One INSERT of an Arrow stream; the rows the server says it wrote."""
        answer = self.client.raw_insert(
            f"{table} /* {self.mark} */", names, (block for block in blocks), self._each, "ArrowStream"
        )
        written = answer.summary.get("written_rows")
        return None if written is None else int(written)

    def kill(self, mark: str) -> None:
        """Ends what the session of that mark runs."""
        self.client.raw_query(f"KILL QUERY WHERE position(query, '{mark}') > 0 AND query NOT LIKE 'KILL%'")

    def close(self) -> None:
        """Disconnects, unless others use the client too."""
        if not self._shared:
            self.client.close()

    def _marked(self, text: str) -> str:
        return f"/* {self.mark} */ {text}"


def _no_text(query: str, name: str, value: bytes) -> MigrationError:
    """HV004 for a String that is no UTF-8, with the column that ``name`` is computed of in ``query``."""
    found = re.search(rf"(?:`((?:[^`\\]|\\.)+)`|\b(\w+)\b)[^`\w]*\bAS {re.escape(name)}\b", query)
    column = found[1] or found[2] if found else name
    return MigrationError(
        "HV004",
        f'column "{column}" has a String that is no UTF-8',
        detail=f"It begins with the bytes {value[:40].hex()}.",
        hint=f"Move it as bytes: CAST ({column} AS type) with the target's type for bytes, or SKIP ({column}).",
        column=column,
    )


class _Tail(io.RawIOBase):
    """A stream that remembers its last bytes."""

    def __init__(self, source: Any) -> None:
        self.source, self.tail = source, b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = bytes(self.source.read(None if size < 0 else size) or b"")
        self.tail = (self.tail + data)[-4096:]
        return data

    def close(self) -> None:
        if not self.closed:
            self.source.close()
        super().close()


class Server:
    """Where sessions come from; over HTTP they share one client, which keeps its connections open."""

    def __init__(self, options: Mapping[str, str], timeout: float, statement: float) -> None:
        self._options, self._timeout = options, timeout
        self._settings = dict(EXACT)
        if statement:
            self._settings["max_execution_time"] = f"{statement:g}"
        self._lock = threading.Lock()
        self._shared: tuple[Any, int] | None = None  # the client, and what the user may set
        self._connections: Connections | None = None

    def open(self, *, reading: bool) -> Wire:
        """A session; ``reading`` ones cannot write."""
        if "path" in self._options:
            return _in_process(self._options, self._settings, reading=reading)
        shared = self._shared
        if shared is None:
            with self._lock:
                self._connections = self._connections or _connections(self._options)
            # Outside of the lock: it may take its time.
            greeted = _greeted(self._options, self._timeout, self._connections)
            with self._lock:
                shared = self._shared = self._shared or greeted
            if shared is not greeted:
                greeted[0].close()
        client, allowed = shared
        settings = dict(self._settings) if allowed != _NOTHING else {}
        if reading and allowed == _EVERYTHING:
            settings["readonly"] = "1"
        if reading and settings:
            settings["cancel_http_readonly_queries_on_client_close"] = "1"
        return Wire(client, settings, shared=True)

    def killer(self, seconds: float) -> Wire:
        """A session to end what others run; the server has ``seconds`` to answer it."""
        if self._connections is None:
            return _in_process(self._options, self._settings, reading=False)
        return Wire(_client(self._options, seconds, self._connections), {})

    def cut(self) -> None:
        """Cuts the connections of a server that does not answer, from any thread."""
        if self._connections is not None:
            self._connections.cut()

    def close(self) -> None:
        """Lets go of the connections; the next session opens new ones."""
        with self._lock:
            shared, self._shared = self._shared, None
        if shared is not None:
            shared[0].close()
        if self._connections is not None:
            self._connections.close()


def _connections(options: Mapping[str, str]) -> Connections:
    given = _http(options, 1)
    names = ("verify", "ca_cert", "client_cert", "client_cert_key")
    tls = {name: given[name] for name in names if name in given}
    return Connections(given["interface"], given["host"], given["port"], tls)


def _greeted(options: Mapping[str, str], timeout: float, connections: Connections) -> tuple[Any, int]:
    client = _client(options, timeout, connections)
    try:
        line = client.raw_query("SELECT getSetting('readonly'), timezone()", fmt="TabSeparated")
        allowed, _, zone = line.decode().strip().partition("\t")
        if int(allowed) == _NOTHING and zone not in ("UTC", "Etc/UTC"):
            raise MigrationError(
                "HV00N",
                f"the user may not change settings, and the server's zone is {zone}",
                hint="Give the user the profile setting readonly = 2 instead of 1.",
            )
    except BaseException:
        client.close()
        raise
    # It has answered: a statement may take its time.
    client.timeout = Timeout(connect=_limit(timeout), read=_waits(options) or _PATIENCE)
    return client, int(allowed)


def _client(options: Mapping[str, str], timeout: float, connections: Connections) -> Any:
    """A client of the driver that waits no longer than ``timeout`` for any answer."""
    given = {**_http(options, timeout), "send_receive_timeout": _limit(timeout)}
    return clickhouse_connect.get_client(**given, pool_mgr=connections.manager)


def _limit(timeout: float) -> int:
    return max(1, round(timeout))


def _waits(options: Mapping[str, str]) -> int | None:
    """Seconds that a statement's answer may take, where the datasource says so."""
    return int(float(options["read_timeout"])) if "read_timeout" in options else None


def _http(options: Mapping[str, str], timeout: float) -> dict[str, Any]:
    secure = options.get("protocol", "http").lower() == "https"
    names = {"sslrootcert": "ca_cert", "sslcert": "client_cert", "sslkey": "client_cert_key"}
    given: dict[str, Any] = {names[name]: text for name, text in options.items() if name in names}
    return {
        "host": options.get("host", "localhost"),
        "port": int(options.get("port", "8443" if secure else "8123")),
        "interface": "https" if secure else "http",
        "username": options.get("user"),
        "password": options.get("password", ""),
        "database": options.get("database") or options.get("schema"),
        "verify": options.get("verify", "true").lower() not in ("false", "0", "off", "no"),
        "connect_timeout": _limit(timeout),
        "autogenerate_session_id": False,
        "compress": False,
        **given,
    }


def _in_process(options: Mapping[str, str], settings: dict[str, str], *, reading: bool) -> Wire:
    try:
        client = clickhouse_connect.get_client(
            interface="chdb", path=options["path"], database=options.get("database") or options.get("schema")
        )
    except ImportError as reason:
        raise MigrationError(
            "HV000",
            "ClickHouse in process needs a package that is not installed",
            detail=str(reason),
            hint="pip install 'bough[chdb]'",
        ) from None
    given = [f"{name} = '{text}'" for name, text in settings.items()]
    given += ["readonly = 1"] if reading else []  # last: behind it nothing can be set
    client.command("SET " + ", ".join(given))
    return Wire(client, {})


def code_of(reason: BaseException) -> int:
    """The server's number of an error, 0 if it has none."""
    code = getattr(reason, "code", None)
    if code is None:
        match = _CODE.search(str(reason))
        code = match[1] if match else 0
    return int(code)


def _broken_off(tail: bytes) -> ClickHouseError:
    text = tail.decode("utf-8", errors="replace")
    match = _CODE.search(text)
    return ClickHouseError(
        text[match.start() :] if match else "the server broke off in the middle of a result"
    )
