"""The demonstration of shard storage: a substation's five clusters, what befalls them, and a report."""
