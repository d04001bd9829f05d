"""The REST bridge: programs without an SDK make transactions by plain HTTP, as identities that the bridge holds."""
