"""How PostgreSQL measures texts as they are in UTF-8, in which all engines are compared.

A database of another encoding counts and orders the bytes of its own. Nearly all are in UTF-8, and a condition for
each row costs a tenth of the scan: so texts are measured as they are at first (``QUICK_TEXT``), together with
whether that is right. Where it is not, they are asked about again. There the encoding is asked in a subquery, which
is answered once for a scan.
"""

from __future__ import annotations

UNKNOWN = "-1"  # octets of texts that are to be asked about again
_RIGHT = "getdatabaseencoding() IN ('UTF8', 'SQL_ASCII')"
_AS_IT_IS = f"(SELECT {_RIGHT})"
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
QUICK_TEXT = {
    "octets": f"CASE WHEN {_RIGHT} THEN sum(octet_length({{c}}::text)) ELSE {UNKNOWN} END",
    "min": 'min({c}::text COLLATE "C")',
    "max": 'max({c}::text COLLATE "C")',
}
