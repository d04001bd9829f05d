"""The closed loop on grids of any size: ``python -m benchmarks.grids``."""
