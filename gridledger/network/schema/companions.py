"""Companions as a network config describes them: services and jobs with identities beside the nodes."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from gridledger.network.companion_kinds import KINDS, CompanionKind, ServesTLS
from gridledger.network.schema.checks import Host, refuse_twice
from gridledger.settings import Name, Port, SettingsPart

SettingName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
_OWN_SETTINGS = ("name", "host", "port", "data", "connection", "identities", "tls", "hostnames", "companions")
"""Members of a companion's settings file that follow from the network."""


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
        refuse_twice(f"identity of {self.name}", [identity.name for identity in self.identities])
