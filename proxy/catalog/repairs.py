"""Rules that make a catalog query mean in the engine what it means in Postgres, one small function each.

Each takes a tree as parsed from the client's text and returns it changed. They know nothing of a branch's
objects; what needs those is in ``calls`` and ``rewrite``.
"""

from __future__ import annotations

from sqlglot import exp

from proxy.catalog.kinds import KIND, column_source, kind_of, sources, system_relation

_OPERATORS: dict[str, tuple[type[exp.Expr], bool]] = {
    "~": (exp.RegexpLike, False), "!~": (exp.RegexpLike, True), "~*": (exp.RegexpILike, False),
    "!~*": (exp.RegexpILike, True), "=": (exp.EQ, False), "<>": (exp.NEQ, False), "~~": (exp.Like, False),
    "!~~": (exp.Like, True), "~~*": (exp.ILike, False), "!~~*": (exp.ILike, True), "<": (exp.LT, False),
    ">": (exp.GT, False), "<=": (exp.LTE, False), ">=": (exp.GTE, False), "+": (exp.Add, False),
    "-": (exp.Sub, False),
    "||": (exp.DPipe, False), "*": (exp.Mul, False),
}  # fmt: skip
_SYSTEM_SCHEMAS = ("pg_catalog", "information_schema")
_TEXT = frozenset({"name", "text", '"char"', "character varying", "character", "bpchar", "cstring",
    "varchar", "citext",
    "sql_identifier", "character_data", "yes_or_no", "pg_node_tree", "aclitem", "inet",
    "pg_lsn"})  # fmt: skip
_INTEGERS = ("smallint", "integer", "bigint", "oid")
_NUMBERS = frozenset({"oid", "xid", "cid", "xid8", "cardinal_number"})


def unqualify(tree: exp.Expr) -> exp.Expr:
    """``pg_catalog.f(x)`` is ``f(x)``; ``OPERATOR(pg_catalog.~)`` is ``~``; collations go."""
    for node in list(tree.find_all(exp.Dot)):
        left = node.this
        if isinstance(left, exp.Identifier) and left.name.lower() in _SYSTEM_SCHEMAS:
            node.replace(node.expression)
    if isinstance(tree, exp.Dot) and isinstance(tree.this, exp.Identifier):
        tree = tree.expression
    for escaped in list(tree.find_all(exp.ByteString)):
        escaped.replace(exp.Literal.string(escaped.name))  # E'…', which the parser has already unescaped
    for operator in list(tree.find_all(exp.Operator)):
        symbol = str(operator.args.get("operator") or "").split(".")[-1].strip()
        if (found := _OPERATORS.get(symbol)) is not None:
            made: exp.Expr = found[0](this=operator.this, expression=operator.expression)
            operator.replace(exp.Not(this=made) if found[1] else made)
    for collate in list(tree.find_all(exp.Collate)):
        collate.replace(collate.this)
    return tree


def fold(tree: exp.Expr) -> exp.Expr:
    """Unquoted names are lower case, as in Postgres; the engine keeps what was typed."""
    for name in tree.find_all(exp.Identifier):
        if not name.args.get("quoted"):
            name.set("this", name.name.lower())
    return tree


def operators(tree: exp.Expr) -> exp.Expr:
    """Division of integers is integer division; GROUP BY an output name is not a table of that name."""
    for node in list(tree.find_all(exp.Div)):
        if kind_of(node.this) in _INTEGERS and kind_of(node.expression) in _INTEGERS:
            node.replace(exp.IntDiv(this=node.this, expression=node.expression))
    for like in list(tree.find_all(exp.Like, exp.ILike)):
        pattern = like.expression
        if (
            isinstance(pattern, exp.Literal)
            and "\\" in pattern.name
            and not isinstance(like.parent, exp.Escape)
        ):
            like.replace(exp.Escape(this=like.copy(), expression=exp.Literal.string("\\")))
    for select in tree.find_all(exp.Select):
        group = select.args.get("group")
        if group is None:
            continue
        names = [item.alias_or_name for item in select.expressions]
        tables = {source.alias_or_name for source in sources(select)}
        for item in list(group.expressions):
            if isinstance(item, exp.Column) and not item.table and item.name in tables and item.name in names:
                item.replace(exp.Literal.number(names.index(item.name) + 1))
    return tree


def columns(tree: exp.Expr) -> exp.Expr:
    """Three-part column names lose their schema; system columns become the constants they are to us."""
    for column in list(tree.find_all(exp.Column)):
        if column.args.get("db") is not None and column.text("db").lower() in _SYSTEM_SCHEMAS:
            column.set("db", None)
            column.set("catalog", None)
        name = column.name.lower()
        if name in ("xmin", "xmax", "cmin", "cmax", "tableoid") and not column.this.quoted:
            source = column_source(column) or _only_source(column)
            relation = system_relation(source) if isinstance(source, exp.Table) else None
            if relation is not None:
                column.replace(_constant(column, relation, name))
    return tree


def _only_source(column: exp.Column) -> exp.Expr | None:
    select = column.find_ancestor(exp.Select)
    clause = select.args.get("from_") if select is not None and not column.table else None
    return clause.this if clause is not None else None


def _constant(column: exp.Column, relation: str, name: str) -> exp.Expr:
    value = exp.Literal.number(_class_oid(relation) if name == "tableoid" else 1)
    made = exp.cast(value, "BIGINT")
    made.meta[KIND] = "oid" if name == "tableoid" else "xid"
    if isinstance(column.parent, exp.Select):
        return exp.alias_(made, name)
    return made


def _class_oid(relation: str) -> int:
    from proxy.catalog.shapes import shipped_rows

    table = shipped_rows("pg_catalog.pg_class")
    names = table.column("relname").to_pylist()
    short = relation.partition(".")[2]
    return int(table.column("oid")[names.index(short)].as_py()) if short in names else 0


def brackets(tree: exp.Expr) -> exp.Expr:
    """int2vector and oidvector count from 0, arrays from 1; the engine knows only the latter."""
    for node in list(tree.find_all(exp.Bracket)):
        if kind_of(node.this) in ("int2vector", "oidvector") and len(node.expressions) == 1:
            index = node.expressions[0]
            if isinstance(index, exp.Slice):
                continue
            literal = index.find(exp.Literal) is not None and index.find(exp.Column) is None
            # sqlglot subtracts one from a constant, and read_postgres gives it back
            shift = 2 if literal and not node.args.get("offset") else 1
            kind = kind_of(node)
            made = exp.func("list_extract", node.this, exp.paren(index) + exp.Literal.number(shift))
            made.meta[KIND] = kind
            node.replace(made)
    return tree


def casts(tree: exp.Expr) -> exp.Expr:
    """Casts to types the engine lacks become casts to their stored shape; ``'{a,b}'`` becomes a list."""
    for node in list(tree.find_all(exp.Cast)):
        kind = kind_of(node)
        if kind is None:
            continue
        if kind.endswith("[]") and isinstance(node.this, exp.Literal) and node.this.is_string:
            items = [exp.Literal.string(item) for item in _array_items(node.this.name)]
            node.set("this", exp.Array(expressions=items))
        shape = _shape(kind)
        if shape is not None:
            node.meta[KIND] = kind
            node.set("to", exp.DataType.build(shape, dialect="duckdb"))
    for equal in list(tree.find_all(exp.EQ, exp.NEQ)):
        for side, other in ((equal.this, equal.expression), (equal.expression, equal.this)):
            if isinstance(side, exp.Literal) and side.is_string and side.name.startswith("{"):
                kind = kind_of(other) or ""
                if kind.endswith(("[]", "vector")):
                    side.replace(
                        exp.Array(expressions=[exp.Literal.string(i) for i in _array_items(side.name)])
                    )
    for quantified in list(tree.find_all(exp.Any)):
        inner = quantified.this.unnest()
        if isinstance(inner, exp.Literal) and inner.is_string and inner.name.startswith("{"):
            items = [exp.Literal.string(item) for item in _array_items(inner.name)]
            quantified.set("this", exp.paren(exp.Array(expressions=items)))
    return tree


def _shape(kind: str) -> str | None:
    if kind.endswith("[]"):
        inner = _shape(kind[:-2])
        return f"{inner}[]" if inner else None
    if kind in _TEXT:
        return "VARCHAR"
    return "BIGINT" if kind in _NUMBERS else None


def _array_items(text: str) -> list[str]:
    inside = text.strip().removeprefix("{").removesuffix("}")
    return [item.strip().strip('"') for item in inside.split(",")] if inside else []
