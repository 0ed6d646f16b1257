"""How PostgreSQL measures texts as they are in UTF-8, in which all engines are compared.

A database of another encoding counts and orders the bytes of its own. Which it is is asked in a subquery, because that
is answered once for a scan.
"""

from __future__ import annotations

_AS_IT_IS = "(SELECT getdatabaseencoding() IN ('UTF8', 'SQL_ASCII'))"
_BYTES = "convert_to({c}::text, 'UTF8')"


def _end(name: str) -> str:
    there = f"{name}(encode({_BYTES}, 'hex') COLLATE \"C\") FILTER (WHERE NOT {_AS_IT_IS})"
    here = f'{name}({{c}}::text COLLATE "C")'
    return f"CASE WHEN {_AS_IT_IS} THEN {here} ELSE convert_from(decode({there}, 'hex'), 'UTF8') END"


POSTGRES_TEXT = {
    "octets": f"sum(CASE WHEN {_AS_IT_IS} THEN octet_length({{c}}::text) ELSE octet_length({_BYTES}) END)",
    "min": _end("min"),
    "max": _end("max"),
}
