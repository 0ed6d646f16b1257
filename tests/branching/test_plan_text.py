"""A plan shown to a person names no storage and keeps its frames."""

from __future__ import annotations

import sqlglot

import branching
from branching import branches
from branching.plan_text import logical


def test_frames_still_close() -> None:
    lines = [
        "│ Table: s1.bough_data.d5      │",
        "│ Table: s1.main.airlines      │",
        "│ Filters: _bough_branch = 224 │",
        '│ Table: _bough_scratch_12.pg."odd t_1" │',
        "│ Table: _bough_scratch_3.pg.users_12 │",
    ]
    shown = logical(lines)
    assert [len(line) for line in shown] == [len(line) for line in lines]
    assert shown[1] == "│ Table: public.airlines       │"
    assert [line.split() for line in shown[3:]] == [
        ["│", "Table:", 'pg."odd', 't"', "│"],
        ["│", "Table:", "pg.users", "│"],
    ]


def test_a_branchs_plan_names_no_storage() -> None:
    database = branching.open(":memory:")
    try:
        main = database.connect()
        main.execute(
            sqlglot.parse_one("CREATE TABLE t (id INTEGER PRIMARY KEY, v VARCHAR)", dialect="duckdb")
        )
        main.execute(sqlglot.parse_one("INSERT INTO t VALUES (1, 'a'), (2, 'b')", dialect="duckdb"))
        branches.create(database, "b", "main", role="me")
        branch = database.connect("b")
        branch.execute(sqlglot.parse_one("UPDATE t SET v = 'c' WHERE id = 1", dialect="duckdb"))
        for analyze in (False, True):
            text = "\n".join(
                branch.explain(sqlglot.parse_one("SELECT * FROM t", dialect="duckdb"), analyze=analyze)
            )
            assert "bough" not in text
    finally:
        database.close()


def test_a_file_s_name_may_need_quotes() -> None:
    assert logical(
        ['│ Table: "data".main.flights │', '│ "my-file".main."My Table" │', "│ plain.main.t │"]
    ) == [
        "│ Table: public.flights      │",
        '│ public."My Table"         │',
        "│ public.t     │",
    ]
    (line,) = logical(['│ "data".bough_data.d17 │'])
    assert "data" not in line and len(line) == len('│ "data".bough_data.d17 │')
