"""The table of companions: which service each kind is, whether it is a service or a job, and the extra it needs.

Names only: the library imports no service. A service answers ``/healthz``, has a port and is watched by the
supervisor; a job runs on demand, as ``gridledger feeder``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class CompanionKind:
    """What runs a kind of companion. ``extra`` is what it needs beyond the extra ``server``."""

    module: str
    is_service: bool
    extra: str | None = None


KINDS: Final[dict[str, CompanionKind]] = {
    "feeder": CompanionKind("services.feeder", is_service=False, extra="feeder"),
    "rest": CompanionKind("services.rest", is_service=True),
}
