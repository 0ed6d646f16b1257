"""Catalog queries whose text the parser does not take, spelled so that it does.

``x::oid[]`` and its kin are the only forms met so far: the parser knows ``oid`` and the reg* types, but not
arrays of them. Qualified with ``pg_catalog`` they are types like any other, and mean the same.
"""

from __future__ import annotations

import re

from sqlglot.dialects.postgres import Postgres

_SUSPECT = re.compile(r"\b(oid|reg[a-z]+)\s*\[\s*\]", re.IGNORECASE)


def catalog_sql(text: str) -> str:
    """``text`` with the spellings the parser refuses replaced; the same object where there are none."""
    if _SUSPECT.search(text) is None:
        return text
    tokens = Postgres().tokenize(text)
    for position in range(len(tokens) - 3, -1, -1):
        token, following, closing = tokens[position : position + 3]
        if following.text == "[" and closing.text == "]" and _SUSPECT.fullmatch(f"{token.text}[]"):
            before = tokens[position - 1].text.lower() if position else ""
            if before in ("::", "as"):
                text = f"{text[: token.start]}pg_catalog.{text[token.start :]}"
    return text
