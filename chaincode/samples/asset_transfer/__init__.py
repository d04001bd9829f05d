"""Asset transfer: assets that are created, updated, transferred and deleted."""
