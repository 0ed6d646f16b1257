"""A column of MySQL's that holds less than all of Unicode: the plan says which texts it could not take."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from targets import SCHEMAS, marked, opened_target, without

from migration.connectors.base import Connector, Source
from migration.dialects import charsets
from migration.errors import MigrationError
from migration.transfer.plan import plan
from migration.transfer.run import run
from migration.transfer_model import TransferOptions, TransferRequest

pytestmark = [pytest.mark.mariadb, pytest.mark.sampled]
# What a set takes, and what it does not.
SETS = [
    ("latin1", "é€", "ő"),
    ("ascii", "~", "é"),
    ("utf8mb3", "ő汉", "😀"),
    ("ucs2", "ő汉", "😀"),
    ("cp1251", "Ж", "é"),
    ("latin2", "ő", "ñ"),
    ("greek", "Ω", "€"),
    ("gbk", "汉", "😀"),
]


@pytest.fixture(params=marked(*SCHEMAS))
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def source(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Connector]:
    more = " ENGINE = MergeTree ORDER BY id" if engine == "clickhouse" else ""
    text = "varchar(20) CHARACTER SET utf8mb4" if engine == "mariadb" else "text"
    with without("words", opened_target(engine, tmp_path, request)) as made:
        made.execute(f"CREATE TABLE words (id integer, v {text}){more}")
        yield made


@pytest.fixture
def target(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Connector]:
    with without("narrow", opened_target("mariadb", tmp_path, request)) as made:
        yield made


def request(engine: str, **options: object) -> TransferRequest:
    given = TransferOptions(**options)  # type: ignore[arg-type]
    return TransferRequest(Source(path=(SCHEMAS[engine], "words")), ("bough", "narrow"), options=given)


def stored(target: Connector) -> list[object]:
    with target.reader() as reader:
        rows = reader.fetch("SELECT id, v FROM narrow").to_pylist()
    return [row["v"] for row in sorted(rows, key=lambda row: row["id"])]


@pytest.mark.parametrize(("charset", "good", "bad"), SETS, ids=[each[0] for each in SETS])
def test_what_it_lacks_is_refused_by_the_plan(
    source: Connector, engine: str, target: Connector, charset: str, good: str, bad: str
) -> None:
    target.execute(f"CREATE TABLE narrow (id integer, v varchar(20) CHARACTER SET {charset})")
    source.execute(f"INSERT INTO words VALUES (1, '{good}'), (2, 'plain'), (3, '')")
    with plan(request(engine), source, target) as decided:
        assert run(decided).verdict == "pass"
    assert stored(target) == [good, "plain", ""]
    source.execute(f"INSERT INTO words VALUES (4, '{good}{bad}')")
    with pytest.raises(MigrationError) as caught:
        plan(request(engine), source, target).close()
    assert (caught.value.sqlstate, caught.value.column) == ("HV004", "v")
    assert f"1 value with characters that {charset} lacks, such as {good}{bad}." in (
        caught.value.detail or ""
    )
    assert "AS TEXT" not in (caught.value.hint or "")
    with plan(request(engine, allow_lossy=("v",)), source, target) as decided:
        assert run(decided).verdict == "pass"
    assert stored(target) == [good, "plain", "", None]


def test_columns_of_one_set_and_of_all_of_unicode_are_not_asked(
    tmp_path: Path, target: Connector, request: pytest.FixtureRequest
) -> None:
    target.execute(
        "CREATE TABLE narrow (a varchar(9) CHARACTER SET latin1, b varchar(9) CHARACTER SET utf8mb4, c integer)"
    )
    asked = TransferRequest(Source(path=("bough", "narrow")), ("bough", "narrow"), "append")
    with plan(asked, target, target) as decided:
        assert not [
            guard for column in decided.columns for guard in column.mapping.guards if "charset" in guard
        ]


def test_a_set_is_what_mariadb_says_it_is(target: Connector) -> None:
    known = ("utf8mb3", "ucs2", *charsets._CODECS)
    with target.reader() as reader:
        for name in known:
            back = f"CONVERT(CONVERT(CONVERT(u USING utf8mb4) USING {name}) USING utf32)"
            table = reader.fetch(
                f"SELECT seq FROM (SELECT seq, CHAR(seq USING utf32) AS u FROM seq_0_to_65535) AS all_of_them "
                f"WHERE seq NOT BETWEEN 0xd800 AND 0xdfff AND {back} = u COLLATE utf32_bin"
            )
            theirs = set(table.column("seq").to_pylist())
            ours = {code for low, high in charsets.ranges(name) or () for code in range(low, high + 1)}
            assert theirs == ours - set(range(0xD800, 0xE000)), name
