"""SQLite's messages as SQLSTATEs: it has one error code for most of them.

A message is told by its own words where they stand, not by a word anywhere in it: names of tables and columns, and
pieces of statements, are in messages too.
"""

from __future__ import annotations

import re

_CODES = tuple(
    (re.compile(pattern), code)
    for pattern, code in (
        (r"interrupted\b", "57014"),
        (r"attempt to write a readonly database|.*\bquery_only\b|.*read-only", "25006"),
        (r"(UNIQUE|PRIMARY KEY) constraint failed", "23505"),
        (r"NOT NULL constraint failed", "23502"),
        (r"FOREIGN KEY constraint failed", "23503"),
        (r"foreign key mismatch", "42830"),
        (r"CHECK constraint failed", "23514"),
        (r"no such table", "HV00R"),
        (r"unknown database", "3F000"),
        (r"no such column|table \S+ has no column named", "42703"),
        (r"ambiguous column name", "42702"),
        (r"duplicate column name", "42701"),
        (r"no such function|wrong number of arguments to function", "42883"),
        (r"misuse of aggregate|a GROUP BY clause is required", "42803"),
        (r"(table|index|view|trigger) .+ already exists|there is already ", "42P07"),
        (r"near \".*\": syntax error|incomplete input|unrecognized token", "42601"),
        (r"table .+ has \d+ columns but \d+ values|\d+ values for \d+ columns", "42601"),
        (r"database (table )?is locked", "55P03"),
        (r"database or disk is full", "53100"),
    )
)


def code_of(message: str) -> str:
    """The SQLSTATE of a message; HV000 where it says nothing that has one."""
    return next((code for pattern, code in _CODES if pattern.match(message)), "HV000")
