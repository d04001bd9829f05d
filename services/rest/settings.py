"""The REST bridge's settings."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from gridledger.settings import Count, Name, Seconds, ServiceSettings, SettingsPart


class RestTLS(SettingsPart):
    """The bridge's own certificate and key (PEM), for callers on other machines."""

    cert: Path
    key: Path


class RestLimits(SettingsPart):
    """Bounds of the HTTP edge. Sizes in bytes."""

    max_body_bytes: Count = 4 * 1024 * 1024
    max_requests: Count = 64
    max_streams: Count = 16
    max_timeout_s: Seconds = 120.0


class RestSettings(ServiceSettings):
    """What the REST bridge is told.

    ``connection`` is the network's connection profile. ``identities`` are the folders of those whom it may act as, by
    name; a call that names none is made as the first. ``tokens`` is a folder with one file for each client, named after
    the client, that holds its bearer token; ``clients`` says as whom a client may act (those not named: as anybody).
    ``hostnames`` are names, beside localhost, under which callers reach the bridge.
    """

    connection: Path
    identities: dict[str, Path] = Field(min_length=1)
    tokens: Path = Path("tokens")
    clients: dict[Name, tuple[str, ...]] = Field(default={})
    hostnames: tuple[str, ...] = ()
    tls: RestTLS | None = None
    limits: RestLimits = RestLimits()

    @property
    def on_loopback(self) -> bool:
        """Whether only programs on this machine reach the bridge."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.tls is None and not self.on_loopback:
            raise ValueError(f"host {self.host} is reached from other machines: give the bridge tls (cert, key)")
        for client, names in self.clients.items():
            if unknown := sorted(set(names) - self.identities.keys()):
                raise ValueError(f"clients.{client}: there are no identities {unknown}")
        return self
