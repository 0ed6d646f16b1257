"""Other databases in a session: their commands, their tables in statements, transfers and tools."""
