"""Running one statement: which kind it is decides who carries it out. Everything here runs on the pool.

Order: a command of ours by its first word; then Postgres' grammar; statements of the session itself (SET, SHOW, BEGIN,
cursors, EXPLAIN) are answered here, the rest goes to the connection with system relations and functions put in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from branching import EngineError, savepoints
from branching.errors import BoughError
from branching.model import Catalog
from branching.names import CATALOG_DATABASE
from migration.datasources.datasource import LOCAL
from proxy.commands import FUNCTIONS, Command, parse_command
from proxy.commands.branch import ShadowQuery
from proxy.session import conflict_updates, functions, given_rows, introspection, shadow_mode, utility, views
from proxy.session.analysis import WRITES, Analysis, analysis, tag_of
from proxy.session.outcome import Columns, Formats, Outcome, described, done, of_result, wire_formats
from proxy.session.parameters import columns_of, declared, engine_types, key_of, oids, placeholders
from proxy.session.portals import Portal, PreparedStatement, SqlCursor
from proxy.session.readings import read_again, readings
from proxy.session.remote import scans as remote_scans
from proxy.session.remote.relations import check_places, is_datasource
from proxy.session.shadow import with_values
from proxy.sql.errors import from_engine
from proxy.sql.guard import GuardContext, with_macros
from proxy.sql.in_place import in_place
from proxy.sql.parameters import parameter_types, typed_parameters
from proxy.sql.prepare import Prepared
from proxy.sql.split import Source
from proxy.sql.statements import Kind

if TYPE_CHECKING:
    from proxy.session.session import Session

_OURS = frozenset(FUNCTIONS) | frozenset(name.rpartition(".")[2] for name in FUNCTIONS)
_KEPT_ANALYSES = 4000
_KEPT_SIMPLE = 500
_LONGEST_KEPT = 5000


class Statements:
    def __init__(self, session: Session) -> None:
        self._session = session
        self.prepared: dict[str, PreparedStatement] = {}
        self.simple: dict[str, PreparedStatement] = {}  # texts of simple queries that are one statement
        self.portals: dict[str, Portal] = {}
        self.cursors: dict[str, SqlCursor] = {}
        # Texts read before, with the types the client gave: (the catalog their parameters were typed by, the statement)
        self._read: dict[Any, tuple[Catalog, PreparedStatement]] = {}
        self._analyses: dict[str, Analysis] = {}
        self._known: dict[str, tuple[Catalog, Sequence[str | None]]] = {}
        service = session.service
        self.guard = GuardContext(service.guard.file_directories, service.guard.database_path, _OURS)

    # -- reading a statement ------------------------------------------------------------------------------------

    def prepare(
        self, name: str, source: Source | None, given: Sequence[int] = (), *, whole: bool = False
    ) -> PreparedStatement:
        """Reads a statement and finds the types of its parameters; ``whole``: all of it, however many rows it has."""
        if source is None:
            return PreparedStatement(name, None)
        connection = self._session.connection
        assert connection is not None
        seen = (source.text, tuple(given), connection.search_path)
        catalog, known = self._read.get(seen, (None, None))
        if known is not None and known.prepared is not None and catalog is connection.catalog:
            self._allow(known.prepared)
            return replace(known, name=name, source=source)
        command = parse_command(source.text, partial(is_datasource, self._session))
        if command is not None:
            asked: tuple[int, ...] = ()
            if isinstance(command, ShadowQuery):
                asked = self.prepare("", Source(command.query, command.query_offset), given).types
            return PreparedStatement(name, source, command=command, types=asked)
        if not whole and (many := given_rows.prepare(self._session, name, source, given)) is not None:
            return many
        allowed = with_macros(self.guard, connection.catalog)
        prepared = self._session.service.statements.prepare(source, allowed)
        self._allow(prepared)
        inferred, elsewhere = list[str | None](), self.reads_elsewhere(prepared)
        place = connection.catalog, self._session.search_path(), connection.temporary
        known_columns, keys = columns_of(*place), key_of(*place)
        if elsewhere and prepared.tree is not None:
            known_columns = remote_scans.columns_elsewhere(self._session, prepared.tree, known_columns)
        prepared, depends = in_place(prepared, known_columns, keys, connection.database.engine.spelled)
        if prepared.parameter_count:
            inferred = parameter_types(prepared.parsed, known_columns)
            if prepared.parsed.tree is not None:
                for number, kind in functions.parameter_kinds(prepared.parsed.tree).items():
                    inferred[number - 1] = kind
        count = max(prepared.parameter_count, len(given))
        cast = declared(prepared.parsed.tree) if prepared.parsed.tree is not None and count else {}
        types = oids(given, inferred, count, cast)
        read_in = readings(self._session) if depends else None
        statement = PreparedStatement(
            name, source, prepared, types=types, read_in=read_in, given=tuple(given)
        )
        if len(source.text) < _LONGEST_KEPT and not elsewhere:
            if len(self._read) >= _KEPT_SIMPLE:
                self._read.pop(next(iter(self._read)))
            self._read[seen] = (connection.catalog, statement)
        return statement

    def _allow(self, prepared: Prepared) -> None:
        if self._session.transactions.failed:
            self._session.branch_schemas.refused(prepared)
        self._session.transactions_allow(prepared.kind)

    def tree(self, statement: PreparedStatement, values: Sequence[Any]) -> exp.Expr:
        """The statement's tree with its parameters typed for these values."""
        prepared = statement.prepared
        assert prepared is not None
        tree = prepared.parsed.tree if prepared.catalog else prepared.tree
        assert tree is not None
        if not prepared.parameter_count:
            return tree
        key = engine_types(statement.types[: prepared.parameter_count], values[: prepared.parameter_count])
        found = statement.trees.get(key)
        if found is None:
            if len(statement.trees) > 16:
                statement.trees.clear()
            found = statement.trees[key] = placeholders(typed_parameters(tree, key))
        return found

    def describe(self, statement: PreparedStatement, bound: Sequence[Any] | None = None) -> Columns | None:
        """The result's columns, without running anything; None where there are none. ``bound``: if values are known."""
        connection = self._session.prepare_connection()
        if statement.command is not None:
            return introspection.command_columns(self._session, statement.command)
        read_again(self._session, statement)
        prepared = statement.prepared
        if prepared is None:
            return None
        if prepared.is_silent:
            return None
        if prepared.parsed.tree is None:
            return utility.describe(self._session, prepared)
        if statement.columns is not None and statement.described is connection.catalog:
            return statement.columns
        values: list[Any] = [None] * prepared.parameter_count
        tree = self.tree(statement, values)
        mentions = self.analyse(prepared)
        known: Sequence[str | None] = ()
        if mentions.sleeps:
            return (("pg_sleep", introspection.VOID),)
        elsewhere = self.reads_elsewhere(prepared)
        if elsewhere:
            tree = remote_scans.RemoteScans(self._session, tree.copy(), values).describe()
        if mentions.commands or mentions.views:
            tree = introspection.empty_stand_ins(self._session, tree.copy(), bound)
            values = functions.keep_used(tree, values)
        if mentions.calls or mentions.catalog:
            found = introspection.rewrite(self._session, functions.silent(tree.copy()), prepared.catalog)
            values = functions.keep_used(found.tree, values)
            if found.only_catalog:
                columns = connection.describe_aside(found.tree.sql("duckdb"), values)
                return described(columns, found.types)
            tree, known = found.tree, found.types
        result = connection.describe(tree, functions.with_fractions(tree, values))
        if result is None:
            return None
        known = known or introspection.declared_types(self._session, tree, prepared.parsed.tree)
        shown = described(result, known)
        if not elsewhere and not mentions.commands:  # nobody tells us when a table changes over there
            statement.columns, statement.described = shown, connection.catalog
        return shown

    def reads_elsewhere(self, prepared: Prepared) -> bool:
        """Whether a statement may name tables of datasources."""
        known = self._session.service.remote.datasources
        mentions = self.analyse(prepared)
        if mentions.catalogs:
            check_places(self._session, mentions.catalogs)
        return any(name in known or name == LOCAL for name in mentions.places)

    def analyse(self, prepared: Prepared) -> Analysis:
        key = prepared.parsed.text
        found = self._analyses.get(key)
        if found is None:
            found = analysis(prepared)
            if len(self._analyses) > _KEPT_ANALYSES:
                self._analyses.clear()
            self._analyses[key] = found
        return found

    # -- running ------------------------------------------------------------------------------------------------

    def run_text(self, source: Source, whole: str | None = None) -> Outcome:
        """A statement of a simple query; ``whole`` is the query's text if it is nothing else, and is remembered."""
        if whole is not None and (outcome := given_rows.run(self._session, source)) is not None:
            return outcome
        statement = self.prepare("", source)
        if whole is not None and statement.prepared and not statement.read_in and len(whole) < _LONGEST_KEPT:
            if len(self.simple) >= _KEPT_SIMPLE:
                self.simple.pop(next(iter(self.simple)))
            self.simple[whole] = statement
        return self.run(statement, [], (0,))

    def run(
        self,
        statement: PreparedStatement,
        values: Sequence[Any],
        formats: Formats | None,
    ) -> Outcome:
        """Runs a prepared statement. ``formats`` None: rows are wanted piece by piece, not encoded."""
        session = self._session
        if statement.source is not None:
            session.statement = statement.source.text
        self.spare_open_results()
        connection = session.prepare_connection()
        connection.statement_text = session.shown_statement
        try:
            session.branch_schemas.merging.before(statement)
            if statement.command is not None:
                return self.command(with_values(statement.command, values))
            read_again(session, statement)
            prepared = statement.prepared
            assert prepared is not None
            self._allow(prepared)
            if statement.rows is not None:
                if (outcome := given_rows.run_prepared(session, statement, values)) is not None:
                    return outcome
                statement = self.prepare("", statement.source, statement.given, whole=True)
                return self.run(statement, values, formats)
            connection.notices.extend(prepared.notices)
            if prepared.parsed.tree is None and prepared.statement is None:
                return utility.run(session, prepared, values)
            return self._data(statement, prepared, values, formats)
        except EngineError as error:
            raise from_engine(error.exception, error.message) from error

    def spare_open_results(self) -> None:
        """Reads the rest of results that are still open into memory: the connection is needed."""
        for portal in self.portals.values():
            if portal.outcome is not None and not portal.completed:
                portal.outcome.materialise()
        for cursor in self.cursors.values():
            cursor.outcome.materialise()

    def command(self, command: Command) -> Outcome:
        """Carries out a command of ours."""
        session = self._session
        session.transactions.check()
        connection = session.connection
        assert connection is not None
        session.allow(command)
        outcome = session.commands.run(command)
        if command.changes_branches or command.writes:
            connection.restart()  # what it did is there for the block's next statement
        return outcome

    def _data(
        self,
        statement: PreparedStatement,
        prepared: Prepared,
        values: Sequence[Any],
        formats: Formats | None,
    ) -> Outcome:
        session = self._session
        connection = session.connection
        assert connection is not None
        if prepared.parsed.tree is None:
            what = prepared.statement
            assert what is not None
            if (about_branch := session.branch_schemas.ddl(what)) is not None:
                return about_branch
            self.writing()
            connection.execute(introspection.stored_definition(session, what))
            return done(prepared.tag)
        if (merged := session.branch_schemas.merging.create_as(prepared.tree)) is not None:
            return merged
        used = list(values[: prepared.parameter_count])
        tree = self.tree(statement, used)

        def answered(tree: exp.Expr) -> Outcome:
            return self._placed(prepared, tree, used, formats)

        def placed(tree: exp.Expr) -> Outcome:
            if self.analyse(prepared).commands:
                return functions.run_commands(session, tree, used, answered)
            return answered(tree)

        if self.reads_elsewhere(prepared):
            bind = self.analyse(prepared).is_plain
            return remote_scans.run(session, tree, used, placed, bind=bind)
        return placed(tree)

    def _placed(
        self, prepared: Prepared, tree: exp.Expr, used: list[Any], formats: Formats | None
    ) -> Outcome:
        """Runs a statement whose relations are all of the branch or the system's."""
        session = self._session
        connection = session.connection
        assert connection is not None
        tag = tag_of(prepared)
        mentions = self.analyse(prepared)
        known: Sequence[str | None] = ()
        keep: Any = None
        key: Any = None
        if mentions.commands or mentions.calls or mentions.views or mentions.catalog:
            tree = tree.copy()
            if mentions.views and conflict_updates.is_update(tree):
                return conflict_updates.run(session, tree, used)
            if mentions.calls:
                functions.substitute_session_calls(session, tree, used)
            if mentions.views:
                views.substitute(session, tree)
            if mentions.catalog:
                session.branch_schemas.merging.listing(tree)
                found = introspection.rewrite(session, tree, prepared.catalog, used)
                used = functions.keep_used(found.tree, used)
                if found.only_catalog and prepared.kind is Kind.SELECT:
                    outcome = of_result(
                        connection.read_aside(found.tree.sql("duckdb"), used), tag, found.types
                    )
                    outcome.keep = found
                    return outcome
                tree, known, keep = found.tree, found.types, found
            else:
                used = functions.keep_used(tree, used)
        elif prepared.kind in (Kind.SELECT, Kind.INSERT) and not self.reads_elsewhere(prepared):
            key = (prepared.parsed.text, id(tree))
        if prepared.kind in WRITES or isinstance(tree, exp.Create):
            self.writing()
            if mentions.commands or mentions.views or self.reads_elsewhere(prepared) or _reads_system(tree):
                savepoints.cannot_repeat(
                    connection, "the transaction has written rows of a system table or a datasource"
                )
        if not known and prepared.kind is Kind.SELECT:
            kept = None if mentions.commands else prepared.parsed.text
            known = self._declared(kept, tree, prepared.parsed.tree)
        describes = prepared.kind is Kind.DESCRIBE
        wire = None if formats is None or describes else wire_formats(formats, known)
        result = connection.execute(tree, used, wire, key)
        if result.columns is None:
            count = result.rowcount
            if isinstance(tree, exp.Create):
                return done("CREATE TABLE" if tree.expression is None else f"SELECT {count or 0}")
            return done(tag(count or 0))
        if prepared.kind in WRITES:
            written = result.rowcount or 0
            return of_result(result, lambda _rows: tag(written), known)
        if session.shadowing is not None and prepared.kind is Kind.SELECT:
            shadow_mode.offer(session, prepared, tree, used, ours=key is None or mentions.sleeps)
        outcome = of_result(result, tag, known)
        outcome.keep = (keep, tree)
        return utility.named_sequences(session, outcome) if describes else outcome

    def _declared(self, text: str | None, tree: exp.Expr, parsed: exp.Expr | None) -> Sequence[str | None]:
        """Declared types of the columns, found once per text (if there is one) and catalog."""
        connection = self._session.connection
        assert connection is not None
        catalog = connection.catalog
        kept = self._known.get(text) if text is not None else None
        if kept is None or kept[0] is not catalog:
            if len(self._known) > _KEPT_ANALYSES:
                self._known.clear()
            kept = (catalog, introspection.declared_types(self._session, tree, parsed))
            if text is not None:
                self._known[text] = kept
        return kept[1]

    def writing(self) -> None:
        """A statement is about to write; 25006 where nothing may."""
        self._session.transactions.need_writable()

    # -- statements that hold other statements --------------------------------------------------------------------

    def named(self, name: str) -> PreparedStatement:
        found = self.prepared.get(name)
        if found is None:
            what = f'prepared statement "{name}"' if name else "unnamed prepared statement"
            raise BoughError("26000", f"{what} does not exist")
        return found

    def end_of_transaction(self) -> None:
        """Portals and cursors without HOLD live as long as their transaction."""
        self.portals = {}
        self.cursors = {name: cursor for name, cursor in self.cursors.items() if cursor.hold}


def _reads_system(tree: exp.Expr) -> bool:
    return any(node.text("catalog") == CATALOG_DATABASE for node in tree.find_all(exp.Table))
