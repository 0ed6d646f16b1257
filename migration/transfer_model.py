"""What is asked of a transfer and what it answers: frozen values, no engine in them.

A request is plain data and survives a restart: the journal stores it as JSON (``to_json``), a resume reads it
back. Options are the names of ``WITH (…)``; those that take columns hold a comma-separated list:

``cast 'amount AS numeric(20,4), at AS date'`` · ``skip 'blob'`` · ``as_text 'ip, range'`` ·
``allow_lossy 'at'`` · ``verify 'L0'…'L4'`` · ``batch_size n`` (rows) · ``batch_bytes n`` ·
``ranges n`` (rows in one committed piece, 0 = all at once) · ``recreate true`` (take the source's shape even
if the target exists) · ``tolerance x`` (relative, for sums of floats) · of a whole schema ``skip_tables 't'``,
``skip_views 'v'`` and ``views_as_tables 'v'`` (names of views, or ``*``), and columns as ``table.column``
(``schema.options``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from migration.connectors.base import BATCH_BYTES, BATCH_ROWS, Path, Source
from migration.dialects.quoting import spelled
from migration.errors import MigrationError
from migration.query_text import normalised

TransferMode = Literal["replace", "append", "upsert", "create", "incremental"]
Level = Literal["L0", "L1", "L2", "L3", "L4"]
MODES: tuple[TransferMode, ...] = get_args(TransferMode)
LEVELS: tuple[Level, ...] = get_args(Level)
RANGE_ROWS = 2_000_000
_PART = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')
_PATH = re.compile(rf"(?:{_PART.pattern})(?:\.(?:{_PART.pattern}))*")
_CAST = re.compile(r"(.+?)\s+as\s+(.+)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class TransferOptions:
    """How to treat columns that would lose something, how hard to check, how large the pieces are."""

    casts: Mapping[str, str] = field(default_factory=dict)
    skip: tuple[str, ...] = ()
    as_text: tuple[str, ...] = ()
    allow_lossy: tuple[str, ...] = ()
    verify: Level = "L2"
    batch_rows: int = BATCH_ROWS
    batch_bytes: int = BATCH_BYTES
    range_rows: int = RANGE_ROWS
    recreate: bool = False
    tolerance: float = 1e-9
    skip_views: tuple[str, ...] = ()
    views_as_tables: tuple[str, ...] = ()
    skip_tables: tuple[str, ...] = ()

    @classmethod
    def from_pairs(cls, pairs: Sequence[tuple[str, str]]) -> TransferOptions:
        """Options as ``WITH (name 'value', …)`` gives them; 22023 for what is no option."""
        values: dict[str, Any] = {}
        for name, value in pairs:
            reader = _OPTIONS.get(name.lower())
            if reader is None:
                raise MigrationError(
                    "22023",
                    f'unrecognized TRANSFER option "{name}"',
                    hint=f"The options are {', '.join(_OPTIONS)}.",
                )
            attribute, convert = reader
            try:
                values[attribute] = convert(value)
            except ValueError as error:
                raise MigrationError(
                    "22023", f'bad value for TRANSFER option "{name}": {value!r}', detail=str(error)
                ) from error
        return cls(**values)


def split_columns(text: str) -> tuple[str, ...]:
    """A comma-separated list; names that hold a comma or blanks at the ends are double-quoted."""
    parts = _split_top(text)
    return tuple(_unquoted(part) for part in parts if part)


def _casts(text: str) -> dict[str, str]:
    found = {}
    for part in _split_top(text):
        match = _CAST.fullmatch(part)
        if match is None:
            raise ValueError(f"{part!r} is not of the form column AS type")
        found[_unquoted(match.group(1))] = match.group(2).strip()
    return found


def _split_top(text: str) -> list[str]:
    parts, depth, quoted, current = [], 0, False, ""
    for character in text:
        if character == '"':
            quoted = not quoted
        elif not quoted and character in "([<":
            depth += 1
        elif not quoted and character in ")]>":
            depth -= 1
        if character == "," and not quoted and depth == 0:
            parts.append(current.strip())
            current = ""
        else:
            current += character
    return [*parts, current.strip()]


def _unquoted(name: str) -> str:
    """``"a b"`` and ``"a b"."c"`` without their quotes; a name with a mark in the middle is taken as it is."""
    name = name.strip()
    if _PATH.fullmatch(name) is None:
        return name
    parts: list[tuple[str, str]] = _PART.findall(name)
    return ".".join(quoted.replace('""', '"') if quoted else plain for quoted, plain in parts)


def _level(text: str) -> Level:
    level = text.strip().upper()
    level = level if level.startswith("L") else f"L{level}"
    for known in LEVELS:
        if level == known:
            return known
    raise ValueError(f"the levels are {', '.join(LEVELS)}")


def _whole(text: str) -> int:
    if not re.fullmatch(r"\s*-?[0-9]+\s*", text):
        raise ValueError("write a whole number, as 65536")
    return int(text)


def _natural(text: str) -> int:
    number = _whole(text)
    if number <= 0:
        raise ValueError("it must be greater than zero")
    return number


def _count(text: str) -> int:
    number = _whole(text)
    if number < 0:
        raise ValueError("it must not be negative")
    return number


def _share(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError("write a number, as 1e-9") from None
    if not 0 <= number < 1:
        raise ValueError("it must be between 0 and 1")
    return number


def _flag(text: str) -> bool:
    folded = text.strip().lower()
    if folded in ("true", "on", "yes", "1"):
        return True
    if folded in ("false", "off", "no", "0"):
        return False
    raise ValueError("write true or false")


_OPTIONS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "cast": ("casts", _casts),
    "skip": ("skip", split_columns),
    "as_text": ("as_text", split_columns),
    "allow_lossy": ("allow_lossy", split_columns),
    "verify": ("verify", _level),
    "batch_size": ("batch_rows", _natural),
    "batch_bytes": ("batch_bytes", _natural),
    "ranges": ("range_rows", _count),
    "recreate": ("recreate", _flag),
    "tolerance": ("tolerance", _share),
    "skip_views": ("skip_views", split_columns),
    "views_as_tables": ("views_as_tables", split_columns),
    "skip_tables": ("skip_tables", split_columns),
}


@dataclass(frozen=True, slots=True)
class TransferRequest:
    """One table or query into one table. ``key`` and ``cursor`` are column names of the result."""

    source: Source
    target: Path
    mode: TransferMode = "replace"
    key: tuple[str, ...] = ()
    cursor: str | None = None
    options: TransferOptions = TransferOptions()
    source_name: str = ""
    target_name: str = ""
    branch: str | None = None  # of the target, where that is a branch
    role: str = ""
    source_branch: str | None = None
    foreign_keys: bool = False  # a whole schema moves: its references stay inside it
    circle: tuple[str, ...] = ()  # tables of it that this one refers to and that refer to it

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise MigrationError(
                "22023", f'no transfer mode "{self.mode}"', hint=f"The modes are {', '.join(MODES)}."
            )
        if not self.target or not all(self.target):
            raise MigrationError("42602", "the target table has no name")
        if self.mode == "upsert" and not self.key:
            raise MigrationError(
                "22023", "MODE upsert needs a key", hint="Add KEY (columns): the columns that identify a row."
            )
        if self.mode == "incremental" and not self.cursor:
            raise MigrationError(
                "22023",
                "MODE incremental needs a cursor",
                hint="Add CURSOR column: one that only grows, such as updated_at or id.",
            )
        if self.cursor and self.mode != "incremental":  # replace would leave only what is new in the target
            raise MigrationError(
                "22023",
                f"MODE {self.mode} takes no cursor",
                detail="CURSOR leaves out rows that an earlier transfer has moved.",
                hint=f"MODE incremental CURSOR {spelled(self.cursor)}, or leave CURSOR out.",
            )

    def to_json(self) -> dict[str, Any]:
        """Plain values for the journal."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TransferRequest:
        """The request a journal holds."""
        options = dict(value["options"])
        for name in ("skip", "as_text", "allow_lossy", "skip_views", "views_as_tables", "skip_tables"):
            options[name] = tuple(options.get(name, ()))
        plain = {name: item for name, item in value.items() if name in _PLAIN}
        for name in ("target", "key", "circle"):
            plain[name] = tuple(plain.get(name, ()))
        source = Source(tuple(value["source"]["path"]), value["source"]["query"])
        return cls(source=source, options=TransferOptions(**options), **plain)

    @property
    def source_label(self) -> str:
        """How the source is called in the journal: ``pg.public.users`` or ``pg: SELECT …``."""
        if self.source.path:
            return ".".join((self.source_name, *self.source.path)).strip(".")
        return f"{self.source_name}: {self.source.query}"

    @property
    def watermark_key(self) -> tuple[str, str, str] | None:
        """What an incremental transfer's watermark belongs to: source, target, cursor; a query however it is formatted.
        A branch as a source is part of it; one as a target is not, because its own rows say how far they are
        (``watermarks``)."""
        return self._watermark_of(normalised(self.source.query))

    @property
    def earlier_watermark_key(self) -> tuple[str, str, str] | None:
        """The same with the query as it is written, as a journal may still have it."""
        return self._watermark_of(self.source.query)

    def _watermark_of(self, query: str) -> tuple[str, str, str] | None:
        if self.cursor is None:
            return None
        label = self.source_label if self.source.path else f"{self.source_name}: {query}"
        source = label + (f"@{self.source_branch}" if self.source_branch else "")
        return source, self.target_label, self.cursor

    @property
    def target_label(self) -> str:
        """The target's dotted name."""
        return ".".join((self.target_name, *self.target)).strip(".")


_PLAIN = frozenset(TransferRequest.__dataclass_fields__) - {"source", "options"}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a transfer is. ``rows_total`` is None where nobody counted."""

    transfer_id: int
    phase: str
    rows_done: int
    rows_total: int | None
    bytes: int
    seconds: float

    @property
    def percent(self) -> float | None:
        """0 to 100, None if unknown."""
        return 100 * self.rows_done / self.rows_total if self.rows_total else None


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One comparison. ``column`` is '' for the table. Values are text, None where a side has none."""

    check: str
    column: str
    verdict: Literal["pass", "fail", "inconclusive"]
    source: str | None = None
    target: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class TransferResult:
    """The answer to TRANSFER: Datus' keys, then ours, in the order of the columns."""

    rows_transferred: int
    source_row_count: int
    source_row_count_verified: bool
    transferred_row_count: int
    target_table: str
    target_datasource: str
    source_datasource: str
    mode: str
    target_table_created: bool
    target_table_create_sql: str
    transfer_id: int
    bytes: int
    seconds: float
    method: str
    verdict: str
    checks: tuple[CheckResult, ...]
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The sixteen columns of TRANSFER; ``checks`` as a list of plain objects, notes among them."""
        values = asdict(self)
        notes = values.pop("notes")
        values["checks"] = [dict(check) for check in values["checks"]]
        values["checks"] += [{"check": "note", "column": "", "verdict": "pass", "detail": n} for n in notes]
        return values


def is_cancelled(error: BaseException) -> bool:
    """Whether somebody wanted it to stop."""
    return isinstance(error, MigrationError) and error.sqlstate == "57014"


def cancelled_error(what: str = "the transfer") -> MigrationError:
    """57014, as a cancelled statement."""
    return MigrationError(
        "57014", f"{what} was cancelled", detail="The target is as it was; the staging table is gone."
    )
