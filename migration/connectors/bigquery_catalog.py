"""What BigQuery's API says, in our words: fields as columns, constraints as keys; and who asks."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import google.auth.credentials
from google.cloud import bigquery
from google.oauth2 import service_account

from migration.dialects.type_names import parse_type
from migration.model import ColumnSpec, KeySpec

_LEGACY = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "RECORD": "STRUCT"}


class Session:
    """A client, and the jobs it waits for."""

    def __init__(self, client: bigquery.Client) -> None:
        self.client = client
        self.jobs: list[Any] = []

    def close(self) -> None:
        self.client.close()


def column(field: Any) -> ColumnSpec:
    """A field of a schema as a column.

    >>> column(bigquery.SchemaField("n", "NUMERIC", precision=18, scale=4)).declared
    'NUMERIC(18,4)'
    """
    declared = _declared(field)
    return ColumnSpec(
        field.name,
        parse_type(declared, "bigquery"),
        field.mode != "REQUIRED",
        field.default_value_expression,
        comment=field.description,
        declared=declared,
    )


def _declared(field: Any) -> str:
    name = _LEGACY.get(field.field_type, field.field_type)
    if name == "STRUCT":
        parts = ", ".join(f"`{part.name}` {_declared(part)}" for part in field.fields)
        name = f"STRUCT<{parts}>"
    elif field.precision:
        name += f"({field.precision},{field.scale})" if field.scale else f"({field.precision})"
    elif field.max_length:
        name += f"({field.max_length})"
    return f"ARRAY<{name}>" if field.mode == "REPEATED" else name


def keys_of(table: Any) -> tuple[KeySpec, ...]:
    """The keys of a table of the API; none is enforced."""
    constraints = table.table_constraints
    if constraints is None:
        return ()
    found = []
    if constraints.primary_key is not None:
        found.append(KeySpec("primary", tuple(constraints.primary_key.columns)))
    for key in constraints.foreign_keys or ():
        pairs = [(pair.referencing_column, pair.referenced_column) for pair in key.column_references]
        other = (key.referenced_table.dataset_id, key.referenced_table.table_id)
        found.append(KeySpec("foreign", tuple(a for a, _ in pairs), None, other, tuple(b for _, b in pairs)))
    return tuple(found)


def credentials_of(options: Mapping[str, str]) -> google.auth.credentials.Credentials | None:
    """What the datasource brings; None: Google's library looks where it always does."""
    if options.get("auth", "").lower() == "anonymous":  # an emulator
        return google.auth.credentials.AnonymousCredentials()
    text = options.get("credentials_info")
    if "credentials_base64" in options:
        text = base64.b64decode(options["credentials_base64"]).decode()
    scopes = ["https://www.googleapis.com/auth/bigquery"]
    made = service_account.Credentials
    if text is not None:
        return made.from_service_account_info(json.loads(text), scopes=scopes)
    if "credentials_path" in options:
        return made.from_service_account_file(options["credentials_path"], scopes=scopes)
    return None
