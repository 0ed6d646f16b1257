"""Types of ``$n``, inferred as Postgres would: DuckDB says UNKNOWN for every parameter.

Types are the engine's spelling (``BIGINT``, ``VARCHAR``, ``INTEGER[]``); ``proxy.types`` knows their OIDs. A
type comes from, in this order: a cast (``$1::t``), the clause it stands in (LIMIT, OFFSET), the column or
expression it is compared with, assigned or inserted to, the function it is given to. None says that nothing
was found: Postgres would say text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from sqlglot import exp

from proxy.sql.beside import beside, of_rows
from proxy.sql.expression_types import TEXT, engine_name, expression_type, is_exact
from proxy.sql.parse import Parsed

ColumnsOf = Callable[[str | None, str], Mapping[str, str] | None]
Answer = TypeVar("Answer")

_COMPARISONS = (
    exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ, exp.NullSafeNEQ, exp.Like, exp.ILike,
    exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod, exp.RegexpLike, exp.RegexpILike,
)  # fmt: skip
_TEXT_OPERATORS = (exp.Like, exp.ILike, exp.RegexpLike, exp.RegexpILike, exp.DPipe, exp.SimilarTo)
_FUNCTIONS: dict[str, Sequence[str]] = {
    "left": (TEXT, "INTEGER"), "right": (TEXT, "INTEGER"), "lpad": (TEXT, "INTEGER", TEXT),
    "rpad": (TEXT, "INTEGER", TEXT), "repeat": (TEXT, "INTEGER"), "split_part": (TEXT, TEXT, "INTEGER"),
    "substr": (TEXT, "INTEGER", "INTEGER"), "round": ("DECIMAL(38,10)", "INTEGER"),
    "to_timestamp": ("DOUBLE",), "date_trunc": (TEXT,), "date_part": (TEXT,),
    "generate_series": ("BIGINT",) * 3,
    "pg_sleep": ("DOUBLE",), "chr": ("INTEGER",), "power": ("DOUBLE", "DOUBLE"), "sqrt": ("DOUBLE",),
    "make_date": ("INTEGER",) * 3, "mod": ("BIGINT", "BIGINT"), "set_config": (TEXT, TEXT, "BOOLEAN"),
}  # fmt: skip


def parameter_types(parsed: Parsed, columns_of: ColumnsOf) -> list[str | None]:
    """The type of each of ``$1`` … ``$n``. ``columns_of(schema, table)`` gives column name -> engine type."""
    found: list[str | None] = [None] * parsed.parameter_count
    if parsed.tree is None:
        return found
    scope = _Columns(parsed.tree, columns_of)
    for parameter in parsed.tree.find_all(exp.Parameter, exp.Placeholder):
        at = int(parameter.name) - 1
        if found[at] is None:
            found[at] = _type_of(parameter, scope)
    return found


def typed_parameters(tree: exp.Expr, types: Sequence[str | None]) -> exp.Expr:
    """A copy of ``tree`` with each ``$n`` as ``CAST($n AS type)``; a parameter cast already is left alone.

    >>> import sqlglot
    >>> typed_parameters(sqlglot.parse_one("SELECT $1", read="duckdb"), ["BIGINT"]).sql("duckdb")
    'SELECT CAST($1 AS BIGINT)'
    """
    tree = tree.copy()
    for parameter in list(tree.find_all(exp.Parameter, exp.Placeholder)):
        number = int(parameter.name)
        type_ = types[number - 1] if number <= len(types) else None
        if type_ is not None and not isinstance(parameter.parent, exp.Cast):
            parameter.replace(exp.cast(parameter.copy(), type_, dialect="duckdb"))
    return tree


class TypesInPlace:
    """What a constant or parameter of ``tree`` would be read as, from where it stands."""

    def __init__(self, tree: exp.Expr, columns_of: ColumnsOf, own: Mapping[str, str] | None = None) -> None:
        self._scope = _CertainColumns(tree, columns_of)
        if own is not None:  # of the table whose definition this is
            self._scope.add("", own)

    def of(self, node: exp.Expr) -> str | None:
        """The engine's type; None if nothing tells."""
        return _type_of(node, self._scope)

    def beside(self, node: exp.Expr) -> str | None:
        """The type of what stands at its place in the other rows of VALUES, or the other parts of a UNION."""
        return beside(node, self._scope)

    def of_expression(self, node: exp.Expr) -> str | None:
        """The engine's type of an expression itself; None if it is not known."""
        return expression_type(node, self._scope)

    def of_row(self, node: exp.Expr, *, whole: bool = False) -> dict[str, str]:
        """Where ``node`` means a whole row: the columns of it whose type is known; ``whole``: all of them or none."""
        return self._scope.of_row(node, whole) if isinstance(node, exp.Column) and not node.table else {}


class _Columns:
    """Types of the columns a statement can name, by alias and name."""

    def __init__(self, tree: exp.Expr, columns_of: ColumnsOf) -> None:
        self._by_alias: dict[str, Mapping[str, str]] = {}
        if isinstance(tree, exp.Create) and isinstance(tree.this, exp.Schema):
            self.add("", {c.name: _kind(c) for c in tree.this.expressions if isinstance(c, exp.ColumnDef)})
        self._names = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
        for table in tree.find_all(exp.Table):
            if self._is_named_query(table):
                continue
            columns = columns_of(_folded(table.args.get("db")), _folded(table.this) or "")
            if columns is not None:
                renamed = _renamed(columns, table)
                self._by_alias.setdefault(table.alias_or_name.lower(), renamed)
                if renamed is columns:
                    self._by_alias.setdefault(table.name.lower(), columns)

    def _is_named_query(self, table: exp.Table) -> bool:
        """Whether a name means a query of WITH: it does wherever it is read and has no schema."""
        return (
            table.name.lower() in self._names
            and not table.args.get("db")
            and not isinstance(table.parent, exp.Insert | exp.Update | exp.Delete | exp.Merge | exp.Schema)
        )

    def add(self, alias: str, columns: Mapping[str, str]) -> None:
        self._by_alias[alias] = columns

    def of(self, column: exp.Column) -> str | None:
        if column.table and (columns := self._by_alias.get(column.table.lower())) is not None:
            return columns.get(_folded(column.this) or "")
        return next(
            (c[name] for c in self._by_alias.values() if (name := _folded(column.this) or "") in c), None
        )

    def table(self, table: exp.Expr) -> Mapping[str, str]:
        return self._by_alias.get(table.name.lower(), {})


class _CertainColumns(_Columns):
    """The same without a guess by the name alone: the column's own query, or one around it, names its table."""

    def __init__(self, tree: exp.Expr, columns_of: ColumnsOf) -> None:
        super().__init__(tree, columns_of)
        self._columns_of = columns_of
        self._queries = list(tree.find_all(exp.CTE))
        self._open: set[int] = set()

    def of(self, column: exp.Column) -> str | None:
        name, node = _folded(column.this) or "", column.find_ancestor(*_NAMING)
        if node is None:
            return self._by_alias.get("", {}).get(name)  # in a definition
        while node is not None:
            sources = _sources(node)
            if column.table:
                sources = [item for item in sources if item.alias_or_name.lower() == column.table.lower()]
            found = [self._of_source(item, name) for item in sources]
            if None in found:
                return None
            if known := [type_ for type_ in found if type_]:
                return known[0] if len(known) == 1 else None
            node = node.find_ancestor(*_NAMING)
        return None

    def of_row(self, row: exp.Column, whole: bool) -> dict[str, str]:
        """The known columns of the source that a bare name stands for."""
        node = row.find_ancestor(*_NAMING)
        found = (
            [item for item in _sources(node) if item.alias_or_name.lower() == row.name.lower()]
            if node
            else []
        )
        if len(found) != 1 or self.of(row) is not None:
            return {}
        types = {name: self._of_source(found[0], name) for name in self._columns_in(found[0])}
        if whole and not all(types.values()):
            return {}
        return {name: type_ for name, type_ in types.items() if type_}

    def _columns_in(self, source: exp.Expr) -> list[str]:
        if isinstance(source, exp.Table):
            named = [cte for cte in self._queries if cte.alias.lower() == source.name.lower()]
            if named:
                return self._columns_in(named[0])
            return list(self._columns_of(_folded(source.args.get("db")), _folded(source.this) or "") or ())
        if not isinstance(source, exp.CTE | exp.Subquery) or not isinstance(source.this, exp.Select):
            return []
        if source.this.is_star:
            inner = _sources(source.this)
            return self._once(source.this, lambda: [n for each in inner for n in self._columns_in(each)], [])
        return source.alias_column_names or [item.alias_or_name for item in source.this.expressions]

    def _of_source(self, source: exp.Expr, name: str) -> str | None:
        """The type of a column of a source, '' if it has none of that name; None if nobody knows."""
        if isinstance(source, exp.Subquery):
            return self._of_named(source, name)
        if isinstance(source, exp.Values):
            return of_rows(source, name, self)
        if not isinstance(source, exp.Table):
            return None
        if source.name.lower() in self._names:
            named = [cte for cte in self._queries if cte.alias.lower() == source.name.lower()]
            plain = len(named) == 1 and not source.alias_column_names
            return self._of_named(named[0], name) if plain else None
        columns = self._columns_of(_folded(source.args.get("db")), _folded(source.this) or "")
        return None if columns is None else _renamed(columns, source).get(name, "")

    def _of_named(self, query: exp.CTE | exp.Subquery, name: str) -> str | None:
        """The same of a query with a name, whose columns may have names of their own."""
        names = [item.lower() for item in query.alias_column_names]
        first = query.this
        while isinstance(first, exp.SetOperation | exp.Subquery):
            first = first.this
        if not names:
            found = self._of_query(first, name)
        elif name.lower() not in names:
            return "" if isinstance(first, exp.Select) and len(names) == len(first.expressions) else None
        elif isinstance(first, exp.Select) and not any(item.is_star for item in first.expressions):
            at = names.index(name.lower())
            item = first.expressions[at].unalias() if at < len(first.expressions) else None
            found = self._once(first, lambda: self._of_item(item), None)
        else:
            return None
        united = first is not query.this  # the other parts may make a wider number of it
        return found if not united or not found or is_exact(found) else None

    def _of_query(self, query: exp.Expr, name: str) -> str | None:
        """The same of a query: of what it takes over from its own sources, or casts."""
        if not isinstance(query, exp.Select):
            return None
        return self._once(query, lambda: self._of_select(query, name), None)

    def _once(self, query: exp.Expr, answer: Callable[[], Answer], otherwise: Answer) -> Answer:
        """What is found in a query; ``otherwise`` while it is looked into: it reads itself, or a table of its name."""
        if id(query) in self._open:
            return otherwise
        self._open.add(id(query))
        try:
            return answer()
        finally:
            self._open.discard(id(query))

    def _of_select(self, query: exp.Select, name: str) -> str | None:
        stars = [item for item in query.expressions if item.is_star]
        given = [item for item in query.expressions if item.alias_or_name.lower() == name.lower()]
        if not stars:
            return (self._of_item(given[0].unalias()) if len(given) == 1 else None) if given else ""
        if len(query.expressions) > 1 or not isinstance(stars[0], exp.Star) or any(stars[0].args.values()):
            return None
        found = [self._of_source(source, name) for source in _sources(query)]
        if None in found or len([type_ for type_ in found if type_]) > 1:
            return None
        return "".join(filter(None, found))

    def _of_item(self, item: exp.Expr | None) -> str | None:
        """Of what a query gives: of expressions only what is no number, whose width is a guess."""
        known = expression_type(item, self)
        return known if isinstance(item, exp.Column | exp.Cast) or (known and is_exact(known)) else None


def _renamed(columns: Mapping[str, str], table: exp.Table) -> Mapping[str, str]:
    """A table's columns under the names that its alias gives the first of them."""
    alias = table.args.get("alias")
    given = [_folded(name) or "" for name in alias.columns] if isinstance(alias, exp.TableAlias) else []
    if not given:
        return columns
    return dict(reversed([*zip([*given, *list(columns)[len(given) :]], columns.values(), strict=False)]))


_NAMING = (exp.Select, exp.Update, exp.Delete, exp.Merge, exp.Insert)


def _sources(node: exp.Expr) -> list[exp.Expr]:
    """What a statement takes columns from."""
    if isinstance(node, exp.Insert):
        return [_target(node)] if isinstance(node.this, exp.Schema | exp.Table) else []
    from_, using = node.args.get("from_"), node.args.get("using")
    found = [node.this] if not isinstance(node, exp.Select) and node.this is not None else []
    found += [from_.this] if from_ is not None else []
    found += using if isinstance(using, list) else [using] if isinstance(using, exp.Expr) else []
    return found + [join.this for join in node.args.get("joins") or ()]


def _folded(node: exp.Expr | None) -> str | None:
    if node is None:
        return None
    return node.name if node.args.get("quoted") else node.name.lower()


def _type_of(parameter: exp.Expr, scope: _Columns) -> str | None:
    node, parent = parameter, parameter.parent
    while isinstance(parent, (exp.Paren, exp.Alias, exp.Neg)):
        node, parent = parent, parent.parent
    if isinstance(parent, exp.Cast):
        return engine_name(parent.to)
    if isinstance(parent, exp.DefaultColumnConstraint):
        column = parent.find_ancestor(exp.ColumnDef)
        return _kind(column) if isinstance(column, exp.ColumnDef) else None
    if isinstance(parent, (exp.Limit, exp.Offset, exp.Fetch)):
        return "BIGINT"
    if isinstance(parent, exp.Any) or (isinstance(parent, exp.Anonymous) and parent.name.lower() == "all"):
        other = _other(parent) or (parent.parent.this if isinstance(parent.parent, exp.Binary) else None)
        element = expression_type(other, scope) if other is not None else None
        return f"{element or TEXT}[]"
    if isinstance(parent, exp.EQ) and isinstance(parent.parent, (exp.Update, exp.OnConflict)):
        return _assigned(parent, parent.parent, scope)
    if isinstance(parent, _TEXT_OPERATORS):
        return TEXT
    if isinstance(parent, (exp.JSONBContainsAnyTopKeys, exp.JSONBContainsAllTopKeys)):
        return f"{TEXT}[]"
    if isinstance(parent, exp.Interval):
        return TEXT
    if isinstance(parent, _COMPARISONS):
        return expression_type(_other(node), scope)
    if isinstance(parent, (exp.Between, exp.In)):
        siblings = [parent.this, *parent.expressions, parent.args.get("low"), parent.args.get("high")]
        return next(
            (t for s in siblings if s is not None and s is not node and (t := expression_type(s, scope))),
            None,
        )
    if isinstance(parent, exp.Case) or (isinstance(parent, exp.If) and node is parent.args.get("true")):
        case = parent.parent if isinstance(parent, exp.If) else parent
        results = [item.args.get("true") for item in case.args.get("ifs") or ()] if case is not None else []
        others = [*results, case.args.get("default")] if isinstance(case, exp.Case) else []
        return next((t for s in others if s is not node and (t := expression_type(s, scope))), None)
    if isinstance(parent, (exp.Coalesce, exp.Nullif, exp.Greatest, exp.Least, exp.If)):
        return next(
            (t for s in parent.iter_expressions() if s is not node and (t := expression_type(s, scope))),
            None,
        )
    if isinstance(parent, (exp.And, exp.Or, exp.Not, exp.Where)):
        return "BOOLEAN"
    if isinstance(parent, (exp.Tuple, exp.Select)):
        return _inserted(node, parent, scope) or beside(node, scope)
    if isinstance(parent, exp.Anonymous):
        signature = _FUNCTIONS.get(parent.name.lower(), ())
        at = next((i for i, argument in enumerate(parent.expressions) if argument is node), 99)
        return signature[at] if at < len(signature) else None
    return None


def _other(node: exp.Expr) -> exp.Expr | None:
    parent = node.parent
    if not isinstance(parent, exp.Binary):
        return None
    other: exp.Expr = parent.expression if parent.this is node else parent.this
    return other


def _assigned(equals: exp.Expr, owner: exp.Expr, scope: _Columns) -> str | None:
    if isinstance(owner, exp.Update):
        target: exp.Expr | None = owner if owner.this is not None else owner.find_ancestor(exp.Merge)
    else:
        target = owner.find_ancestor(exp.Insert)
    columns = scope.table(_target(target)) if target is not None else {}
    return columns.get(
        _folded(equals.this.this if isinstance(equals.this, exp.Column) else equals.this) or ""
    )


def _target(statement: exp.Expr) -> exp.Expr:
    target: exp.Expr = statement.this
    return target.this if isinstance(target, exp.Schema) else target


def _inserted(node: exp.Expr, row: exp.Expr, scope: _Columns) -> str | None:
    """By position, in VALUES or the SELECT list of an INSERT."""
    insert = row.find_ancestor(exp.Insert)
    if insert is None:
        return None
    top = row
    while isinstance(top.parent, exp.SetOperation):
        top = top.parent
    merge = insert.find_ancestor(exp.Merge)  # its INSERT has no table, and one row
    if (isinstance(row, exp.Select) or merge is not None) and insert.expression is not top:
        return None
    if isinstance(row, exp.Tuple) and merge is None and not isinstance(row.parent, exp.Values):
        return None
    columns = scope.table(_target(insert if merge is None else merge))
    listed = isinstance(insert.this, exp.Schema | exp.Tuple)
    named = [_folded(_bare(item)) or "" for item in insert.this.expressions] if listed else []
    names = named or list(columns)
    at = next((i for i, item in enumerate(row.expressions) if item is node), 999)
    return columns.get(names[at]) if at < len(names) else None


def _bare(item: exp.Expr) -> exp.Expr:
    return item.this if isinstance(item, exp.Column) else item


def _kind(column: exp.ColumnDef) -> str:
    """The engine's type of a column that is being defined."""
    kind = column.args.get("kind")
    return engine_name(kind) if isinstance(kind, exp.DataType) else TEXT
