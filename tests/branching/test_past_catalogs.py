"""Catalogs of long ago: what a log says, however often and in whatever order it is asked."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import sqlglot

import branching
from branching import branches
from branching.ddl import model as d
from branching.gc import collect as gc
from branching.lines import TRUNK, CatalogRef
from branching.manifest import Change
from branching.model import Catalog, Macro, Schema, Table
from branching.past.catalogs import PastCatalogs, replayed

pytestmark = pytest.mark.sampled


def one(number: int, random_: random.Random) -> Change:
    name = f"o{random_.randint(0, 5)}"
    item = random_.choice(
        [
            Schema(number, name),
            Macro(number, "public", name, (), "1"),
            Table(number, "public", name, ()),
        ]
    )
    return Change(item, random_.random() < 0.4)


@pytest.mark.parametrize("seed", range(20))
def test_a_replay_says_what_change_by_change_says(seed: int) -> None:
    random_ = random.Random(seed)
    past, log, below = PastCatalogs(), [], Catalog()
    states = [below]
    for number in range(1, 40):
        log.append((number, one(number, random_)))
        states.append(log[-1][1].apply(states[-1]))
    assert replayed(below, (change for _, change in log)) == states[-1]
    for _ in range(200):
        seq = random_.randint(0, 39)
        assert past.at(below, 7, seq, log) == states[seq]


def test_what_a_line_stands_on_is_asked_each_time() -> None:
    past, log = PastCatalogs(), [(1, Change(Table(1, "public", "t", ())))]
    other = Catalog().with_object(Schema(9, "s"))
    assert "s" not in past.at(Catalog(), 7, 1, log).schemas
    assert "s" in past.at(other, 7, 1, log).schemas


def test_a_pass_asks_each_catalog_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many branches refer to it, and however many tables might go: else a pass takes hours, holding locks."""
    database = branching.open(tmp_path / "d.duckdb")
    connection = database.connect()
    for number in range(20):
        connection.execute(sqlglot.parse_one(f"CREATE TABLE t{number} (x INTEGER)", dialect="duckdb"))
        branches.create(database, f"b{number}", "main", role="me")
        branch = database.connect(f"b{number}")
        branch.execute(sqlglot.parse_one(f"INSERT INTO t{number} VALUES (1)", dialect="duckdb"))
        branch.execute(d.AlterTable(d.Name(f"t{number}"), (d.RenameColumn("x", "y"),)))
        branch.close()
    replays = []
    whole = PastCatalogs.at

    def counted(
        self: PastCatalogs, below: Catalog, line: int, seq: int, log: list[tuple[int, Change]]
    ) -> Catalog:
        replays.append((line, seq))
        return whole(self, below, line, seq, log)

    monkeypatch.setattr(PastCatalogs, "at", counted)
    gc.collect(database)
    steps, forks = 8, 20
    assert len(replays) <= steps * 2 * forks
    assert database.catalog_at(CatalogRef(TRUNK, 1)).find("public", "t0") is not None
    connection.close()
    database.close()
