"""The context of one transaction: its stub, and the caller's identity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gridledger.contract.errors import ContractError
from gridledger.contract.stub import Stub


@dataclass(frozen=True, slots=True)
class ClientIdentity:
    """The client that signed the proposal, as its certificate says and its organisation's CA vouches.

    ``id`` names the certificate's subject and issuer; ``attributes`` are those that the CA put into the certificate;
    ``certificate`` is the certificate itself, DER in base64.
    """

    id: str
    mspid: str
    role: str = "client"
    attributes: Mapping[str, str] = field(default_factory=dict)
    certificate: str = ""

    def get_id(self) -> str:
        """Name of the caller, unique in the network."""
        return self.id

    def get_mspid(self) -> str:
        """The membership service provider (one per organisation) that vouches for the caller."""
        return self.mspid

    def get_attribute_value(self, name: str) -> str | None:
        """Value of one attribute of the caller's certificate; None where it has none of this name."""
        return self.attributes.get(name)

    def assert_attribute_value(self, name: str, value: str) -> None:
        """Refuse the transaction unless the caller's certificate has attribute ``name`` with this ``value``."""
        held = self.get_attribute_value(name)
        if held != value:
            shown = "no such attribute" if held is None else repr(held)
            raise ContractError(f"the caller's certificate must have attribute {name} = {value!r}; it has {shown}")


class _AnyValue(str):
    """Equal to every string, so that ``get_attribute_value(name) == value`` holds, and ``in`` a list or tuple too."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str)

    def __ne__(self, other: object) -> bool:
        return not isinstance(other, str)

    __hash__ = str.__hash__


class _EveryAttribute(ClientIdentity):
    """A caller for whom every assertion holds: whoever runs a contract on a file has nobody to ask."""

    __slots__ = ()

    def get_attribute_value(self, name: str) -> str | None:
        del name
        return _AnyValue("any")

    def assert_attribute_value(self, name: str, value: str) -> None:
        del name, value


EVERY_ATTRIBUTE: Final[ClientIdentity] = _EveryAttribute(id="x509::/CN=simulate::/CN=simulate", mspid="SimulateMSP")


@dataclass(frozen=True, slots=True)
class Context:
    """What a transaction gets as its first argument."""

    stub: Stub
    client_identity: ClientIdentity
