"""Channels and their chaincodes as a network config describes them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from gridledger.network.schema.checks import told_of
from gridledger.protocol.acls import read_acls
from gridledger.protocol.config_policies import GROUP_POLICIES, default_policies
from gridledger.protocol.limits import BatchLimits, TransactionLimits
from gridledger.settings import Name, SettingsPart


class ChaincodeSpec(SettingsPart):
    """A chaincode of a channel from its beginning. ``path`` starts at the folder of network-config's parent."""

    path: Path
    policy: str = "MAJORITY(all)"
    version: str = "1.0"


class ChannelSpec(SettingsPart):
    """A channel: its peers, chaincodes, policies and bounds.

    ``policies``, by group (Channel, Application, Orderer, Observer) and name, take the place of the default ones, and
    ``acls``, by resource, that of the default policies. ``forwarders``, such as ``Org1/bridge``, may bring what others
    have signed. ``readers`` are observers, which read and evaluate; ``organisations`` application organisations that
    are members without a peer there.
    """

    peers: Annotated[tuple[Name, ...], Field(min_length=1)]
    organisations: tuple[Name, ...] = ()
    readers: tuple[Name, ...] = ()
    chaincodes: dict[Name, ChaincodeSpec] = Field(default_factory=dict)
    policies: dict[str, dict[str, str]] = Field(default_factory=dict)
    acls: dict[str, str] = Field(default_factory=dict)
    forwarders: tuple[str, ...] = ()
    batch: BatchLimits = BatchLimits()
    limits: TransactionLimits = TransactionLimits()

    @property
    def all_policies(self) -> dict[str, dict[str, str]]:
        """The channel's policies, the default ones included."""
        return {group: {**texts, **self.policies.get(group, {})} for group, texts in default_policies().items()}

    @model_validator(mode="after")
    def _policies_are_known(self) -> Self:
        for group, texts in self.policies.items():
            if unknown := sorted(texts.keys() - GROUP_POLICIES.get(group, frozenset())):
                there = {name: sorted(names) for name, names in GROUP_POLICIES.items()}
                raise ValueError(f"there are no policies {unknown} of {group!r}; there are {there}")
        if self.acls:
            with told_of("acls"):
                read_acls(self.acls)
        return self
