"""Relay monitoring: a simulated relay, the servers that read relays onto the ledger, and the commands of both."""
