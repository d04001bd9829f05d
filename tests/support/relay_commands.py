"""The reading commands of ``gridledger relay`` on the contract in memory, without a network."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from gridledger.client import EndorseError
from gridledger.contract import ClientIdentity
from gridledger.errors import InputError
from services.relay.ledger import RelayLedger
from tests.support.relay_channel import READER, RelayChannel

MODULES = ("captures", "check_fault", "compare", "listing", "export", "gaps", "show", "statistics", "status")


class _Contract:
    """Calls the contract as the SDK's does; a refusal is its error."""

    def __init__(self, channel: RelayChannel, caller: ClientIdentity) -> None:
        self._channel, self._caller = channel, caller

    async def submit_transaction(self, function: str, argument: Any, *, retry: Any = None) -> Any:
        del retry
        return await self.evaluate_transaction(function, argument)

    async def evaluate_transaction(self, function: str, argument: Any) -> Any:
        answer = self._channel.ask(function, argument, self._caller)
        if not answer.successful:
            raise EndorseError("0" * 64, InputError(answer.message, code="CHAINCODE_REFUSED"))
        return answer.payload


class _Network:
    """Has the channel's configuration, as far as it names the members."""

    def __init__(self, members: Iterable[str]) -> None:
        self._members = members

    async def get_config(self) -> Any:
        return SimpleNamespace(organisations=dict.fromkeys(self._members))


def ledger_on(channel: RelayChannel, caller: ClientIdentity = READER, members: Iterable[str] = ()) -> RelayLedger:
    """The ledger as a caller has it. ``members``: the MSPs of the channel."""
    return RelayLedger(_Contract(channel, caller), _Network(members))  # type: ignore[arg-type]


def on_ledger(monkeypatch: pytest.MonkeyPatch, channel: RelayChannel) -> None:
    """Have the commands read this channel, whatever network they are told."""

    @asynccontextmanager
    async def opened(_: argparse.Namespace) -> AsyncIterator[RelayLedger]:
        yield ledger_on(channel)

    for name in MODULES:
        monkeypatch.setattr(importlib.import_module(f"services.relay.commands.{name}"), "opened", opened)
