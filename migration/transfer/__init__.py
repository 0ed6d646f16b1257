"""Transfers: planned, staged, moved, verified, published, recorded."""
