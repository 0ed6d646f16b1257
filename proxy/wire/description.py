"""The description of a result, from its columns' types."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.types import TypeInfo

from .messages_backend import Field, RowDescription


def row_description(columns: Sequence[tuple[str, TypeInfo]], formats: Sequence[int] = ()) -> RowDescription:
    """RowDescription of (name, type) columns; ``formats`` as Bind gives them: none, one for all, or one each.

    Table OID and column number stay 0: psqlODBC and others ask the catalog about every non-zero one.
    """
    return RowDescription(
        tuple(
            Field(name, info.oid, info.size, info.typmod, format)
            for (name, info), format in zip(columns, column_formats(formats, len(columns)), strict=True)
        )
    )


def column_formats(formats: Sequence[int], columns: int) -> tuple[int, ...]:
    """Bind's format list spread over ``columns``: none means text, one means all alike."""
    if len(formats) <= 1:
        return tuple(formats or (0,)) * columns
    return tuple(formats)
