"""Words that cannot name a column unless quoted.

Where sqlglot keeps a dialect's list, it is used; PostgreSQL's and SQLite's are from their manuals
(appendix C, "reserved" and "reserved (can be function or type)"; "SQLite Keywords"), DuckDB's are
the words it refuses (*run* on 2.0.0), Snowflake's and Spark's from "Reserved & limited keywords" and "ANSI
Compliance".
"""

from __future__ import annotations

from sqlglot.dialects.dialect import Dialect

from migration.dialects.spelling import words


def kept_by_sqlglot(dialect: str) -> frozenset[str]:
    """The reserved words sqlglot's generator quotes for ``dialect``."""
    return frozenset(word.lower() for word in Dialect.get_or_raise(dialect).generator_class.RESERVED_KEYWORDS)


POSTGRES = frozenset(
    words(
        """all analyse analyze and any array as asc asymmetric authorization binary both case cast check
    collate collation column concurrently constraint create cross current_catalog current_date
    current_role current_schema current_time current_timestamp current_user default deferrable desc
    distinct do else end except false fetch for foreign freeze from full grant group having ilike in
    initially inner intersect into is isnull join lateral leading left like limit localtime
    localtimestamp natural not notnull null offset on only or order outer overlaps placing primary
    references returning right select session_user similar some symmetric system_user table tablesample
    then to trailing true union unique user using variadic verbose when where window with"""
    )
)
DUCKDB = frozenset(
    words(
        """all analyse analyze and anti any array as asc asof asymmetric at authorization binary both by case
    cast check collate collation column concurrently constraint create cross default deferrable desc
    describe distinct do else end except false fetch for foreign freeze from full glob group having
    ilike in initially inner intersect into is isnull join lambda lateral leading left like limit
    natural not notnull null offset on only or order outer overlaps pivot pivot_longer pivot_wider
    placing positional primary qualify references returning right select semi show similar some
    summarize symmetric table tablesample then to trailing true union unique unpack unpivot using
    variadic verbose when where window with"""
    )
)
SQLITE = frozenset(
    words(
        """add all alter and as autoincrement between case check collate commit constraint create default
    deferrable delete distinct drop else escape except exists foreign from group having in index insert
    intersect into is isnull join limit not nothing notnull null on or order primary references returning select
    set table then to transaction union unique update using values when where"""
    )
)
SNOWFLAKE = frozenset(
    words(
        """account all alter and any as between by case cast check column connect connection constraint create
    cross current current_date current_time current_timestamp current_user database delete distinct drop
    else exists false following for from full grant group gscluster having ilike in increment inner
    insert intersect into is issue join lateral left like localtime localtimestamp minus natural not
    null of on or order organization qualify regexp revoke right rlike row rows sample schema select set
    some start table tablesample then to trigger true try_cast union unique update using values view
    when whenever where with"""
    )
)
SPARK = frozenset(
    words(
        """anti cross except full inner intersect join lateral left minus natural on right semi union using"""
    )
)
# What MariaDB reserves and MySQL does not, and the other way round (*run* on MariaDB 10.11).
MARIADB = frozenset(
    words(
        """current_role delete_domain_id do_domain_ids ignore_domain_ids master_demote_to_replica
    master_demote_to_slave offset page_checksum parse_vcol_expr portion ref_system_id returning
    stats_auto_recalc stats_persistent stats_sample_pages"""
    )
)
MYSQL = frozenset(
    words(
        """cube cume_dist database dense_rank empty first_value function generated get grouping groups
    io_after_gtids io_before_gtids json_table lag last_value lateral lead master_bind nth_value ntile of
    optimizer_costs option percent_rank rank row schema stored system virtual window"""
    )
)
