"""The settings of a console that serves a control room."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from gridledger.settings import Count, ServiceSettings, SettingsPart
from services.console.console import REPORTS


class ConsoleTLS(SettingsPart):
    """The certificate and the key (PEM) that the console shows to browsers."""

    cert: Path
    key: Path


class ConsoleLimits(SettingsPart):
    """Bounds: requests at once, event streams of browsers, connections."""

    max_requests: Count = 128
    max_streams: Count = 64
    max_connections: Count = 512


class ConsoleSettings(ServiceSettings):
    """What a console is told.

    ``connection`` is the network's connection profile, ``identities`` the folders of the identities as which it looks.
    It answers by its ``hostnames`` only (``localhost`` where there is none), with TLS. ``case`` is the grid's
    case file, for the one-line diagram, ``reports`` the folder of benchmark reports.
    """

    connection: Path
    identities: dict[str, Path] = Field(min_length=1, max_length=16)
    tls: ConsoleTLS | None = None
    hostnames: tuple[str, ...] = ()
    case: Path | None = None
    reports: Path = REPORTS
    companions: dict[str, str] = Field(default={}, max_length=1000)
    limits: ConsoleLimits = ConsoleLimits()

    @property
    def certificate_and_key(self) -> tuple[Path, Path]:
        """What the console shows: ``tls``, else those of its first identity."""
        if self.tls is not None:
            return self.tls.cert, self.tls.key
        own = next(iter(self.identities.values()))
        return own / "cert.pem", own / "key.pem"
