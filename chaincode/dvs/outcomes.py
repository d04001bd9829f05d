"""What ComputeVSI can answer to a frame."""

from __future__ import annotations

from typing import Final

NORMAL: Final = "normal"
INJECTED: Final = "injected"
VOLTAGE_OK: Final = "voltage_ok"
ESCALATE: Final = "escalate"
PENDING: Final = "pending"
LENT: Final = "lent"
STALE: Final = "stale"
RELEASED: Final = "released"
HELD: Final = "held"
SUSPECT: Final = "suspect"
