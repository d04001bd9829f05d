"""Shard storage on a real network: bytes on disk, how long puts and gets take, changes of members under load."""
