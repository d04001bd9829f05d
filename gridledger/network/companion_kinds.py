"""The table of companions: which service each kind is, how it serves, and the extra it needs.

Names only: the library imports no service. A service answers ``/healthz``, has a port and is watched by the
supervisor; a job runs on demand, as ``gridledger feeder``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

ServesTLS = Literal["never", "elsewhere", "always"]
"""Where a service serves with a certificate of its own: nowhere, where other machines reach it, on this machine too."""


@dataclass(frozen=True, slots=True)
class CompanionKind:
    """What runs a kind of companion.

    ``extra`` is what it needs beyond the extra ``server``, ``may_use`` one that it needs only where its settings say
    so; the image of that name has it. One that has no identity takes no part in the network, and is told nothing of it.
    ``is_command``: ``gridledger KIND`` runs its module, with both extras asked for first, unless the module itself does
    so where a command needs it (``asks_for_extra``).
    """

    module: str
    is_service: bool
    extra: str | None = None
    may_use: str | None = None
    has_identity: bool = True
    tls: ServesTLS = "elsewhere"
    is_command: bool = True
    asks_for_extra: bool = False

    @property
    def image(self) -> str:
        """The image that a container of this kind runs: a target of docker/Dockerfile."""
        return self.extra or self.may_use or "services"


KINDS: Final[dict[str, CompanionKind]] = {
    "anchor": CompanionKind("services.anchor", is_service=True, tls="always", asks_for_extra=True),
    "case": CompanionKind("services.case", is_service=False, extra="forensics", asks_for_extra=True),
    "case-desk": CompanionKind("services.case.serving", is_service=True, tls="always", is_command=False),
    "console": CompanionKind("services.console", is_service=True, extra="console", tls="always", asks_for_extra=True),
    "feeder": CompanionKind("services.feeder", is_service=False, extra="feeder"),
    "lightnode": CompanionKind(
        "services.lightnode", is_service=True, may_use="forensics", tls="always", is_command=False
    ),
    "relay": CompanionKind("services.relay", is_service=True, extra="relay", tls="always", asks_for_extra=True),
    "relay-simulator": CompanionKind(
        "services.relay.simulator", is_service=True, extra="relay", has_identity=False, tls="never", is_command=False
    ),
    "rest": CompanionKind("services.rest", is_service=True),
    "vault": CompanionKind("services.vault", is_service=False, extra="vault", asks_for_extra=True),
    "vault-base": CompanionKind("services.vault.base", is_service=True, extra="vault", tls="always", is_command=False),
    "vault-holder": CompanionKind(
        "services.vault.holding", is_service=True, extra="vault", tls="always", is_command=False
    ),
}
