"""System relations that describe the session and the server rather than the branch's objects.

They are a few rows that differ from session to session, so they are not stored: a reference to one becomes
a subquery over constants. ``None`` for a relation means it is stored (see ``relations``).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from proxy.catalog import oids
from proxy.catalog.context import Context, Database, Role
from proxy.catalog.printer import literal
from proxy.catalog.shapes import relations

_TYPES = {
    "boolean": "BOOLEAN", "smallint": "SMALLINT", "integer": "INTEGER", "bigint": "BIGINT", "real": "FLOAT",
    "double precision": "DOUBLE", "timestamp with time zone": "TIMESTAMPTZ", "oid": "BIGINT", "xid": "BIGINT",
    "regproc": "BIGINT", "regtype": "BIGINT", "regclass": "BIGINT", "bytea": "BLOB", "interval": "VARCHAR",
}  # fmt: skip


def engine_type(kind: str) -> str:
    """The engine's spelling of a Postgres type's stored shape."""
    if kind in ("oidvector", "int2vector"):
        return "BIGINT[]" if kind == "oidvector" else "SMALLINT[]"
    return f"{engine_type(kind[:-2])}[]" if kind.endswith("[]") else _TYPES.get(kind, "VARCHAR")


def _constant(value: object, kind: str) -> str:
    if value is None:
        text = "NULL"
    elif isinstance(value, bool):
        text = str(value).upper()
    elif isinstance(value, (int, float)):
        text = str(value)
    elif isinstance(value, datetime):
        text = literal(value.isoformat())
    else:
        text = literal(str(value))
    return f"CAST({text} AS {engine_type(kind)})"


def constant_query(name: str, rows: Iterable[dict[str, object]]) -> str:
    """A query that gives ``rows`` under the columns of the system relation ``name``."""
    columns = relations()[name]
    selects = [
        "SELECT " + ", ".join(f'{_constant(row.get(c), kind)} AS "{c}"' for c, kind in columns.items())
        for row in rows
    ]
    if selects:
        return " UNION ALL ".join(selects)
    return (
        "SELECT "
        + ", ".join(f'{_constant(None, kind)} AS "{c}"' for c, kind in columns.items())
        + " WHERE FALSE"
    )


def databases(context: Context) -> tuple[Database, ...]:
    """The branches, and the name the client connected under where that is no branch's."""
    if any(item.name == context.database for item in context.databases):
        return context.databases
    return (*context.databases, Database(1, context.database))


PREDEFINED_ROLES = {
    6171: "pg_database_owner", 6181: "pg_read_all_data", 6182: "pg_write_all_data", 3373: "pg_monitor",
    3374: "pg_read_all_settings", 3375: "pg_read_all_stats", 3377: "pg_stat_scan_tables",
    4569: "pg_read_server_files", 4570: "pg_write_server_files", 4571: "pg_execute_server_program",
    4200: "pg_signal_backend", 4544: "pg_checkpoint",
}  # fmt: skip


def role_names(context: Context) -> dict[int, str]:
    """Every role's name: the server's own roles, and those every Postgres has."""
    return {**{role.oid: role.name for role in context.roles}, **PREDEFINED_ROLES}


def _databases(context: Context) -> list[dict[str, object]]:
    fixed = {
        "datdba": oids.OWNER, "encoding": 6, "datlocprovider": "c", "datistemplate": False,
        "datallowconn": True,
        "datconnlimit": -1, "datfrozenxid": 0, "datminmxid": 1, "dattablespace": 1663,
        "datcollate": "C.UTF-8",
        "datctype": "C.UTF-8",
    }  # fmt: skip
    return [{"oid": item.oid, "datname": item.name, **fixed} for item in databases(context)]


def _roles(context: Context) -> list[dict[str, object]]:
    return [
        {
            "oid": role.oid, "rolname": role.name, "rolsuper": role.superuser, "rolinherit": True,
            "rolcreaterole": role.superuser, "rolcreatedb": role.superuser, "rolcanlogin": role.login,
            "rolreplication": role.superuser, "rolconnlimit": -1, "rolpassword": "********",
            "rolbypassrls": role.superuser,
        }
        for role in (*context.roles, *(Role(oid, name, login=False) for oid,
        name in PREDEFINED_ROLES.items()))
    ]  # fmt: skip


def _users(context: Context) -> list[dict[str, object]]:
    return [
        {
            "usename": role.name, "usesysid": role.oid, "usecreatedb": role.superuser,
            "usesuper": role.superuser,
            "userepl": role.superuser, "usebypassrls": role.superuser, "passwd": "********",
        }
        for role in context.roles
        if role.login
    ]  # fmt: skip


def _activity(context: Context) -> list[dict[str, object]]:
    places = {item.name: item.oid for item in databases(context)}
    names = {role.name: role.oid for role in context.roles}
    return [
        {
            "datid": places.get(item.database), "datname": item.database, "pid": item.pid,
            "usesysid": names.get(item.role), "usename": item.role, "application_name": item.application_name,
            "client_addr": item.client, "backend_start": item.started_at, "state": item.state,
            "query": item.statement, "backend_type": "client backend",
        }
        for item in context.backends
    ]  # fmt: skip


def constants(name: str, context: Context) -> str | None:
    """The query that stands for a relation about the session or server, or None."""
    schema, _, short = name.partition(".")
    if schema == "information_schema":
        if short == "information_schema_catalog_name":
            return constant_query(name, [{"catalog_name": context.database}])
        if short == "enabled_roles":
            return constant_query(name, [{"role_name": role.name} for role in context.roles])
        return None
    if short == "pg_database":
        return constant_query(name, _databases(context))
    if short in ("pg_roles", "pg_authid"):
        rows = _roles(context)
        if short == "pg_authid":
            rows = [{**row, "rolpassword": None} for row in rows]
        return constant_query(name, rows)
    if short in ("pg_user", "pg_shadow"):
        return constant_query(name, _users(context))
    if short == "pg_stat_activity":
        return constant_query(name, _activity(context))
    if short == "pg_shdescription":
        rows = [
            {"objoid": item.oid, "classoid": 1262, "description": item.comment}
            for item in databases(context)
            if item.comment is not None
        ]
        return constant_query(name, rows)
    if short == "pg_stat_database":
        return constant_query(name, [{"datid": d.oid, "datname": d.name} for d in databases(context)])
    return None


def settings_case(context: Context) -> str | None:
    """What replaces ``pg_settings.setting``: the session's values over the shipped ones."""
    if not context.settings:
        return None
    arms = " ".join(f"WHEN {literal(name)} THEN {literal(value)}" for name, value in context.settings.items())
    return f"CASE name {arms} ELSE setting END"
