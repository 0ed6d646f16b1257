"""Keys, distribution, sorting and partitions of a target table, from the source's statistics."""
