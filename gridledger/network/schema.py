"""network-config: what a network consists of, in one YAML file, checked as a whole before anything starts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from gridledger.errors import GridLedgerError, SettingsError
from gridledger.network.companion_kinds import KINDS, CompanionKind, ServesTLS
from gridledger.network.endorsement import check_can_be_met
from gridledger.protocol.acls import read_acls
from gridledger.protocol.config_policies import (
    APPLICATION,
    GROUP_POLICIES,
    OBSERVER,
    ORDERER,
    POLICY_PATHS,
    ChannelPolicies,
    Membership,
    default_policies,
    organisation_policies,
)
from gridledger.protocol.limits import BatchLimits, TransactionLimits, check_limits
from gridledger.settings import Name, Port, SettingsPart

LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Addresses that no other machine reaches."""

Host = Annotated[str, Field(min_length=1, max_length=253)]
SettingName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
_OWN_SETTINGS = ("name", "host", "port", "data", "connection", "identities", "tls", "hostnames", "companions")
"""Members of a companion's settings file that follow from the network."""


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


class CompanionIdentity(SettingsPart):
    """One of several identities of a companion: its name, its organisation, and attributes of its own."""

    name: Name
    organisation: Name
    attributes: dict[str, str] = Field(default_factory=dict)


class CompanionSpec(SettingsPart):
    """A process with identities beside the nodes: of a ``kind`` of the table, or of a ``module`` of one's own.

    It gets an identity of each of ``organisations``, with ``attributes``, or the ``identities`` that are described one
    by one; a kind that has none leaves them out. With a ``port`` it is a service, else a job that runs on demand.
    ``ports`` are further ones by the name that they have in its settings file. ``needs`` are companions that must run
    before it; ``settings`` go into its settings file. Those of one ``application`` are started together and told of one
    another.
    """

    name: Name
    kind: str | None = None
    module: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*$")] | None = None
    application: Name | None = None
    organisations: tuple[Name, ...] = ()
    identities: tuple[CompanionIdentity, ...] = ()
    port: Port | None = None
    ports: dict[SettingName, Port] = Field(default_factory=dict)
    host: Host | None = None
    attributes: dict[str, str] = Field(default_factory=dict)
    settings: dict[str, Any] = Field(default_factory=dict)
    needs: tuple[Name, ...] = ()

    @property
    def runs(self) -> str:
        """The module that is run."""
        return self.module or self._of_table.module

    @property
    def extra(self) -> str | None:
        """The extra that it needs beyond ``server``."""
        return self._of_table.extra

    @property
    def image(self) -> str:
        """The image that it runs in as a container."""
        return self._of_table.image

    @property
    def has_identity(self) -> bool:
        """Whether it takes part in the network."""
        return self._of_table.has_identity

    @property
    def all_identities(self) -> tuple[CompanionIdentity, ...]:
        """Its identities: those that are described, else one of each organisation, called as that is."""
        return self.identities or tuple(
            CompanionIdentity(name=organisation, organisation=organisation, attributes=self.attributes)
            for organisation in self.organisations
        )

    @property
    def tls(self) -> ServesTLS:
        """Where it serves with its own certificate; its settings may say so, or that it does not."""
        if "tls" in self.settings:
            return "always"
        return "never" if self.settings.get("plain") is True else self._of_table.tls

    @property
    def all_ports(self) -> tuple[int, ...]:
        """Its port and its further ones."""
        return tuple(port for port in (self.port, *self.ports.values()) if port is not None)

    @property
    def _of_table(self) -> CompanionKind:
        """Its row of the table; a module of one's own is a service as others are."""
        return KINDS[self.kind] if self.kind is not None else CompanionKind(self.module or "", is_service=True)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.kind is None) == (self.module is None):
            raise ValueError(f"companion {self.name}: give either kind or module")
        if self.kind is not None:
            if self.kind not in KINDS:
                raise ValueError(f"companion {self.name}: there is no kind {self.kind!r}; there are {sorted(KINDS)}")
            if KINDS[self.kind].is_service != (self.port is not None):
                wants = "a service and needs a port" if KINDS[self.kind].is_service else "a job and has no port"
                raise ValueError(f"companion {self.name}: {self.kind} is {wants}")
        self._check_identities()
        if self.ports and self.port is None:
            raise ValueError(f"companion {self.name}: only a service has ports")
        if twice := sorted(self.ports.keys() & {*self.settings, *_OWN_SETTINGS}):
            raise ValueError(f"companion {self.name}: {', '.join(twice)} is among its ports and its settings")
        return self

    def _check_identities(self) -> None:
        if self.has_identity and not self.all_identities:
            raise ValueError(f"companion {self.name}: name one or several organisations, whose identities it gets")
        if not self.has_identity and self.all_identities:
            raise ValueError(f"companion {self.name}: {self.kind} has no identity; leave organisations out")
        if self.identities and (self.organisations or self.attributes):
            raise ValueError(
                f"companion {self.name}: its identities say of which organisation each is; leave others out"
            )
        _unique(f"identity of {self.name}", [identity.name for identity in self.identities])


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
            with _told_of("acls"):
                read_acls(self.acls)
        return self


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
        _unique("organisation", [item.name for item in self.organisations])
        _unique("MSP id", [item.mspid for item in self.organisations])
        nodes = (*self.orderers, *self.peers)
        _unique("node", ["ca", *(item.name for item in nodes), *(item.name for item in self.companions)])
        ports = [self.ca.port, *(node.port for node in nodes)]
        ports += [port for companion in self.companions for port in companion.all_ports]
        _unique("port", [str(port) for port in ports])
        organisations = {item.name for item in self.organisations}
        for node in nodes:
            if node.organisation not in organisations:
                raise ValueError(f"{node.name}: there is no organisation {node.organisation!r}")
        self._check_kinds()
        self._check_companions(organisations)
        names = {item.name for item in self.peers}
        for name, channel in self.channels.items():
            _unique(f"peer of {name}", list(channel.peers))
            if missing := sorted(set(channel.peers) - names):
                raise ValueError(f"channel {name}: there are no peers {missing}")
            self._check_members(name, channel, organisations)
            with _told_of(f"channel {name}"):
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
            _unique(f"one of the {member} of {name}", list(named))
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
                with _told_of(f"channel {name}, chaincode {chaincode}"):
                    check_can_be_met(policies.endorsement(spec.policy), name, organisations, owners)
            for path in sorted(POLICY_PATHS):
                with _told_of(f"channel {name}, policy {path}"):
                    policies.at(path)


@contextmanager
def _told_of(what: str) -> Iterator[None]:
    """An error of ours as the one that pydantic collects; ``what`` is at fault."""
    try:
        yield
    except GridLedgerError as error:
        raise ValueError(f"{what}: {error.message}") from None


class _StrictLoader(yaml.SafeLoader):
    """Refuses a member that comes twice, of which YAML would keep the last in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """One mapping."""
        names = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        if twice := sorted({str(name) for name in names if names.count(name) > 1}):
            said = f"{', '.join(twice)} comes twice in one mapping"
            raise yaml.constructor.ConstructorError(None, None, said, node.start_mark)
        return super().construct_mapping(node, deep)


def load_network_config(path: Path) -> NetworkConfig:
    """Read a network-config file; :class:`SettingsError` names each thing that is wrong."""
    try:
        members = yaml.load(path.read_text(encoding="utf-8"), _StrictLoader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise SettingsError(f"cannot read the network config {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"the network config {path} is not YAML: {_place_and_problem(error)}") from None
    try:
        config = NetworkConfig.model_validate(members)
        config.check_new()
    except ValidationError as error:
        faults = "; ".join(_fault(".".join(map(str, item["loc"])), item["msg"]) for item in error.errors())
        raise SettingsError(f"the network config {path} cannot be used: {faults}") from None
    except ValueError as error:
        raise SettingsError(f"the network config {path} cannot be used: {error}") from None
    return config


def _place_and_problem(error: Exception) -> str:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return str(error)
    mark = error.problem_mark
    return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"


def _fault(member: str, message: str) -> str:
    said = message.removeprefix("Value error, ")
    return f"{member}: {said}" if member else said


def _unique(what: str, names: list[str]) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{what} {', '.join(twice)} comes twice")
