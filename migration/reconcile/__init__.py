"""Two tables or queries on any two engines, compared."""
