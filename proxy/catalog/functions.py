"""Postgres' catalog functions as expressions of the engine.

A table, not code: each entry is the expression a call becomes. ``_1``, ``_2`` … stand for the arguments
(NULL where fewer are given), ``pg_lookup.x`` for one of our lookups, ``{path}`` and its like for values of the
session. A function that depends on literal arguments or changes shape is in ``calls`` instead.
"""

from __future__ import annotations

# Where templates find our lookups: a name no user can give a schema, since Postgres keeps pg_ to itself.
LOOKUP_SCHEMA = "pg_lookup"

_TRUE = "TRUE"
_EMPTY = "CAST(NULL AS VARCHAR)"

TEMPLATES: dict[str, str] = {
    # names of things
    "format_type": """CASE
        WHEN _1 IS NULL THEN NULL
        WHEN _1 = 0 THEN '-'
        WHEN _2 IS NULL OR _2 < 0 THEN COALESCE((SELECT _v FROM pg_lookup.type_name WHERE _k = _1), '???')
        WHEN _1 IN (1043,
        1015) THEN 'character varying(' || (_2 - 4) || ')' || CASE _1 WHEN 1015 THEN '[]' ELSE '' END
        WHEN _1 IN (1042,
        1014) THEN 'character(' || (_2 - 4) || ')' || CASE _1 WHEN 1014 THEN '[]' ELSE '' END
        WHEN _1 IN (1700,
        1231) THEN 'numeric(' || (((_2 - 4) >> 16) & 65535) || ',' || ((_2 - 4) & 2047) || ')'
            || CASE _1 WHEN 1231 THEN '[]' ELSE '' END
        WHEN _1 IN (1114, 1184, 1083, 1266) THEN replace(
            (SELECT _v FROM pg_lookup.type_name WHERE _k = _1), ' with', '(' || _2 || ') with')
        WHEN _1 IN (1560, 1562) THEN (SELECT _v FROM pg_lookup.type_name WHERE _k = _1) || '(' || _2 || ')'
        ELSE COALESCE((SELECT _v FROM pg_lookup.type_name WHERE _k = _1), '???') END""",
    "regclass_text": """CASE WHEN _1 = 0 THEN '-' ELSE COALESCE(
        (SELECT CASE WHEN _s IN ({path}) THEN _v ELSE _q END FROM pg_lookup.class_name WHERE _k = _1),
        CAST(_1 AS VARCHAR)) END""",
    "regtype_text": """CASE WHEN _1 = 0 THEN '-' ELSE COALESCE(
        (SELECT _v FROM pg_lookup.type_name WHERE _k = _1), CAST(_1 AS VARCHAR)) END""",
    "regproc_text": """CASE WHEN _1 = 0 THEN '-' ELSE COALESCE(
        (SELECT _v FROM pg_lookup.proc_name WHERE _k = _1), CAST(_1 AS VARCHAR)) END""",
    "regnamespace_text": """CASE WHEN _1 = 0 THEN '-' ELSE COALESCE(
        (SELECT _v FROM pg_lookup.namespace_name WHERE _k = _1), CAST(_1 AS VARCHAR)) END""",
    "regoper_text": "COALESCE((SELECT _v FROM pg_lookup.operator_name WHERE _k = _1), CAST(_1 AS VARCHAR))",
    "regrole_text": "{roles}",
    "regclass_oid": """(SELECT MAX(_k) FROM pg_lookup.class_name
        WHERE _q = _1 OR _s || '.' || _r = _1 OR '"' || _s || '"."' || _r || '"' = _1
        OR ((_v = _1 OR _r = _1 OR '"' || _r || '"' = _1) AND _s IN ({path})))""",
    "regtype_oid": """(SELECT MAX(_k) FROM pg_lookup.type_name
        WHERE _v = _1 OR _r = _1 OR _s || '.' || _r = _1 OR '"' || _s || '"."' || _r || '"' = _1)""",
    "regproc_oid": "(SELECT MIN(_k) FROM pg_lookup.proc_name WHERE _v = _1)",
    "regnamespace_oid": "(SELECT MAX(_k) FROM pg_lookup.namespace_name WHERE _v = _1)",
    "to_regclass": """(SELECT MAX(_k) FROM pg_lookup.class_name
        WHERE _q = _1 OR _s || '.' || _r = _1 OR '"' || _s || '"."' || _r || '"' = _1
        OR ((_v = _1 OR _r = _1 OR '"' || _r || '"' = _1) AND _s IN ({path})))""",
    "to_regtype": """(SELECT MAX(_k) FROM pg_lookup.type_name
        WHERE _v = _1 OR _r = _1 OR _s || '.' || _r = _1 OR '"' || _s || '"."' || _r || '"' = _1)""",
    "to_regproc": "(SELECT MIN(_k) FROM pg_lookup.proc_name WHERE _v = _1)",
    "to_regnamespace": "(SELECT MAX(_k) FROM pg_lookup.namespace_name WHERE _v = _1)",
    "pg_get_userbyid": "{roles}",
    "pg_table_is_visible": "(_1 IN (SELECT _k FROM pg_lookup.class_name WHERE _s IN ({path}){shadowed}))",
    "pg_encoding_to_char": "CASE _1 WHEN 6 THEN 'UTF8' WHEN 0 THEN 'SQL_ASCII' ELSE '' END",
    "pg_char_to_encoding": "CASE upper(_1) WHEN 'UTF8' THEN 6 WHEN 'SQL_ASCII' THEN 0 ELSE -1 END",
    "pg_client_encoding": "'UTF8'",
    "getdatabaseencoding": "'UTF8'",
    "array_remove": "list_filter(_1, lambda v: v IS DISTINCT FROM _2)",
    "current_setting": "(SELECT MAX(_t.setting) FROM pg_catalog.pg_settings AS _t WHERE _t.name = _1)",
    "quote_ident": """CASE WHEN regexp_full_match(_1, '[a-z_][a-z0-9_]*') THEN _1
        ELSE '"' || replace(_1, '"', '""') || '"' END""",
    "quote_literal": "'''' || replace(CAST(_1 AS VARCHAR), '''', '''''') || ''''",
    "quote_nullable": "COALESCE('''' || replace(CAST(_1 AS VARCHAR), '''', '''''') || '''', 'NULL')",
    "parse_ident": "string_split(replace(_1, '\"', ''), '.')",
    # definitions
    "pg_get_expr": "split_part(_1, chr(31), CASE WHEN _3 AND contains(_1, chr(31)) THEN 2 ELSE 1 END)",
    "pg_get_constraintdef": """(SELECT CASE WHEN COALESCE(_2, FALSE) THEN _p ELSE _v END
        FROM pg_lookup.constraint_def WHERE _k = _1)""",
    "pg_get_indexdef": """(SELECT CASE WHEN COALESCE(_3, FALSE) THEN _p ELSE _v END
        FROM pg_lookup.index_def WHERE _k = _1 AND _n = COALESCE(_2, 0))""",
    "pg_get_viewdef": "(SELECT _v FROM pg_lookup.view_def WHERE _k = _1)",
    "pg_get_ruledef": _EMPTY,
    "pg_get_triggerdef": _EMPTY,
    "pg_get_partkeydef": _EMPTY,
    "pg_get_partition_constraintdef": _EMPTY,
    "pg_get_statisticsobjdef": _EMPTY,
    "pg_get_statisticsobjdef_columns": _EMPTY,
    "pg_get_functiondef": _EMPTY,
    "pg_get_function_sqlbody": _EMPTY,
    "pg_get_function_arguments": "(SELECT _v FROM pg_lookup.function_arguments WHERE _k = _1)",
    "pg_get_function_identity_arguments": "(SELECT _v FROM pg_lookup.function_arguments WHERE _k = _1)",
    "pg_get_function_result": "(SELECT _r FROM pg_lookup.function_arguments WHERE _k = _1)",
    "pg_get_serial_sequence": """(SELECT MAX(_v) FROM pg_lookup.serial_sequence
        WHERE _k = _1 AND _c = _2)""",
    "obj_description": """(SELECT MAX(_v) FROM pg_lookup.description WHERE _k = _1 AND _n = 0 AND _c = COALESCE(
        CASE _2 WHEN 'pg_class' THEN 1259 WHEN 'pg_namespace' THEN 2615 WHEN 'pg_proc' THEN 1255
            WHEN 'pg_type' THEN 1247 WHEN 'pg_constraint' THEN 2606 WHEN 'pg_am' THEN 2601
            WHEN 'pg_cast' THEN 2605
            WHEN 'pg_operator' THEN 2617 WHEN 'pg_opclass' THEN 2616 WHEN 'pg_opfamily' THEN 2753
            WHEN 'pg_language' THEN 2612 WHEN 'pg_extension' THEN 3079 WHEN 'pg_conversion' THEN 2607
            WHEN 'pg_collation' THEN 3456 WHEN 'pg_rewrite' THEN 2618 WHEN 'pg_trigger' THEN 2620
            WHEN 'pg_event_trigger' THEN 3466 WHEN 'pg_foreign_data_wrapper' THEN 2328
            WHEN 'pg_foreign_server' THEN 1417 WHEN 'pg_publication' THEN 6104
            WHEN 'pg_statistic_ext' THEN 3381 WHEN 'pg_ts_config' THEN 3602 WHEN 'pg_ts_dict' THEN 3600
            WHEN 'pg_ts_parser' THEN 3601 WHEN 'pg_ts_template' THEN 3764
            ELSE CASE WHEN _2 IS NULL THEN NULL ELSE -1 END END, _c))""",
    "col_description": "(SELECT MAX(_v) FROM pg_lookup.description WHERE _k = _1 AND _c = 1259 AND _n = _2)",
    "shobj_description": "{shared_comments}",
    # privileges: what a role may do is decided where statements run, not here
    **dict.fromkeys(
        (
            "has_table_privilege",
            "has_column_privilege",
            "has_any_column_privilege",
            "has_schema_privilege",
            "has_database_privilege",
            "has_sequence_privilege",
            "has_function_privilege",
            "has_type_privilege",
            "has_language_privilege",
            "has_tablespace_privilege",
            "has_foreign_data_wrapper_privilege",
            "has_server_privilege",
            "has_parameter_privilege",
            "pg_has_role",
        ),
        _TRUE,
    ),
    **dict.fromkeys(
        (
            "pg_collation_is_visible",
            "pg_operator_is_visible",
            "pg_opclass_is_visible",
            "pg_opfamily_is_visible",
            "pg_conversion_is_visible",
            "pg_ts_config_is_visible",
            "pg_ts_dict_is_visible",
            "pg_ts_parser_is_visible",
            "pg_ts_template_is_visible",
            "pg_statistics_obj_is_visible",
        ),
        _TRUE,
    ),
    "pg_type_is_visible": """(SELECT COUNT(*) > 0 FROM pg_catalog.pg_type AS _t
        WHERE _t.oid = _1 AND _t.typnamespace IN ({path_oids}))""",
    "pg_function_is_visible": """(_1 IN (SELECT _t.oid FROM pg_catalog.pg_proc AS _t
        WHERE _t.pronamespace IN ({path_oids})))""",
    "row_security_active": "FALSE",
    "acldefault": "CAST([] AS VARCHAR[])",
    "makeaclitem": _EMPTY,
    # the server
    "version": "{version}",
    "current_database": "{database}",
    "current_catalog": "{database}",
    "current_schema": "{schema}",
    "current_user": "{user}",
    "user": "{user}",
    "current_role": "{user}",
    "session_user": "{session_user}",
    "pg_backend_pid": "{pid}",
    "pg_postmaster_start_time": "{started_at}",
    "pg_conf_load_time": "{started_at}",
    "pg_is_in_recovery": "FALSE",
    "pg_is_wal_replay_paused": "FALSE",
    "pg_is_in_backup": "FALSE",
    "pg_last_wal_receive_lsn": _EMPTY,
    "pg_last_wal_replay_lsn": _EMPTY,
    "pg_current_wal_lsn": "'0/0'",
    "pg_last_xact_replay_timestamp": "CAST(NULL AS TIMESTAMPTZ)",
    "inet_server_addr": _EMPTY,
    "inet_client_addr": _EMPTY,
    "inet_server_port": "CAST({port} AS INTEGER)",
    "inet_client_port": "CAST(NULL AS INTEGER)",
    "pg_my_temp_schema": "CAST(0 AS BIGINT)",
    "pg_is_other_temp_schema": "FALSE",
    "pg_blocking_pids": "CAST([] AS INTEGER[])",
    "pg_jit_available": "FALSE",
    "pg_export_snapshot": "'00000003-00000001-1'",
    "pg_notification_queue_usage": "CAST(0 AS DOUBLE)",
    "pg_trigger_depth": "0",
    "txid_current": "CAST(1 AS BIGINT)",
    "txid_current_if_assigned": "CAST(NULL AS BIGINT)",
    "txid_current_snapshot": "'1:1:'",
    "pg_current_xact_id": "CAST(1 AS BIGINT)",
    "age(xid)": "CAST(1 AS INTEGER)",
    "mxid_age": "CAST(1 AS INTEGER)",
    **dict.fromkeys(
        (
            "pg_advisory_lock",
            "pg_advisory_lock_shared",
            "pg_advisory_xact_lock",
            "pg_advisory_xact_lock_shared",
            "pg_advisory_unlock_all",
        ),
        "CAST('' AS VARCHAR)",
    ),
    **dict.fromkeys(
        (
            "pg_try_advisory_lock",
            "pg_try_advisory_lock_shared",
            "pg_try_advisory_xact_lock",
            "pg_try_advisory_xact_lock_shared",
            "pg_advisory_unlock",
            "pg_advisory_unlock_shared",
        ),
        _TRUE,
    ),
    # sizes and statistics: the engine keeps none per table that a client could use
    **dict.fromkeys(
        (
            "pg_relation_size",
            "pg_table_size",
            "pg_total_relation_size",
            "pg_indexes_size",
            "pg_database_size",
            "pg_tablespace_size",
        ),
        "CAST(0 AS BIGINT)",
    ),
    "pg_column_size": "CAST(octet_length(encode(CAST(_1 AS VARCHAR))) AS INTEGER)",
    "pg_size_pretty": """CASE WHEN abs(_1) < 10240 THEN CAST(_1 AS BIGINT) || ' bytes'
        WHEN abs(_1) < 10485760 - 512 THEN CAST(round(_1 / 1024.0) AS BIGINT) || ' kB'
        WHEN abs(_1) < 10737418240 - 524288 THEN CAST(round(_1 / 1048576.0) AS BIGINT) || ' MB'
        WHEN abs(_1) < 10995116277760 - 536870912 THEN CAST(round(_1 / 1073741824.0) AS BIGINT) || ' GB'
        ELSE CAST(round(_1 / 1099511627776.0) AS BIGINT) || ' TB' END""",
    "pg_relation_filenode": "_1",
    "pg_relation_is_publishable": _TRUE,
    "pg_relation_is_updatable": "CAST(28 AS INTEGER)",
    "pg_column_is_updatable": _TRUE,
    "pg_index_column_has_property": "_3 NOT IN ('desc', 'nulls_first')",
    "pg_indexam_has_property": "_2 NOT IN ('can_include_not')",
    "pg_index_has_property": "_2 <> 'clusterable_not'",
    "pg_tablespace_location": "CAST('' AS VARCHAR)",
    "pg_get_multixact_members": _EMPTY,
    "pg_stat_get_numscans": "CAST(0 AS BIGINT)",
    "pg_collation_actual_version": _EMPTY,
    "pg_collation_for": _EMPTY,
    "pg_database_collation_actual_version": _EMPTY,
    "pg_stat_get_backend_pid": "{pid}",
    "pg_identify_object": _EMPTY,
    "pg_describe_object": "CAST(_2 AS VARCHAR)",
}
