"""Three-way merges: planned, written, verified, undone, and their conflicts."""
