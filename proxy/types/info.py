"""What a Postgres client is told about a type."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TypeInfo:
    """A type as RowDescription names it: ``size`` is typlen, ``typmod`` -1 where the type has none."""

    oid: int
    name: str
    array_oid: int
    size: int = -1
    typmod: int = -1
