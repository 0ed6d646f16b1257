"""The databases beside our own: names, types, options and secrets."""
