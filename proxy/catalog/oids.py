"""One OID per logical object, the same on every branch and after every restart.

An object's model id is its OID above Postgres' own; what has no id of its own takes a number derived from
its table's id and its place in the table. The ranges do not meet:

====================== ==========================================================================
16384 + id             schemas, tables, views, sequences, macros, indexes (id < 268 million)
0x1000_0000 + 2 id     row type of a table or view; + 1: the array of it (id < 134 million)
0x2000_0000 + 256 id   constraint n of a table, counted from 0; + 255: the rule of a view
0x4000_0000 + 256 id   the index behind constraint n
0x6000_0000 + 2048 id  the default of column n
====================== ==========================================================================
"""

from __future__ import annotations

FIRST_USER_OID = 16384
PUBLIC = 2200
OWNER = 10
CLASS_CLASS = 1259
CLASS_CONSTRAINT = 2606
CLASS_REWRITE = 2618
CLASS_NAMESPACE = 2615
CLASS_PROC = 1255


def object_oid(identity: int) -> int:
    """The OID of anything that has a model id."""
    return FIRST_USER_OID + identity


def row_type_oid(identity: int) -> int:
    """The composite type of a table's or view's rows; its array type is the next number."""
    return 0x1000_0000 + 2 * identity


def constraint_oid(table: int, position: int) -> int:
    return 0x2000_0000 + 256 * table + position


def rule_oid(view: int) -> int:
    return 0x2000_0000 + 256 * view + 255


def constraint_index_oid(table: int, position: int) -> int:
    return 0x4000_0000 + 256 * table + position


def default_oid(table: int, attribute: int) -> int:
    return (0x6000_0000 + 2048 * table + attribute) & 0xFFFF_FFFF
