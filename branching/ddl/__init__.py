"""Changes of the catalog: on the trunk the engine's own, on a branch of its view alone."""
