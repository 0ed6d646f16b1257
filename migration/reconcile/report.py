"""What a comparison can be asked for and what it answers: the names of its checks, and the report.

Rules:

1. The verdict is code's: ``fail`` if a check failed, else ``inconclusive`` if one could not be judged, else ``pass``.
2. ``ALL`` is every check, ``LIGHT`` what one scan of each side tells; a level stands for checks that see as much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from migration.connectors.texts import date_text, moment_text
from migration.errors import MigrationError
from migration.reconcile.rows import Difference
from migration.transfer_model import CheckResult
from migration.types import CanonicalType

LIGHT = ("schema", "count", "nulls", "min_max", "sums", "octets")
MEASURED = ("nulls", "min_max", "sums", "octets")
CHECKS = (*LIGHT, "distinct", "duplicate_keys", "fingerprint", "rows")
_LEVELS = {
    "l0": ("schema",),
    "l1": ("schema", "count"),
    "l2": LIGHT,
    "l3": (*LIGHT, "fingerprint"),
    "l4": (*LIGHT, "duplicate_keys", "rows"),
}
Verdict = Literal["pass", "fail", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Report:
    """The answer: a row for each check, the verdict, and samples of the rows that differ."""

    checks: tuple[CheckResult, ...]
    differences: tuple[Difference, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst of all checks."""
        found = {check.verdict for check in self.checks}
        return "fail" if "fail" in found else "inconclusive" if "inconclusive" in found else "pass"

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not a pass."""
        return tuple(
            f"{check.check}{f' of {check.column}' if check.column else ''}: "
            f"{check.detail or f'{check.source} <> {check.target}'}"
            for check in self.checks
            if check.verdict != "pass"
        )

    def rows(self) -> list[tuple[str, str, str | None, str | None, str, str]]:
        """As RECONCILE shows it: check, column, source, target, status, detail; the verdict last."""
        shown: list[tuple[str, str, str | None, str | None, str, str]] = [
            (check.check, check.column, check.source, check.target, str(check.verdict), check.detail)
            for check in self.checks
        ]
        shown += [
            (
                f"row {item.kind}",
                ", ".join(item.columns),
                item.left or None,
                item.right or None,
                "fail",
                f"key ({item.key})",
            )
            for item in self.differences
        ]
        return [*shown, ("verdict", "", None, None, self.verdict, "; ".join(self.reasons))]


def checks_of(names: Sequence[str]) -> tuple[str, ...]:
    """``all``, ``light``, a level or single checks, as their names in order; 22023 for what is none."""
    chosen: set[str] = set()
    for name in names:
        folded = name.strip().lower()
        if folded in ("", "all"):
            chosen |= set(CHECKS)
        elif folded == "light":
            chosen |= set(LIGHT)
        elif folded in _LEVELS:
            chosen |= set(_LEVELS[folded])
        elif folded in CHECKS:
            chosen.add(folded)
        else:
            raise MigrationError(
                "22023",
                f'no check "{name}"',
                hint=f"The checks are ALL, LIGHT, L0 to L4, {', '.join(CHECKS)}.",
            )
    return tuple(check for check in CHECKS if check in chosen)


def readable(text: str, type_: CanonicalType) -> str:
    """The least or greatest of a column as people write it: measures of moments are nanoseconds, of dates days."""
    if not text.lstrip("-").isdigit() or type_.kind not in ("date", "timestamp", "instant", "time"):
        return text
    if type_.kind == "date":
        return date_text(int(text))
    moment = moment_text(int(text), "ns")
    whole, dot, fraction = moment.partition(".")
    shown = whole + (f".{fraction.rstrip('0')}" if dot and fraction.strip("0") else "")
    return shown.partition(" ")[2] if type_.kind == "time" else shown
