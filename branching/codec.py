"""Catalog objects as JSON text and back: what the manifest stores. One format number; old numbers stay readable."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from branching.model import Column, Constraint, Index, Macro, Object, Schema, Sequence, Storage, Table, View

KINDS: dict[str, type] = {
    "table": Table,
    "view": View,
    "sequence": Sequence,
    "macro": Macro,
    "schema": Schema,
}


def kind_of(item: Object) -> str:
    return type(item).__name__.lower()


def dump(item: Object) -> str:
    return json.dumps(asdict(item), ensure_ascii=False, separators=(",", ":"))


def load(kind: str, text: str) -> Object:
    data: dict[str, Any] = json.loads(text)
    if kind == "table":
        return Table(
            **{
                **data,
                "columns": tuple(Column(**column) for column in data["columns"]),
                "constraints": tuple(_constraint(item) for item in data["constraints"]),
                "indexes": tuple(
                    Index(**{**item, "columns": tuple(item["columns"])}) for item in data["indexes"]
                ),
                "storage": Storage(
                    data["storage"]["base"],
                    data["storage"]["shape"],
                    tuple((name, text) for name, text in data["storage"]["below"]),
                    tuple((number, text) for number, text in data["storage"].get("recipes", ())),
                ),
            }
        )
    if kind == "view":
        return View(**{**data, "columns": tuple(Column(**column) for column in data["columns"])})
    if kind == "sequence":
        owner = data["owned_by"]
        return Sequence(**{**data, "owned_by": tuple(owner) if owner else None})
    if kind == "macro":
        return Macro(**{**data, "parameters": tuple(data["parameters"])})
    return Schema(**data)


def _constraint(data: dict[str, Any]) -> Constraint:
    return Constraint(
        **{**data, "columns": tuple(data["columns"]), "ref_columns": tuple(data["ref_columns"])}
    )
