"""GridLedger: a permissioned ledger in pure Python, made for monitoring and controlling a power grid."""

from __future__ import annotations

__version__ = "0.1.0"
