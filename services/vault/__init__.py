"""The vault: data shared among holders by secret sharing, and a ledger that tells who holds, reads and repairs what."""
