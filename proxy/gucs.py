"""The settings a Postgres client may SET and SHOW: their names, defaults and which values they take.

Rules:

1. A driver that sets a name at connect must find it here; "Accepted" is the help of those without effect.
2. A validator returns the form SHOW gives, or raises ``ValueError`` with the hint to print.
3. Names with a dot, and ``hatidata_…``, are the client's own: any of them can be set and shown. Any other
   unknown name is 42704, a value a setting cannot take is 22023.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from zoneinfo import ZoneInfo, available_timezones

from branching.errors import BoughError
from proxy.units import parse_duration
from proxy.zones import posix_minutes, zone_name

SERVER_VERSION = "15.10"
SERVER_VERSION_NUMBER = "150010"
LONGEST_VALUE = 65536
_CUSTOM = re.compile(r"(?:hatidata_\w+|[^\W\d][\w$]*(?:\.[^\W\d][\w$]*)+)\Z")
_LISTED_NAME = re.compile(r'\s*(?:(?P<quoted>"(?:[^"]|"")+")\s*|(?P<plain>[^\s",][^",]*))(?P<end>,|\Z)')

Validator = Callable[[str], str]


def _refuse(value: str, hint: str | None = None) -> ValueError:
    return ValueError(hint or f'"{value}" is not a value it can take')


def _any(value: str) -> str:
    return value


def _boolean(value: str) -> str:
    folded = value.strip().lower()
    if folded in ("on", "true", "yes", "1", "t", "y", "tr", "tru", "ye"):
        return "on"
    if folded in ("off", "false", "no", "0", "f", "n", "of", "fa", "fal", "fals"):
        return "off"
    raise _refuse(value, "It takes on or off.")


def _one_of(*choices: str) -> Validator:
    def validate(value: str) -> str:
        folded = " ".join(value.lower().split())
        if folded in choices:
            return folded
        raise _refuse(value, f"It takes {', '.join(choices)}.")

    return validate


def _integer(low: int, high: int) -> Validator:
    def validate(value: str) -> str:
        try:
            number = int(value.strip())
        except ValueError:
            raise _refuse(value, "It takes a whole number.") from None
        if not low <= number <= high:
            raise _refuse(value, f"It takes {low} to {high}.")
        return str(number)

    return validate


def _number(low: float, high: float) -> Validator:
    def validate(value: str) -> str:
        try:
            number = float(value)
        except ValueError:
            raise _refuse(value, "It takes a number.") from None
        if not low <= number <= high:
            raise _refuse(value, f"It takes {low:g} to {high:g}.")
        return value.strip()

    return validate


def _milliseconds(value: str) -> str:
    """A duration; a bare number is milliseconds. Shown as Postgres does: 0, 500ms, 30s, 5min, 1h."""
    try:
        milliseconds = round(parse_duration(value, unit="ms").total_seconds() * 1000)
    except ValueError as reason:
        raise _refuse(value, f"{reason}.") from None
    if milliseconds > 2**31 - 1:
        raise _refuse(value, "It takes at most 24 days.")
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000)):
        if milliseconds and milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms" if milliseconds else "0"


def _encoding(value: str) -> str:
    folded = value.strip("'\" ").lower().replace("-", "").replace("_", "")
    if folded in ("utf8", "unicode"):
        return "UTF8"
    raise _refuse(value, "Bough speaks UTF8 only.")


def _date_style(value: str) -> str:
    style, order = "ISO", "MDY"
    for word in value.replace(",", " ").lower().split():
        if word in ("mdy", "us", "noneuro", "noneuropean"):
            order = "MDY"
        elif word in ("dmy", "euro", "european"):
            order = "DMY"
        elif word == "ymd":
            order = "YMD"
        elif word not in ("iso", "default"):
            raise _refuse(value, "Dates are written in the ISO style; the order is MDY, DMY or YMD.")
    return f"{style}, {order}"


def _time_zone(value: str) -> str:
    name = value.strip()
    if name.lower() in ("default", "local"):
        return "UTC"
    if name.lower() in ("utc", "gmt", "z", "zulu"):
        return "UTC" if name.lower() != "gmt" else "GMT"
    try:
        return ZoneInfo(name).key
    except (ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
        raise _refuse(value, "It takes a zone name such as Europe/Berlin or UTC.") from None
    except KeyError:
        # a bare number counts hours eastwards, an offset with minutes or a name is POSIX' and counts westwards
        is_number = re.fullmatch(r"[+-]?\d{1,2}", name) is not None
        minutes = int(name) * 60 if is_number else posix_minutes(name)
        if minutes is not None and (zone := zone_name(minutes)) is not None:
            return zone
        folded = name.lower()
        if (zone := next((key for key in available_timezones() if key.lower() == folded), None)) is not None:
            return zone
        raise _refuse(value, "It takes a zone name such as Europe/Berlin or UTC.") from None


def _text(value: str) -> str:
    """One printable line: what a client calls itself ends up in logs."""
    return "".join(character if character.isprintable() else "?" for character in value)


def branch_list(value: str) -> tuple[str, ...]:
    """The names in ``b1, "b,2"``, each once. ValueError where it is no such list."""
    if not value.strip():
        return ()
    matches = list(_LISTED_NAME.finditer(value))
    if "".join(match[0] for match in matches) != value or not matches[-1]["end"] == "":
        raise _refuse(value, "It takes branch names with commas between them; quote one that has a comma.")
    found = (
        match["quoted"][1:-1].replace('""', '"') if match["quoted"] else match["plain"].strip()
        for match in matches
    )
    return tuple(dict.fromkeys(found))


def _branches(value: str) -> str:
    return ", ".join(
        '"' + name.replace('"', '""') + '"' if "," in name or '"' in name else name
        for name in branch_list(value)
    )


@dataclass(frozen=True, slots=True)
class Guc:
    """One setting as Postgres names it. ``reported`` ones go to the client as ParameterStatus."""

    name: str
    default: str
    validate: Validator
    help: str
    reported: bool = False
    read_only: bool = False
    by_command: bool = False  # changed by SessionSettings.assign alone, after what it stands for was done


def no_serializable() -> BoughError:
    """What a client is told that asks for more than a snapshot gives."""
    return BoughError(
        "0A000",
        "isolation level SERIALIZABLE is not supported",
        detail="Transactions run at REPEATABLE READ (snapshot isolation).",
        hint="Use REPEATABLE READ, and lock what you read by writing it.",
    )


def _isolation(value: str) -> str:
    found = _LEVELS(value)
    if found == "serializable":
        raise no_serializable()
    return found


_LEVELS = _one_of("read uncommitted", "read committed", "repeatable read", "serializable")
GUCS: tuple[Guc, ...] = (
    Guc("application_name", "", _text, "What the client calls itself.", reported=True),
    Guc("backslash_quote", "safe_encoding", _one_of("safe_encoding", "on", "off"), "Accepted."),
    Guc(
        "branch",
        "main",
        _any,
        "The session's branch; BRANCH SWITCH changes it.",
        reported=True,
        by_command=True,
    ),
    Guc("bytea_output", "hex", _one_of("hex", "escape"), "Text form of bytea."),
    Guc("check_function_bodies", "on", _boolean, "Accepted."),
    Guc("client_encoding", "UTF8", _encoding, "Encoding of all text.", reported=True),
    Guc(
        "client_min_messages",
        "notice",
        _one_of(
            "debug5", "debug4", "debug3", "debug2", "debug1", "debug", "log", "notice", "warning", "error"
        ),
        "Least important message sent to the client.",
    ),
    Guc("constraint_exclusion", "partition", _one_of("on", "off", "partition"), "Accepted."),
    Guc("DateStyle", "ISO, MDY", _date_style, "Form of dates; the style is always ISO.", reported=True),
    Guc("default_statistics_target", "100", _integer(1, 10000), "Accepted."),
    Guc("default_table_access_method", "heap", _any, "Accepted."),
    Guc("default_tablespace", "", _any, "Accepted."),
    Guc("default_text_search_config", "pg_catalog.simple", _any, "Accepted."),
    Guc("default_transaction_deferrable", "off", _boolean, "Accepted."),
    Guc("default_transaction_isolation", "repeatable read", _isolation, "Every transaction is a snapshot."),
    Guc(
        "default_transaction_read_only",
        "off",
        _boolean,
        "Whether new transactions are read only.",
        reported=True,
    ),
    *(
        Guc(f"enable_{step}", "on", _boolean, "Accepted.")
        for step in (
            "bitmapscan",
            "hashagg",
            "hashjoin",
            "indexonlyscan",
            "indexscan",
            "material",
            "mergejoin",
        )
    ),
    Guc("enable_nestloop", "on", _boolean, "Accepted."),
    Guc("enable_partition_pruning", "on", _boolean, "Accepted."),
    Guc("enable_seqscan", "on", _boolean, "Accepted."),
    Guc("enable_sort", "on", _boolean, "Accepted."),
    Guc("effective_cache_size", "4GB", _any, "Accepted."),
    Guc("effective_io_concurrency", "1", _integer(0, 1000), "Accepted."),
    Guc("escape_string_warning", "on", _boolean, "Accepted."),
    Guc("extra_float_digits", "1", _integer(-15, 3), "Digits of floats; always the shortest exact form."),
    Guc("geqo", "on", _boolean, "Accepted."),
    Guc(
        "idle_in_transaction_session_timeout",
        "5min",
        _milliseconds,
        "Longest idle time inside a transaction block.",
    ),
    Guc("idle_session_timeout", "0", _milliseconds, "Longest idle time of a session."),
    Guc("in_hot_standby", "off", _boolean, "Always off.", reported=True, read_only=True),
    Guc("integer_datetimes", "on", _boolean, "Always on.", reported=True, read_only=True),
    Guc(
        "IntervalStyle",
        "postgres",
        _one_of("postgres", "iso_8601"),
        "Intervals are in postgres style; iso_8601 is accepted, because Rails sets it at every connect.",
        reported=True,
    ),
    Guc("is_superuser", "on", _boolean, "Whether the role may do everything.", reported=True, read_only=True),
    Guc("jit", "off", _boolean, "Accepted."),
    Guc("lc_collate", "C.UTF-8", _any, "Strings compare by code point.", read_only=True),
    Guc("lc_ctype", "C.UTF-8", _any, "Character classes are Unicode's.", read_only=True),
    Guc("lc_messages", "C.UTF-8", _any, "Accepted."),
    Guc("lc_monetary", "C.UTF-8", _any, "Accepted."),
    Guc("lc_numeric", "C.UTF-8", _any, "Accepted."),
    Guc("lc_time", "C.UTF-8", _any, "Accepted."),
    Guc("lock_timeout", "0", _milliseconds, "Accepted; nothing waits for locks."),
    Guc("maintenance_work_mem", "64MB", _any, "Accepted."),
    Guc("max_identifier_length", "63", _integer(63, 63), "Longest name in bytes.", read_only=True),
    Guc("max_index_keys", "32", _integer(32, 32), "Longest key.", read_only=True),
    Guc("max_parallel_workers_per_gather", "2", _integer(0, 1024), "Accepted."),
    Guc("password_encryption", "scram-sha-256", _one_of("scram-sha-256"), "How passwords are kept."),
    Guc("plan_cache_mode", "auto", _one_of("auto", "force_custom_plan", "force_generic_plan"), "Accepted."),
    Guc("quote_all_identifiers", "off", _boolean, "Accepted."),
    Guc("random_page_cost", "4", _number(0, 1e308), "Accepted."),
    Guc("role", "none", _any, "The role that SET ROLE chose."),
    Guc("row_security", "on", _boolean, "Accepted."),
    Guc("scram_iterations", "4096", _integer(1, 2**31 - 1), "Cost of a password.", read_only=True),
    Guc("search_path", '"$user", public', _any, "Schemas where unqualified names are looked up."),
    Guc("seq_page_cost", "1", _number(0, 1e308), "Accepted."),
    Guc("server_encoding", "UTF8", _encoding, "Encoding of the data.", reported=True, read_only=True),
    Guc("server_version", SERVER_VERSION, _any, "The Postgres version Bough acts as.", True, True),
    Guc("server_version_num", SERVER_VERSION_NUMBER, _any, "The same as a number.", read_only=True),
    Guc("session_authorization", "", _any, "The role that logged in.", reported=True),
    Guc(
        "session_replication_role",
        "origin",
        _one_of("origin", "replica", "local"),
        "Accepted by restore tools.",
    ),
    Guc("shadow_branches", "", _branches, "Branches on which this session's SELECTs are replayed."),
    Guc("shadow_sample_rate", "1", _number(0, 1), "Share of the SELECTs that are replayed."),
    Guc("ssl", "off", _boolean, "Whether the server offers TLS.", read_only=True),
    Guc(
        "standard_conforming_strings",
        "on",
        _one_of("on", "true", "1", "yes"),
        "Backslashes are ordinary characters; always on.",
        reported=True,
    ),
    Guc("statement_timeout", "0", _milliseconds, "Longest time for one statement."),
    Guc("synchronize_seqscans", "on", _boolean, "Accepted."),
    Guc(
        "synchronous_commit", "on", _one_of("on", "off", "local", "remote_write", "remote_apply"), "Accepted."
    ),
    Guc("temp_buffers", "8MB", _any, "Accepted."),
    Guc("TimeZone", "UTC", _time_zone, "Zone of timestamptz in text.", reported=True),
    Guc("transaction_deferrable", "off", _boolean, "Accepted."),
    Guc("transaction_isolation", "repeatable read", _isolation, "Every transaction is a snapshot."),
    Guc("transaction_read_only", "off", _boolean, "Whether this transaction is read only."),
    Guc("transaction_timeout", "0", _milliseconds, "Longest time for one transaction."),
    Guc("wal_level", "replica", _any, "Shown to tools that ask.", read_only=True),
    Guc("work_mem", "4MB", _any, "Accepted."),
    Guc("xmloption", "content", _one_of("content", "document"), "Accepted."),
)
BY_NAME: Mapping[str, Guc] = MappingProxyType({guc.name.lower(): guc for guc in GUCS})
_ALIASES = MappingProxyType({"time zone": "timezone", "names": "client_encoding"})


def find_guc(name: str) -> Guc:
    """The setting called ``name``; a custom one is made up; 42704 where there is none."""
    folded = name.lower()
    guc = BY_NAME.get(_ALIASES.get(folded, folded))
    if guc is not None:
        return guc
    if len(name) <= 128 and _CUSTOM.match(folded):
        return Guc(folded, "", _any, "A setting of the client's own.")
    raise BoughError(
        "42704",
        f'unrecognized configuration parameter "{name}"',
        hint="SHOW ALL lists the settings; a name with a dot, such as app.tenant, is yours to make up.",
    )


def check_value(guc: Guc, value: str) -> str:
    """``value`` in the form SHOW gives it, or 22023."""
    detail = None
    if len(value) > LONGEST_VALUE or "\x00" in value:
        detail = f"A value has at most {LONGEST_VALUE} characters."
    else:
        try:
            return guc.validate(value)
        except ValueError as reason:
            detail = str(reason)
    raise BoughError("22023", f'invalid value for parameter "{guc.name}": "{value[:100]}"', hint=detail)
