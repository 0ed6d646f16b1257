"""Collection: what no branch can reach any more leaves the file."""
