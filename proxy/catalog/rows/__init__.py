"""Rows every PostgreSQL 15 has, one Parquet file a relation; a package so that they are installed with it."""
