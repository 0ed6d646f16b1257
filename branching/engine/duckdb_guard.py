"""A checkpoint that no kill can tear.

DuckDB writes blocks of its metadata in place: one block holds pieces of the state before a checkpoint and of the state
after it. The kernel may end a write of a killed process at any page, and so may a power cut; such a block is neither,
and the file cannot be opened. So what a checkpoint may write over is copied to ``<file>.guard`` first. Rules:

1. A copy is whole or not there: it carries its own digest, and takes its name when it is on the disk.
2. It is brought back only when the file cannot be opened for a checksum, and only under the very header it was taken
   with: the checkpoint then has not taken effect, and the write-ahead log still has every commit since.
3. The database is read by the descriptor that the engine holds. Closing another one of the same file would give up the
   engine's lock on it. Where descriptors cannot be listed (no ``/proc``) there is no copy, and a checkpoint is as safe
   as the engine makes it.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

_T = TypeVar("_T")
_MAGIC = b"bough guard 1\n"
_DIGEST = 32
_HEADERS = 3 * 4096  # the file's, and two of the database in turns
_DATABASE_HEADER = struct.Struct("<8xQqqQQ")  # iteration, metadata, free list, blocks, bytes of a block
_NUMBER = struct.Struct("<q")
_LARGEST = 64 * 2**20  # bytes: beyond, the copy would take longer than what it guards


def guard_path(path: str) -> Path:
    """Where the copy of what a checkpoint of ``path`` may write over is kept."""
    return Path(f"{path}.guard")


def save(path: str, blocks: Iterable[int]) -> bool:
    """Copies the headers and these blocks of an open database; whether there is a copy now."""
    descriptor = _descriptor(path)
    if descriptor is None:
        return False
    try:
        headers = os.pread(descriptor, _HEADERS, 0)
        size = _block_size(headers)
        found = sorted(set(blocks))
        if size == 0 or size * len(found) > _LARGEST:
            return False
        parts = [headers]
        for number in found:
            block = os.pread(descriptor, size, _HEADERS + number * size)
            if len(block) != size:  # not written yet: nothing to write over
                continue
            parts += [_NUMBER.pack(number), block]
    except OSError:
        return False
    _write(guard_path(path), b"".join(parts))
    return True


def drop(path: str) -> None:
    """The checkpoint has taken effect."""
    guard_path(path).unlink(missing_ok=True)


def restore(path: str) -> bool:
    """Brings back what a checkpoint that was killed had begun to write over; whether there was anything to bring back.

    Only for a file that nobody has open.
    """
    try:
        content = guard_path(path).read_bytes()
    except OSError:
        return False
    start = len(_MAGIC) + _DIGEST
    payload = content[start:]
    if not content.startswith(_MAGIC) or content[len(_MAGIC) : start] != _digest(payload):
        return False
    headers, size = payload[:_HEADERS], _block_size(payload)
    with Path(path).open("r+b") as file:
        if size == 0 or file.read(_HEADERS) != headers:
            return False
        position = _HEADERS
        while position < len(payload):
            (number,) = _NUMBER.unpack_from(payload, position)
            position += _NUMBER.size
            file.seek(_HEADERS + number * size)
            file.write(payload[position : position + size])
            position += size
        file.flush()
        os.fsync(file.fileno())
    return True


def opened(path: str, attempt: Callable[[], _T]) -> _T:
    """What ``attempt`` opens; a second attempt after a checkpoint that was killed has been undone."""
    try:
        return attempt()
    except Exception as error:
        if "checksum" not in str(error) or not restore(path):
            raise
    return attempt()


def _descriptor(path: str) -> int | None:
    """The engine's own descriptor of the file."""
    wanted = os.path.realpath(path)
    listed = Path("/proc/self/fd")
    try:
        for entry in listed.iterdir():
            try:
                if str(entry.readlink()) == wanted:
                    return int(entry.name)
            except OSError:  # closed meanwhile
                continue
    except OSError:
        return None
    return None


def _block_size(headers: bytes) -> int:
    """Bytes of a block, as the newer of the two headers says; 0 where they make no sense."""
    if len(headers) < _HEADERS or headers[8:12] != b"DUCK":
        return 0
    _, _, _, _, size = max(_DATABASE_HEADER.unpack_from(headers, at) for at in (4096, 8192))
    return int(size) if 4096 <= size <= 2**24 else 0


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST).digest()


def _write(path: Path, payload: bytes) -> None:
    aside = path.with_name(path.name + ".new")
    with aside.open("wb") as file:
        file.write(_MAGIC + _digest(payload))
        file.write(payload)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
