"""The light nodes of a network, as a registrar asks them for what a registration of their devices wants."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gridledger import jsontext
from gridledger.client.profile import ConnectionProfile, read_roots
from gridledger.errors import MalformedMessage, NotFoundError
from gridledger.identity.signer import SigningIdentity
from gridledger.network.descriptions import network_now
from gridledger.network.folder import NetworkFolder
from gridledger.transport.node_client import NodeClient, path_of

KIND: Final = "lightnode"
"""The kind of a companion that is a light node."""
MAX_DEVICES: Final = 10_000
_TIMEOUT_S: Final = 15.0

_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
_Told = Annotated[str, Field(min_length=1, max_length=128)]
_ProofKey = Annotated[str, Field(pattern=r"^04[0-9a-f]{128}$")]
_Proof = Annotated[str, Field(pattern=r"^[0-9a-f]{194}$")]
_Certificate = Annotated[str, Field(min_length=1, max_length=11_000)]


class _Answer(BaseModel):
    """What a light node answers; members that this version does not know are passed over."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class HeldDevice(_Answer):
    """A device of a light node: all that its registration needs. The proof shows that the node has its key."""

    device: _Name
    type: _Told
    section: _Name
    site: _Told
    vendor: _Told
    model: _Told
    proof_key: _ProofKey
    certificate: _Certificate
    proof: _Proof

    @property
    def registration(self) -> dict[str, Any]:
        """The argument of RegisterDevice."""
        return self.model_dump()


class Rotation(_Answer):
    """A device's next key, with proofs by the present and by the next one."""

    device: _Name
    proof_key: _ProofKey
    certificate: _Certificate | None = None
    proof_old: _Proof
    proof_new: _Proof

    @property
    def argument(self) -> dict[str, Any]:
        """The argument of RotateKey."""
        return {name: value for name, value in self.model_dump().items() if value is not None}


class _Devices(_Answer):
    items: Annotated[tuple[HeldDevice, ...], Field(strict=False, max_length=MAX_DEVICES)]


_Model = TypeVar("_Model", bound=_Answer)


@dataclass(frozen=True, slots=True)
class LightNode:
    """Where a light node is, and whose it is."""

    name: str
    organisation: str
    url: str


def light_nodes_of(network: Path) -> list[LightNode]:
    """The light nodes that a network has, by the description in its folder. ``network``: the folder, or the connection
    profile in it.

    Raises :class:`SettingsError` where the folder holds none.
    """
    config = network_now(NetworkFolder(network if network.is_dir() else network.parent))
    return [
        LightNode(spec.name, spec.all_identities[0].organisation, config.url(spec))
        for spec in config.companions
        if spec.kind == KIND
    ]


def light_node(network: Path, name: str) -> LightNode:
    """The light node of this name; :class:`NotFoundError` where there is none."""
    nodes = light_nodes_of(network)
    for node in nodes:
        if node.name == name:
            return node
    there = ", ".join(node.name for node in nodes) or "none"
    raise NotFoundError(f"there is no light node {name!r:.80}; there are: {there}")


async def held_devices(profile: ConnectionProfile, node: LightNode, caller: SigningIdentity) -> list[HeldDevice]:
    """The devices that a light node holds; :class:`MalformedMessage` where it answers something else."""
    async with _client(profile, node, caller) as client:
        answer = await client.get("/devices", timeout_s=_TIMEOUT_S)
    return list(_read(_Devices, answer, node).items)


async def next_key(profile: ConnectionProfile, node: LightNode, caller: SigningIdentity, device: str) -> Rotation:
    """Have a light node make a device's next key; it answers the same one until the section has it."""
    async with _client(profile, node, caller) as client:
        answer = await client.post(path_of("devices", device, "rotation"), b"", timeout_s=_TIMEOUT_S)
    return _read(Rotation, answer, node)


def _client(profile: ConnectionProfile, node: LightNode, caller: SigningIdentity) -> NodeClient:
    return NodeClient(node.url, caller, read_roots(profile.roots))


def _read(model: type[_Model], answer: bytes, node: LightNode) -> _Model:
    try:
        return model.model_validate(jsontext.loads(answer))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "its answer"
        raise MalformedMessage(f"the light node {node.name} at {node.url}: {where}: {first['msg']}") from None
