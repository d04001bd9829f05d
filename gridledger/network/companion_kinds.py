"""The table of companions: which service each kind is, whether it is a service or a job, and the extra it needs.

Names only: the library imports no service. A service answers ``/healthz``, has a port and is watched by the
supervisor; a job runs on demand, as ``gridledger feeder``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class CompanionKind:
    """What runs a kind of companion. ``extra`` is what it needs beyond the extra ``server``; ``is_command``:
    ``gridledger KIND`` runs its module."""

    module: str
    is_service: bool
    extra: str | None = None
    is_command: bool = True


KINDS: Final[dict[str, CompanionKind]] = {
    "feeder": CompanionKind("services.feeder", is_service=False, extra="feeder"),
    "relay": CompanionKind("services.relay", is_service=True),
    "relay-simulator": CompanionKind("services.relay.simulator", is_service=True, is_command=False),
    "rest": CompanionKind("services.rest", is_service=True),
}
