"""Numbers written as text: what is none of its type to Postgres is refused, where the engine makes one of it."""

from __future__ import annotations

import math
import re

import numpy as np

from branching.errors import BoughError

# one that is not digits alone
NUMBER = r"\s*+[-+]?\d*[.exX_][-+\w.]*+\s*"
IS_NUMBER = re.compile(NUMBER, re.IGNORECASE)
NUMBERS = {
    "SMALLINT": "smallint", "INTEGER": "integer", "BIGINT": "bigint", "FLOAT": "real", "DOUBLE": "double precision",
}  # fmt: skip


def check_number(text: str, type_: str) -> None:
    """``text`` where a value of Postgres' ``type_`` is due."""
    if type_ not in ("real", "double precision"):
        if IS_NUMBER.fullmatch(text):
            raise BoughError("22P02", f'invalid input syntax for type {type_}: "{text}"')
        return
    # a number too large or too small for its type would be infinite, or nothing
    try:
        number = float(text)
    except ValueError:
        return  # the engine says so
    if type_ == "real" and math.isfinite(number) and number:
        with np.errstate(all="ignore"):
            number = float(np.float32(number))
    folded = text.lower()
    lost = not number and re.search(r"[1-9]", folded.partition("e")[0]) is not None
    if lost or (math.isinf(number) and "inf" not in folded):
        raise BoughError("22003", f'"{text}" is out of range for type {type_}')
