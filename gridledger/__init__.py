"""GridLedger: a permissioned ledger in pure Python, made for monitoring and controlling a power grid."""

__version__ = "0.1.0"
