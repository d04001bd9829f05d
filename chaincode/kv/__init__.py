"""A plain key-value store."""
