"""What the pages of shard storage show."""
