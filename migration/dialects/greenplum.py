"""Greenplum: PostgreSQL spread over segments. Facts: Greenplum docs, "CREATE TABLE" and "Table
Distribution" (*doc*).

A table without DISTRIBUTED BY silently takes its primary key or its first suitable column.
"""

from __future__ import annotations

from migration.dialects.base import Clause, DialectContract, IdentifierRules
from migration.dialects.postgres import MPP_FORBIDS, SPELLINGS, TYPES
from migration.dialects.reserved import POSTGRES as RESERVED

CONTRACT = DialectContract(
    name="greenplum",
    aliases=("gp", "gpdb", "cloudberry"),
    family="postgres-like",
    sqlglot="postgres",
    identifiers=IdentifierRules('"', "lower", 63, "bytes", RESERVED | {"distributed", "scatter"}),
    spellings=SPELLINGS,
    types=TYPES,
    clauses=frozenset(
        {
            "partition_by",
            "with",
            "without_oids",
            "tablespace",
            "inherits",
            "on_commit",
            "distributed_by",
            "using",
        }
    ),
    forbids=MPP_FORBIDS,
    recommends=(
        Clause("distributed_by", "DISTRIBUTED BY (column) with many even values, else DISTRIBUTED RANDOMLY"),
        Clause("key_contains_distribution", "every PRIMARY KEY and UNIQUE contains all distribution columns"),
        Clause("replicated", "DISTRIBUTED REPLICATED for small lookup tables", since="6"),
        Clause(
            "columnar", "WITH (appendoptimized=true, orientation=column, compresstype=zstd) for large tables"
        ),
    ),
    example_ddl="CREATE TABLE public.users (\n  id bigint NOT NULL,\n  name text\n)\nDISTRIBUTED BY (id)",
    publish="rename_in_transaction",
    transactional_ddl=True,
    column_comment="statement",
    table_comment="statement",
    load_path="COPY ... FROM STDIN",
)
