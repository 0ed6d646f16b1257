"""The types a datasource can have: dialect, connector, options; as data.

Options are listed once, with the spellings users bring along from Datus, libpq and the drivers.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from migration.datasources.secrets import PLACEHOLDER
from migration.errors import MigrationError

COMMON = ("uri", "database", "schema", "role", "access", "read_only", "default", "extra", "connect_timeout")
_SERVER = ("host", "port", "user", "password", "statement_timeout", "read_timeout", "auth_mode")
_TLS = ("sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword")
_POSTGRES = (*_SERVER, *_TLS, "service", "application_name", "passfile")
_MYSQL = (*_SERVER, *_TLS, "charset", "autocommit", "unix_socket", "ssl_verify_cert", "ssl_verify_identity")
_CLICKHOUSE = (*_SERVER, "protocol", "verify", *_TLS[1:4], "path", "enable_external_access")
_FILES = ("path", "path_pattern", "statement_timeout")
_GOOGLE = ("credentials_path", "credentials_info", "credentials_base64", "auth", "api_endpoint")
_S3 = ("s3_staging", "s3_region", "s3_endpoint", "access_key", "secret_key", "session_token")
SECRET_OPTIONS = frozenset(
    {
        "password",
        "sslpassword",
        "private_key",
        "private_key_file_pwd",
        "token",
        "credentials_info",
        "credentials_base64",
        "access_key",
        "secret_key",
        "access_token",
        "session_token",
        "query",  # of a URL: what a driver takes a password by, among other things
    }
)
_ALIASES = {
    "username": "user",
    "passwd": "password",
    "pass": "password",
    "dbname": "database",
    "db": "database",
    "schema_name": "schema",
    "url": "uri",
    "hostname": "host",
    "ssl_ca": "sslrootcert",
    "ssl_cert": "sslcert",
    "ssl_key": "sslkey",
    "ca_cert": "sslrootcert",
    "timeout_seconds": "connect_timeout",
    "timeout": "connect_timeout",
    "query_timeout_seconds": "statement_timeout",
    "read_timeout_seconds": "read_timeout",
    "readonly": "read_only",
    "file": "path",
    "socket": "unix_socket",
    "aws_access_key_id": "access_key",
    "access_key_id": "access_key",
    "aws_secret_access_key": "secret_key",
    "secret_access_key": "secret_key",
    "aws_session_token": "session_token",
    "role_arn": "iam_role",
    "project_id": "project",
    "dataset": "database",
    "dataset_id": "database",
}


@dataclass(frozen=True, slots=True)
class DatasourceType:
    """One type. ``connector`` is a module of ``migration.connectors``."""

    name: str
    dialect: str
    connector: str
    extra: str  # what to install, "" = nothing
    options: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()  # at least one of them is required
    status: str = "tested"  # as docs/support.md: tested | stand-in | untested

    @property
    def spelled(self) -> str:
        """Its options in one line."""
        return ", ".join((*self.options, *COMMON))


TYPES: tuple[DatasourceType, ...] = (
    DatasourceType(
        "duckdb",
        "duckdb",
        "duckdb",
        "",
        (*_FILES, "memory_limit", "enable_external_access"),
        (),
        ("duckdb",),
        one_of=_FILES[:2],
    ),
    DatasourceType("sqlite", "sqlite", "sqlite", "", _FILES, ("sqlite3",), ("sqlite",), one_of=_FILES[:2]),
    DatasourceType(
        "postgres",
        "postgres",
        "postgres",
        "postgres",
        _POSTGRES,
        ("postgresql", "pg", "hologres", "gaussdb", "cockroachdb"),
        ("postgres", "postgresql"),
    ),
    DatasourceType(
        "greenplum",
        "greenplum",
        "postgres",
        "postgres",
        _POSTGRES,
        ("gp",),
        ("greenplum",),
        status="untested",
    ),
    DatasourceType(
        "redshift",
        "redshift",
        "redshift",
        "redshift",
        (*_SERVER, *_TLS, "application_name", *_S3, "iam_role"),
        (),
        ("redshift",),
        status="stand-in",
    ),
    DatasourceType("mysql", "mysql", "mysql", "mysql", _MYSQL, ("mariadb",), ("mysql", "mariadb")),
    DatasourceType(
        "clickhouse", "clickhouse", "clickhouse", "clickhouse", _CLICKHOUSE, ("chdb",), ("clickhouse",)
    ),
    DatasourceType(
        "bigquery",
        "bigquery",
        "bigquery",
        "bigquery",
        ("project", "catalog", "billing_project_id", "location", *_GOOGLE, "statement_timeout"),
        ("bq",),
        ("bigquery",),
        status="stand-in",
    ),
    *(
        DatasourceType(
            name,
            name,
            "hiveserver",
            "hive",
            (*_SERVER, "auth", "kerberos_service_name", "http_scheme"),
            schemes=(name, "hive2"),
            status=status,
        )
        for name, status in (("spark", "tested"), ("hive", "untested"))
    ),
    DatasourceType(
        "snowflake",
        "snowflake",
        "snowflake",
        "snowflake",
        ("account", *_SERVER, "warehouse", "role", "private_key_file", "private_key_file_pwd"),
        (),
        ("snowflake",),
        required=("account",),
        status="stand-in",
    ),
    DatasourceType(
        "trino",
        "trino",
        "trino",
        "trino",
        (*_SERVER, "catalog", "http_scheme", "protocol", "verify", "sslrootcert"),
        ("presto",),
        ("trino",),
        status="stand-in",
    ),
    *(
        DatasourceType(
            name,
            name,
            "starrocks",
            "mysql",
            (*_SERVER, "catalog", "http_port", "protocol", "charset", "autocommit"),
            schemes=(name,),
            status="stand-in",
        )
        for name in ("starrocks", "doris")
    ),
    DatasourceType(
        "sqlalchemy",
        "generic",
        "alchemy",
        "sqlalchemy",
        ("driver", *_SERVER, "query"),
        ("generic",),
        required=("driver",),
    ),
)
_BY_NAME = {name: kind for kind in TYPES for name in (kind.name, *kind.aliases)}


def datasource_type(name: str) -> DatasourceType:
    """The type of that name or alias; HV00A if there is none."""
    found = _BY_NAME.get(name.strip().lower())
    if found is None:
        close = difflib.get_close_matches(name.lower(), list(_BY_NAME), n=1)
        known = ", ".join(kind.name for kind in TYPES)
        raise MigrationError(
            "HV00A",
            f'unknown datasource type "{name}"',
            hint=(f"Did you mean {close[0]}? " if close else "") + f"Types: {known}.",
        )
    return found


def option_name(written: str, kind: DatasourceType) -> str:
    """The name we use for an option of ``kind``; HV00D if it has no such option."""
    folded = written.strip().lower().replace("-", "_")
    name = _ALIASES.get(folded, folded)
    if name == "role" and kind.name != "snowflake":
        name = "access"
    if name in kind.options or name in COMMON:
        return name
    close = difflib.get_close_matches(name, (*kind.options, *COMMON), n=1)
    raise MigrationError(
        "HV00D",
        f'a {kind.name} datasource has no option "{written}"',
        hint=(f"Did you mean {close[0]}? " if close else "") + f"Options: {kind.spelled}.",
    )


def read_uri(uri: str, kind: DatasourceType) -> dict[str, str]:
    """The options inside a URL; placeholders may stand anywhere in it.

    >>> read_uri("postgresql://u:${PW}@db:5433/sales?sslmode=require", datasource_type("postgres"))["password"]
    '${PW}'
    """
    kept: list[str] = []

    def shelve(match: re.Match[str]) -> str:
        kept.append(match[0])
        return f"\ue000{len(kept) - 1}\ue001"

    def restore(text: str) -> str:
        return re.sub("\ue000(\\d+)\ue001", lambda match: kept[int(match[1])], unquote(text))

    driver, separator, rest = PLACEHOLDER.sub(shelve, uri).partition("://")
    scheme = driver.partition("+")[0].lower()
    if not separator or (kind.schemes and scheme not in kind.schemes):
        raise MigrationError(
            "HV00A",
            f"the uri of a {kind.name} datasource starts with {' or '.join(kind.schemes)}://",
            hint="A value without :// is given as an option of its own, as host or path.",
        )
    rest, _, query = rest.partition("?")
    if kind.name == "sqlalchemy":  # what stands behind the question mark is the driver's own
        options = {**_authority(rest, restore), "driver": restore(driver), "query": restore(query)}
        return {name: value for name, value in options.items() if value}
    options = {
        option_name(name, kind): restore(value) for name, value in parse_qsl(query, keep_blank_values=True)
    }
    if kind.name in ("duckdb", "sqlite"):
        return {**options, "path": restore(rest.removeprefix("/"))}
    options.update(_authority(rest, restore))
    return {name: value for name, value in options.items() if value}


def _authority(rest: str, restore: Callable[[str], str]) -> dict[str, str]:
    """``user:password@host:port/database``."""
    options: dict[str, str] = {}
    authority, _, database = rest.partition("/")
    credentials, at, host = authority.rpartition("@")
    if at:
        user, colon, password = credentials.partition(":")
        options["user"] = restore(user)
        if colon:
            options["password"] = restore(password)
    host, port = _host_and_port(host)
    if host:
        options["host"] = restore(host)
    if port:
        options["port"] = restore(port)
    if database:
        options["database"] = restore(database)
    return options


def _host_and_port(text: str) -> tuple[str, str]:
    if text.startswith("["):  # an IPv6 address
        host, _, port = text[1:].partition("]")
        return host, port.removeprefix(":")
    host, colon, port = text.rpartition(":")
    return (host, port) if colon else (text, "")
