"""Which functions a statement may call: the data behind ``guard``.

How the lists were made: every function of ``duckdb_functions()`` of DuckDB 2.0 of type table or table macro
was read and is either in TABLE_FUNCTIONS (cannot leave the statement's own arguments), in FILE_FUNCTIONS
(reads the files it is given), or in DENIED_TABLE_FUNCTIONS. Of the scalars, those that take a name, a path,
a setting or SQL as text, or show the engine's state, are in DENIED_SCALARS; HARMLESS_SIDE_EFFECTS are the
rest of those that the engine calls volatile. ``tests/sql/test_guard.py`` fails when the engine gets one that
is in no list.
"""

from __future__ import annotations


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Their result depends on their arguments alone, or on nothing of ours.
TABLE_FUNCTIONS = _names(
    """
    generate_series range unnest repeat repeat_row json_each json_tree histogram histogram_values
    pg_timezone_names icu_calendar_names duckdb_keywords generate_subscripts jsonb_each
    json_each_text jsonb_each_text json_array_elements jsonb_array_elements json_array_elements_text
    jsonb_array_elements_text json_object_keys jsonb_object_keys regexp_split_to_table
    string_to_table regexp_matches _pg_expandarray json_to_record jsonb_to_record
    json_to_recordset jsonb_to_recordset jsonb_path_query
    """
)

FILE_FUNCTIONS = _names(
    """
    read_csv read_csv_auto read_json read_json_auto read_json_objects read_json_objects_auto
    read_ndjson read_ndjson_auto read_ndjson_objects read_parquet parquet_scan read_text read_blob
    parquet_metadata parquet_schema parquet_file_metadata parquet_kv_metadata parquet_full_metadata
    parquet_page_index sniff_csv glob
    """
)

# Postgres' own, which the catalog layer answers; the engine has none of these names.
CATALOG_TABLE_FUNCTIONS = _names(
    """
    pg_get_keywords pg_show_all_settings pg_lock_status pg_available_extensions
    pg_available_extension_versions pg_stat_get_activity pg_prepared_statement pg_cursor
    pg_get_publication_tables aclexplode current_schemas pg_partition_ancestors pg_options_to_table
    pg_listening_channels pg_partition_tree
    """
)

DENIED_TABLE_FUNCTIONS = _names(
    """
    arrow_scan arrow_scan_dumb pandas_scan python_arrow_scan python_map_function seq_scan checkpoint
    force_checkpoint create_external_resource deregister_external_resource destroy_external_resource
    register_external_resource register_external_resource_type add_grammar_extension
    remove_grammar_extension duckdb_live_query_metrics disable_logging enable_logging
    disable_profiling enable_profiling truncate_duckdb_logs duckdb_approx_database_count
    duckdb_available_metrics duckdb_columns duckdb_connection_count duckdb_constraints
    duckdb_coordinate_systems duckdb_databases duckdb_dependencies duckdb_dialects
    duckdb_eviction_queues duckdb_extension_repositories duckdb_extensions
    duckdb_external_file_cache duckdb_external_resource_types duckdb_external_resources
    duckdb_functions duckdb_grammar_extensions duckdb_indexes duckdb_log_contexts duckdb_logs
    duckdb_logs_parsed duckdb_memory duckdb_optimizers duckdb_prepared_statements
    duckdb_profiling_settings duckdb_schemas duckdb_secret_type_parameters duckdb_secret_types
    duckdb_secrets duckdb_sequences duckdb_settings duckdb_table_sample duckdb_tables
    duckdb_temporary_files duckdb_triggers duckdb_types duckdb_variables duckdb_views
    json_execute_serialized_sql parquet_bloom_probe pragma_collations pragma_database_size
    pragma_metadata_info pragma_platform pragma_show pragma_storage_info pragma_table_info
    pragma_user_agent pragma_version query query_table read_duckdb read_single_csv_file
    read_single_json_file read_single_parquet_file summary test_all_types test_vector_types
    which_secret sqlite_scan postgres_scan mysql_scan iceberg_scan delta_scan ducklake_snapshots
    read_xlsx st_read postgres_query mysql_query sqlite_query postgres_execute mysql_execute
    sql_auto_complete check_peg_parser shell_add_schema duckdb_table_changes
    """
)

# A name, a path, a setting or SQL as text; or the engine's own state.
DENIED_SCALARS = (
    _names(
        """
    getvariable getenv write_log parse_duckdb_log_message json_deserialize_sql json_serialize_sql
    json_serialize_plan current_query current_query_id current_connection_id current_transaction_id
    in_search_path get_block_size sleep_ms stats vector_type create_sort_key pg_read_file
    pg_read_binary_file pg_ls_dir pg_stat_file lo_import lo_export dblink query_to_xml
    database_to_xml pg_reload_conf pg_rotate_logfile
    """
    )
    | DENIED_TABLE_FUNCTIONS
)

# Volatile by nature, harmless: a new value, a clock, an error. Sequence functions are resolved per branch.
HARMLESS_SIDE_EFFECTS = _names(
    """
    uuid uuidv4 uuidv7 gen_random_uuid random setseed error nextval currval setval txid_current
    """
)
