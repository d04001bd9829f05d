"""The peer: gateway and endorser at the edge, a committer process that alone writes the ledger, chaincode hosts."""
