"""COPY's data: what Postgres' text, CSV and binary formats mean, without a session, a socket or an engine.

``options`` reads the WITH list, ``reader`` turns a client's bytes into Arrow batches, ``writer`` rows into messages.
"""

from __future__ import annotations

from .columns import CopyColumn
from .options import CopyOptions, read_options
from .reader import CopyReader
from .writer import CopyWriter

__all__ = ["CopyColumn", "CopyOptions", "CopyReader", "CopyWriter", "read_options"]
