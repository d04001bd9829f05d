"""Benchmarks: load on a network through the SDK, what was measured of it, and a model of larger networks."""

from __future__ import annotations

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
"""The checkout: where modules are started, and network-config/ and chaincode/ are found."""
