"""The commands of ``gridledger case`` on contracts in memory, without a network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

import pytest

from gridledger.client import EndorseError
from gridledger.client.application import ContractCalls
from gridledger.contract import ClientIdentity
from gridledger.errors import InputError
from services.case.commands import network_options
from services.case.described import authority_identity, investigator_identity
from services.case.ledger import AccessLedger, CasesLedger
from tests.support.contract_channel import ContractChannel
from tests.support.forensics_channel import person

_Calls = TypeVar("_Calls", bound=ContractCalls)

HEAD = person("AuthorityMSP", "head", 2, "authority")
ROMAN = person("InvestigatorsMSP", "roman", 3, "investigator")
ANYONE = person("LvivMSP", "anyone", 4)


class InMemory:
    """Calls a contract as the SDK's does; a refusal is its error."""

    def __init__(self, channel: ContractChannel, caller: ClientIdentity) -> None:
        self._channel, self._caller = channel, caller

    async def submit_transaction(self, function: str, argument: Any, *, retry: Any = None) -> Any:
        del retry
        return await self.evaluate_transaction(function, argument)

    async def evaluate_transaction(self, function: str, argument: Any) -> Any:
        answer = self._channel.ask(function, argument, self._caller)
        if not answer.successful:
            raise EndorseError("0" * 64, InputError(answer.message, code="CHAINCODE_REFUSED"))
        return answer.payload


def opener(
    kind: type[_Calls], channel: ContractChannel
) -> Callable[[Any, ClientIdentity], AbstractAsyncContextManager[_Calls]]:
    """What opens a ledger on this channel, whatever network it is told; its signer is the caller."""

    @asynccontextmanager
    async def opened(_: Any, caller: ClientIdentity) -> AsyncIterator[_Calls]:
        yield kind(InMemory(channel, caller))  # type: ignore[arg-type]

    return opened


def on_contracts(monkeypatch: pytest.MonkeyPatch, cases: ContractChannel, access: ContractChannel) -> None:
    """Have the commands call these contracts: as who they would enrol, else as anyone; ``--user`` names HEAD."""
    known = {investigator_identity: ROMAN, authority_identity: HEAD}

    async def identity_of(options: Any, _: Any, enrols: Any = None) -> ClientIdentity:
        return HEAD if options.user else known.get(enrols, ANYONE)

    monkeypatch.setattr(network_options, "load_profile", lambda _: None)
    monkeypatch.setattr(network_options, "identity_of", identity_of)
    monkeypatch.setattr(network_options, "cases_ledger", opener(CasesLedger, cases))
    monkeypatch.setattr(network_options, "access_ledger", opener(AccessLedger, access))
