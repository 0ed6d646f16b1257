"""What branches have changed: rows, cells, definitions, and the statements that change them again."""
