"""The light node: keeps what devices beside it say on its own disk, and brings it to the ledger in their order."""
