"""How clients name a sequence in a call: ``nextval('s'::regclass)``, ``setval(pg_get_serial_sequence('t', 'id'), …)``.

The name has to reach the branch's catalog as it is: a cast goes, and ``pg_get_serial_sequence`` becomes a call that
only ``branching`` knows. Otherwise the catalog layer would put an OID, or a query, in its place.
"""

from __future__ import annotations

from sqlglot import exp

from branching.names import SERIAL_SEQUENCE

_CALLS = frozenset({"nextval", "currval", "setval"})


def plain(tree: exp.Expr) -> None:
    """Makes the names that ``tree`` calls sequences by plain, in place.

    >>> import sqlglot
    >>> tree = sqlglot.parse_one("SELECT nextval('s'::regclass)", read="postgres")
    >>> plain(tree)
    >>> tree.sql("postgres")
    "SELECT NEXTVAL('s')"
    """
    for call in tree.find_all(exp.Anonymous):
        if call.name.lower() not in _CALLS or not call.expressions:
            continue
        named = _bare(call.expressions[0])
        if isinstance(named, exp.Literal) and named.is_string:
            call.expressions[0].replace(named.copy())
        elif isinstance(named, exp.Anonymous) and named.name.lower() == "pg_get_serial_sequence":
            parts = [_bare(item) for item in named.expressions]
            if len(parts) == 2 and all(isinstance(item, exp.Literal) and item.is_string for item in parts):
                serial = exp.Anonymous(this=SERIAL_SEQUENCE, expressions=[item.copy() for item in parts])
                call.expressions[0].replace(serial)


def _bare(node: exp.Expr) -> exp.Expr:
    while isinstance(node, exp.Cast | exp.Paren):
        node = node.this
    if isinstance(node, exp.Dot) and isinstance(node.expression, exp.Anonymous):
        return node.expression  # pg_catalog.f()
    return node
