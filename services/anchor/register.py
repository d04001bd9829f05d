"""The organisations' agents as the contract has them: whom to ask for statements, and by which key they are checked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Final, Protocol

from gridledger.client.anchors import AnchorAgent
from gridledger.contract.crypto import public_key_of, verify_ecdsa
from gridledger.contract.errors import ContractError
from gridledger.errors import GridLedgerError
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol.statements import Head, Statement, statement_text

EVERY_S: Final = 300.0
"""How often the record is read where no event tells of a change."""
AGAIN_S: Final = 15.0
"""After how long it is read, or written, again where that failed."""

_log = logging.getLogger(__name__)


class RegisterLedger(Protocol):
    """The contract ``anchors``, as :class:`~gridledger.client.anchors.AnchorsLedger` has it."""

    async def set_agent(self, url: str | None) -> Any:
        """Put the caller on record."""

    async def agents(self) -> Sequence[AnchorAgent]:
        """All that are on record."""


class Register:
    """Follows the record, and puts the own agent on it, once, where others can reach it at ``url``.

    ``anchoring`` is the channel that keeps the anchors. Of two agents of one organisation the one that was started last
    is on record; the other one is not asked, and attests by itself.
    """

    def __init__(self, identity: SigningIdentity, url: str | None, ledger: RegisterLedger, anchoring: str) -> None:
        self._identity = identity
        self._url = url
        self._ledger = ledger
        self._anchoring = anchoring
        self._agents: dict[str, AnchorAgent] = {}
        self._key = _key_of(identity)
        self._is_said = self._key is None or url is None
        self._changed = asyncio.Event()

    def note(self) -> None:
        """The record has changed: read it soon."""
        self._changed.set()

    def agent(self, mspid: str) -> AnchorAgent | None:
        """The agent of an organisation, where it can be asked."""
        return self._agents.get(mspid)

    @property
    def names(self) -> list[str]:
        """The organisations whose agents can be asked, ascending."""
        return sorted(self._agents)

    def signs(self) -> bool:
        """Whether the own key is the one on record."""
        own = self._agents.get(self._identity.mspid)
        return own is not None and own.key == self._key

    def sign(self, channel: str, size: int, base: int, head: Head) -> Statement:
        """What the own organisation says of a channel at a size, signed."""
        text = statement_text(self._anchoring, channel, size, base, head._asdict())
        signature = self._identity.sign(text).hex()
        return Statement(self._identity.mspid, channel, size, base, head, signature)

    def is_signed(self, statement: Statement) -> bool:
        """Whether a statement is signed with the key that its organisation has on record."""
        agent = self._agents.get(statement.mspid)
        if agent is None or agent.key is None:
            return False
        try:
            return verify_ecdsa(agent.key, statement.text(self._anchoring), bytes.fromhex(statement.signature))
        except (ContractError, ValueError):
            return False

    async def follow(self) -> None:
        """Until this is cancelled."""
        if self._key is None:
            _log.info("the key of %s is not of P-256: it attests by transactions of its own", self._identity.name)
        while True:
            self._changed.clear()
            try:
                await self.look()
                pause_s = EVERY_S if self._is_said else AGAIN_S
            except GridLedgerError as error:
                _log.debug("the record of the agents: %s", error.message)
                pause_s = AGAIN_S
            try:
                async with asyncio.timeout(pause_s):
                    await self._changed.wait()
            except TimeoutError:
                pass

    async def look(self) -> None:
        """Read the record; put the own agent on it where it is not there as it is."""
        await self._read()
        if self._is_said:
            return
        own = self._agents.get(self._identity.mspid)
        if own is None or (own.url, own.key) != (self._url, self._key):
            await self._ledger.set_agent(self._url)
            await self._read()
        self._is_said = True

    async def _read(self) -> None:
        self._agents = {one.mspid: one for one in await self._ledger.agents() if one.url and one.key}


def _key_of(identity: SigningIdentity) -> str | None:
    try:
        return public_key_of(identity.certificate.pem)
    except ContractError:
        return None
