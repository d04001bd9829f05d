"""Organisations, nodes and the CA service as a network config describes them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from gridledger.network.schema.checks import Host
from gridledger.settings import Name, Port, SettingsPart


class OrganisationSpec(SettingsPart):
    """A member organisation. Its CA is hosted by the network's CA service, unless it is ``elsewhere``.

    Its ``kind`` follows from its nodes. One without nodes is an application organisation, or an observer where it says
    so.
    """

    name: Name
    mspid: Name
    kind: Literal["application", "orderer", "observer"] | None = None
    elsewhere: bool = False


class NodeSpec(SettingsPart):
    """An orderer or a peer: where it is reached. ``settings`` go into its settings file as they are."""

    name: Name
    organisation: Name
    port: Port
    host: Host | None = None
    settings: dict[str, Any] = Field(default_factory=dict)


class CASpec(SettingsPart):
    """The CA service: where it is reached."""

    port: Port = 7054
    host: Host | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
