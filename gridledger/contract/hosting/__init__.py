"""Chaincode hosts: confined processes that run chaincode for a peer, and the pool that gives them work."""
