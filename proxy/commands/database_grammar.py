"""Branches as databases and as a setting: the statements Postgres' own tools send.

``createdb -T``, ``dropdb`` and a pool's ``SET branch`` work because these read what those programs write,
including the options that mean nothing here (owner, locale, tablespace).
"""

from __future__ import annotations

from collections.abc import Mapping

from branching.errors import BoughError

from . import branch as commands
from .model import Command
from .options import Converter, boolean, read_options, text
from .reader import Reader

FORCE_OPTIONS: Mapping[str, Converter] = {"force": boolean}
_IGNORED_DATABASE_OPTIONS = frozenset(
    {
        "allow_connections",
        "builtin_locale",
        "collation_version",
        "connection",
        "encoding",
        "icu_locale",
        "icu_rules",
        "is_template",
        "lc_collate",
        "lc_ctype",
        "locale",
        "locale_provider",
        "oid",
        "owner",
        "strategy",
        "tablespace",
    }
)


def read_create_database(reader: Reader) -> Command:
    """CREATE DATABASE name [WITH] [TEMPLATE [=] branch], with what createdb adds."""
    reader.form = commands.CreateDatabase.form
    reader.expect("create", "database")
    name = reader.name("branch name")
    reader.accept("with")
    source = None
    while not reader.at_end():
        option = reader.take()
        if option.kind != "word":
            raise reader.error(option)
        if option.value == "connection":
            reader.expect("limit")
        reader.accept_symbol("=")
        if option.value == "template":
            source = None if reader.accept("default") else reader.name("branch name")
        elif option.value in _IGNORED_DATABASE_OPTIONS:
            reader.accept_symbol("-")
            value = reader.take()
            encoding = value.value.lower().replace("-", "")
            if option.value == "encoding" and encoding not in ("utf8", "unicode", "default"):
                raise BoughError(
                    "0A000",
                    f'encoding "{value.value}" is not supported',
                    hint="Every branch is UTF8.",
                    position=value.start + 1,
                    detail="Text is stored as UTF8.",
                )
        else:
            raise reader.error(option)
    if source in ("template0", "template1"):
        source = None
    return commands.CreateDatabase(name, source)


def read_drop_database(reader: Reader) -> Command:
    """DROP DATABASE [IF EXISTS] name [[WITH] (FORCE)]"""
    reader.form = commands.DropDatabase.form
    reader.expect("drop", "database")
    if_exists = reader.accept("if", "exists")
    branch = reader.name("branch name")
    options = {}
    if reader.accept("with") or reader.at_symbol("("):
        options = read_options(reader, FORCE_OPTIONS, "DROP DATABASE")
    reader.end()
    return commands.DropDatabase(branch, if_exists, **options)


def read_alter_database(reader: Reader) -> Command:
    """ALTER DATABASE name RENAME TO name; nothing else can be altered."""
    reader.form = commands.RenameDatabase.form
    reader.expect("alter", "database")
    branch = reader.name("branch name")
    if not reader.at("rename"):
        raise BoughError(
            "0A000",
            "ALTER DATABASE can only rename",
            hint="BRANCH ALTER changes a branch's ttl, protection and comment.",
            position=reader.peek().start + 1,
            detail="Databases are branches: owners, tablespaces and settings are not theirs.",
        )
    reader.expect("rename", "to")
    name = reader.name("branch name")
    reader.end()
    return commands.RenameDatabase(branch, name)


def read_comment_on_database(reader: Reader) -> Command:
    """COMMENT ON DATABASE name IS 'text' | NULL"""
    reader.form = commands.CommentOnDatabase.form
    reader.expect("comment", "on", "database")
    branch = reader.name("branch name")
    reader.expect("is")
    position = reader.peek().start + 1
    comment = None if reader.accept("null") else text(reader.string(), position)
    reader.end()
    return commands.CommentOnDatabase(branch, comment=comment or None)


def read_set_branch(reader: Reader) -> Command:
    """SET [SESSION | LOCAL] branch {= | TO} 'name' | DEFAULT"""
    reader.form = commands.SetBranch.form
    reader.expect("set")
    local = reader.accept("local")
    if not local:
        reader.accept("session")
    reader.take()  # branch, perhaps in quotes
    if not reader.accept_symbol("="):
        reader.expect("to")
    name = None if reader.accept("default") else reader.name("branch name")
    reader.end()
    return commands.SetLocalBranch(name) if local else commands.SetBranch(name)


def read_reset_branch(reader: Reader) -> Command:
    reader.form = commands.ResetBranch.form
    reader.expect("reset")
    reader.take()
    reader.end()
    return commands.ResetBranch()


def read_show_branch(reader: Reader) -> Command:
    reader.form = commands.ShowBranch.form
    reader.expect("show")
    reader.take()
    reader.end()
    return commands.ShowBranch()


def read_show_branches(reader: Reader) -> Command:
    reader.form = "SHOW BRANCHES"
    reader.expect("show", "branches")
    reader.end()
    return commands.ListBranches()
