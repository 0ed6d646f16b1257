"""A branch of the served database as the datasource ``local``."""
