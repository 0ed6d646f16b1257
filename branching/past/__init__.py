"""Lines as they were: moments, catalogs and rows."""
