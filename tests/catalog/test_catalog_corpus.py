"""What clients ask, answered as PostgreSQL 15 answered it (``answers/`` was recorded from one)."""

from __future__ import annotations

import json

import pytest
import reference
from effort import seeds

from proxy.catalog import SystemCatalog

# (queries that must run, queries whose rows and column names must equal Postgres') of each corpus file.
FLOORS = {
    "drivers": (34, 33),
    "information_schema": (37, 37),
    "pgjdbc": (18, 17),
    "psql15": (135, 129),
    "sqlalchemy": (31, 31),
    "tools": (46, 44),
}


FILES = sorted((path.stem for path in reference.CORPUS.glob("*.sql")), key=lambda stem: stem != "psql15")


@pytest.mark.parametrize("file", seeds(FILES))
def test_corpus_runs_and_equals_postgres(file: str) -> None:
    engine = reference.Engine()
    system, objects = SystemCatalog(engine), reference.catalog()
    oids = reference.own_oids(engine, system, objects)
    answers = json.loads((reference.ANSWERS / f"{file}.json").read_text(encoding="utf-8"))
    failed, different = [], []
    for _, title, text in (item for item in reference.corpus() if item[0] == file and item[1] in answers):
        try:
            names, rows = reference.ask(engine, system, reference.with_oids(text, oids), objects)
        except Exception as error:
            failed.append(f"{title}: {error}")
            continue
        shown = [[reference.shown(cell) for cell in row] for row in rows]
        got = reference.normal(shown, reference.is_ordered(text))
        if got != answers[title]["rows"] or names != answers[title]["columns"]:
            different.append(title)
    runs = len(answers) - len(failed)
    equal = runs - len(different)
    wanted_runs, wanted_equal = FLOORS[file]
    assert runs >= wanted_runs, "\n".join(failed)
    assert equal >= wanted_equal, f"{equal} equal; different: {different}"
