"""All tables and views of a schema, moved together."""
