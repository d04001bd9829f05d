"""A whole network as a network config describes it, and what its parts must agree on."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from gridledger.network.endorsement import check_can_be_met
from gridledger.network.schema.channels import ChannelSpec
from gridledger.network.schema.checks import Host, refuse_twice, told_of
from gridledger.network.schema.companions import CompanionSpec
from gridledger.network.schema.nodes import CASpec, NodeSpec, OrganisationSpec
from gridledger.protocol.config_policies import (
    APPLICATION,
    OBSERVER,
    ORDERER,
    POLICY_PATHS,
    ChannelPolicies,
    Membership,
    organisation_policies,
)
from gridledger.protocol.limits import check_limits
from gridledger.settings import Name, SettingsPart

LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Addresses that no other machine reaches."""


class NetworkConfig(SettingsPart):
    """A whole network. All orderers order all channels.

    ``host`` is where nodes are reached that name no other, ``listen`` the address that all listen at (``host``).
    ``on_exit`` is what the supervisor does when a process ends by itself: leave it and go on with the others, restart
    it, or stop all.
    """

    name: Name
    host: Host = "127.0.0.1"
    listen: Host | None = None
    organisations: Annotated[tuple[OrganisationSpec, ...], Field(min_length=2)]
    ca: CASpec = CASpec()
    orderers: Annotated[tuple[NodeSpec, ...], Field(min_length=1)]
    peers: Annotated[tuple[NodeSpec, ...], Field(min_length=1)]
    channels: Annotated[dict[Name, ChannelSpec], Field(min_length=1)]
    applications: dict[str, dict[str, Any]] = Field(default_factory=dict)
    companions: tuple[CompanionSpec, ...] = ()
    on_exit: Literal["leave", "restart", "stop-all"] = "leave"

    def mspid(self, organisation: str) -> str:
        """The MSP id of an organisation."""
        return self.organisation(organisation).mspid

    def organisation(self, name: str) -> OrganisationSpec:
        """An organisation by its name."""
        return next(item for item in self.organisations if item.name == name)

    def kind_of(self, organisation: str) -> str:
        """The kind of an organisation on the channels: its own, or that of its nodes."""
        if kind := self.organisation(organisation).kind:
            return kind
        return ORDERER if any(item.organisation == organisation for item in self.orderers) else APPLICATION

    def members_of(self, channel: str) -> list[str]:
        """The organisations of a channel: the orderers', those with a peer there, and those that it names."""
        spec = self.channels[channel]
        named = {*(self.peer(peer).organisation for peer in spec.peers), *spec.organisations, *spec.readers}
        return [item.name for item in self.organisations if item.name in named or self.kind_of(item.name) == ORDERER]

    def peer(self, name: str) -> NodeSpec:
        """A peer by its name."""
        return next(item for item in self.peers if item.name == name)

    def channels_of(self, peer: str) -> list[str]:
        """The channels that a peer is on."""
        return [name for name, channel in self.channels.items() if peer in channel.peers]

    def url(self, place: NodeSpec | CASpec | CompanionSpec) -> str:
        """Where a node, the CA service or a companion is reached."""
        is_plain = isinstance(place, CompanionSpec) and not self.serves_tls(place)
        return f"{'http' if is_plain else 'https'}://{place.host or self.host}:{place.port}"

    def serves_tls(self, companion: CompanionSpec) -> bool:
        """Whether a companion serves with its own certificate."""
        return companion.tls == "always" or (
            companion.tls == "elsewhere" and (self.listen or self.host) not in LOOPBACK
        )

    def services_of(self, application: str) -> list[CompanionSpec]:
        """The companions of an application that are services."""
        return [spec for spec in self.companions if spec.application == application and spec.port is not None]

    def names_of(self, place: NodeSpec | CASpec | CompanionSpec) -> tuple[str, ...]:
        """The names and addresses under which a node, a companion or the CA service may be called."""
        own = (place.name,) if isinstance(place, NodeSpec | CompanionSpec) else ()
        return tuple(dict.fromkeys((place.host or self.host, self.host, "localhost", *own)))

    def with_names_as_hosts(self) -> NetworkConfig:
        """The same network where each node is reached by its name and listens at all addresses, as containers do.

        ``host`` stays the address that its ports are published at.
        """
        moved = self.model_dump(mode="json")
        moved["listen"] = "0.0.0.0"  # noqa: S104 - inside a container
        moved["ca"]["host"] = "ca"
        for node in (*moved["orderers"], *moved["peers"], *moved["companions"]):
            node["host"] = node["name"]
        return NetworkConfig.model_validate(moved)

    def with_port_offset(self, offset: int) -> NetworkConfig:
        """The same network with all ports moved, so that several fit on one machine."""
        moved = self.model_dump(mode="json")
        moved["ca"]["port"] += offset
        for node in (*moved["orderers"], *moved["peers"], *moved["companions"]):
            node["port"] = node["port"] + offset if node["port"] else None
        for companion in moved["companions"]:
            companion["ports"] = {name: port + offset for name, port in companion["ports"].items()}
        return NetworkConfig.model_validate(moved)

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        refuse_twice("organisation", [item.name for item in self.organisations])
        refuse_twice("MSP id", [item.mspid for item in self.organisations])
        nodes = (*self.orderers, *self.peers)
        refuse_twice("node", ["ca", *(item.name for item in nodes), *(item.name for item in self.companions)])
        ports = [self.ca.port, *(node.port for node in nodes)]
        ports += [port for companion in self.companions for port in companion.all_ports]
        refuse_twice("port", [str(port) for port in ports])
        organisations = {item.name for item in self.organisations}
        for node in nodes:
            if node.organisation not in organisations:
                raise ValueError(f"{node.name}: there is no organisation {node.organisation!r}")
        self._check_kinds()
        self._check_companions(organisations)
        names = {item.name for item in self.peers}
        for name, channel in self.channels.items():
            refuse_twice(f"peer of {name}", list(channel.peers))
            if missing := sorted(set(channel.peers) - names):
                raise ValueError(f"channel {name}: there are no peers {missing}")
            self._check_members(name, channel, organisations)
            with told_of(f"channel {name}"):
                check_limits(channel.batch, channel.limits)
            for forwarder in channel.forwarders:
                self._check_forwarder(name, forwarder)
        return self

    def _check_forwarder(self, channel: str, forwarder: str) -> None:
        organisation, _, user = forwarder.partition("/")
        members = [name for name in self.members_of(channel) if self.kind_of(name) == APPLICATION]
        if not user or organisation not in members:
            raise ValueError(
                f"channel {channel}: the forwarder {forwarder!r} is not written as Org1/alice, with an application "
                "organisation of the channel"
            )

    def _check_kinds(self) -> None:
        """Nodes are of organisations of their kind, else an organisation could make itself a voter by a node."""
        for role, kind, nodes in (("peer", APPLICATION, self.peers), ("orderer", ORDERER, self.orderers)):
            for node in nodes:
                found = self.kind_of(node.organisation)
                if found != kind:
                    raise ValueError(
                        f"{node.organisation} has the {role} {node.name} and is of the kind {found!r}: a {role} is of "
                        f"an organisation of the kind {kind!r}; give {role}s an organisation of their own"
                    )

    def _check_members(self, name: str, channel: ChannelSpec, organisations: set[str]) -> None:
        for member, named, kind in (
            ("organisations", channel.organisations, APPLICATION),
            ("readers", channel.readers, OBSERVER),
        ):
            refuse_twice(f"one of the {member} of {name}", list(named))
            if unknown := sorted(set(named) - organisations):
                raise ValueError(f"channel {name}: there are no organisations {unknown}")
            if wrong := [item for item in named if self.kind_of(item) != kind]:
                raise ValueError(f"channel {name}: its {member} are of the kind {kind!r}, and {wrong[0]} is not")

    def _check_companions(self, organisations: set[str]) -> None:
        """Each needs only what stands before it, so that none can need itself."""
        before: set[str] = set()
        applications = {spec.application for spec in self.companions}
        for spec in self.companions:
            if spec.name in applications:
                raise ValueError(f"companion {spec.name}: an application is called so; --with would mean both")
            if unknown := sorted({identity.organisation for identity in spec.all_identities} - organisations):
                raise ValueError(f"companion {spec.name}: there are no organisations {unknown}")
            if missing := sorted(set(spec.needs) - before):
                raise ValueError(f"companion {spec.name}: there are no companions {missing} before it")
            before.add(spec.name)

    def check_new(self) -> None:
        """Raise ValueError for what a network cannot begin with: policies that cannot be read, chaincodes that the
        peers cannot endorse, organisations whose CA is elsewhere. Later changes are judged by the channels' rules."""
        if elsewhere := [item.name for item in self.organisations if item.elsewhere]:
            raise ValueError(
                f"the CA of {elsewhere[0]} is elsewhere: it joins a network that runs (gridledger org add)"
            )
        for name, channel in self.channels.items():
            owners = [self.mspid(self.peer(peer).organisation) for peer in channel.peers]
            organisations = {self.mspid(item): self.kind_of(item) for item in self.members_of(name)}
            policies = ChannelPolicies(
                channel.all_policies,
                {mspid: Membership(kind, organisation_policies(mspid, kind)) for mspid, kind in organisations.items()},
            )
            for chaincode, spec in channel.chaincodes.items():
                with told_of(f"channel {name}, chaincode {chaincode}"):
                    check_can_be_met(policies.endorsement(spec.policy), name, organisations, owners)
            for path in sorted(POLICY_PATHS):
                with told_of(f"channel {name}, policy {path}"):
                    policies.at(path)
