"""The settings of the vault's base."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gridledger.settings import Count, Seconds, SettingsPart
from services.vault.settings import VaultSettings


class BaseLimits(SettingsPart):
    """Bounds: requests at once, objects that are looked at, audits and repairs that are under way at once."""

    max_requests: Count = 64
    max_objects: Annotated[int, Field(gt=0, le=1_000_000)] = 100_000
    max_at_once: Annotated[int, Field(gt=0, le=64)] = 4


class BaseSettings(VaultSettings):
    """What the base is told.

    ``connection`` is the network's connection profile, ``identities`` the folder of its one identity, which has the
    attribute ``vault.role=base``; ``own_peer`` the peer whose gateway it prefers (default: one of its organisation).
    ``url`` is where it is reached, for its entry on the ledger (default: the first of ``hostnames``, and ``port``).
    ``kem``: the kind of the key that dealers seal audits' secrets to, when it is made. All objects are looked at every
    ``look_over_s``; one share of each is audited every ``audit_every_s`` (0: none but those that are asked for). An
    object that fewer than t holders have acknowledged is abandoned after ``abandon_after_s``. ``repair``: whether it
    repairs shares by itself. A repair that fails, and an audit whose cause is not found, are tried again after
    ``repair_again_s`` and later. ``companions``, the
    processes of the same application by name, are not used.
    """

    look_over_s: Seconds = 60.0
    audit_every_s: Annotated[float, Field(ge=0)] = 3600.0
    abandon_after_s: Annotated[float, Field(ge=300)] = 3600.0
    repair: bool = True
    repair_again_s: Seconds = 30.0
    limits: BaseLimits = BaseLimits()
