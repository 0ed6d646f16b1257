"""Which Postgres type an expression over the system relations has: as much as a client can notice.

The engine stores an ``oid``,
a ``regproc`` and an ``int8`` alike; Postgres does not show them alike. A kind is
the Postgres spelling of a type (``oid``, ``name``, ``int2vector``, ``text[]``),
or None where it is not known.
It is inferred from the tree as the client wrote it, before names are replaced by physical ones.
"""

from __future__ import annotations

from sqlglot import exp

from proxy.catalog.shapes import relations

KIND = "postgres_kind"  # the meta key under which a rewritten node keeps its kind
REG = frozenset(
    {"regclass", "regtype", "regproc", "regprocedure", "regnamespace", "regrole", "regoper", "regoperator"}
)

_TYPES = {
    "int": "integer", "int4": "integer", "int8": "bigint", "int2": "smallint", "bigint": "bigint",
    "smallint": "smallint", "text": "text", "varchar": "character varying",
    "character varying": "character varying",
    "bool": "boolean", "boolean": "boolean", "char": '"char"', "double": "double precision", "float": "real",
}  # fmt: skip

_FUNCTIONS = {
    **dict.fromkeys(("current_database", "current_schema", "current_user", "session_user", "user",
        "current_role",
        "current_catalog", "pg_get_userbyid", "pg_encoding_to_char", "getdatabaseencoding"), "name"),
    **dict.fromkeys(("format_type", "pg_get_expr", "pg_get_constraintdef", "pg_get_indexdef",
        "pg_get_viewdef", "version",
        "obj_description", "col_description", "shobj_description", "quote_ident", "current_setting",
        "set_config",
        "array_to_string", "pg_size_pretty", "pg_get_serial_sequence", "pg_get_function_arguments",
        "pg_get_function_result", "lower", "upper", "concat", "replace", "string_agg", "split_part"), "text"),
    **dict.fromkeys(("count", "row_number", "rank", "pg_relation_size", "pg_table_size",
        "pg_total_relation_size",
        "pg_database_size", "txid_current", "pg_indexes_size"), "bigint"),
    **dict.fromkeys(("pg_backend_pid", "inet_server_port", "inet_client_port", "age(xid)", "array_length",
        "array_upper"),
        "integer"),
    **dict.fromkeys(("pg_is_in_recovery", "pg_table_is_visible", "has_table_privilege",
        "has_schema_privilege",
        "has_database_privilege", "pg_has_role", "pg_try_advisory_lock", "pg_advisory_unlock"), "boolean"),
    **dict.fromkeys(("pg_advisory_lock", "pg_advisory_unlock_all", "pg_advisory_xact_lock"), "void"),
    "pg_postmaster_start_time": "timestamp with time zone", "pg_conf_load_time": "timestamp with time zone",
    "current_schemas": "name[]", "to_regclass": "regclass", "to_regtype": "regtype", "to_regproc": "regproc",
    "to_regnamespace": "regnamespace", "pg_typeof": "regtype", "inet_server_addr": "inet",
    "inet_client_addr": "inet",
    "pg_my_temp_schema": "oid", "generate_subscripts": "integer",
}  # fmt: skip


_RENAMED = {
    "current_version": "version",
    "group_concat": "string_agg",
    "str_position": "strpos",
    "timestamp_trunc": "date_trunc",
    "array_size": "array_length",
}


_TRANSACTION_COLUMNS = frozenset({"xmin", "xmax", "datfrozenxid", "relfrozenxid", "catalog_xmin",
    "backend_xid", "backend_xmin", "transactionid"})  # fmt: skip


def _of_transaction(call: exp.Anonymous) -> bool:
    """Whether a call of ``age`` asks for a transaction's age, and not for the time between two moments."""
    if len(call.expressions) != 1:
        return False
    (argument,) = call.expressions
    if isinstance(argument, exp.Cast):
        return type_kind(argument.to) in ("xid", "bigint", "integer")  # a row's xmin is put in as a number
    return isinstance(argument, exp.Column) and argument.name.lower() in _TRANSACTION_COLUMNS


def function_name(node: exp.Expr) -> str | None:
    """The lower-case name under which Postgres knows a function call, or None for anything else.

    Of a name with two meanings the one that reads the catalogs has its argument's type: ``age(xid)``.
    """
    if isinstance(node, exp.Anonymous):
        name = str(node.this).lower() if isinstance(node.this, str) else str(node.name).lower()
        return "age(xid)" if name == "age" and _of_transaction(node) else name
    if isinstance(node, exp.Func) and not isinstance(node, (exp.Cast, exp.Case, exp.And, exp.Or, exp.If)):
        return _RENAMED.get(name := node.sql_name().lower(), name)
    return None


def type_kind(target: exp.Expr | None) -> str | None:
    """The kind a cast to ``target`` gives."""
    if target is None:
        return None
    if isinstance(target, exp.DataType) and target.this == exp.DataType.Type.ARRAY:
        inner = type_kind(target.expressions[0]) if target.expressions else None
        return f"{inner}[]" if inner else None
    text = target.sql("postgres").lower().split(".")[-1].strip().split("(")[0]
    quoted = text.startswith('"')
    text = text.strip('"')
    if text == "char":
        return '"char"' if quoted else "character"
    return _TYPES.get(text, text)


def system_relation(table: exp.Table) -> str | None:
    """``schema.relation`` of the system relation ``table`` names, or None."""
    if not isinstance(table.this, exp.Identifier):
        return None
    schema, name = table.db.lower(), table.name if table.this.quoted else table.name.lower()
    if schema in ("pg_catalog", "information_schema"):
        return f"{schema}.{name}" if f"{schema}.{name}" in relations() else None
    if not schema and name.startswith("pg_") and f"pg_catalog.{name}" in relations():
        return None if is_cte(table, name) else f"pg_catalog.{name}"
    return None


def is_cte(table: exp.Table, name: str) -> bool:
    return _cte(table, name) is not None


def _cte(node: exp.Expr, name: str) -> exp.CTE | None:
    current: exp.Expr | None = node
    while current is not None:
        clause = current.args.get("with_")
        if clause is not None:
            for cte in clause.expressions:
                if cte.alias.lower() == name.lower():
                    return cte  # type: ignore[no-any-return]
        current = current.parent
    return None


def sources(select: exp.Select) -> list[exp.Expr]:
    """What a SELECT reads from, in order."""
    found: list[exp.Expr] = []
    clause = select.args.get("from_")
    if clause is not None:
        found.append(clause.this)
    for join in select.args.get("joins") or ():
        found.append(join.this)
    found.extend(select.args.get("laterals") or ())
    for item in found:  # grows while it is walked: parenthesised joins hold further items
        for join in item.args.get("joins") or ():
            found.append(join.this)
        if (
            isinstance(item, exp.Subquery)
            and not item.alias
            and isinstance(item.this, (exp.Table, exp.Subquery))
        ) or isinstance(item, exp.Paren):
            found.append(item.this)
    return found


def _source_kind(source: exp.Expr, column: str, depth: int) -> str | None:
    if isinstance(source, exp.Table):
        if (name := system_relation(source)) is not None:
            return relations()[name].get(column)
        cte = _cte(source, source.name) if not source.db else None
        return _query_kind(cte.this, column, depth) if cte is not None else None
    if isinstance(source, exp.Subquery):
        return _query_kind(source.this, column, depth)
    return None


def _query_kind(query: exp.Expr, column: str, depth: int) -> str | None:
    while isinstance(query, (exp.Subquery, exp.SetOperation)):
        query = query.this
    if depth > 6 or not isinstance(query, exp.Select):
        return None
    for item in query.expressions:
        if item.alias_or_name.lower() == column:
            return kind_of(item, depth + 1)
        if item.is_star:
            for source in sources(query):
                if (kind := _source_kind(source, column, depth + 1)) is not None:
                    return kind
    return None


def column_source(column: exp.Column, depth: int = 0) -> exp.Expr | None:
    """The FROM item a column belongs to, as far as its qualifier (or a system relation's columns) tells."""
    qualifier, name = column.table.lower(), column.name.lower()
    inside: exp.Expr = column  # what a query reads from cannot see what stands beside it, least of all itself
    scope = column.find_ancestor(exp.Select, exp.CTE)
    while scope is not None:
        if isinstance(scope, exp.CTE):
            inside = scope.parent.parent if scope.parent and scope.parent.parent else scope
            scope = inside.find_ancestor(exp.Select, exp.CTE)
            continue
        for source in sources(scope) if isinstance(scope, exp.Select) else ():
            if qualifier:
                if source.alias_or_name.lower() == qualifier:
                    return source
            elif not _holds(source, inside) and _source_kind(source, name, depth + 1) is not None:
                return source
        inside, scope = scope, scope.find_ancestor(exp.Select, exp.CTE)
    return None


def _holds(source: exp.Expr, inside: exp.Expr) -> bool:
    node: exp.Expr | None = inside
    while node is not None:
        if node is source:
            return True
        node = node.parent
    return False


def kind_of(node: exp.Expr | None, depth: int = 0) -> str | None:
    """The Postgres type of an expression, or None."""
    if node is None or depth > 12:
        return None
    if (kept := node.meta.get(KIND)) is not None:
        return str(kept)
    if isinstance(node, (exp.Alias, exp.Paren, exp.Ordered, exp.Max, exp.Min)):
        return kind_of(node.this, depth + 1)
    if isinstance(node, exp.Cast):
        return type_kind(node.to)
    if isinstance(node, exp.Column):
        source = column_source(node, depth)
        return _source_kind(source, node.name.lower(), depth) if source is not None else None
    if isinstance(node, exp.Bracket):
        inner = kind_of(node.this, depth + 1)
        if inner in ("int2vector", "oidvector"):
            return "smallint" if inner == "int2vector" else "oid"
        return inner[:-2] if inner and inner.endswith("[]") else None
    if isinstance(node, (exp.Predicate, exp.Not, exp.And, exp.Or, exp.Boolean)):
        return "boolean"
    if isinstance(node, exp.Literal) and not node.is_string:
        return "integer" if node.is_int else "numeric"
    if isinstance(node, exp.Case):
        branches = [item.args.get("true") for item in node.args["ifs"]] + [node.args.get("default")]
        return next((kind for branch in branches if (kind := kind_of(branch, depth + 1))), None)
    if isinstance(node, exp.Coalesce):
        return next((k for item in (node.this, *node.expressions) if (k := kind_of(item, depth + 1))), None)
    if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Select) and node.this.expressions:
        return kind_of(node.this.expressions[0], depth + 1)
    if isinstance(node, exp.DPipe):
        sides = [kind_of(side, depth + 1) or "text" for side in (node.this, node.expression)]
        return None if any(kind.endswith(("[]", "json", "jsonb")) for kind in sides) else "text"
    if isinstance(node, exp.Dot):
        return kind_of(node.expression, depth + 1)
    if isinstance(node, (exp.Unnest, exp.Explode)):
        inner = kind_of(node.expressions[0] if node.expressions else node.this, depth + 1)
        return inner[:-2] if inner and inner.endswith("[]") else None
    if (
        isinstance(node, exp.Array)
        and len(node.expressions) == 1
        and isinstance(node.expressions[0], exp.Select)
    ):
        inner = kind_of(node.expressions[0].expressions[0], depth + 1)
        return f"{inner}[]" if inner else None
    if isinstance(node, exp.ArrayAgg):
        inner = kind_of(node.this.this if isinstance(node.this, exp.Order) else node.this, depth + 1)
        return f"{inner}[]" if inner else None
    name = function_name(node)
    return _FUNCTIONS.get(name) if name else None


def result_types(tree: exp.Expr) -> list[str | None]:
    """The declared Postgres type of each result column of a query, None where the engine's own is right."""
    query: exp.Expr = tree
    while isinstance(query, (exp.Subquery, exp.SetOperation)):
        query = query.this
    if not isinstance(query, exp.Select):
        return []
    found: list[str | None] = []
    for item in query.expressions:
        if not item.is_star:
            found.append(kind_of(item))
            continue
        wanted = item.table.lower() if isinstance(item, exp.Column) else ""
        for source in sources(query):
            if wanted and source.alias_or_name.lower() != wanted:
                continue
            columns = _star(source)
            if columns is None:
                return []  # how many columns this star stands for is not known here
            found.extend(columns)
    return found


def _star(source: exp.Expr) -> list[str | None] | None:
    """Types of all columns of a FROM item, or None where they cannot be told."""
    if isinstance(source, exp.Table):
        if (name := system_relation(source)) is not None:
            return list(relations()[name].values())
        cte = _cte(source, source.name) if not source.db else None
        return (result_types(cte.this) or None) if cte is not None else None
    return (result_types(source.this) or None) if isinstance(source, exp.Subquery) else None
