"""A network on one machine: its description, its identities and genesis blocks, its processes, its state."""
