"""The vault: who holds, reads, audits and repairs the shares of which objects. Shares never stand on the ledger."""
