"""MySQL's error numbers as SQLSTATEs that say what to do, and the modes every session has."""

from __future__ import annotations

MODE = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
NO_LOCAL = (1148, 3948, 3950, 4166)  # the server forbids LOAD DATA LOCAL
CODES = {
    1045: "28P01", 1044: "42501", 1049: "3D000", 1062: "23505", 1048: "23502", 1364: "23502", 1451: "23503",
    1452: "23503", 1146: "HV00R", 1051: "HV00R", 1050: "42P07", 1054: "42703", 1064: "42601", 1149: "42601",
    1792: "25006", 1290: "25006", 1317: "57014", 1028: "57014", 1969: "57014", 3024: "57014", 1205: "55P03",
    1213: "40P01", 1264: "22003", 1406: "22001", 1366: "HV004", 1292: "HV004", 1265: "HV004", 4025: "23514",
    3819: "23514", 1142: "42501", 1143: "42501", 1060: "42701",
    1053: "HV00N", 1927: "HV00N", 1021: "53100", 1114: "53100",
}  # fmt: skip


def message_of(reason: BaseException) -> str:
    """The server's text, without its number."""
    return str(reason.args[1]) if len(reason.args) > 1 else str(reason)
