"""The settings of the case desk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from gridledger.settings import Count, ServiceSettings, SettingsPart


class DeskTLS(SettingsPart):
    """The certificate and the key (PEM) that the desk shows."""

    cert: Path
    key: Path


class DeskLimits(SettingsPart):
    """Bounds: requests at once, searches and packages that are under way at once."""

    max_requests: Count = 64
    max_searches: Annotated[int, Field(gt=0, le=64)] = 4
    max_packages: Annotated[int, Field(gt=0, le=16)] = 1


class DeskSettings(ServiceSettings):
    """What the case desk is told.

    ``connection`` is the network's connection profile, ``identities`` the folder of its one identity, which is of the
    authority; ``own_peer`` the one peer whose word it takes (default: the first of its organisation). ``wait_s``: how
    long a question waits until that peer has its Query. ``query_age_s``: how old a Query may be. ``search_s``: how long
    a search may take. ``companions``, the processes of the same application by name: light
    nodes are among them, which are asked for what packages take from them.
    """

    connection: Path
    identities: dict[str, Path] = Field(min_length=1, max_length=1)
    own_peer: str | None = None
    wait_s: Annotated[float, Field(gt=0, le=60)] = 10.0
    query_age_s: Annotated[float, Field(gt=0, le=86_400)] = 600.0
    search_s: Annotated[float, Field(gt=0, le=600)] = 30.0
    companions: dict[str, str] = Field(default={}, max_length=1000)
    tls: DeskTLS | None = None
    hostnames: tuple[str, ...] = ()
    limits: DeskLimits = DeskLimits()

    @property
    def identity(self) -> Path:
        """The folder of the identity."""
        return next(iter(self.identities.values()))

    @property
    def certificate_and_key(self) -> tuple[Path, Path]:
        """What the desk shows: ``tls``, else those of the identity."""
        if self.tls is not None:
            return self.tls.cert, self.tls.key
        return self.identity / "cert.pem", self.identity / "key.pem"
