"""SQLAlchemy 2 over psycopg: connecting, reflection, a round trip of objects."""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from server_thread import ThreadServer
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

pytestmark = pytest.mark.once_each


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "alchemy_author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(50), unique=True)
    born: Mapped[dt.date | None]
    books: Mapped[list[Book]] = relationship(back_populates="author")


class Book(Base):
    __tablename__ = "alchemy_book"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    price: Mapped[decimal.Decimal] = mapped_column(sa.Numeric(10, 2))
    author_id: Mapped[int] = mapped_column(sa.ForeignKey("alchemy_author.id"))
    author: Mapped[Author] = relationship(back_populates="books")


@pytest.fixture(params=["psycopg", "psycopg2"])
def engine(server: ThreadServer, request: pytest.FixtureRequest) -> Iterator[sa.Engine]:
    made = sa.create_engine(server.url().replace("postgresql:", f"postgresql+{request.param}:"))
    Base.metadata.create_all(made)
    yield made
    Base.metadata.drop_all(made)
    made.dispose()


def test_objects_make_a_round_trip(engine: sa.Engine) -> None:
    with Session(engine) as session:
        author = Author(name="Ada", born=dt.date(1815, 12, 10))
        author.books = [Book(title="Notes", price=decimal.Decimal("12.50")), Book(title="More", price=1)]
        session.add(author)
        session.commit()
    with Session(engine) as session:
        found = session.scalars(sa.select(Author).where(Author.name == "Ada")).one()
        assert found.born == dt.date(1815, 12, 10)
        assert sorted((book.title, book.price) for book in found.books) == [
            ("More", 1),
            ("Notes", decimal.Decimal("12.5")),
        ]
        found.name = "Ada L."
        session.delete(found.books[0])
        session.commit()
        assert session.scalar(sa.select(sa.func.count()).select_from(Book)) == 1
        session.add(Author(name="Ada L."))
        with pytest.raises(sa.exc.IntegrityError):
            session.commit()


def test_reflection(engine: sa.Engine) -> None:
    inspector = sa.inspect(engine)
    assert {"alchemy_author", "alchemy_book"} <= set(inspector.get_table_names())
    columns = {column["name"]: column for column in inspector.get_columns("alchemy_book")}
    assert isinstance(columns["price"]["type"], sa.Numeric) and not columns["title"]["nullable"]
    assert inspector.get_pk_constraint("alchemy_book")["constrained_columns"] == ["id"]
    (foreign,) = inspector.get_foreign_keys("alchemy_book")
    assert foreign["referred_table"] == "alchemy_author"
    assert [found["column_names"] for found in inspector.get_unique_constraints("alchemy_author")] == [
        ["name"]
    ]
    table = sa.Table("alchemy_book", sa.MetaData(), autoload_with=engine)
    assert set(table.columns.keys()) == {"id", "title", "price", "author_id"}


def test_a_savepoint_without_writes(engine: sa.Engine) -> None:
    with engine.connect() as connection, connection.begin(), connection.begin_nested():
        assert connection.scalar(sa.text("SELECT 1")) == 1


def test_nested_transactions_that_are_kept(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS alchemy_nested"))
        connection.execute(sa.text("CREATE TABLE alchemy_nested (i int PRIMARY KEY)"))
        for number in range(3):
            with connection.begin_nested():
                connection.execute(sa.text("INSERT INTO alchemy_nested VALUES (:i)"), {"i": number})
    with engine.begin() as connection:
        with pytest.raises(sa.exc.IntegrityError), connection.begin_nested():
            connection.execute(sa.text("INSERT INTO alchemy_nested VALUES (0)"))
        connection.execute(sa.text("INSERT INTO alchemy_nested VALUES (9)"))
    with engine.connect() as connection:
        assert list(connection.scalars(sa.text("SELECT i FROM alchemy_nested ORDER BY i"))) == [0, 1, 2, 9]


@pytest.mark.parametrize("where", ["main", "branch"])
def test_many_objects_get_their_keys_by_one_statement(server: ThreadServer, name: str, where: str) -> None:
    with server.connect() as connection:
        connection.execute(
            f"CREATE TABLE {name} (id serial PRIMARY KEY, name varchar(9), at timestamptz DEFAULT now())"
        )
        if where == "branch":
            connection.execute(f"BRANCH CREATE {name}")
    database = name if where == "branch" else "main"
    engine = sa.create_engine(server.url(database).replace("postgresql:", "postgresql+psycopg:"))
    table = sa.Table(name, sa.MetaData(), autoload_with=engine)
    added = sa.insert(table).returning(table.c.id, table.c.name, sort_by_parameter_order=True)
    with engine.begin() as connection_:
        rows = connection_.execute(added, [{"name": f"n {i}"} for i in range(40)]).all()
        changed = sa.update(table).where(table.c.id < 3).values(name="x")
        two = connection_.execute(
            changed.returning(table.c.id.label("key"), table.c.name + table.c.name)
        ).all()
    engine.dispose()
    assert [tuple(row) for row in rows] == [(i + 1, f"n {i}") for i in range(40)]
    assert sorted(tuple(row) for row in two) == [(1, "xx"), (2, "xx")]
