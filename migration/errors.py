"""The one error type of migration, with the fields a Postgres client shows.

Class ``HV`` is SQL's own for foreign data. ``HV004`` (invalid data type) names a column whose values
would not survive the move; ``42704`` a dialect or type nobody knows; ``42601`` a text that is no type.
"""

from __future__ import annotations


class MigrationError(Exception):
    """A refusal: ``message`` names the thing, ``detail`` gives the facts, ``hint`` the next command."""

    def __init__(
        self,
        sqlstate: str,
        message: str,
        *,
        detail: str | None = None,
        hint: str | None = None,
        position: int | None = None,
        schema: str | None = None,
        table: str | None = None,
        column: str | None = None,
        constraint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.message = message
        self.detail = detail
        self.hint = hint
        self.position = position
        self.schema = schema
        self.table = table
        self.column = column
        self.constraint = constraint
        self.is_drivers = False  # a driver, or the engine behind it, has said so

    def __repr__(self) -> str:
        return (
            f"MigrationError({self.sqlstate!r}, {self.message!r}, detail={self.detail!r}, hint={self.hint!r})"
        )
