"""The attributes by which certificates say who somebody is in forensics, and the roles that there are."""

from __future__ import annotations

from typing import Final

ROLE: Final = "forensics.role"

AUTHORITY: Final = "authority"
INVESTIGATOR: Final = "investigator"
OPERATOR: Final = "operator"
REGISTRAR: Final = "registrar"
