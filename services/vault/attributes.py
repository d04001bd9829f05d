"""The attributes by which certificates say who somebody is in a vault, and the roles that there are."""

from __future__ import annotations

from typing import Final

ROLE: Final = "vault.role"
CLUSTER: Final = "vault.cluster"
ID: Final = "vault.id"

BASE: Final = "base"
DEALER: Final = "dealer"
HEAD: Final = "head"
SENSOR: Final = "sensor"
HOLDERS: Final = (HEAD, SENSOR)
"""The roles of holders."""
