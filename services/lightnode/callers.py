"""Who may ask a light node for what: by the configurations of its sections, and what certificates say."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from gridledger.errors import AuthenticationError, GridLedgerError, PermissionDeniedError
from gridledger.identity.certificate import Certificate
from gridledger.identity.msp import Identity
from gridledger.protocol import acls
from gridledger.web import Members

ROLE, DEVICE = "forensics.role", "forensics.device"


class Callers:
    """The members of a node's sections. ``mspid`` is the node's own organisation, ``body_readers`` are others that may
    read bodies which stay off the ledger."""

    def __init__(self, members: Mapping[str, Members], mspid: str, body_readers: Sequence[str] = ()) -> None:
        self._members = members
        self._mspid = mspid
        self._body_readers = frozenset((mspid, *body_readers))

    def authenticate(self, certificate: Certificate) -> Identity:
        """Who calls, as the first section that knows the organisation says; an error where none does."""
        refusal: GridLedgerError = AuthenticationError("this light node has no section")
        for members in self._members.values():
            try:
                return members.authenticate(certificate)
            except GridLedgerError as error:
                refusal = error
        raise refusal

    async def follow(self) -> None:
        """Follow the configurations until this is cancelled."""
        async with asyncio.TaskGroup() as group:
            for members in self._members.values():
                group.create_task(members.follow())

    def require_speaker(self, caller: Identity, device: str) -> None:
        """Refuse who may not tell events of a device: others than its own organisation's light nodes, operators'
        stations, and the device itself."""
        role = caller.attributes.get(ROLE)
        is_device = role == "device" and caller.attributes.get(DEVICE) == device
        if caller.mspid != self._mspid or not (is_device or role in ("lightnode", "operator")):
            raise PermissionDeniedError(
                f"events of {device} come from certificates of {self._mspid} with {ROLE} = lightnode or operator, or "
                f"{ROLE} = device and {DEVICE} = {device}"
            )

    def require_reader(self, caller: Identity, section: str) -> None:
        """Refuse who may not read the transactions of a section."""
        members = self._members[section]
        members.admit(acls.TRANSACTION_BY_ID, members.authenticate(caller.certificate))

    def require_keeper(self, caller: Identity) -> None:
        """Refuse all but registrars and admins of the node's own organisation."""
        if caller.mspid != self._mspid or (caller.role != "admin" and caller.attributes.get(ROLE) != "registrar"):
            raise PermissionDeniedError(f"this is for admins of {self._mspid}, and for {ROLE} = registrar of it")

    def require_body_reader(self, caller: Identity) -> None:
        """Refuse who may not read bodies that stay off the ledger: all but the node's own organisation, and those that
        it names."""
        if caller.mspid not in self._body_readers:
            raise PermissionDeniedError(
                f"bodies that stay off the ledger are told to members of {', '.join(sorted(self._body_readers))}"
            )

    def require_own(self, caller: Identity) -> None:
        """Refuse other organisations."""
        if caller.mspid != self._mspid:
            raise PermissionDeniedError(f"this is told to members of {self._mspid}")
