"""Types that only their own engine has: they arrive as what stands for them exactly, or the plan refuses them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest
from targets import marked, opened_target

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.transfer.plan import plan
from migration.transfer.run import run
from migration.transfer_model import TransferOptions, TransferRequest

pytestmark = pytest.mark.sampled

SOURCE, TARGET = ("own_types",), ("own_types_moved",)
OPTIONS = TransferOptions(verify="L4")


@pytest.fixture
def ends(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """Opens engines by name; what the tests make in a server is dropped again."""
    found: dict[str, Connector] = {}

    def opened(engine: str) -> Connector:
        if engine not in found:
            found[engine] = opened_target(engine, tmp_path, request)
            clear(found[engine])
        return found[engine]

    yield opened
    for connector in found.values():
        clear(connector)
        connector.close()


def clear(connector: Connector) -> None:
    with connector.writer() as writer:
        writer.drop(TARGET)
        writer.drop(SOURCE)
        if connector.dialect == "postgres":
            for kind, name in (
                ("DOMAIN", "own_amounts"),
                ("DOMAIN", "own_amount"),
                ("TYPE", "own_pair"),
                ("TYPE", "own_mood"),
            ):
                writer.execute(f"DROP {kind} IF EXISTS {name} CASCADE")


def made(connector: Connector, *statements: str) -> None:
    with connector.writer() as writer:
        for statement in statements:
            writer.execute(statement)


def moved(here: Connector, there: Connector, source: Source | None = None) -> dict[str, str]:
    """Moves the table; each column's new type."""
    request = TransferRequest(source or Source(path=SOURCE), TARGET, options=OPTIONS)
    with plan(request, here, there) as decided:
        assert run(decided).verdict == "pass"
    with there.writer() as writer:
        return {column.name: column.declared or "" for column in writer.describe(TARGET).columns}


def rows(connector: Connector, query: str) -> list[tuple[Any, ...]]:
    with connector.reader() as reader:
        return [tuple(row.values()) for row in reader.fetch(query).to_pylist()]


MOODS = (
    "CREATE TYPE own_mood AS ENUM ('sad', 'it''s \"so, so\"', 'NULL')",
    "CREATE DOMAIN own_amount AS numeric(10,2)",
    "CREATE DOMAIN own_amounts AS own_amount[]",
    "CREATE TABLE own_types (id int PRIMARY KEY, moods own_mood[], mood own_mood, a own_amount[], aa own_amounts)",
    """INSERT INTO own_types VALUES
       (1, ARRAY['sad', 'it''s "so, so"', 'NULL', NULL]::own_mood[], 'sad', '{1.5,NULL}', '{2}'),
       (2, '{}', NULL, '{}', '{}'), (3, NULL, NULL, NULL, NULL)""",
)  # fmt: skip


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("engine", "types"),
    [
        (
            "duckdb",
            {"moods": "VARCHAR[]", "mood": "VARCHAR", "a": "DECIMAL(10,2)[]", "aa": "DECIMAL(10,2)[]"},
        ),
        ("postgres", {"moods": "text[]", "mood": "text", "a": "numeric(10,2)[]", "aa": "numeric(10,2)[]"}),
        ("sqlite", {"moods": "TEXT", "mood": "TEXT", "a": "TEXT", "aa": "TEXT"}),
    ],
)
def test_arrays_of_enums_and_of_domains_are_lists_of_what_they_are_made_of(
    ends: Any, engine: str, types: dict[str, str]
) -> None:
    here, there = ends("postgres"), ends(engine)
    made(here, *MOODS)
    assert {name: type_ for name, type_ in moved(here, there).items() if name != "id"} == types
    if engine == "sqlite":
        assert rows(there, "SELECT moods, a FROM own_types_moved WHERE id = 1") == [
            ('["sad","it\'s \\"so, so\\"","NULL",null]', "[1.5,null]")
        ]
        return
    assert rows(there, "SELECT moods, a::text, aa::text FROM own_types_moved ORDER BY id") == [
        (["sad", 'it\'s "so, so"', "NULL", None], "{1.50,NULL}" if engine == "postgres" else "[1.50, NULL]",
         "{2.00}" if engine == "postgres" else "[2.00]"),
        ([], *(("{}", "{}") if engine == "postgres" else ("[]", "[]"))),
        (None, None, None),
    ]  # fmt: skip


@pytest.mark.postgres
def test_an_array_of_composites_moves_within_postgres_and_is_refused_elsewhere(ends: Any) -> None:
    here = ends("postgres")
    made(
        here,
        "CREATE TYPE own_pair AS (a int, b text)",
        "CREATE TABLE own_types (id int PRIMARY KEY, one own_pair, many own_pair[], net inet[])",
        """INSERT INTO own_types VALUES
           (1, ROW(1, 'x'), ARRAY[ROW(1, 'a,"b"'), NULL, ROW(NULL, NULL)]::own_pair[], '{1.2.3.4,NULL}')""",
        "INSERT INTO own_types VALUES (2, NULL, NULL, NULL)",
    )  # fmt: skip
    assert moved(here, here)["many"] == "own_pair[]"
    same = (
        "SELECT count(*) FROM own_types JOIN own_types_moved AS m USING (id) WHERE own_types::text = m::text"
    )
    assert rows(here, same) == [(2,)]
    with pytest.raises(MigrationError) as refusal:
        plan(TransferRequest(Source(path=SOURCE), TARGET), here, ends("duckdb"))
    assert refusal.value.sqlstate == "HV004"
    assert '"many": own_pair[]' in (refusal.value.detail or "")
    assert "WITH (as_text 'one')" in (refusal.value.hint or "")


ADDRESSED = (
    "CREATE TABLE own_types (id int PRIMARY KEY, s SET('b c', 'a', 'ö'), four INET4, six INET6, u UUID)",
    "INSERT INTO own_types VALUES (1, 'a,b c,ö', '1.2.3.4', '::ffff:1.2.3.4', '00000000-0000-0000-0000-0000000000AB'), "
    "(2, '', '0.0.0.0', '2001:DB8:0::1', NULL), (3, NULL, NULL, NULL, NULL)",
)
ADDRESSES = [
    ("b c,a,ö", "1.2.3.4", "::ffff:1.2.3.4", "00000000-0000-0000-0000-0000000000ab"),
    ("", "0.0.0.0", "2001:db8::1", None),
    (None, None, None, None),
]


@pytest.mark.mariadb
@pytest.mark.parametrize(
    ("engine", "types"),
    [
        ("duckdb", ("VARCHAR", "VARCHAR", "VARCHAR", "UUID")),
        ("sqlite", ("TEXT", "TEXT", "TEXT", "TEXT")),
        ("mariadb", ("set('b c','a','ö')", "inet4", "inet6", "uuid")),
        pytest.param("postgres", ("text", "text", "text", "uuid"), marks=pytest.mark.postgres),
        pytest.param("clickhouse", ("String", "String", "String", "UUID"), marks=pytest.mark.clickhouse),
    ],
)
def test_sets_addresses_and_uuids_of_mariadb_arrive_as_their_texts(
    ends: Any, engine: str, types: tuple[str, ...]
) -> None:
    here, there = ends("mariadb"), ends(engine)
    made(here, *ADDRESSED)
    found = moved(here, there)
    assert (
        tuple(found[name].removeprefix("Nullable(").rstrip(")") for name in ("four", "six", "u")) == types[1:]
    )
    assert rows(there, "SELECT s, four, six, u FROM own_types_moved ORDER BY id") == ADDRESSES
    with plan(
        TransferRequest(Source(path=SOURCE), TARGET), here, there
    ) as again:  # into the table that is there
        assert {column.mapping.loss for column in again.columns} <= {"exact", "widening"}


@pytest.mark.mariadb
def test_any_text_is_no_set_and_no_address(ends: Any) -> None:
    there, here = ends("mariadb"), ends("duckdb")
    made(there, ADDRESSED[0].replace("own_types", "own_types_moved"))
    made(here, "CREATE TABLE own_types (id INTEGER, s VARCHAR)", "INSERT INTO own_types VALUES (1, 'a,b c')")
    with pytest.raises(MigrationError) as refusal:  # MariaDB would make b c,a of it
        plan(TransferRequest(Source(path=SOURCE), TARGET), here, there)
    assert refusal.value.sqlstate == "HV004"


@pytest.mark.mariadb
def test_a_geometry_moves_between_mariadb_tables_byte_by_byte(ends: Any) -> None:
    """Its bytes are no text: as one, each that is no ASCII became a question mark."""
    there = ends("mariadb")
    made(
        there,
        "CREATE TABLE own_types (id int PRIMARY KEY, g GEOMETRY, p POINT)",
        "INSERT INTO own_types VALUES (1, ST_GeomFromText('LINESTRING(0.1 -2, 1e300 4)', 4326), POINT(1, 2)), "
        "(2, NULL, NULL)",
    )
    assert moved(there, there) == {"id": "int(11)", "g": "geometry", "p": "point"}
    compared = (
        "SELECT count(*), ST_AsText(any_value(m.p)) FROM own_types AS o JOIN own_types_moved AS m USING (id) "
    )
    compared = compared.replace("any_value", "max")
    assert rows(there, compared + "WHERE HEX(o.g) <=> HEX(m.g) AND HEX(o.p) <=> HEX(m.p)") == [
        (2, "POINT(1 2)")
    ]


@pytest.mark.clickhouse
@pytest.mark.parametrize(
    ("engine", "texts"),
    [
        ("duckdb", ("VARCHAR", "VARCHAR", "VARCHAR[]")),
        ("clickhouse", ("IPv4", "Nullable(IPv6)", "Array(IPv4)")),
        pytest.param("postgres", ("text", "text", "text[]"), marks=pytest.mark.postgres),
    ],
)
def test_addresses_of_clickhouse_arrive_as_their_texts(
    ends: Any, engine: str, texts: tuple[str, ...]
) -> None:
    here, there = ends("clickhouse"), ends(engine)
    made(
        here,
        "CREATE TABLE own_types (id Int32, four IPv4, six Nullable(IPv6), many Array(IPv4)) "
        "ENGINE = MergeTree ORDER BY id",
        "INSERT INTO own_types VALUES (1, '1.2.3.4', '::ffff:1.2.3.4', ['9.9.9.9']), (2, '0.0.0.0', NULL, [])",
    )  # fmt: skip
    found = moved(here, there)
    assert tuple(found[name] for name in ("four", "six", "many")) == texts
    assert rows(there, "SELECT four, six, many FROM own_types_moved ORDER BY id") == [
        ("1.2.3.4", "::ffff:1.2.3.4", ["9.9.9.9"]),
        ("0.0.0.0", None, []),
    ]


@pytest.mark.clickhouse
@pytest.mark.parametrize("type_", ["Variant(Int32, String)", "Dynamic", "Array(Dynamic)"])
def test_values_of_clickhouse_whose_text_does_not_tell_their_type_are_refused(ends: Any, type_: str) -> None:
    there = ends("clickhouse")
    made(there, f"CREATE TABLE own_types (id Int32, v {type_}) ENGINE = MergeTree ORDER BY id")
    with pytest.raises(MigrationError, match="does not say of which type its value is"):
        plan(TransferRequest(Source(path=SOURCE), TARGET), there, there)


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("STRUCT(a BIT, b INTEGER)", "{'a': '0101'::BIT, 'b': NULL}"),
        ("STRUCT(\"odd ,\"\"name\" BIT[])[]", "[{'odd ,\"name': ['1'::BIT, NULL]}, NULL]"),
        ("MAP(VARCHAR, BIT)", "MAP {'k': '1'::BIT}"),
        ("MAP(INTEGER[], VARCHAR)", "MAP {[1, NULL]: 'x', []: 'y'}"),
        ("MAP(VARCHAR[], INTEGER)", "MAP {['a, b', NULL, 'NULL', '[]', '''']: 1}"),
        ("MAP(STRUCT(a VARCHAR, b BIT), INTEGER)", "MAP {{'a': 'x''}', 'b': '1'::BIT}: 1}"),
        ("STRUCT(n BIGNUM)", "{'n': '-123456789012345678901234567890123456789012345678901234567890'::BIGNUM}"),
        ("HUGEINT[]", "[170141183460469231731687303715884105727, NULL]"),
    ],
)  # fmt: skip
def test_what_json_has_no_type_for_moves_from_duckdb_to_duckdb(
    type_: str, value: str, tmp_path: Path
) -> None:
    file, target = tmp_path / "here.duckdb", tmp_path / "there.duckdb"
    with duckdb.connect(str(file)) as session:
        session.execute(f"CREATE TABLE own_types (id INTEGER, v {type_})")
        session.execute(f"INSERT INTO own_types VALUES (1, {value}), (2, NULL)")
    duckdb.connect(str(target)).close()
    with (
        closing(connect(datasource("here", "duckdb", {"path": str(file)}))) as here,
        closing(connect(datasource("there", "duckdb", {"path": str(target), "role": "read_write"}))) as there,
    ):
        moved(here, there)
    with duckdb.connect(str(file)) as session:
        session.execute(f"ATTACH '{target}' AS there")
        assert session.execute(
            "SELECT count(*), any_value(typeof(o.v) = typeof(m.v)) FROM own_types AS o "
            "JOIN there.own_types_moved AS m ON m.id = o.id AND m.v IS NOT DISTINCT FROM o.v"
        ).fetchall() == [(2, True)]


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("UNION(n INTEGER, s VARCHAR)", "union_value(n := 1)"),
        ("STRUCT(u UNION(n INTEGER, m INTEGER))", "{'u': union_value(m := 1)}"),
        ("VARIANT", "1::VARIANT"),
        ("VARIANT[]", "[1::VARIANT]"),
    ],
)
def test_a_value_whose_text_does_not_tell_its_type_is_refused(
    ends: Any, type_: str, value: str, tmp_path: Path
) -> None:
    """The text 1 would become a text: another member of the union, and nobody would see it."""
    there = ends("duckdb")
    made(there, f"CREATE TABLE own_types (v {type_})", f"INSERT INTO own_types VALUES ({value})")
    for exists in (False, True):
        if exists:
            made(there, f"CREATE TABLE own_types_moved (v {type_})")
        with pytest.raises(MigrationError, match="does not say of which type its value is") as refusal:
            plan(TransferRequest(Source(path=SOURCE), TARGET), there, there)
        assert refusal.value.sqlstate == "HV004"
        assert "WITH (as_text 'v')" in (refusal.value.hint or "")


@pytest.mark.postgres
@pytest.mark.parametrize("engine", ["postgres", "duckdb"])
def test_documents_of_an_array_keep_their_texts(ends: Any, engine: str) -> None:
    """As one document they would lose keys that repeat, and one that is a text or a list would be another value."""
    here, there = ends("postgres"), ends(engine)
    made(
        here,
        "CREATE TABLE own_types (id int PRIMARY KEY, v json[], w jsonb[])",
        """INSERT INTO own_types VALUES (1, ARRAY['{"a":1,  "a":2}', '"x"', 'null', NULL, '1.10', '[1,  2]']::json[],
           ARRAY['{"b": 1.10}', '"x"', 'null', NULL, '[1, 2]']::jsonb[]), (2, NULL, '{}')""",
    )
    moved(here, there)
    assert rows(there, "SELECT v, w FROM own_types_moved ORDER BY id") == [
        (
            ['{"a":1,  "a":2}', '"x"', "null", None, "1.10", "[1,  2]"],
            ['{"b": 1.10}', '"x"', "null", None, "[1, 2]"],
        ),
        (None, []),
    ]


@pytest.mark.clickhouse
@pytest.mark.parametrize("engine", ["duckdb", "sqlite"])
def test_nanoseconds_of_an_instant_are_counted_or_kept(ends: Any, engine: str) -> None:
    here, there = ends("clickhouse"), ends(engine)
    made(
        here,
        "CREATE TABLE own_types (id Int32, v DateTime64(9, 'UTC'), l Array(DateTime64(9, 'UTC'))) "
        "ENGINE = MergeTree ORDER BY id",
        "INSERT INTO own_types VALUES (1, '2020-01-01 00:00:00.123456789', []), "
        "(2, '2020-01-01 00:00:00.5', ['2020-01-01 00:00:00.5'])",
    )
    kept = Source(query="SELECT id, v, l FROM own_types WHERE id = 2")
    if engine == "sqlite":
        kept = Source(query="SELECT id, v FROM own_types")
    else:
        with pytest.raises(MigrationError, match="finer than 6 digits of a second in 1 row") as refusal:
            plan(TransferRequest(Source(path=SOURCE), TARGET), here, there)
        assert refusal.value.sqlstate == "HV004"
    moved(here, there, kept)
    found = rows(there, "SELECT CAST(v AS varchar) AS v FROM own_types_moved ORDER BY id")
    assert (
        found
        == {
            "sqlite": [("2020-01-01 00:00:00.123456789Z",), ("2020-01-01 00:00:00.5Z",)],
            "duckdb": [("2020-01-01 00:00:00.5+00",)],
        }[engine]
    )


@pytest.mark.mariadb
@pytest.mark.parametrize("engine", ["mariadb", "duckdb"])
def test_a_compressed_column_of_mariadb_is_the_text_that_it_is(ends: Any, engine: str) -> None:
    here, there = ends("mariadb"), ends(engine)
    made(
        here,
        "CREATE TABLE own_types (id int PRIMARY KEY, v varchar(9) COMPRESSED, t text COMPRESSED)",
        "INSERT INTO own_types VALUES (1, 'short', REPEAT('long', 1000))",
    )
    moved(here, there)
    assert rows(there, "SELECT v, length(t) AS n FROM own_types_moved") == [("short", 4000)]


@pytest.mark.postgres
@pytest.mark.parametrize(("source", "target"), [("duckdb", "postgres"), ("postgres", "duckdb")])
def test_intervals_of_a_list_are_the_same_however_they_are_written(
    ends: Any, source: str, target: str
) -> None:
    here, there = ends(source), ends(target)
    made(
        here,
        "CREATE TABLE own_types (id INTEGER, v INTERVAL[])",
        "INSERT INTO own_types VALUES (2, NULL), "
        "(1, ARRAY[INTERVAL '1 month 40 days 25:00:00', NULL, INTERVAL '-1 month 3 days'])",
    )
    moved(here, there)
    counted = rows(there, "SELECT id FROM own_types_moved WHERE v[1] = INTERVAL '1 month 40 days 25:00:00'")
    assert counted == [(1,)]


@pytest.mark.postgres
@pytest.mark.mariadb
@pytest.mark.parametrize(("one", "other"), [("postgres", "mariadb"), ("mariadb", "postgres")])
def test_types_of_one_name_are_not_one_type(one: str, other: str, ends: Any) -> None:
    here, there = ends(one), ends(other)
    point = "'(1.5,0)'" if one == "postgres" else "ST_GeomFromText('POINT(1.5 0)')"
    made(here, "CREATE TABLE own_types (v point)", f"INSERT INTO own_types VALUES ({point})")
    made(there, "CREATE TABLE own_types_moved (v point)")
    with pytest.raises(MigrationError) as caught:
        moved(here, there)
    assert (caught.value.sqlstate, caught.value.column) == ("HV004", "v")
    assert "does not fit point" in caught.value.message


@pytest.mark.clickhouse
def test_a_json_of_clickhouse_moves_as_its_text(ends: Any) -> None:
    there = ends("clickhouse")
    document = '{"a":1,"b":{"c":[1,null]}}'
    made(there, "CREATE TABLE own_types (id Int32, v JSON) ENGINE = MergeTree ORDER BY id")
    made(there, f"INSERT INTO own_types VALUES (1, '{document}')")
    assert moved(there, there)["v"] == "String"
    assert rows(there, "SELECT v FROM own_types_moved") == [(document,)]
    clear_target(there)
    made(there, "CREATE TABLE own_types_moved (id Int32, v JSON) ENGINE = MergeTree ORDER BY id")
    with pytest.raises(MigrationError) as caught:
        plan(TransferRequest(Source(path=SOURCE), TARGET, options=OPTIONS), there, there)
    assert (caught.value.sqlstate, caught.value.column) == ("HV004", "v")


def clear_target(connector: Connector) -> None:
    with connector.writer() as writer:
        writer.drop(TARGET)


@pytest.mark.parametrize("engine", marked("duckdb", "sqlite", "postgres", "mariadb"))
@pytest.mark.parametrize("exists", [False, True])
def test_whole_numbers_of_any_length_arrive(engine: str, exists: bool, ends: Any, tmp_path: Path) -> None:
    values = ["-" + "9" * 200, "-1", "0", "123456789012345678901234567890123456789012345678901"]
    file = tmp_path / "whole.duckdb"
    with duckdb.connect(str(file)) as session:
        session.execute("CREATE TABLE own_types (id INTEGER, v BIGNUM)")
        session.executemany("INSERT INTO own_types VALUES (?, ?::BIGNUM)", list(enumerate(values)))
    there = ends(engine)
    if exists:
        types = {"duckdb": "BIGNUM", "sqlite": "TEXT", "postgres": "numeric", "mariadb": "TEXT"}
        made(there, f"CREATE TABLE own_types_moved (id INTEGER, v {types[engine]})")
    with closing(connect(datasource("whole", "duckdb", {"path": str(file)}))) as here:
        moved(here, there)
    with there.reader() as reader:
        found = reader.fetch("SELECT id, v FROM own_types_moved ORDER BY id").column("v").to_pylist()
    assert found == values


def test_a_number_that_may_have_a_fraction_does_not_go_into_a_bignum(ends: Any, tmp_path: Path) -> None:
    there = ends("duckdb")
    made(
        there,
        "CREATE TABLE own_types (v DECIMAL(10,2))",
        "CREATE TABLE own_types_moved (v BIGNUM)",
    )
    with pytest.raises(MigrationError, match="whole numbers only"):
        plan(TransferRequest(Source(path=SOURCE), TARGET), there, there)
