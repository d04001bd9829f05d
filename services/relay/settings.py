"""The settings of a server of relay monitoring."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gridledger.settings import Count, Seconds, ServiceSettings, SettingsPart

ServerId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$")]
MspId = Annotated[str, Field(min_length=1, max_length=128)]


class RelayTLS(SettingsPart):
    """The certificate and the key (PEM) that the page shows."""

    cert: Path
    key: Path


class RelayLimits(SettingsPart):
    """Bounds of the page, and of the spool of each relay."""

    max_requests: Count = 64
    max_page: Count = 100
    spool_captures: Annotated[int, Field(gt=0, le=1_000_000)] = 100_000


class RelaySettings(ServiceSettings):
    """What a server is told.

    ``server`` is its id, as relays' records name it. ``connection`` is the network's connection profile, ``identities``
    the folder of its one identity, ``own_peer`` the peer whose gateway it prefers (default: one of its organisation).
    ``operators``: MSPs of the operators whose relays it follows (default: that of its identity). Each of them decides
    which addresses this server calls.
    ``attest``: whether it attests what others recorded. ``catch_up``: which of the missed captures come first.
    ``stagger_ms``: waited for each place in a minute's turns before a capture is submitted. ``minute_s``: how long a
    relay's minute lasts, other than 60 for a simulated relay whose clock runs faster. ``fault_folder``: where COMTRADE
    records of ``fault_relay`` come to lie. ``companions`` are the processes of the same application by name, with their
    addresses. ``plain``: serve the page without TLS, on loopback only. ``hostnames``: names under which it is reached.
    """

    server: ServerId
    connection: Path
    identities: dict[str, Path] = Field(min_length=1, max_length=1)
    operators: tuple[MspId, ...] | None = Field(default=None, max_length=1000)
    own_peer: str | None = None
    attest: Literal["none", "sample", "all"] = "all"
    catch_up: Literal["oldest", "newest"] = "oldest"
    stagger_ms: Annotated[int, Field(ge=0, le=10_000)] = 0
    pace_s: Seconds = 1.0
    minute_s: Annotated[float, Field(ge=0.1, le=60)] = 60.0
    fault_folder: Path | None = None
    fault_relay: ServerId | None = None
    companions: dict[str, str] = Field(default={}, max_length=1000)
    plain: bool = False
    tls: RelayTLS | None = None
    hostnames: tuple[str, ...] = ()
    limits: RelayLimits = RelayLimits()

    @property
    def identity(self) -> Path:
        """The folder of the server's identity."""
        return next(iter(self.identities.values()))

    @property
    def on_loopback(self) -> bool:
        """Whether only programs on this machine reach the page."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.plain and not self.on_loopback:
            raise ValueError(f"plain: the page is served without TLS on loopback only, not on {self.host}")
        if (self.fault_folder is None) != (self.fault_relay is None):
            raise ValueError("fault_folder and fault_relay go together")
        return self
