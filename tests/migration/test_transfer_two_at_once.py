"""A transfer that publishes just now is let alone by whoever comes: its staging table is in use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.transfer import publication
from migration.transfer.journal import Journal
from migration.transfer.undertaking import resume, undertake
from migration.transfer_model import TransferRequest


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[tuple[Connector, Connector]]:
    for name in ("source", "target"):
        with duckdb.connect(str(tmp_path / name)) as made:
            made.execute("CREATE TABLE t (id BIGINT)")
            made.execute("INSERT INTO t SELECT n FROM range(10) AS r(n)") if name == "source" else None
    options = [{"path": str(tmp_path / name), "role": "read_write"} for name in ("source", "target")]
    with (
        closing(connect(datasource("source", "duckdb", options[0]))) as source,
        closing(connect(datasource("target", "duckdb", options[1]))) as target,
    ):
        yield source, target


@pytest.mark.parametrize("how", ["again", "resume"])
def test_who_publishes_is_let_alone(
    ends: tuple[Connector, Connector], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = ends
    journal = Journal()
    request = TransferRequest(
        Source(path=("main", "t")),
        ("main", "t"),
        mode="incremental",
        cursor="id",
        source_name="a",
        target_name="b",
    )
    publish = publication.publish
    refusals: list[MigrationError] = []

    def meanwhile(*given: Any) -> Any:
        monkeypatch.setattr(publication, "publish", publish)
        with pytest.raises(MigrationError) as refusal:
            if how == "again":
                undertake(request, source, target, journal=journal)
            else:
                resume(journal, 1, source, target)
        refusals.append(refusal.value)
        return publish(*given)

    monkeypatch.setattr(publication, "publish", meanwhile)
    undertake(request, source, target, journal=journal)
    assert [(each.sqlstate, "publish" in each.message) for each in refusals] == [
        ("40001" if how == "again" else "55000", True)
    ]
    with target.reader() as reader:
        assert reader.rows("SELECT count(*), max(id) FROM t") == [(10, 9)]
    source.execute("INSERT INTO t VALUES (10)")
    assert undertake(request, source, target, journal=journal).rows_transferred == 1
