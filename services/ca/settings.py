"""The CA service's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from gridledger.settings import Count, Name, Seconds, ServiceSettings, SettingsPart


class OrganisationSettings(SettingsPart):
    """One organisation. The first line of ``registrar_secret_file`` is the secret of its first registrar; the file is
    read at the first start only, and may be gone afterwards."""

    name: Name
    mspid: Name
    registrar_secret_file: Path


class Lifetimes(SettingsPart):
    """How long what the CA signs is valid. A list of revocations is renewed at half its time."""

    root_days: Count = 3650
    certificate_days: Count = 365
    revocation_list_hours: Count = 168


class CALimits(SettingsPart):
    """Bounds. ``wrong_secrets`` tries per address at once, then one more every ``wrong_secret_refill_s``.

    ``hashing_threads`` requests are worked on at once (hashing a secret takes 16 MiB and a core), ``max_waiting`` wait
    for that, the next get 429.
    """

    wrong_secrets: Count = 10
    wrong_secret_refill_s: Seconds = 30.0
    hashing_threads: Annotated[int, Field(gt=0, le=64)] = 4
    max_waiting: Count = 128
    max_body_bytes: Count = 64 * 1024
    max_requests: Count = 256
    registrar_enrollments: Count = 100


class CASettings(ServiceSettings):
    """The CA service.

    ``tls_hosts`` are the names under which clients reach it, ``tls_root`` where the root of its HTTPS certificate is
    written for them to read (None: ``tls-root.pem`` in ``data``). At SIGHUP ``organisations`` are read again, and those
    that are new are hosted too.
    """

    name: str = "ca"
    tls_hosts: Annotated[tuple[str, ...], Field(min_length=1)] = ("localhost", "127.0.0.1")
    tls_root: Path | None = None
    organisations: Annotated[tuple[OrganisationSettings, ...], Field(min_length=1, max_length=200)]
    lifetimes: Lifetimes = Lifetimes()
    limits: CALimits = CALimits()

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        for kind, names in (
            ("name", [one.name.lower() for one in self.organisations]),
            ("mspid", [one.mspid for one in self.organisations]),
        ):
            if len(set(names)) != len(names):
                raise ValueError(f"two organisations have the same {kind}")
        return self
