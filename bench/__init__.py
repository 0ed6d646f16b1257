"""Figures for this machine: `make bench`."""
