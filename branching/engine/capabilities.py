"""What an engine can do, as one frozen value. The code above asks it and never which engine it is.

A field is here because something above decides by it; what an engine cures by itself (behind its cursor) is not.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """Every field has to be said: a new engine must not inherit what another one can."""

    # Nobody but this process writes: what it remembers of a table (its last writer) is the truth about it.
    sole_writer: bool
    # A write that is overtaken by another transaction's DELETE or UPDATE of the row fails by itself. Where not, each
    # DELETE, and each UPDATE that the engine runs as delete and insert, is preceded by a touch of the row's version.
    notices_lost_updates: bool
    # CREATE, ALTER and DROP are undone by ROLLBACK and may stand between writes of rows.
    transactional_ddl: bool
    # An ALTER COLUMN (type aside) works in place; where not, the table is made again.
    alters_columns: bool
    # An index can be made over rows whose older versions somebody may still read.
    indexes_live_rows: bool
    # Foreign keys of the trunk's tables may be declared to the engine, which then enforces them there.
    native_foreign_keys: bool
    # MERGE INTO.
    merge_into: bool
    # A row of the trunk can be found again by its place (``rowid``) within a transaction.
    row_places: bool
    # An error of the engine ends its transaction; where not, only ROLLBACK does.
    errors_end_transactions: bool
    # Which rules of a table its delta enforces by itself, of: not null, check, key, default.
    delta_enforces: frozenset[str]
    # The query plan can be shown.
    explains: bool
    # Files can be read as tables.
    reads_files: bool
    # A branch can be written to a plain database of the engine, and one of those read as a branch.
    exchanges_files: bool
