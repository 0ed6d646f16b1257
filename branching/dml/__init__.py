"""Writes of rows, on the trunk and on a branch, and the keys, lengths and references they must keep."""
