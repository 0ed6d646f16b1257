"""The one error type of branching. Every refusal names the thing, gives facts and the next command.

The SQLSTATE is Postgres' own wherever its advice to the caller is right; class ``VB`` only where a
program must tell a case apart (``VB001`` merge conflict, ``VB002`` merge base gone). ``40001`` is
raised only when a plain retry can succeed.
"""

from __future__ import annotations


class BoughError(Exception):
    """An error with the fields a Postgres client shows.

    ``message`` names the thing, ``detail`` gives the facts, ``hint`` the next command.
    ``position`` is a 1-based character offset into the statement, where one is known. ``context`` says where in its
    data a statement failed (``COPY t, line 3``).
    """

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
        context: str | None = None,
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
        self.context = context

    def __repr__(self) -> str:
        return f"BoughError({self.sqlstate!r}, {self.message!r}, detail={self.detail!r}, hint={self.hint!r})"


def kept_changing(what: str) -> BoughError:
    """Each try at a plan found that the catalog is not the one of its snapshot."""
    return BoughError(
        "40001",
        f"the schema kept changing while the {what} was planned",
        detail="Each try found the catalog changed since it was planned.",
        hint="Retry.",
    )
