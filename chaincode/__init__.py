"""Chaincodes: one installable folder each."""
