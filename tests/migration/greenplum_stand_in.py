"""A stand-in for Greenplum: a PostgreSQL server behind a proxy that takes DISTRIBUTED ... out of statements.

It proves that the clause is sent where it belongs and that everything else works over the protocol; it proves nothing
about Greenplum. The clauses that were taken out are written to a file. It is a process of its own, as a server is:
``python greenplum_stand_in.py PORT SERVER_PORT FILE``.
"""

from __future__ import annotations

import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_CLAUSE = re.compile(rb"(?i)\s*\bDISTRIBUTED\s+(?:BY\s*\([^()]*\)|RANDOMLY|REPLICATED)")


def forward(client: socket.socket, upstream: socket.socket, file: Path) -> None:
    """Client to server: the start-up as it is, then message by message."""
    with suppress(OSError):
        while True:  # requests for TLS and the start-up have no type byte
            head = _exactly(client, 8)
            length, code = struct.unpack("!II", head)
            upstream.sendall(head + _exactly(client, length - 8))
            if code >> 16 == 3 or code == 80877102:
                break
        while True:
            head = _exactly(client, 5)
            body = _exactly(client, struct.unpack("!I", head[1:])[0] - 4)
            if head[:1] in (b"Q", b"P"):
                for clause in _CLAUSE.findall(body):
                    with file.open("a") as log:
                        log.write(clause.decode().strip() + "\n")
                body = _CLAUSE.sub(b"", body)
            upstream.sendall(head[:1] + struct.pack("!I", len(body) + 4) + body)
    _end(upstream, client)


def back(upstream: socket.socket, client: socket.socket) -> None:
    """Server to client, as it is."""
    with suppress(OSError):
        while data := upstream.recv(1 << 16):
            client.sendall(data)
    _end(upstream, client)


def _end(*ends: socket.socket) -> None:
    for end in ends:  # closing alone would not wake the other thread, and keep the session
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def _exactly(source: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = source.recv(size - len(data))
        if not part:
            raise ConnectionError
        data += part
    return data


def main(port: int, server_port: int, file: Path) -> None:
    """Serves until it is killed."""
    listener = socket.create_server(("127.0.0.1", port))
    while True:
        client, _ = listener.accept()
        upstream = socket.create_connection(("127.0.0.1", server_port))
        threading.Thread(target=forward, args=(client, upstream, file), daemon=True).start()
        threading.Thread(target=back, args=(upstream, client), daemon=True).start()


@dataclass(frozen=True)
class Proxy:
    """Where it listens, and what it took out."""

    port: int
    file: Path

    @property
    def seen(self) -> list[str]:
        return self.file.read_text().splitlines()


@contextmanager
def greenplum_server(server_port: int) -> Iterator[Proxy]:
    """The proxy, running before a PostgreSQL server of this machine."""
    from servers import free_port, wait_for_port

    port = free_port()
    with tempfile.TemporaryDirectory() as home:
        file, log = Path(home) / "seen", Path(home) / "log"
        file.touch()
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, __file__, str(port), str(server_port), str(file)],
                stdout=output,
                stderr=output,
            )
        try:
            wait_for_port(port, process, log)
            yield Proxy(port, file)
        finally:
            process.terminate()
            process.wait(30)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
