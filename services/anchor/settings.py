"""The settings of an agent of anchors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from gridledger.settings import Count, ServiceSettings, SettingsPart
from services.anchor.deciding import Pace


class AnchorTLS(SettingsPart):
    """The certificate and the key (PEM) that the agent shows."""

    cert: Path
    key: Path


class AnchorLimits(SettingsPart):
    """Bounds: requests at once, channels that are followed."""

    max_requests: Count = 64
    max_channels: Annotated[int, Field(gt=0, le=1000)] = 64


class AnchorSettings(ServiceSettings):
    """What an agent is told.

    ``connection`` is the network's connection profile, ``identities`` the folder of its one identity, which has the
    attribute ``anchor.role=agent``. It follows the channels of its organisation's peers, those of the profile. Each is
    anchored at most ``interval_s`` or ``interval_blocks`` behind: all agents of a channel must have the same. ``tls``:
    what it shows (default: its identity's). ``hostnames`` and ``companions`` are not used.
    """

    connection: Path
    identities: dict[str, Path] = Field(min_length=1, max_length=1)
    interval_s: Annotated[float, Field(ge=1, le=3600)] = 10.0
    interval_blocks: Annotated[int, Field(ge=4, le=1_000_000)] = 256
    companions: dict[str, str] = Field(default={}, max_length=1000)
    tls: AnchorTLS | None = None
    hostnames: tuple[str, ...] = ()
    limits: AnchorLimits = AnchorLimits()

    @property
    def identity(self) -> Path:
        """The folder of the agent's identity."""
        return next(iter(self.identities.values()))

    @property
    def certificate_and_key(self) -> tuple[Path, Path]:
        """What the agent shows: ``tls``, else those of its identity."""
        if self.tls is not None:
            return self.tls.cert, self.tls.key
        return self.identity / "cert.pem", self.identity / "key.pem"

    @property
    def pace(self) -> Pace:
        """How often a channel is anchored."""
        return Pace(self.interval_s, self.interval_blocks)
