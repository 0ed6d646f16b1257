"""The words that start a clause, a constraint or a column attribute, in any dialect.

Whether a dialect knows a clause is its contract's matter: here a word only says where one clause ends and the
next begins.
"""

from __future__ import annotations

from migration.dialects.spelling import words

STARTERS: dict[tuple[str, ...], str] = {
    ("engine",): "engine",
    ("duplicate", "key"): "duplicate_key",
    ("primary", "key"): "primary_key",
    ("unique", "key"): "unique_key",
    ("aggregate", "key"): "aggregate_key",
    ("comment",): "comment",
    ("partition", "by"): "partition_by",
    ("partitioned", "by"): "partitioned_by",
    ("distributed",): "distributed_by",
    ("order", "by"): "order_by",
    ("properties",): "properties",
    ("settings",): "settings",
    ("sample", "by"): "sample_by",
    ("ttl",): "ttl",
    ("with", "system", "versioning"): "versioning",
    ("with",): "with",
    ("without", "rowid"): "without_rowid",
    ("without", "oids"): "without_oids",
    ("strict",): "strict",
    ("cluster", "by"): "cluster_by",
    ("clustered", "by"): "clustered_by",
    ("sorted", "by"): "sorted_by",
    ("diststyle",): "diststyle",
    ("distkey",): "distkey",
    ("sortkey",): "sortkey",
    ("compound", "sortkey"): "sortkey",
    ("interleaved", "sortkey"): "sortkey",
    ("encode",): "encode",
    ("backup",): "backup",
    ("tablespace",): "tablespace",
    ("inherits",): "inherits",
    ("using",): "using",
    ("location",): "location",
    ("stored",): "stored_as",
    ("tblproperties",): "tblproperties",
    ("options",): "options",
    ("data", "directory"): "table_option",
    ("index", "directory"): "table_option",
    ("row", "format"): "row_format",
    ("row", "access"): "row_access",
    ("row_format",): "row_format",
    ("charset",): "charset",
    ("character", "set"): "charset",
    ("default", "charset"): "charset",
    ("default", "character", "set"): "charset",
    ("default", "collate"): "collate",
    ("collate",): "collate",
    ("auto_increment",): "auto_increment",
    ("on", "commit"): "on_commit",
    ("on", "cluster"): "on_cluster",
    ("rollup",): "rollup",
}
TYPE_WORDS = frozenset(
    words(
        "precision varying unsigned signed zerofill with without local time zone large object "
        "to year month day hour minute second array"
    )
)
TWO_WORD_TYPES = {
    "national": ("character", "char", "varchar"),
    "long": ("varchar", "varbinary"),
    "nchar": ("varchar",),
    "unsigned": ("big",),
    "big": ("int",),
}
CONSTRAINTS = (
    "primary",
    "unique",
    "foreign",
    "check",
    "constraint",
    "like",
    "exclude",
    "fulltext",
    "spatial",
)
INDEX_WORDS = {  # family: the words an index in the list of columns begins with
    "mysql-like": ("key", "index"),
    "clickhouse": ("index", "projection"),
    "snowflake": ("index",),
}
NAMES_TOO = {  # a word that may be a column's name: what follows it where it begins a constraint
    "exclude": ("using", "("),
    "fulltext": ("key", "index", "("),
    "spatial": ("key", "index", "("),
}
ATTRIBUTES = frozenset(
    words(
        "not null primary unique default comment auto_increment autoincrement identity "
        "generated references check collate encode distkey sortkey codec materialized alias "
        "key options constraint ttl ephemeral sum max min replace replace_if_not_null "
        "hll_union bitmap_union as masking tag on charset character virtual stored invisible "
        "visible start increment order noorder"
    )
)
