"""Clauses that DuckDB lacks or that mean nothing here.

``FOR UPDATE``/``FOR SHARE`` go (a conflicting write fails with 40001 under snapshot isolation), as do ``LIMIT
ALL`` and COLLATE of the default collations; ``BETWEEN SYMMETRIC`` is spelled out; ``LIKE`` gets Postgres'
default escape character where the pattern could hold one; VALUES lists get the names ``column1`` …; ``SET (a, b) =
(SELECT …)`` becomes an assignment of each, and MERGE's ``INSERT DEFAULT VALUES`` a list without values; the WHERE that
picks a partial index for ON CONFLICT goes.
"""

from __future__ import annotations

from sqlglot import exp

from branching.errors import BoughError

LOCKED = "locked"  # what FOR UPDATE names, none for all, is known of the query it stood at


def clauses(tree: exp.Expr) -> exp.Expr:
    """
    >>> import sqlglot
    >>> clauses(sqlglot.parse_one("SELECT a FROM t LIMIT ALL FOR UPDATE", read="postgres")).sql("duckdb")
    'SELECT a FROM t'
    """
    for node in reversed(list(tree.walk())):
        if isinstance(node, exp.Column) and node.name.upper() == "DEFAULT" and not node.this.args["quoted"]:
            if isinstance(node.parent, (exp.EQ, exp.Tuple)) and not node.args.get("table"):
                node.replace(exp.Var(this="DEFAULT"))
            continue
        if isinstance(node, exp.EQ) and isinstance(node.this, exp.Tuple):
            _assigned_together(node)
        if isinstance(node, exp.OnConflict):
            _conflict_target(node)
        if isinstance(node, exp.When):
            _default_values(node.args["then"])
        if isinstance(node, exp.ComputedColumnConstraint) and not isinstance(node.this, exp.Paren):
            node.set("this", exp.Paren(this=node.this.copy()))
        if isinstance(node, exp.Query):
            if node.args.get("locks"):
                node.meta[LOCKED] = [name.name for lock in node.args["locks"] for name in lock.expressions]
                node.set("locks", None)
            limit = node.args.get("limit")
            if isinstance(limit, exp.Fetch):
                _with_ties(node, limit)
            if isinstance(limit, exp.Limit) and _is_all(limit.expression):
                node.set("limit", None)
        if isinstance(node, exp.Collate):
            if _collation(node.expression) in ("default", "c", "posix", "ucs_basic", "en_us.utf8", "c.utf8"):
                new = node.this
                if node is tree:
                    tree = new
                node.replace(new)
        elif isinstance(node, exp.Between) and node.args.get("symmetric"):
            _between(node)
        elif isinstance(node, (exp.Like, exp.ILike)) and not isinstance(node.parent, exp.Escape):
            _escape(node)
    return _values(tree)


def _with_ties(query: exp.Expr, fetch: exp.Fetch) -> None:
    """``FETCH FIRST n ROWS WITH TIES``, which the engine passes over: those of a rank up to ``n``."""
    options = fetch.args.get("limit_options")
    if options is None or not options.args.get("with_ties"):
        return
    order = query.args.get("order")
    if order is None:
        raise BoughError("42601", "WITH TIES cannot be specified without ORDER BY clause")
    if not isinstance(query, exp.Select) or query.args.get("distinct") or query.args.get("offset"):
        raise BoughError(
            "0A000",
            "WITH TIES behind UNION, DISTINCT or OFFSET is not supported",
            hint="Number the rows with rank() OVER (ORDER BY …) in a sub-query and choose by that.",
        )
    named = {item.alias: item.this for item in query.expressions if isinstance(item, exp.Alias)}
    keys = []
    for key in order.expressions:
        value, copy = key.this, key.copy()
        if isinstance(value, exp.Literal) and value.name.isdecimal():
            value = query.expressions[min(int(value.name), len(query.expressions)) - 1].unalias()
        elif isinstance(value, exp.Column) and not value.table:
            value = named.get(value.name, value)
        copy.set("this", value.copy())
        keys.append(copy)
    rank = exp.Window(this=exp.Anonymous(this="rank"), order=exp.Order(expressions=keys))
    count = fetch.args.get("count") or exp.Literal.number(1)
    query.set("qualify", exp.Qualify(this=exp.LTE(this=rank, expression=count.copy())))
    query.set("limit", None)


def _assigned_together(node: exp.EQ) -> None:
    """``(a, b) = (SELECT …)`` or ``= ROW(…)`` of a SET list."""
    parent, value = node.parent, node.expression
    if not isinstance(parent, exp.Update | exp.OnConflict) or node.arg_key != "expressions":
        return
    if isinstance(value, exp.Anonymous) and value.name.lower() == "row":
        node.set("expression", exp.Tuple(expressions=value.expressions))
    if not isinstance(value, exp.Subquery):
        return
    names = [exp.to_identifier(f"v{number}", quoted=True) for number, _ in enumerate(node.this.expressions)]
    alias = exp.TableAlias(this=exp.to_identifier("_given", quoted=True), columns=names)
    items = []
    for name, target in zip(names, node.this.expressions, strict=True):
        rows = exp.Subquery(this=value.this.copy(), alias=alias.copy())
        one = exp.select(exp.column(name.copy(), table="_given")).from_(rows)
        items.append(exp.EQ(this=target.copy(), expression=exp.Subquery(this=one)))
    kept = [other for item in parent.expressions for other in (items if item is node else [item])]
    parent.set("expressions", kept)


def _conflict_target(node: exp.OnConflict) -> None:
    """``ON CONFLICT (a) WHERE …`` may mean a partial index; there is none, so it means the others."""
    node.set("index_predicate", None)
    for key in node.args.get("conflict_keys") or ():
        if not isinstance(key.this if isinstance(key, exp.Ordered) else key, exp.Column | exp.Identifier):
            raise BoughError(
                "0A000",
                "ON CONFLICT on an expression is not supported",
                detail="The engine finds conflicts by columns, not by an index over an expression.",
                hint="MERGE INTO … USING … ON lower(t.a) = lower(s.a) says which rows are the same.",
            )


def _default_values(then: exp.Expr) -> None:
    """``INSERT DEFAULT VALUES``, which is read as a list of the one column ``default``."""
    if isinstance(then, exp.Insert) and isinstance(then.this, exp.Tuple) and then.expression is None:
        said = then.this.expressions
        if len(said) == 1 and isinstance(said[0], exp.Var):
            then.set("this", None)
            then.set("expression", exp.Tuple(expressions=[]))


def _is_all(value: exp.Expr | None) -> bool:
    return (
        isinstance(value, (exp.Column, exp.Var, exp.All))
        and (isinstance(value, exp.All) or value.name.upper() == "ALL")
    ) or isinstance(value, exp.Null)


def _collation(node: exp.Expr) -> str:
    return (node.expression.name if isinstance(node, exp.Dot) else node.name).lower()


def _between(node: exp.Between) -> None:
    low, high = node.args["low"], node.args["high"]
    node.set("symmetric", None)
    node.set("low", exp.Least(this=low.copy(), expressions=[high.copy()]))
    node.set("high", exp.Greatest(this=low.copy(), expressions=[high.copy()]))


def _escape(node: exp.Expr) -> None:
    pattern = node.expression
    if isinstance(pattern, exp.Literal) and "\\" not in pattern.name:
        return
    if isinstance(pattern, (exp.Any, exp.All)):
        return
    node.replace(exp.Escape(this=node.copy(), expression=exp.Literal.string("\\")))


def _values(tree: exp.Expr) -> exp.Expr:
    for node in reversed(list(tree.find_all(exp.Values))):
        parent = node.parent
        if isinstance(parent, exp.Insert):
            continue
        width = len(node.expressions[0].expressions) if node.expressions else 0
        alias = node.args.get("alias")
        if alias is not None and alias.args.get("columns"):
            continue
        names = [exp.to_identifier(f"column{number + 1}", quoted=True) for number in range(width)]
        if alias is not None:
            alias.set("columns", names)
        elif isinstance(parent, exp.From):
            node.set("alias", exp.TableAlias(this=exp.to_identifier("values", quoted=True), columns=names))
        elif parent is None or isinstance(
            parent, (exp.CTE, exp.SetOperation, exp.Subquery, exp.In, exp.Create)
        ):
            if isinstance(parent, exp.CTE) and parent.args["alias"].args.get("columns"):
                continue
            inner = exp.Values(
                expressions=[item.copy() for item in node.expressions],
                alias=exp.TableAlias(this=exp.to_identifier("values", quoted=True), columns=names),
            )
            select = exp.select("*").from_(inner)
            for part in ("order", "limit", "offset"):
                if node.args.get(part):
                    select.set(part, node.args[part])
            if node is tree:
                return select
            node.replace(select)
    return tree
