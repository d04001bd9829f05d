"""The console: the network, the ledger, the grid and its evidence in a browser."""
