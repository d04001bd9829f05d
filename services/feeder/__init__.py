"""The feeder: a simulated grid whose PMU frames go to the ledger and whose injections follow the ledger's answers."""
