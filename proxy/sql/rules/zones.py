"""AT TIME ZONE with what the engine would take for another zone: an abbreviation, an offset, an interval."""

from __future__ import annotations

from sqlglot import exp

from branching.errors import BoughError
from proxy.sql.macros import call, function
from proxy.zones import minutes_of, zone_name


def at_time_zone(node: exp.Expr) -> exp.Expr | None:
    """``x AT TIME ZONE zone`` where the engine would take the zone for another."""
    return _there(node.args["zone"], node.this)


def timezone(arguments: list[exp.Expr]) -> exp.Expr:
    """The same as a call, the zone first."""
    found = _there(*arguments) if len(arguments) == 2 else None
    return found or function("timezone", *arguments)


def _there(zone: exp.Expr, moment: exp.Expr) -> exp.Expr | None:
    if isinstance(zone, exp.Interval) or (isinstance(zone, exp.Cast) and zone.to.this == exp.DType.INTERVAL):
        return call("at_offset", zone.copy(), moment.copy())
    if not isinstance(zone, exp.Literal) or not zone.is_string or (minutes := minutes_of(zone.name)) is None:
        return None
    if abs(minutes) > 167 * 60:
        raise BoughError("22023", f'time zone "{zone.name}" not recognized')
    if (name := zone_name(minutes)) is not None:
        return function("timezone", exp.Literal.string(name), moment.copy())
    return call("at_offset", function("to_minutes", exp.Literal.number(minutes)), moment.copy())
