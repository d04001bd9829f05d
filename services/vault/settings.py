"""The settings of a process of holders, and what it has in common with the base."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gridledger.settings import Count, Seconds, ServiceSettings, SettingsPart
from services.vault.records import HOLDER_NAME

HolderName = Annotated[str, Field(pattern=f"^{HOLDER_NAME.pattern}$")]
_MIB = 1024 * 1024


class VaultTLS(SettingsPart):
    """The certificate and the key (PEM) that the process shows."""

    cert: Path
    key: Path


class VaultSettings(ServiceSettings):
    """What holders and the base are told alike: how they reach the ledger, and where they are reached."""

    connection: Path
    identities: dict[str, Path] = Field(min_length=1, max_length=1)
    own_peer: str | None = None
    url: str | None = Field(default=None, pattern=r"^https://[A-Za-z0-9.:_~\[\]-]+$", max_length=200)
    kem: Literal["x25519", "mlkem768-x25519"] = "x25519"
    companions: dict[str, str] = Field(default={}, max_length=1000)
    tls: VaultTLS | None = None
    hostnames: tuple[str, ...] = ()

    @property
    def identity(self) -> Path:
        """The folder of the first identity."""
        return next(iter(self.identities.values()))

    @property
    def certificate_and_key(self) -> tuple[Path, Path]:
        """What the process shows: ``tls``, else those of the first identity."""
        if self.tls is not None:
            return self.tls.cert, self.tls.key
        return self.identity / "cert.pem", self.identity / "key.pem"

    @property
    def base_url(self) -> str:
        """Where the process is reached."""
        if self.url is not None:
            return self.url
        host = self.hostnames[0] if self.hostnames else self.host
        return f"https://{f'[{host}]' if ':' in host else host}:{self.port}"

    @model_validator(mode="after")
    def _is_reached(self) -> Self:
        if self.url is None and not self.hostnames and self.host in ("0.0.0.0", "::"):  # noqa: S104
            raise ValueError("url: a process that listens at all addresses must say where it is reached")
        return self


class HolderLimits(SettingsPart):
    """Bounds of the process, shared by its callers, and of what each of its holders keeps.

    ``max_body_bytes`` bounds a request: the largest share, or what comes of t holders in a repair; ``max_work_bytes``
    the shares that requests keep in memory; ``max_shares`` and ``max_share_bytes`` a holder's disk.
    """

    max_requests: Count = 64
    max_body_bytes: Count = 72 * _MIB
    max_work_bytes: Count = 512 * _MIB
    max_shares: Annotated[int, Field(gt=0, le=1_000_000)] = 100_000
    max_share_bytes: Count = 1 << 40


class HolderSettings(VaultSettings):
    """What a process of holders is told.

    ``connection`` is the network's connection profile. ``identities`` are the folders of its holders' identities by
    the holders' names: one process hosts several holders of one organisation, each with its own key, log and files
    below ``data``. ``own_peer`` is the peer of that organisation that they ask (default: any of its peers); no other
    organisation's is believed. ``url`` is where they are reached, for their entries on the ledger (default: the
    first of ``hostnames``, and ``port``). ``kem``: how shares are sealed to a holder that has no key yet; the hybrid
    for data that must stay secret for decades. ``wait_s``: how long a request waits for a transaction that the peer
    does not have yet. ``look_over_s``: how often all shares are compared with the ledger. ``companions``, the processes
    of the same application by name, are not used.
    """

    identities: dict[HolderName, Path] = Field(min_length=1, max_length=64)
    wait_s: Annotated[float, Field(gt=0, le=20)] = 5.0
    look_over_s: Seconds = 600.0
    limits: HolderLimits = HolderLimits()
