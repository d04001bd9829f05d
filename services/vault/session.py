"""What dealers, readers and the base have in common: an identity, the ledger, the holders, and how they failed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from gridledger.client import SigningIdentity
from gridledger.client.profile import ConnectionProfile, read_roots
from gridledger.command_line import one_line
from gridledger.errors import GridLedgerError
from services.vault.holder_client import HolderCalls, HolderClients
from services.vault.ledger import VaultLedger, application_of, vault_ledger

REFUSED: Final = "CHAINCODE_REFUSED"
"""The code of the contract's refusals."""
NO_BASE_KEY: Final = (
    "the base has no key on the ledger: dealers seal audits' secrets to it. Start it with the holders: "
    "gridledger up NETWORK --with vault"
)
_MAX_WHY: Final = 160


@dataclass(frozen=True, slots=True)
class Session:
    """One identity's ways to the contract and to the holders."""

    channel: str
    identity: SigningIdentity
    ledger: VaultLedger
    calls: HolderCalls


@asynccontextmanager
async def open_session(
    profile: ConnectionProfile, identity: SigningIdentity, *, own_peer: str | None = None
) -> AsyncIterator[Session]:
    """Connections of ``identity``, kept open in the block."""
    channel, _ = application_of(profile)
    async with (
        vault_ledger(profile, identity, own_peer=own_peer) as ledger,
        HolderClients(identity, read_roots(profile.roots)) as calls,
    ):
        yield Session(channel, identity, ledger, calls)


def refused(error: GridLedgerError, *fields: str) -> bool:
    """Whether the contract refused a call, for one of these fields if any are named."""
    if error.code != REFUSED:
        return False
    return not fields or error.message.startswith(tuple(f"{field}" for field in fields))


def why(error: BaseException) -> str:
    """Why a holder did not do what it was asked for, short."""
    text = error.message if isinstance(error, GridLedgerError) else str(error) or type(error).__name__
    text = one_line(text)
    return text if len(text) <= _MAX_WHY else text[: _MAX_WHY - 3] + "..."
