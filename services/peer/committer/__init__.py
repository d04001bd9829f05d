"""The committer's process: takes blocks from the orderers, judges them, and alone writes this peer's ledgers.

Imports nothing of the HTTP edge, so that it starts fast and stays small.
"""
