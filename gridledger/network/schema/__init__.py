"""network-config: what a network consists of, in one YAML file, checked as a whole before anything starts."""

from __future__ import annotations

from gridledger.network.schema.channels import ChaincodeSpec, ChannelSpec
from gridledger.network.schema.companions import CompanionIdentity, CompanionSpec
from gridledger.network.schema.file import load_network_config
from gridledger.network.schema.network import LOOPBACK, NetworkConfig
from gridledger.network.schema.nodes import CASpec, NodeSpec, OrganisationSpec

__all__ = [
    "LOOPBACK",
    "CASpec",
    "ChaincodeSpec",
    "ChannelSpec",
    "CompanionIdentity",
    "CompanionSpec",
    "NetworkConfig",
    "NodeSpec",
    "OrganisationSpec",
    "load_network_config",
]
