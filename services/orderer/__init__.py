"""The ordering service: Raft-ordered batches, blocks, and their delivery. See docs/orderer.md."""
