"""Function calls and reg* casts of a catalog query, rewritten for one session.

1. A call named in ``functions.TEMPLATES`` becomes that expression, its arguments put in by position.
2. A reg* type has two faces: the number it is stored as and the name it is shown as. A cast of a constant
   becomes its number at once; a cast of text looks the number up; the name appears where Postgres would
   print it: cast to text, concatenated, or a column of the result.
3. Set-returning functions of the select list become ``unnest`` of a list, which the engine has.
"""

from __future__ import annotations

from functools import cache

import sqlglot
from sqlglot import exp

from branching.errors import BoughError
from proxy.catalog import oids
from proxy.catalog.context import Context
from proxy.catalog.functions import TEMPLATES
from proxy.catalog.kinds import KIND, REG, function_name, kind_of, type_kind
from proxy.catalog.objects import Snapshot
from proxy.catalog.printer import literal
from proxy.catalog.session import databases, role_names
from proxy.catalog.shapes import shipped_rows

_ACL = "CAST([] AS STRUCT(grantor BIGINT, grantee BIGINT, privilege_type VARCHAR, is_grantable BOOLEAN)[])"
_BY_NAME = frozenset({"pg_get_viewdef", "pg_get_indexdef", "obj_description", "col_description"})
_TYPE_NAMES = {
    "varchar": "text", "double": "double precision", "float": "real",
    "timestamp": "timestamp without time zone",
    "time": "time without time zone", "blob": "bytea", "hugeint": "numeric", "tinyint": "smallint",
}  # fmt: skip


@cache
def _parsed(text: str) -> exp.Expr:
    return sqlglot.parse_one(text, read="duckdb")


@cache
def shipped_settings() -> dict[str, str]:
    """Every setting of PostgreSQL 15 with its default."""
    table = shipped_rows("pg_catalog.pg_settings")
    return dict(zip(table.column("name").to_pylist(), table.column("setting").to_pylist(), strict=True))


class Calls:
    """The rewriting of calls for one session and one branch's objects."""

    def __init__(self, snapshot: Snapshot, context: Context) -> None:
        self._snapshot = snapshot
        self._context = context
        # A search path may name schemas that do not exist, as "$user" mostly does.
        self._path = tuple(name for name in context.path if name in snapshot.schemas)
        self._own_path = self._path if context.names_system else self._path[1:]

    def rewrite(self, tree: exp.Expr) -> exp.Expr:
        """Rewrite every call and reg* cast, innermost first."""
        for node in reversed(list(tree.walk())):
            made = self._node(node)
            if made is not None and made is not node:
                if KIND not in made.meta and (kind := kind_of(node)) is not None:
                    made.meta[KIND] = kind
                if (
                    isinstance(node.parent, exp.Select)
                    and node.arg_key == "expressions"
                    and node.output_name == ""
                ):
                    made = exp.alias_(
                        made, (function_name(node) or "?column?").partition("(")[0], quoted=True
                    )
                    made.meta[KIND] = made.this.meta.get(KIND)
                if node.parent is None:
                    return made
                node.replace(made)
        return tree

    def _node(self, node: exp.Expr) -> exp.Expr | None:
        if isinstance(node, exp.Cast):
            return self._cast(node)
        if isinstance(node, exp.Column) and not node.table and not node.this.quoted:
            name = node.name.lower()
            if name in ("user", "current_role", "session_user", "current_user", "current_catalog"):
                return self.expand(name, [])
            return None
        if isinstance(node, exp.DPipe) and any(
            (kind_of(side) or "").endswith("[]") or isinstance(side, exp.Array)
            for side in (node.this, node.expression)
        ):
            return exp.func("list_concat", node.this, node.expression)
        if isinstance(node, (exp.DPipe, exp.Concat)):
            for key in ("this", "expression"):
                part = node.args.get(key)
                if isinstance(part, exp.Expr) and (kind_of(part) or "") in REG:
                    node.set(key, self.face(part))
            return None
        called = function_name(node)
        if called is None or isinstance(node.parent, (exp.Table, exp.Lateral)) or _of_another(node):
            return None
        return self._call(called, node)

    def _arguments(self, node: exp.Expr) -> list[exp.Expr]:
        if isinstance(node, exp.Anonymous):
            return list(node.expressions)
        found: list[exp.Expr] = []
        for key in node.arg_types:
            value = node.args.get(key)
            found.extend(value if isinstance(value, list) else [value] if isinstance(value, exp.Expr) else [])
        return found

    def _call(self, name: str, node: exp.Expr) -> exp.Expr | None:
        arguments = self._arguments(node)
        if name == "set_config" and len(arguments) > 1:
            return exp.cast(arguments[1], "VARCHAR")
        if name == "current_setting" and arguments:
            text = arguments[0].this if isinstance(arguments[0], exp.Cast) else arguments[0]
            if isinstance(text, exp.Literal):
                return self._setting(text.name)
        if name in ("json_build_object", "jsonb_build_object"):
            return exp.func("json_object", *arguments)
        if name == "current_schemas":
            system = bool(arguments) and arguments[0].sql().lower() == "true"
            path = self._path if system else self._own_path
            return exp.paren(_parsed("CAST([" + ", ".join(map(literal, path)) + "] AS VARCHAR[])").copy())
        if name in ("to_regclass", "to_regtype", "to_regproc", "to_regnamespace") and arguments:
            text = arguments[0].this if isinstance(arguments[0], exp.Cast) else arguments[0]
            if isinstance(text, exp.Literal):
                found = self.resolve(name[3:], text.name)
                return _oid(found, name[3:])
        if (
            name in _BY_NAME
            and arguments
            and isinstance(arguments[0], exp.Literal)
            and arguments[0].is_string
        ):
            text = arguments[0].name
            arguments[0] = _oid(int(text) if text.isdigit() else self.resolve("regclass", text), "oid")
        if name == "pg_typeof" and arguments:
            return self._typeof(arguments[0])
        if name == "_pg_expandarray":
            return self._fill(
                "unnest(list_transform(_1, lambda v, i: {'x': v, 'n': CAST(i AS INTEGER)}))", arguments
            )
        if name == "aclexplode":
            return _parsed(f"unnest({_ACL})").copy()
        if name in (
            "pg_partition_ancestors",
            "pg_partition_tree",
            "pg_listening_channels",
            "pg_tablespace_databases",
        ):
            return _parsed("unnest(CAST([] AS BIGINT[]))").copy()
        if name in ("generate_series", "explodinggenerateseries") and isinstance(
            node.parent, (exp.Select, exp.Alias)
        ):
            return exp.func("unnest", exp.func("generate_series", *arguments))
        if name == "generate_subscripts" and not isinstance(node.parent, (exp.Table, exp.Lateral)):
            first = 0 if kind_of(arguments[0]) in ("int2vector", "oidvector") else 1
            return self._fill(f"unnest(generate_series({first}, len(_1) - {1 - first}))", arguments)
        if name == "array_upper":
            shift = 1 if kind_of(arguments[0]) in ("int2vector", "oidvector") else 0
            return self._fill(f"CAST(len(_1) - {shift} AS INTEGER)", arguments)
        if name == "array_lower":
            lowest = 0 if kind_of(arguments[0]) in ("int2vector", "oidvector") else 1
            return self._fill(f"CASE WHEN len(_1) > 0 THEN {lowest} END", arguments)
        if name == "format" and arguments and isinstance(arguments[0], exp.Literal):
            return self._format(arguments[0].name, arguments[1:])
        if name == "array_to_string" and (kind_of(arguments[0]) or "")[:-2] in REG:
            return None
        return self.expand(name, arguments) if name in TEMPLATES else None

    def expand(self, name: str, arguments: list[exp.Expr]) -> exp.Expr:
        """The template of ``name`` with its arguments and the session's values put in."""
        return self._fill(TEMPLATES[name], arguments)

    def _fill(self, template: str, arguments: list[exp.Expr]) -> exp.Expr:
        made = _parsed(self._values(template)).copy()
        for column in list(made.find_all(exp.Column)):
            if not column.table and column.name[:1] == "_" and column.name[1:].isdigit():
                position = int(column.name[1:]) - 1
                value = arguments[position].copy() if position < len(arguments) else exp.null()
                if isinstance(value, (exp.Binary, exp.Unary, exp.Case)):
                    value = exp.paren(value)
                if column.parent is None:
                    return value
                column.replace(value)
        return made

    def _values(self, template: str) -> str:
        if "{path}" not in template and "{" not in template:
            return template
        context, path = self._context, self._path
        arms = " ".join(f"WHEN {oid} THEN {literal(name)}" for oid, name in role_names(context).items())
        comments = " ".join(
            f"WHEN {d.oid} THEN {literal(d.comment)}" for d in databases(context) if d.comment
        )
        for key, text in {
            "{path}": ", ".join(map(literal, path)),
            "{path_oids}": ", ".join(str(self._snapshot.schemas.get(name, 0)) for name in path),
            "{shadowed}": self._shadowed() if "{shadowed}" in template else "",
            "{roles}": f"CASE _1 {arms} ELSE 'unknown (OID=' || _1 || ')' END",
            "{shared_comments}": f"CASE WHEN _2 = 'pg_database' THEN CASE _1 {comments} END END" if comments
            else "CAST(NULL AS VARCHAR)",
            "{version}": literal(context.version),
            "{database}": literal(context.database),
            "{schema}": literal(self._own_path[0]) if self._own_path else "CAST(NULL AS VARCHAR)",
            "{user}": literal(context.user),
            "{session_user}": literal(context.session_user or context.user),
            "{pid}": f"CAST({context.pid} AS INTEGER)",
            "{port}": str(context.port),
            "{started_at}": f"CAST({literal(context.started_at.isoformat())} AS TIMESTAMPTZ)",
        }.items():  # fmt: skip
            template = template.replace(key, text)
        return template

    def _shadowed(self) -> str:
        """Relations of the path that an earlier schema of the path hides."""
        path = self._path
        if len(path) < 3:
            return ""
        seen: dict[str, int] = {}
        hidden = []
        rank = {schema: place for place, schema in enumerate(path)}
        for (schema, name), oid in sorted(
            (item for item in self._snapshot.by_name.items() if item[0][0] in rank),
            key=lambda item: rank[item[0][0]],
        ):
            if name in seen:
                hidden.append(str(oid))
            seen.setdefault(name, oid)
            del schema
        return f" AND NOT _k IN ({', '.join(hidden)})" if hidden else ""

    def _setting(self, name: str) -> exp.Expr:
        settings = {key.lower(): value for key, value in self._context.settings.items()}
        value = settings.get(name.lower(), shipped_settings().get(name.lower()))
        if name.lower() == "search_path" and name not in settings:
            value = ", ".join(self._context.search_path)
        return exp.cast(exp.Literal.string(value) if value is not None else exp.null(), "VARCHAR")

    def _typeof(self, argument: exp.Expr) -> exp.Expr:
        if (kind := kind_of(argument)) is not None:
            return exp.cast(exp.Literal.string("numeric" if kind == "decimal" else kind), "VARCHAR")
        arms = " ".join(f"WHEN {literal(a)} THEN {literal(b)}" for a, b in _TYPE_NAMES.items())
        name = (
            "regexp_replace(lower(replace(typeof(_1), '\"NULL\"', 'unknown')), '^decimal[^\\[]*', 'numeric')"
        )
        return exp.cast(self._fill(f"CASE {name} {arms} ELSE {name} END", [argument]), "VARCHAR")

    def _format(self, pattern: str, arguments: list[exp.Expr]) -> exp.Expr | None:
        parts: list[exp.Expr] = []
        rest = list(arguments)
        for position, piece in enumerate(pattern.replace("%%", "\0").split("%")):
            text = piece
            if position:
                if piece[:1] not in ("s", "I", "L") or not rest:
                    return None
                function = {"s": "", "I": "quote_ident", "L": "quote_literal"}[piece[0]]
                argument = self.face(rest.pop(0))
                made = self.expand(function, [argument]) if function else exp.cast(argument, "VARCHAR")
                parts.append(made)
                text = piece[1:]
            if text:
                parts.append(exp.Literal.string(text.replace("\0", "%")))
        return exp.func("concat", *parts) if parts else exp.Literal.string("")

    def _cast(self, node: exp.Cast) -> exp.Expr | None:
        target = type_kind(node.to)
        source = kind_of(node.this)
        if target in REG:
            target = {"regprocedure": "regproc", "regoperator": "regoper"}.get(target, target)
            inner = node.this
            while isinstance(inner, exp.Cast) and isinstance(inner.this, exp.Literal):
                inner = inner.this
            if isinstance(inner, exp.Literal) and inner.is_string:
                return _oid(self._constant(target, inner.name), target)
            made: exp.Expr
            if isinstance(inner, (exp.Parameter, exp.Placeholder)):
                number = exp.TryCast(this=inner.copy(), to=exp.DataType.build("BIGINT"))
                made = exp.func("coalesce", number, self._fill(TEMPLATES[f"{target}_oid"], [inner]))
            elif source in ("text", "name", "character varying"):
                made = self._fill(TEMPLATES[f"{target}_oid"], [inner])
            else:
                made = exp.paren(node.this.copy())
            made.meta[KIND] = target
            return made
        if target and target.endswith("[]") and target[:-2] in REG:
            made = exp.paren(node.this.copy())
            made.meta[KIND] = target
            return made
        if source in REG and target in ("text", "name", "character varying"):
            made = exp.cast(self.face(node.this), "VARCHAR")
            made.meta[KIND] = target
            return made
        if source and source.endswith("[]") and source[:-2] in REG and target in ("text[]", "name[]"):
            made = self.face(node.this).copy()
            made.meta[KIND] = target
            return made
        return None

    def _constant(self, kind: str, text: str) -> int:
        if text.isdigit() or text == "-":
            return int(text) if text != "-" else 0
        if (found := self.resolve(kind, text)) is not None:
            return found
        state, noun = {
            "regclass": ("42P01", "relation"), "regtype": ("42704", "type"), "regproc": ("42883", "function"),
            "regnamespace": ("3F000", "schema"), "regrole": ("42704", "role"), "regoper": ("42883", "operator"),
        }.get(kind, ("42704", "object"))  # fmt: skip
        raise BoughError(
            state,
            f'{noun} "{text}" does not exist',
            detail=f"It is not on the search path ({', '.join(self._path)}) of this branch.",
            hint=f"to_{kind}('{text}') gives NULL instead of an error.",
        )

    def face(self, node: exp.Expr) -> exp.Expr:
        """What Postgres prints for an expression of a reg* or vector type; others stay."""
        kind = kind_of(node) or ""
        bare = node.this if isinstance(node, exp.Alias) else node
        if kind.endswith("[]") and kind[:-2] in REG:
            element = self._fill(TEMPLATES[f"{_alias(kind[:-2])}_text"], [exp.column("e")])
            made: exp.Expr = _parsed("(SELECT list(_1) FROM (SELECT unnest(_2) AS e))").copy()
            made = self._fill(made.sql("duckdb"), [element, bare])
        elif kind in REG:
            if isinstance(bare, exp.Cast) and bare.to.is_type("varchar"):
                return node
            made = self._fill(TEMPLATES[f"{_alias(kind)}_text"], [bare])
        elif kind in ("int2vector", "oidvector"):
            made = self._fill("array_to_string(_1, ' ')", [bare])
        else:
            return node
        made.meta[KIND] = kind
        return made

    def resolve(self, kind: str, text: str) -> int | None:
        """The OID a name has as a value of a reg* type."""
        if kind == "regclass":
            table = exp.to_table(text, dialect="postgres")
            name = table.name if table.this.quoted else table.name.lower()
            schemas = ((table.db or "").lower(),) if table.db else self._path
            for schema in schemas:
                schema = "public" if schema == "main" else schema
                if (found := self._snapshot.by_name.get((schema, name))) is not None:
                    return found
            return None
        short = text.lower().split(".")[-1].strip('"')
        if kind == "regnamespace":
            return self._snapshot.schemas.get(short)
        if kind == "regrole":
            return next((role.oid for role in self._context.roles if role.name == short), None)
        relation, column = {"regproc": ("pg_proc", "proname"), "regtype": ("pg_type", "typname")}.get(
            kind, ("pg_operator", "oprname")
        )
        table_rows = shipped_rows(f"pg_catalog.{relation}")
        if kind == "regtype":
            from proxy.catalog.typenames import column_type, system_types

            if short in system_types():
                return system_types()[short].oid
            found_type = column_type("", text)
            row = self._snapshot.by_name.get(("public", short))
            if found_type.name == "text" and short not in ("text", "string"):
                return None if row is None else oids.row_type_oid(row - oids.FIRST_USER_OID)
            return found_type.oid
        names = table_rows.column(column).to_pylist()
        return int(table_rows.column("oid")[names.index(short)].as_py()) if short in names else None


def _of_another(node: exp.Expr) -> bool:
    """Whether a call names a schema that is not the catalog's: the translation has written it, or a user's macro."""
    dot = node.parent
    return (
        isinstance(dot, exp.Dot)
        and dot.expression is node
        and dot.this.name.lower() not in ("pg_catalog", "information_schema")
    )


def _alias(kind: str) -> str:
    return {"regprocedure": "regproc", "regoperator": "regoper"}.get(kind, kind)


def _oid(value: int | None, kind: str) -> exp.Expr:
    made = exp.cast(exp.Literal.number(value) if value is not None else exp.null(), "BIGINT")
    made.meta[KIND] = kind
    return made
