"""What a source is asked for in place of a column: a cast of it, or its text. SQL of the source's dialect."""

from __future__ import annotations

from migration.dialects.base import DialectContract
from migration.dialects.quoting import quote_text
from migration.dialects.type_map import map_canonical
from migration.types import CanonicalType, text


def cast(quoted: str, own: CanonicalType, type_: CanonicalType, item: DialectContract) -> str:
    """``quoted`` (a column whose type is ``own``) as ``type_``; raises at the source where a value is none."""
    whole = text() if type_.kind == "text" else type_  # CAST to varchar(3) cuts; a condition tells instead
    spelled = map_canonical(whole, item).target_type
    if item.name == "clickhouse":  # its CAST wraps numbers that do not fit
        made = f"accurateCast({quoted}, {quote_text(spelled, item)})"
        return _like_its_text(quoted, made, type_.kind) if own.kind == "text" else made
    if item.name == "sqlite" and spelled.upper() not in ("TEXT", "BLOB"):
        return quoted  # its CAST makes 0 of what is no number; the reader takes a value as that type or refuses it
    if item.name == "mysql" and (type_.is_integer or type_.kind == "bool"):
        spelled = "UNSIGNED" if type_.kind.startswith("u") else "SIGNED"
    elif item.name == "mysql" and type_.kind in ("text", "json", "uuid"):
        spelled = "CHAR"  # MariaDB has no CAST to JSON
    return f"CAST({quoted} AS {spelled})"


def _like_its_text(quoted: str, made: str, kind: str) -> str:
    """What ClickHouse makes of a text. It makes NULL of what it cannot read where there may be NULL, and another day of
    2020-99-99; both raise here."""
    wrong = f"{made} IS NULL AND {quoted} IS NOT NULL"
    if kind == "date":
        wrong += f" OR ifNull(toString({made}) != {quoted}, 0)"
    elif kind == "timestamp":
        wrong += f" OR ifNull(NOT startsWith(toString({made}), replaceOne({quoted}, 'T', ' ')), 0)"
    return f"if(throwIf({wrong}, 'a text is no {kind}'), NULL, {made})"


def mysql_text(quoted: str, type_: CanonicalType) -> str:
    """MySQL's dates and times as it writes them, those of no calendar among them; an instant with its zone."""
    return f"CONCAT({quoted}, 'Z')" if type_.kind == "instant" else f"CAST({quoted} AS CHAR)"


def sqlite_text(quoted: str) -> str:
    """Every value as SQLite has it: doubles with all their digits, bytes in hexadecimal."""
    short = f"CAST({quoted} AS TEXT)"
    return (
        f"CASE typeof({quoted}) WHEN 'real' THEN bough_text({quoted}) WHEN 'blob' THEN '\\x' || lower(hex({quoted})) "
        f"ELSE {short} END"
    )
