"""The settings of the vault's base."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gridledger.settings import Count, Seconds, ServiceSettings, SettingsPart


class BaseTLS(SettingsPart):
    """The certificate and the key (PEM) that the base shows."""

    cert: Path
    key: Path


class BaseLimits(SettingsPart):
    """Bounds: requests at once, objects that are looked at, audits and repairs that are under way at once."""

    max_requests: Count = 64
    max_objects: Annotated[int, Field(gt=0, le=1_000_000)] = 100_000
    max_at_once: Annotated[int, Field(gt=0, le=64)] = 4


class BaseSettings(ServiceSettings):
    """What the base is told.

    ``connection`` is the network's connection profile, ``identities`` the folder of its one identity, which has the
    attribute ``vault.role=base``; ``own_peer`` the peer whose gateway it prefers (default: one of its organisation).
    ``url`` is where it is reached, for its entry on the ledger (default: the first of ``hostnames``, and ``port``).
    ``kem``: the kind of the key that dealers seal audits' secrets to, when it is made. All objects are looked at every
    ``look_over_s``; one share of each is audited every ``audit_every_s`` (0: none but those that are asked for). An
    object that fewer than t holders have acknowledged is abandoned after ``abandon_after_s``. ``repair``: whether it
    repairs shares by itself; a repair that fails is tried again after ``repair_again_s`` and later. ``companions``, the
    processes of the same application by name, are not used.
    """

    connection: Path
    identities: dict[str, Path] = Field(min_length=1, max_length=1)
    own_peer: str | None = None
    url: str | None = Field(default=None, pattern=r"^https://[A-Za-z0-9.:_~\[\]-]+$", max_length=200)
    kem: Literal["x25519", "mlkem768-x25519"] = "x25519"
    look_over_s: Seconds = 60.0
    audit_every_s: Annotated[float, Field(ge=0)] = 3600.0
    abandon_after_s: Annotated[float, Field(ge=300)] = 3600.0
    repair: bool = True
    repair_again_s: Seconds = 30.0
    companions: dict[str, str] = Field(default={}, max_length=1000)
    tls: BaseTLS | None = None
    hostnames: tuple[str, ...] = ()
    limits: BaseLimits = BaseLimits()

    @property
    def identity(self) -> Path:
        """The folder of the base's identity."""
        return next(iter(self.identities.values()))

    @property
    def base_url(self) -> str:
        """Where the base is reached."""
        if self.url is not None:
            return self.url
        host = self.hostnames[0] if self.hostnames else self.host
        return f"https://{f'[{host}]' if ':' in host else host}:{self.port}"

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.url is None and not self.hostnames and self.host in ("0.0.0.0", "::"):  # noqa: S104
            raise ValueError("url: a base that listens at all addresses must say where it is reached")
        return self
