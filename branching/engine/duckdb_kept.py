"""Plans that DuckDB keeps for statements which come again with other values.

To parse, bind and plan an INSERT of one row takes DuckDB as long as to run it. ``PREPARE`` keeps the plan, ``EXECUTE``
takes the values. Rules:

1. EXECUTE knows its parameters by type: a value of another type has the statement planned anew. So each is written as
   what it becomes, and a value that cannot be written so exactly is not executed this way.
2. A plan that the catalog has overtaken is made anew by DuckDB itself. A table with a default that reads a variable has
   its INSERTs planned anew each time; the tables of main have none.
3. What EXECUTE refuses before anything runs is run the usual way, so errors are the same on both.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from branching.engine.base import Cursor, EngineError, Parameters
from branching.names import literal

_MOST = 16  # plans that a cursor keeps
_LONGEST = 1000  # characters of a value: longer ones are quicker as parameters
_BITS = {"SMALLINT": 15, "INT": 31, "INTEGER": 31, "BIGINT": 63}
_DECIMAL = re.compile(r"DECIMAL\(\d+,\s*\d+\)")
_REFUSALS = frozenset(
    {
        "BinderException",
        "CatalogException",
        "ConversionException",
        "InvalidInputException",
        "OutOfRangeException",
    }
)


class KeptPlans:
    """The plans of one cursor: of what came twice, the least recently used goes first."""

    def __init__(self) -> None:
        self._once: dict[str, None] = {}  # what has come once
        self._names: dict[str, str] = {}  # of plans, by statement
        self._made = 0

    def call(self, cursor: Cursor, sql: str, parameters: Parameters, types: Sequence[str]) -> str | None:
        """The EXECUTE that says the same; None for a statement that has not come before, or cannot be said so."""
        values = [written(value, type_) for value, type_ in zip(parameters, types, strict=True)]
        said = [value for value in values if value is not None]
        if len(said) < len(values):
            return None
        name = self._names.pop(sql, None)
        if name is None:
            if sql not in self._once:
                self._once[sql] = None
                if len(self._once) > _MOST:
                    del self._once[next(iter(self._once))]
                return None
            del self._once[sql]
            self._made += 1
            name = f"_bough_plan_{self._made}"
            cursor.execute(f"PREPARE {name} AS {sql}")
        self._names[sql] = name  # the last one used
        if len(self._names) > _MOST:
            cursor.execute(f"DEALLOCATE {self._names.pop(next(iter(self._names)))}")
        return f"EXECUTE {name}({', '.join(said)})"


class DuckDBAgain(Cursor):
    """``execute_again`` of a cursor, in DuckDB's words."""

    _kept: KeptPlans | None = None

    def execute_again(self, sql: str, parameters: Parameters, types: Sequence[str]) -> int | None:
        if self.log is None and parameters and len(types) == len(parameters):
            self._kept = self._kept or KeptPlans()
            try:
                if (call := self._kept.call(self, sql, parameters, types)) is not None:
                    return self.execute(call)
            except EngineError as error:
                if error.exception not in _REFUSALS:
                    raise
        return self.execute(sql, parameters)


def written(value: Any, type_: str) -> str | None:
    """A value as a constant of this very type; None where that is not certain."""
    if value is None:
        return f"CAST(NULL AS {type_})"
    if type_ in _BITS:
        if type(value) is not int or not -(1 << _BITS[type_]) <= value < 1 << _BITS[type_]:
            return None
        return f"CAST({value} AS {type_})"
    if type_ in ("TEXT", "VARCHAR"):
        usable = type(value) is str and len(value) < _LONGEST and "\0" not in value
        return literal(value) if usable else None
    if type_ == "BOOLEAN":
        return str(value).lower() if type(value) is bool else None
    text: str | None = None
    if type_ == "DOUBLE" and type(value) is float and math.isfinite(value):
        text = repr(value)
    elif _DECIMAL.fullmatch(type_) and type(value) is Decimal and value.is_finite():
        text = format(value, "f")
    elif type_ == "DATE" and type(value) is date:
        text = value.isoformat()
    elif type_ == "TIMESTAMP" and type(value) is datetime and value.tzinfo is None:
        text = value.isoformat(" ")
    return None if text is None else f"CAST({literal(text)} AS {type_})"
