"""Functions in FROM and arrays in comparisons: series, ``unnest``, ``= ANY('{1,2}')``.

``generate_series`` in a SELECT list gives rows in Postgres and a list in DuckDB: ``unnest`` makes it rows.
In FROM, ``AS g`` names the column as well.
"""

from __future__ import annotations

from sqlglot import exp

from branching.errors import BoughError
from proxy.sql.array_text import parse_array
from proxy.sql.macros import call, function
from proxy.sql.session_functions import SESSION_FUNCTIONS

# what gives a row for each member of an object, with the macro that lists the values
_MEMBERS = {
    "json_each": "json_members", "jsonb_each": "json_members",
    "json_each_text": "json_members_text", "jsonb_each_text": "json_members_text",
}  # fmt: skip
_RECORDS = ("json_to_record", "jsonb_to_record", "json_to_recordset", "jsonb_to_recordset")
_COMPARISONS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)

_VALUES = frozenset({*SESSION_FUNCTIONS, "now"}) - {"pg_show_all_settings"}


def relations(tree: exp.Expr) -> exp.Expr:
    """
    >>> import sqlglot
    >>> relations(sqlglot.parse_one("SELECT generate_series(1, 3)", read="postgres")).sql("duckdb")
    'SELECT UNNEST(CAST(GENERATE_SERIES(1, 3) AS INT[]))'
    """
    for series in reversed(list(tree.find_all(exp.ExplodingGenerateSeries))):
        if not isinstance(series.parent, exp.Table):
            arguments = [series.args[key].copy() for key in ("start", "end", "step") if series.args.get(key)]
            listed: exp.Expr = exp.Anonymous(this="generate_series", expressions=arguments)
            if _is_integer(series):
                listed = exp.cast(listed, "INTEGER[]", dialect="duckdb")
            series.replace(exp.Anonymous(this="unnest", expressions=[listed]))
    for table in reversed(list(tree.find_all(exp.Table, exp.Lateral))):
        if isinstance(table.this, exp.Explode):
            _exploded_table(table)
        elif isinstance(table.this, exp.Anonymous) and table.this.name.lower() in _MEMBERS:
            _members_table(table)
        elif isinstance(table.this, exp.Anonymous) and table.this.name.lower() in _RECORDS:
            _record_table(table)
        elif isinstance(table.this, exp.Anonymous) and table.this.name.lower() in _VALUES:
            _value_table(table)
        elif isinstance(table, exp.Table):
            _integer_table(table)
    for unnest in list(tree.find_all(exp.Unnest)):
        if len(unnest.expressions) > 1 and isinstance(unnest.parent, (exp.From, exp.Join)):
            _in_step(unnest)
    for node in reversed(list(tree.find_all(exp.Any, exp.Anonymous))):
        if isinstance(node, exp.Anonymous) and node.name.lower() != "all":
            continue
        inner = node.expressions[0] if isinstance(node, exp.Anonymous) else node.this
        literal = inner.this if isinstance(inner, exp.Paren) else inner
        if isinstance(literal, exp.Literal) and literal.is_string:
            _compared_with(node, parse_array(literal.name), literal)
        elif _may_be_null(literal) and isinstance(node.parent, _COMPARISONS):
            _null_with(node.parent, literal, is_any=isinstance(node, exp.Any))
    return tree


def _in_step(unnest: exp.Unnest) -> None:
    """``FROM unnest(a, b)``: the engine walks in step only those of a select list."""
    arrays = unnest.expressions
    alias = unnest.args.get("alias") or exp.TableAlias(this=exp.to_identifier("unnest"))
    items = [exp.Anonymous(this="unnest", expressions=[array.copy()]) for array in arrays]
    names = ["unnest", *(f"unnest_{place}" for place in range(1, len(items)))]
    ordinal = unnest.args.get("offset")
    if ordinal:
        lengths = [
            exp.func("coalesce", function("len", array.copy()), exp.Literal.number(0)) for array in arrays
        ]
        numbers = function("generate_series", exp.Literal.number(1), function("greatest", *lengths))
        items.append(exp.Anonymous(this="unnest", expressions=[numbers]))
        names.append(ordinal.name if isinstance(ordinal, exp.Expr) else "ordinality")
    given = [column.name for column in alias.columns]
    query = exp.select(
        *(
            exp.alias_(item, name, quoted=True)
            for item, name in zip(items, [*given, *names[len(given) :]], strict=False)
        )
    )
    unnest.replace(exp.Subquery(this=query, alias=exp.TableAlias(this=alias.this.copy())))


def _may_be_null(array: exp.Expr) -> bool:
    while isinstance(array, exp.Cast):
        array = array.this
    return not isinstance(array, (exp.Array, exp.Query, exp.Literal))


def _null_with(comparison: exp.Expr, array: exp.Expr, *, is_any: bool) -> None:
    """A comparison with ANY or ALL of NULL is NULL; the engine takes it for no elements. Where rows are chosen, ANY of
    no elements chooses none either."""
    node = comparison
    while isinstance(node.parent, (exp.And, exp.Or, exp.Paren)):
        node = node.parent
    chooses = isinstance(node.parent, (exp.Where, exp.Having)) or (
        isinstance(node.parent, (exp.Join, exp.If)) and node.arg_key in ("on", "this")
    )
    there = exp.Not(this=exp.Is(this=array.copy(), expression=exp.Null()))
    if not chooses:
        comparison.replace(exp.Case(ifs=[exp.If(this=there, true=comparison.copy())]))
    elif not is_any:
        comparison.replace(exp.Paren(this=exp.And(this=there, expression=comparison.copy())))


def _compared_with(node: exp.Expr, array: exp.Array, literal: exp.Expr) -> None:
    """``x = ANY('{1,2}')`` as ``x IN ('1', '2')``: each element then takes the type of ``x``."""
    comparison = node.parent
    equal = isinstance(node, exp.Any) and isinstance(comparison, exp.EQ)
    unequal = isinstance(node, exp.Anonymous) and isinstance(comparison, exp.NEQ)
    if not array.expressions or not (equal or unequal) or comparison is None:
        literal.replace(array)
        return
    listed: exp.Expr = exp.In(this=comparison.this.copy(), expressions=array.expressions)
    comparison.replace(exp.Not(this=listed) if unequal else listed)


def _exploded_table(table: exp.Expr) -> None:
    """``FROM json_array_elements(x) AS e(v)`` after ``functions`` made it ``unnest``."""
    listed = table.this.this
    name = table.this.meta.get("called") or _named_after(listed)
    values = [exp.alias_(table.this.copy(), name, quoted=True)]
    alias = table.args.get("alias")
    alias = alias.copy() if alias is not None else exp.TableAlias(this=exp.to_identifier(name, quoted=True))
    columns = list(alias.args.get("columns") or [])
    if not columns:
        by_alias = name != "value" or _is_read_as_column(table, alias.this)
        columns = [alias.this.copy() if by_alias else exp.to_identifier(name, quoted=True)]
    if table.args.get("ordinality"):
        numbers = function("generate_subscripts", listed.copy(), exp.Literal.number(1))
        values.append(exp.alias_(numbers, "ordinality", quoted=True))
        columns += [exp.to_identifier("ordinality", quoted=True)] if len(columns) == 1 else []
    alias.set("columns", columns)
    _put(table, values, alias)


def _members_table(table: exp.Expr) -> None:
    """``FROM json_each(x)``: a row for each member of an object."""
    argument = table.this.expressions[0]
    alias = table.args.get("alias")
    alias = (
        alias.copy() if alias is not None else exp.TableAlias(this=exp.to_identifier(table.this.name.lower()))
    )
    named = list(alias.args.get("columns") or [])
    alias.set("columns", named + [exp.to_identifier(name) for name in ("key", "value")][len(named) :])
    lists = {"key": "json_object_keys", "value": _MEMBERS[table.this.name.lower()]}
    values = [
        exp.alias_(exp.Explode(this=call(listed, argument.copy())), name, quoted=True)
        for name, listed in lists.items()
    ]
    _put(table, values, alias)


def _value_table(table: exp.Expr) -> None:
    """``FROM current_schema()``: a row of the function's value."""
    name = table.this.name.lower()
    alias = table.args.get("alias")
    alias = alias.copy() if alias is not None else exp.TableAlias(this=exp.to_identifier(name))
    column = alias.columns[0].name if alias.columns else alias.name
    _put(table, [exp.alias_(table.this.copy(), column, quoted=True)], alias)


def _record_table(table: exp.Expr) -> None:
    """``FROM json_to_record(x) AS r(a int, b text)``: an object's members in their types; of a set, of each object."""
    alias = table.args.get("alias")
    columns = alias.args.get("columns") or [] if alias is not None else []
    if alias is None or not columns or not all(isinstance(column, exp.ColumnDef) for column in columns):
        raise BoughError(
            "42601",
            'a column definition list is required for functions returning "record"',
            hint=f"{table.this.name.lower()}(…) AS r(a int, b text)",
        )
    argument = table.this.expressions[0]
    is_set = table.this.name.lower().endswith("set")
    whole = exp.column("value", quoted=True) if is_set else argument
    alias = alias.copy()
    alias.set("columns", [column.this.copy() for column in columns])
    values = [exp.alias_(_member(whole, column), column.name, quoted=True) for column in columns]
    source = None
    if is_set:
        elements = exp.alias_(exp.Explode(this=call("json_elements", argument.copy())), "value", quoted=True)
        source = exp.From(
            this=exp.Subquery(
                this=exp.Select(expressions=[elements]), alias=exp.TableAlias(this=exp.to_identifier("e"))
            )
        )
    _put(table, values, alias, source)


def _member(whole: exp.Expr, column: exp.ColumnDef) -> exp.Expr:
    kind = column.args["kind"]
    name = exp.Literal.string(column.name)
    is_json = kind.this in (exp.DType.JSON, exp.DType.JSONB)
    if is_json or kind.this in (exp.DType.ARRAY, exp.DType.LIST):
        found = call("json_key", whole.copy(), name)
        return found if is_json else exp.Cast(this=found, to=kind.copy())
    return exp.Cast(this=call("json_key_text", whole.copy(), name), to=kind.copy())


def _put(table: exp.Expr, values: list[exp.Expr], alias: exp.Expr, source: exp.From | None = None) -> None:
    subquery = exp.Subquery(this=exp.Select(expressions=values))
    if source is not None:
        subquery.this.set("from_", source)
    if isinstance(table, exp.Lateral) or isinstance(table.parent, exp.Join):
        table.replace(exp.Lateral(this=subquery, alias=alias))
    else:
        subquery.set("alias", alias)
        table.replace(subquery)


def _named_after(listed: exp.Expr) -> str:
    """What Postgres calls the column: the elements of json have a name, other functions give their own."""
    called = listed.expression if isinstance(listed, exp.Dot) else listed
    if called.name.startswith("json_elements"):
        return "value"
    if called.name == "json_object_keys":
        return called.name
    return called.name.replace("_to_array_null", "_to_array").replace("_to_array", "_to_table")


def _is_integer(series: exp.Expr) -> bool:
    """Whether a series has integers for Postgres; the engine makes bigint of them, and cannot add that to a date."""
    bounds = [series.args[key] for key in ("start", "end", "step") if series.args.get(key)]
    numbers = [bound.this if isinstance(bound, exp.Neg) else bound for bound in bounds]
    return all(
        isinstance(number, exp.Literal) and number.is_int and abs(int(number.name)) < 2**31
        for number in numbers
    )


def _integer_table(table: exp.Table) -> None:
    series = table.this
    if (
        not isinstance(series, exp.ExplodingGenerateSeries)
        or table.args.get("ordinality")
        or not _is_integer(series)
    ):
        return
    own = exp.to_identifier("generate_series", quoted=True)
    value = exp.cast(exp.Column(this=own.copy()), "INTEGER", dialect="duckdb")
    alias = table.args["alias"].copy() if table.args.get("alias") else exp.TableAlias(this=own)
    if not alias.args.get("columns"):
        alias.set("columns", [alias.this.copy()])
    select = exp.Select(expressions=[exp.alias_(value, "generate_series", quoted=True)])
    select.set("from_", exp.From(this=exp.Table(this=series.copy())))
    table.replace(exp.Subquery(this=select, alias=alias))


def _is_read_as_column(table: exp.Expr, alias: exp.Expr) -> bool:
    """``FROM json_array_elements(x) AS e`` with ``e ->> 'a'``: the alias stands for the element."""
    select = table.find_ancestor(exp.Query, exp.Update, exp.Delete)
    if select is None:
        return False
    columns = [(column.table.lower(), column.name.lower()) for column in select.find_all(exp.Column)]
    name = alias.name.lower()
    return ("", name) in columns and not {("", "value"), (name, "value")}.intersection(columns)
