"""The committer: a process that fetches blocks from the orderers, validates them and alone writes the ledgers.
``child`` is the edge's side of it.

The process imports nothing of the HTTP edge, so that it starts fast and stays small.
"""
