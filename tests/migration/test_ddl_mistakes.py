"""Each mistake that a search for words makes with DDL, and the right answer.

Half of them are statements that must be refused, half statements that must pass. The ids name engine and
subject.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration.ddl.validation import validate
from migration.dialects import CONTRACTS

K = "DUPLICATE KEY (id)"
D = "DISTRIBUTED BY HASH (id) BUCKETS 4"
REFUSED = {
    "starrocks-2.5-auto-increment": (
        "starrocks",
        "2.5",
        f"CREATE TABLE t (id BIGINT AUTO_INCREMENT) {K} {D}",
        "identity.version",
    ),
    "starrocks-auto-increment-int": (
        "starrocks",
        None,
        f"CREATE TABLE t (id INT AUTO_INCREMENT) {K} {D}",
        "identity.type",
    ),
    "starrocks-3.0-no-distribution": (
        "starrocks",
        "3.0",
        f"CREATE TABLE t (id BIGINT) {K}",
        "distribution.missing",
    ),
    "starrocks-2.5-no-buckets": (
        "starrocks",
        "2.5",
        f"CREATE TABLE t (id INT) {K} DISTRIBUTED BY HASH (id)",
        "distribution.buckets",
    ),
    "starrocks-aggregate-no-distribution": (
        "starrocks",
        None,
        "CREATE TABLE t (id INT, n BIGINT SUM) AGGREGATE KEY (id)",
        "distribution.missing",
    ),
    "starrocks-primary-no-distribution": (
        "starrocks",
        None,
        "CREATE TABLE t (id INT NOT NULL) PRIMARY KEY (id)",
        "distribution.missing",
    ),
    "starrocks-unique-no-distribution": (
        "starrocks",
        None,
        "CREATE TABLE t (id INT) UNIQUE KEY (id)",
        "distribution.missing",
    ),
    "starrocks-key-not-leading": ("starrocks", None, f"CREATE TABLE t (v INT, id INT) {K} {D}", "key.order"),
    "starrocks-key-order": (
        "starrocks",
        None,
        f"CREATE TABLE t (a INT, id INT) DUPLICATE KEY (id, a) {D}",
        "key.order",
    ),
    "starrocks-double-key": ("starrocks", None, f"CREATE TABLE t (id DOUBLE) {K}", "key.type"),
    "starrocks-json-key": ("starrocks", None, f"CREATE TABLE t (id JSON) {K}", "key.type"),
    "starrocks-float-bucket": (
        "starrocks",
        None,
        f"CREATE TABLE t (id INT, f FLOAT) {K} DISTRIBUTED BY HASH (f)",
        "distribution.type",
    ),
    "starrocks-check": (
        "starrocks",
        None,
        f"CREATE TABLE t (id INT, CHECK (id > 0)) {K} {D}",
        "constraint.forbidden",
    ),
    "starrocks-column-check": (
        "starrocks",
        None,
        f"CREATE TABLE t (id INT CHECK (id > 0)) {K} {D}",
        "constraint.forbidden",
    ),
    "starrocks-foreign-key": (
        "starrocks",
        None,
        f"CREATE TABLE t (id INT, FOREIGN KEY (id) REFERENCES u (id)) {K} {D}",
        "constraint.forbidden",
    ),
    "starrocks-varchar-too-long": (
        "starrocks",
        None,
        f"CREATE TABLE t (id INT, v VARCHAR(1048577)) {K} {D}",
        "type.length",
    ),
    "starrocks-2.0-varchar": (
        "starrocks",
        "2.0",
        f"CREATE TABLE t (id INT, v VARCHAR(65534)) {K} {D}",
        "type.length",
    ),
    "starrocks-decimal-39": (
        "starrocks",
        None,
        f"CREATE TABLE t (id INT, v DECIMAL(39,2)) {K} {D}",
        "type.precision",
    ),
    "starrocks-unsigned": ("starrocks", None, f"CREATE TABLE t (id INT UNSIGNED) {K} {D}", "type.unknown"),
    "starrocks-time": ("starrocks", None, f"CREATE TABLE t (id INT, v TIME) {K} {D}", "type.unknown"),
    "starrocks-uuid": ("starrocks", None, f"CREATE TABLE t (id INT, v UUID) {K} {D}", "type.unknown"),
    "starrocks-primary-key-nullable": (
        "starrocks",
        None,
        "CREATE TABLE t (id INT) PRIMARY KEY (id) DISTRIBUTED BY HASH (id)",
        "key.nullable",
    ),
    "starrocks-not-ddl": (
        "starrocks",
        None,
        "this is not ddl but has PRIMARY KEY and DISTRIBUTED BY",
        "statement.kind",
    ),
    "starrocks-drop": (
        "starrocks",
        None,
        "DROP TABLE t /* DUPLICATE KEY (id) DISTRIBUTED BY HASH (id) BUCKETS 1 */",
        "statement.kind",
    ),
    "starrocks-words-in-comment": (
        "starrocks",
        "2.5",
        "CREATE TABLE t (id INT) -- DUPLICATE KEY DISTRIBUTED BY BUCKETS",
        "key.model",
    ),
    "greenplum-key-without-distribution": (
        "greenplum",
        None,
        "CREATE TABLE t (id int PRIMARY KEY, v int) DISTRIBUTED BY (v)",
        "key.distribution",
    ),
    "greenplum-unique-without-distribution": (
        "greenplum",
        None,
        "CREATE TABLE t (id int, v int, UNIQUE (id)) DISTRIBUTED BY (v)",
        "key.distribution",
    ),
    "greenplum-random-key": (
        "greenplum",
        None,
        "CREATE TABLE t (id int PRIMARY KEY) DISTRIBUTED RANDOMLY",
        "key.distribution",
    ),
    "greenplum-unknown-column": (
        "greenplum",
        None,
        "CREATE TABLE t (id int) DISTRIBUTED BY (nope)",
        "column.unknown",
    ),
    "greenplum-buckets": (
        "greenplum",
        None,
        "CREATE TABLE t (id int) DISTRIBUTED BY HASH (id) BUCKETS 4",
        "distribution.form",
    ),
    "postgres-distributed-by": (
        "postgres",
        None,
        "CREATE TABLE t (id int) DISTRIBUTED BY (id)",
        "clause.forbidden",
    ),
    "postgres-datetime": ("postgres", None, "CREATE TABLE t (at datetime)", "type.unknown"),
    "postgres-tinyint": ("postgres", None, "CREATE TABLE t (n tinyint)", "type.unknown"),
    "postgres-autoincrement": (
        "postgres",
        None,
        "CREATE TABLE t (id int autoincrement)",
        "identity.forbidden",
    ),
    "postgres-auto-increment": (
        "postgres",
        None,
        "CREATE TABLE t (id int auto_increment)",
        "identity.forbidden",
    ),
    "postgres-duplicate-key": (
        "postgres",
        None,
        "CREATE TABLE t (id int) DUPLICATE KEY (id)",
        "clause.forbidden",
    ),
    "postgres-duplicate-two-spaces": (
        "postgres",
        None,
        "CREATE TABLE t (id int) DUPLICATE  KEY (id)",
        "clause.forbidden",
    ),
    "postgres-engine": ("postgres", None, "CREATE TABLE t (id int) ENGINE = InnoDB", "clause.forbidden"),
    "postgres-blob": ("postgres", None, "CREATE TABLE t (b BLOB)", "type.unknown"),
    "mysql-text-primary-key": ("mysql", None, "CREATE TABLE t (id TEXT PRIMARY KEY)", "key.prefix"),
    "mysql-text-table-key": ("mysql", None, "CREATE TABLE t (id TEXT, PRIMARY KEY (id))", "key.prefix"),
    "mysql-bigserial": ("mysql", None, "CREATE TABLE t (id BIGSERIAL)", "type.unknown"),
    "mysql-jsonb": ("mysql", None, "CREATE TABLE t (j jsonb)", "type.unknown"),
    "mysql-array": ("mysql", None, "CREATE TABLE t (a text[])", "type.unknown"),
    "mysql-row-size": ("mysql", None, "CREATE TABLE t (a VARCHAR(16383), b VARCHAR(16383))", "row.size"),
    "mysql-index-size": ("mysql", None, "CREATE TABLE t (a VARCHAR(1000), PRIMARY KEY (a))", "key.size"),
    "mysql-mergetree": ("mysql", None, "CREATE TABLE t (id INT) ENGINE = MergeTree", "clause.forbidden"),
    "clickhouse-nullable-sort-key": (
        "clickhouse",
        None,
        "CREATE TABLE t (id Nullable(Int64)) ENGINE = MergeTree ORDER BY id",
        "key.nullable",
    ),
    "clickhouse-low-cardinality-nullable": (
        "clickhouse",
        None,
        "CREATE TABLE t (s LowCardinality(Nullable(String))) ENGINE = MergeTree ORDER BY (s)",
        "key.nullable",
    ),
    "clickhouse-mergetree-unsorted": (
        "clickhouse",
        "25.10",
        "CREATE TABLE t (id Int64) ENGINE = MergeTree",
        "sort.missing",
    ),
    "clickhouse-no-engine": ("clickhouse", "24.2", "CREATE TABLE t (id Int64)", "engine.missing"),
    "clickhouse-nullable-array": (
        "clickhouse",
        None,
        "CREATE TABLE t (id Int8, a Nullable(Array(Int8))) ENGINE = Memory",
        "type.nullable_nested",
    ),
    "clickhouse-unknown-order": (
        "clickhouse",
        None,
        "CREATE TABLE t (id Int64) ENGINE = MergeTree ORDER BY (nope)",
        "column.unknown",
    ),
    "clickhouse-distributed": (
        "clickhouse",
        None,
        "CREATE TABLE t (id Int64) ENGINE = Memory DISTRIBUTED BY HASH (id)",
        "clause.forbidden",
    ),
    "trino-hive-partition-not-last": (
        "trino-hive",
        None,
        "CREATE TABLE t (ds date, id bigint) WITH (partitioned_by = ARRAY['ds'])",
        "partition.last",
    ),
    "trino-partition-unknown": (
        "trino-iceberg",
        None,
        "CREATE TABLE t (id bigint) WITH (partitioning = ARRAY['month(ds)'])",
        "column.unknown",
    ),
    "trino-bigserial": ("trino", None, "CREATE TABLE t (id bigserial primary key)", "type.unknown"),
    "trino-primary-key": ("trino", None, "CREATE TABLE t (id bigint primary key)", "constraint.forbidden"),
    "snowflake-distributed": (
        "snowflake",
        None,
        "CREATE TABLE t (ID NUMBER) DISTRIBUTED BY (ID)",
        "clause.forbidden",
    ),
    "snowflake-number-39": ("snowflake", None, "CREATE TABLE t (ID NUMBER(39,0))", "type.precision"),
    "redshift-bare-varchar": ("redshift", None, "CREATE TABLE t (v varchar)", "type.length_missing"),
    "redshift-text": ("redshift", None, "CREATE TABLE t (v text)", "type.length_missing"),
    "redshift-long-varchar": ("redshift", None, "CREATE TABLE t (v varchar(65536))", "type.length"),
    "redshift-serial": ("redshift", None, "CREATE TABLE t (id serial)", "type.unknown"),
    "redshift-blob": ("redshift", None, "CREATE TABLE t (b bytea)", "type.unknown"),
    "redshift-uuid": ("redshift", None, "CREATE TABLE t (u uuid)", "type.unknown"),
    "redshift-array": ("redshift", None, "CREATE TABLE t (a int[])", "type.unknown"),
    "redshift-distkey-style": (
        "redshift",
        None,
        "CREATE TABLE t (id int) DISTSTYLE ALL DISTKEY (id)",
        "distribution.style",
    ),
    "doris-primary-key": (
        "doris",
        None,
        f"CREATE TABLE t (id INT NOT NULL) PRIMARY KEY (id) {D}",
        "clause.forbidden",
    ),
    "doris-string-key": ("doris", None, f"CREATE TABLE t (id STRING) {K} {D}", "key.type"),
    "doris-no-buckets": (
        "doris",
        None,
        f"CREATE TABLE t (id INT) {K} DISTRIBUTED BY HASH (id)",
        "distribution.buckets",
    ),
    "doris-random-unique": (
        "doris",
        None,
        "CREATE TABLE t (id INT) UNIQUE KEY (id) DISTRIBUTED BY RANDOM BUCKETS 4",
        "distribution.random",
    ),
    "doris-auto-increment-nullable": (
        "doris",
        None,
        f"CREATE TABLE t (id BIGINT AUTO_INCREMENT) {K} {D}",
        "identity.nullable",
    ),
    "doris-auto-increment-aggregate": (
        "doris",
        None,
        f"CREATE TABLE t (id INT, n BIGINT NOT NULL AUTO_INCREMENT) AGGREGATE KEY (id) {D}",
        "identity.aggregate",
    ),
    "doris-varbinary": ("doris", None, f"CREATE TABLE t (id INT, b VARBINARY) {K} {D}", "type.unknown"),
    "doris-time": ("doris", None, f"CREATE TABLE t (id INT, b TIME) {K} {D}", "type.unknown"),
    "bigquery-enforced": ("bigquery", None, "CREATE TABLE t (id INT64, PRIMARY KEY (id))", "key.enforced"),
    "bigquery-nested-array": (
        "bigquery",
        None,
        "CREATE TABLE t (a ARRAY<ARRAY<INT64>>)",
        "type.nested_array",
    ),
    "duplicate-column": ("postgres", None, "CREATE TABLE t (a int, A int)", "column.duplicate"),
    "reserved-word": ("postgres", None, "CREATE TABLE t (user int)", "identifier.reserved"),
    "reserved-mysql": ("mysql", None, "CREATE TABLE t (rank INT)", "identifier.reserved"),
    "long-name": ("postgres", None, f"CREATE TABLE t ({'a' * 64} int)", "identifier.length"),
    "long-name-bytes": ("postgres", None, f"CREATE TABLE t ({'ä' * 32} int)", "identifier.length"),
    "name-emoji": ("mysql", None, "CREATE TABLE t (`a😀` INT)", "identifier.characters"),
    "name-blank": ("mysql", None, "CREATE TABLE t (`a ` INT)", "identifier.characters"),
    "name-dollar": ("bigquery", None, "CREATE TABLE t (`a$` INT64)", "identifier.characters"),
    "key-unknown": ("postgres", None, "CREATE TABLE t (a int, PRIMARY KEY (b))", "column.unknown"),
    "key-twice": ("postgres", None, "CREATE TABLE t (a int, PRIMARY KEY (a, a))", "column.repeated"),
    "decimal-scale": ("mysql", None, "CREATE TABLE t (a DECIMAL(10,11))", "type.scale"),
    "two-statements": ("postgres", None, "CREATE TABLE t (a int); DROP TABLE u", "statement.multiple"),
    "empty": ("postgres", None, "  -- nothing\n", "statement.empty"),
    "insert": ("duckdb", None, "INSERT INTO t VALUES (1)", "statement.kind"),
    "alter": ("duckdb", None, "ALTER TABLE t ADD COLUMN a INT", "statement.kind"),
    "view": ("duckdb", None, "CREATE VIEW v AS SELECT 1", "statement.kind"),
    "comma": ("duckdb", None, "CREATE TABLE t (a INT,, b INT)", "syntax"),
    "open-literal": ("duckdb", None, "CREATE TABLE t (a INT DEFAULT 'x)", "syntax"),
    "open-list": ("duckdb", None, "CREATE TABLE t (a INT", "syntax"),
    "no-columns": ("duckdb", None, "CREATE TABLE t", "column.none"),
    "generic-duplicate-key": (
        "generic",
        None,
        "CREATE TABLE t (a INT) DUPLICATE KEY (a)",
        "clause.forbidden",
    ),
    "sqlite-autoincrement": (
        "sqlite",
        None,
        "CREATE TABLE t (a TEXT PRIMARY KEY AUTOINCREMENT)",
        "identity.type",
    ),
}
ACCEPTED = {
    "starrocks-3-auto-increment": (
        "starrocks",
        "3.0",
        f"CREATE TABLE t (id BIGINT NOT NULL AUTO_INCREMENT) {K} {D}",
    ),
    "starrocks-3.1-random-buckets": ("starrocks", "3.1", f"CREATE TABLE t (id BIGINT) {K}"),
    "starrocks-3.0-automatic-buckets": (
        "starrocks",
        "3.0",
        f"CREATE TABLE t (id BIGINT) {K} DISTRIBUTED BY HASH (id)",
    ),
    "starrocks-two-spaces": ("starrocks", "2.5", f"CREATE TABLE t (id INT) DUPLICATE  KEY (id) {D}"),
    "starrocks-nullable-duplicate-key": ("starrocks", None, f"CREATE TABLE t (id INT NULL) {K} {D}"),
    "starrocks-varchar-1m": ("starrocks", "2.1", f"CREATE TABLE t (id INT, v VARCHAR(1048576)) {K} {D}"),
    "starrocks-new-types": (
        "starrocks",
        None,
        f"CREATE TABLE t (id INT, b BOOLEAN, j JSON, a ARRAY<INT>, m MAP<INT, STRING>, s STRUCT<x "
        f"INT>, v VARBINARY) {K} {D}",
    ),
    "starrocks-words-in-comment": (
        "starrocks",
        None,
        f"CREATE TABLE t (id INT COMMENT 'FOREIGN KEY CHECK') {K} {D}",
    ),
    "greenplum-composite": (
        "greenplum",
        None,
        "CREATE TABLE t (a int, b int, PRIMARY KEY (a, b)) DISTRIBUTED BY (b)",
    ),
    "greenplum-columnar": (
        "greenplum",
        None,
        "CREATE TABLE t (a int) WITH (appendoptimized=true, orientation=column) DISTRIBUTED BY (a) "
        "PARTITION BY RANGE (a) (START (1) END (9) EVERY (1))",
    ),
    "greenplum-replicated": ("greenplum", None, "CREATE TABLE t (a int PRIMARY KEY) DISTRIBUTED REPLICATED"),
    "postgres-engine-in-literal": (
        "postgres",
        None,
        "CREATE TABLE t (a text DEFAULT 'ENGINE=x' /* ENGINE=InnoDB */)",
    ),
    "postgres-duplicate-in-name": ("postgres", None, 'CREATE TABLE t ("DUPLICATE KEY" int)'),
    "postgres-identity": (
        "postgres",
        None,
        "CREATE TABLE t (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY)",
    ),
    "postgres-serial": ("postgres", None, "CREATE TABLE t (id bigserial PRIMARY KEY, a integer[], j jsonb)"),
    "postgres-partition": ("postgres", None, "CREATE TABLE t (a int, b date) PARTITION BY RANGE (b)"),
    "postgres-enum-type": ("postgres", None, "CREATE TABLE t (m mood)"),
    "mysql-prefix": ("mysql", None, "CREATE TABLE t (id TEXT, PRIMARY KEY (id(20)))"),
    "mysql-unsigned": ("mysql", None, "CREATE TABLE t (id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY)"),
    "mysql-decimal-39": ("mysql", None, "CREATE TABLE t (h DECIMAL(39,0))"),
    "mysql-options": (
        "mysql",
        None,
        "CREATE TABLE t (id BIGINT NOT NULL, KEY k (id)) ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT "
        "CHARSET=utf8mb4 COMMENT='x'",
    ),
    "clickhouse-bool": ("clickhouse", None, "CREATE TABLE t (b Bool) ENGINE = MergeTree ORDER BY b"),
    "clickhouse-varchar": (
        "clickhouse",
        None,
        "CREATE TABLE t (b VARCHAR(10)) ENGINE = MergeTree ORDER BY b",
    ),
    "clickhouse-memory": ("clickhouse", None, "CREATE TABLE t (b Int8) ENGINE = Memory"),
    "clickhouse-log": ("clickhouse", None, "CREATE TABLE t (b Int8) ENGINE = Log"),
    "clickhouse-primary-only": (
        "clickhouse",
        None,
        "CREATE TABLE t (b Int8) ENGINE = MergeTree PRIMARY KEY b",
    ),
    "clickhouse-tuple": ("clickhouse", None, "CREATE TABLE t (b Int8) ENGINE = MergeTree() ORDER BY tuple()"),
    "clickhouse-allowed-nullable": (
        "clickhouse",
        None,
        "CREATE TABLE t (id Nullable(Int8)) ENGINE = MergeTree ORDER BY id SETTINGS allow_nullable_key = 1",
    ),
    "clickhouse-expression": (
        "clickhouse",
        None,
        "CREATE TABLE t (id Int64, at DateTime64(6) CODEC(ZSTD)) ENGINE = ReplacingMergeTree(at) "
        "PARTITION BY toYYYYMM(at) ORDER BY (id, toDate(at)) TTL at + INTERVAL 1 DAY",
    ),
    "trino-hive-partition-last": (
        "trino-hive",
        None,
        "CREATE TABLE t (id bigint, ds date) WITH (format = 'ORC', partitioned_by = ARRAY['ds'])",
    ),
    "trino-iceberg-transforms": (
        "trino-iceberg",
        None,
        "CREATE TABLE t (id bigint, at timestamp(6)) WITH (partitioning = ARRAY['month(at)', "
        "'bucket(id, 16)'])",
    ),
    "snowflake-types": ("snowflake", None, "CREATE TABLE T (V VARIANT, A ARRAY, O OBJECT, N NUMBER(38,0))"),
    "redshift-varchar-max": ("redshift", None, "CREATE TABLE t (v varchar(max))"),
    "redshift-inline-keys": ("redshift", None, "CREATE TABLE t (id bigint DISTKEY SORTKEY ENCODE az64)"),
    "redshift-sortkey": (
        "redshift",
        None,
        "CREATE TABLE t (a int, b date) DISTSTYLE AUTO COMPOUND SORTKEY (b, a)",
    ),
    "doris-full": (
        "doris",
        None,
        f"CREATE TABLE t (id BIGINT NOT NULL AUTO_INCREMENT, v STRING) UNIQUE KEY (id) {D}",
    ),
    "bigquery-not-enforced": (
        "bigquery",
        None,
        "CREATE TABLE d.t (id INT64, c TIMESTAMP, PRIMARY KEY (id) NOT ENFORCED) PARTITION BY "
        "TIMESTAMP_TRUNC(c, MONTH)",
    ),
    "sqlite-without-rowid": ("sqlite", None, "CREATE TABLE t (a TEXT PRIMARY KEY) WITHOUT ROWID"),
    "ctas": ("duckdb", None, "CREATE TABLE t AS SELECT 1 AS a"),
    "quoted-reserved": ("postgres", None, 'CREATE TABLE t ("select" int)'),
    "comment-and-index": (
        "postgres",
        None,
        "CREATE TABLE t (a int); COMMENT ON TABLE t IS 'x'; CREATE INDEX i ON t (a)",
    ),
    "if-not-exists": (
        "postgres",
        None,
        "CREATE TEMP TABLE IF NOT EXISTS s.t (a double precision, b char(3))",
    ),
    "hive-partitioned": (
        "hive",
        None,
        "CREATE EXTERNAL TABLE t (a INT) PARTITIONED BY (p STRING) STORED AS PARQUET",
    ),
    "postgres-like": ("postgres", None, "CREATE TABLE t (LIKE s.x INCLUDING ALL, b int, UNIQUE (a, b))"),
    "postgres-partition-of": ("postgres", None, "CREATE TABLE t PARTITION OF p FOR VALUES FROM (1) TO (2)"),
    "postgres-inherits": ("postgres", None, "CREATE TABLE t (b int, UNIQUE (a)) INHERITS (p)"),
    "mysql-like": ("mysql", None, "CREATE TABLE t LIKE s.x"),
    "spark-like": ("spark", None, "CREATE TABLE t LIKE x"),
    "bigquery-ingestion": ("bigquery", None, "CREATE TABLE t (a INT64) PARTITION BY DATE(_PARTITIONTIME)"),
    "spark-partitioned": ("spark", None, "CREATE TABLE t (a INT, p STRING) USING delta PARTITIONED BY (p)"),
}
WARNED = {
    "greenplum-silent-distribution": ("greenplum", "CREATE TABLE t (id int)", "distribution.missing"),
    "mysql-datetime": ("mysql", "CREATE TABLE t (at DATETIME)", "type.implicit"),
    "clickhouse-milliseconds": (
        "clickhouse",
        "CREATE TABLE t (at DateTime64(3)) ENGINE = Memory",
        "type.implicit",
    ),
    "clickhouse-no-engine": ("clickhouse", "CREATE TABLE t (id Int64) ORDER BY id", "engine.missing"),
    "clickhouse-unsorted": ("clickhouse", "CREATE TABLE t (id Int64) ENGINE = MergeTree", "sort.missing"),
    "duckdb-lake": ("duckdb", "CREATE TABLE t (a INT) PARTITIONED BY (a)", "clause.catalog"),
    "mysql-default-twice": ("mysql", "CREATE TABLE t (a INT DEFAULT 1 DEFAULT 2)", "default.second"),
    "sqlite-bare-default": ("sqlite", "CREATE TABLE t (a TEXT DEFAULT b)", "default.column"),
    "mariadb-cut-key": ("mariadb", "CREATE TABLE t (a TEXT, INDEX (a))", "key.prefix"),
    "starrocks-replica": (
        "starrocks",
        f"CREATE TABLE t (id INT) {K} {D} PROPERTIES ('replication_num' = '1')",
        "replication.single",
    ),
    "snowflake-cluster": ("snowflake", "CREATE TABLE T (D DATE) CLUSTER BY (D)", "cluster.cost"),
    "snowflake-fold": ("snowflake", "CREATE TABLE T (id NUMBER)", "identifier.folded"),
    "redshift-identity": ("redshift", "CREATE TABLE t (id bigint IDENTITY(1,1))", "identity.always"),
    "sqlite-numeric": ("sqlite", "CREATE TABLE t (n NUMERIC)", "type.implicit"),
    "sqlite-digits": ("sqlite", "CREATE TABLE t (n NUMERIC(38,0))", "type.implicit"),
    "sqlite-fraction": ("sqlite", "CREATE TABLE t (n DECIMAL(16,2))", "type.implicit"),
    "sqlite-hugeint": ("sqlite", "CREATE TABLE t (n HUGEINT)", "type.implicit"),
    "duckdb-decimal": ("duckdb", "CREATE TABLE t (n DECIMAL)", "type.implicit"),
}


@pytest.mark.parametrize(("dialect", "version", "ddl", "rule"), REFUSED.values(), ids=REFUSED)
def test_refused(dialect: str, version: str | None, ddl: str, rule: str) -> None:
    found = validate(ddl, dialect, version)
    assert rule in [violation.id for violation in found if violation.severity == "error"], found
    assert all(violation.fix for violation in found), found


@pytest.mark.parametrize(("dialect", "version", "ddl"), ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(dialect: str, version: str | None, ddl: str) -> None:
    assert [violation for violation in validate(ddl, dialect, version) if violation.severity == "error"] == []


@pytest.mark.parametrize(("dialect", "ddl", "rule"), WARNED.values(), ids=WARNED)
def test_warned(dialect: str, ddl: str, rule: str) -> None:
    found = validate(ddl, dialect)
    assert rule in [violation.id for violation in found]
    assert not [violation for violation in found if violation.severity == "error"]
    assert all(violation.fix for violation in found)


def test_position_and_fix() -> None:
    [found] = validate("CREATE TABLE t (\n  a int,\n  at datetime)", "postgres")
    assert found.position == "CREATE TABLE t (\n  a int,\n  at datetime)".index("datetime") + 1
    assert "timestamp" in found.fix


@pytest.mark.parametrize(
    ("dialect", "ddl", "rule", "fix"),
    [
        ("sqlite", "CREATE TABLE t (id INT) WITHOUT ROWID", "key.missing", "PRIMARY KEY"),
        ("mysql", "CREATE TABLE t ()", "column.none", "(name type"),
        ("mysql", "CREATE TABLE t (a INT, n INT AUTO_INCREMENT, PRIMARY KEY (a))", "identity.key", "KEY (n)"),
        (
            "greenplum",
            "CREATE TABLE t (a int PRIMARY KEY) DISTRIBUTED RANDOMLY",
            "key.distribution",
            "BY (a)",
        ),
        ("postgres", "CREATE TABLE t (a int,, b int)", "syntax", "comma"),
        ("postgres", 'CREATE TABLE t ("A" int, CHECK (a > 1))', "column.unknown", 'Write "A".'),
        ("duckdb", "CREATE TABLE t (a tuple)", "type.unknown", "SHOW MIGRATION CAPABILITIES FOR duckdb"),
        (
            "mysql",
            "CREATE TABLE t (a INT, b INT, FOREIGN KEY (a, b) REFERENCES u (id))",
            "key.reference",
            "as many",
        ),
        ("postgres", "CREATE TABLE t (a int", "syntax", "Write its )."),
        ("spark", "CREATE TABLE t (a int, b wat)", "type.unknown", "SHOW MIGRATION CAPABILITIES FOR spark"),
    ],
)
def test_a_fix_for_each(dialect: str, ddl: str, rule: str, fix: str) -> None:
    [found] = [each for each in validate(ddl, dialect) if each.severity == "error"]
    assert (found.id, fix in found.fix) == (rule, True), found


def test_the_target_is_the_one_named() -> None:
    ddl = "CREATE TABLE s.t (a int)"
    assert validate(ddl, "postgres", target_table="s.t") == []
    assert [found.id for found in validate(ddl, "postgres", target_table="s.u")] == ["target.mismatch"]


@pytest.mark.parametrize(
    ("dialect", "ddl", "word"),
    [
        ("duckdb", "CREATE TABLE t (a int,\n  b interval, c int KEY)", "KEY"),
        ("duckdb", "CREATE TABLE t (" + "a" * 300 + " int, c int KEY, d int)", "KEY"),
        ("sqlite", "CREATE TABLE t (a int CHECK (a > 1), b int CHECK a > 1)", "a > 1)"),
        ("postgres", "CREATE TABLE t (a int, b int KEY)", "KEY"),
    ],
)
def test_a_parser_says_where(dialect: str, ddl: str, word: str) -> None:
    [found] = validate(ddl, dialect)
    assert (found.id, found.position) == ("syntax", ddl.rindex(word) + 1), found


DEEP = {
    "brackets": ("(", "1", ")", "a int DEFAULT {}"),
    "negations": ("NOT ", "a > 1", "", "a int, CHECK ({})"),
    "cases": ("CASE WHEN a > 1 THEN ", "a", " END", "a int, CHECK ({} > 1)"),
    "types": ("Array(", "Int8", ")", "a {}"),
    "other types": ("ARRAY<", "INT", ">", "a {}"),
    "arrays": ("", "int", "[]", "a {}"),
}


@pytest.mark.parametrize("form", DEEP)
@pytest.mark.parametrize("dialect", ["postgres", "mysql", "sqlite", "duckdb", "clickhouse", "starrocks"])
def test_depth_is_no_fall(dialect: str, form: str) -> None:
    before, inside, behind, column = DEEP[form]
    text = column.format(before * 3000 + inside + behind * 3000)
    found = validate(f"CREATE TABLE t ({text})", dialect)
    if form in ("types", "other types") or (form == "arrays" and dialect != "sqlite"):
        assert any(each.id.startswith(("type.", "syntax")) for each in found), found


def test_an_open_bracket_of_partitions_is_pointed_at() -> None:
    ddl = "CREATE TABLE t (a int) PARTITION BY RANGE ("
    [found] = validate(ddl, "mysql")
    assert (found.id, found.position) == ("syntax", len(ddl)), found


FRAGMENTS = "CREATE TABLE t ( ) a INT , PRIMARY KEY DISTRIBUTED BY ENGINE = 'x' ORDER WITH < > [ ] AS ; NOT "
FRAGMENTS += '` " $$ /* . --\n'


@given(
    st.sampled_from(["", "CREATE TABLE t ("]),
    st.lists(st.sampled_from(FRAGMENTS.split(" ")), max_size=14),
    st.sampled_from([contract.name for contract in CONTRACTS]),
)
def test_any_text_gets_violations_and_never_an_exception(start: str, words: list[str], dialect: str) -> None:
    found = validate(f"{start} {' '.join(words)}", dialect)
    assert all(violation.position >= 0 and violation.message and violation.fix for violation in found)
