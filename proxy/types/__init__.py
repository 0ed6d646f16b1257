"""OIDs of types, and their values in text and binary format."""

from .info import TypeInfo

__all__ = ["TypeInfo"]
