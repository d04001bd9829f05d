"""Measuring the ledger: load from outside through the SDK, as a user's program would, and what the machine could do."""
