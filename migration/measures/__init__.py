"""What tables add up to, the same on every engine: what a transfer is verified by."""
