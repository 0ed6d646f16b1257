"""A statement read once more with the catalog at hand: its strings (``literals``), its operators
(``operators``), its casts to text (``texts``) and its groups (``grouping``)."""

from __future__ import annotations

import re
from dataclasses import replace

from proxy.sql import operators
from proxy.sql.grouping import MAY_GROUP, KeyOf, with_determined
from proxy.sql.literals import MAY_DIFFER, with_types
from proxy.sql.parameters import ColumnsOf
from proxy.sql.prepare import Prepared, prepared_of
from proxy.sql.texts import TextForm, with_texts

_MAY_BE_TEXT = re.compile(r"::|\|\||\bcast\s*\(", re.IGNORECASE)


def in_place(
    prepared: Prepared, columns_of: ColumnsOf, key_of: KeyOf, form: TextForm
) -> tuple[Prepared, bool]:
    """The statement as the catalog has it, and whether another catalog could have made it another."""
    text = prepared.parsed.text
    strings, casts = MAY_DIFFER.search(text) is not None, _MAY_BE_TEXT.search(text) is not None
    if strings and (typed := with_types(prepared.parsed, columns_of)) is not None:
        prepared = prepared_of(typed)
    acts = operators.MAY_MATTER.search(text) is not None
    if acts and prepared.tree is not None and not prepared.catalog:
        changed = operators.with_operators(prepared.tree, columns_of)
        if changed is not None:
            prepared, casts = replace(prepared, tree=changed), True
    if casts and prepared.tree is not None and not prepared.catalog:
        spelled = with_texts(prepared.tree, columns_of, form)
        if spelled is not None:
            prepared = replace(prepared, tree=spelled)
    groups = MAY_GROUP.search(text) is not None
    if groups and prepared.tree is not None and not prepared.catalog:
        determined = with_determined(prepared.tree, columns_of, key_of)
        if determined is not None:
            prepared = replace(prepared, tree=determined)
    return prepared, strings or casts or acts or groups
