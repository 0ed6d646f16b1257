"""Functions that return sets, where a query reads from them.

Postgres calls any function in FROM; the engine only table functions, and gives their columns other names. A
call becomes a subquery with the columns Postgres gives it, or the relation it is another name of.
"""

from __future__ import annotations

import sqlglot
from sqlglot import exp

from proxy.catalog.functions import TEMPLATES
from proxy.catalog.kinds import function_name, kind_of

_CALLED = {
    "pg_get_keywords": "pg_get_keywords", "pg_show_all_settings": "pg_settings", "pg_lock_status": "pg_locks",
    "pg_timezone_names": "pg_timezone_names", "pg_available_extensions": "pg_available_extensions",
    "pg_available_extension_versions": "pg_available_extension_versions",
    "pg_stat_get_activity": "pg_stat_activity",
    "pg_prepared_statement": "pg_prepared_statements", "pg_cursor": "pg_cursors",
    "pg_get_publication_tables": "pg_publication_tables",
}  # fmt: skip
_SCALARS = frozenset(TEMPLATES) | {
    "string_to_array",
    "stringtoarray",
    "string_split",
    "split",
    "current_schemas",
    "regexp_split_to_array",
}
_EMPTY_CALLS = {
    "pg_options_to_table": ("option_name", "option_value"),
    "aclexplode": ("grantor", "grantee", "privilege_type", "is_grantable"),
    "pg_partition_ancestors": ("relid",),
    "pg_partition_tree": ("relid", "parentrelid", "isleaf", "level"),
    "pg_listening_channels": ("pg_listening_channels",),
    "pg_tablespace_databases": ("pg_tablespace_databases",),
    "pg_extension_config_dump": ("oid",),
}


def put(table: exp.Table, made: exp.Expr) -> None:
    """Put ``made`` in a table's place, keeping its alias and whatever is joined to it."""
    alias = table.args.get("alias")
    if alias is None:
        name = function_name(table.this) if isinstance(table.this, exp.Func) else table.name
        alias = exp.TableAlias(this=exp.to_identifier(name))
    made.set("alias", alias.copy())
    for key in ("joins", "laterals", "pivots", "sample"):
        if table.args.get(key):
            made.set(key, table.args[key])
    if table.args.get("ordinality"):
        made.set("ordinality", True)
    table.replace(made)


def table_function(table: exp.Expr) -> None:
    """Replace a set-returning function of Postgres in FROM, unless the engine has it."""
    call = table.this
    if not isinstance(call, exp.Func):
        return
    alias = table.args.get("alias")
    if function_name(call) in _SCALARS and alias is not None:
        name = alias.columns[0].name if alias.columns else alias.name
        single = exp.Subquery(this=exp.select(exp.alias_(call.copy(), name)))
        if isinstance(table, exp.Table):
            put(table, single)
        else:
            table.set("this", single)
        return
    made = _called(call, alias)
    if made is None:
        table.set("db", None)
    elif isinstance(table, exp.Table):
        put(table, made)
    else:
        table.set("this", made)


def zipped(unnest: exp.Unnest) -> None:
    """``unnest(a, b) AS t(x, y)`` in FROM: the engine walks in step only those of a select list."""
    alias = unnest.args.get("alias")
    if len(unnest.expressions) < 2 or alias is None:
        return
    names = [column.name for column in alias.columns]
    items: list[exp.Expr] = [exp.func("unnest", item.copy()) for item in unnest.expressions]
    ordinal = unnest.args.get("offset")
    if ordinal and isinstance(ordinal, exp.Expr):
        names.append(ordinal.name)
    if ordinal or len(names) > len(items):
        longest = exp.func("greatest", *(exp.func("len", item.copy()) for item in unnest.expressions))
        items.append(exp.func("unnest", exp.func("generate_series", exp.Literal.number(1), longest)))
    names += [f"column{place}" for place in range(len(names), len(items))]
    query = exp.select(
        *(exp.alias_(item, name, quoted=True) for item, name in zip(items, names, strict=False))
    )
    unnest.replace(exp.Subquery(this=query, alias=exp.TableAlias(this=alias.this)))


def _called(call: exp.Func, alias: exp.TableAlias | None) -> exp.Expr | None:
    name = function_name(call) or ""
    if (relation := _CALLED.get(name)) is not None:
        return exp.Subquery(this=exp.select("*").from_(exp.table_(relation, db="pg_catalog")))
    if (columns := _EMPTY_CALLS.get(name)) is not None:
        width = len(alias.columns) if alias is not None else 0
        padded = [*columns, *(f"column{n}" for n in range(len(columns), width))]  # WITH ORDINALITY adds one
        kinds = {name: "BIGINT" if name.endswith(("id", "level")) else "VARCHAR" for name in padded}
        items = ", ".join(f'CAST(NULL AS {kind}) AS "{name}"' for name, kind in kinds.items())
        return exp.Subquery(this=_parsed(f"SELECT {items} WHERE FALSE"))
    if name == "generate_subscripts":
        array = call.expressions[0] if call.expressions else call.this
        first = 0 if kind_of(array) in ("int2vector", "oidvector") else 1
        series = f"generate_series({first}, len({array.sql('duckdb')}) - {1 - first})"
        column = (alias.name if alias is not None else "") or name
        text = f"SELECT unnest({series}) AS {exp.to_identifier(column, quoted=True).sql('duckdb')}"
        return exp.Subquery(this=_parsed(text))
    return None


def _parsed(text: str) -> exp.Expr:
    return sqlglot.parse_one(text, read="duckdb")
