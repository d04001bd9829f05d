"""Envelopes read for pages: what a transaction or a config transaction says, or that it cannot be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gridledger import jsontext
from gridledger.errors import GridLedgerError
from gridledger.identity.certificate import Certificate
from gridledger.protocol.config_update import ConfigUpdate, parse_envelope
from gridledger.protocol.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Opened:
    """An envelope. ``transaction`` or ``update`` is what it is; neither where it cannot be read, and ``fault`` says
    why. ``creator`` is the certificate of a transaction's client."""

    tx_id: str
    transaction: Transaction | None = None
    update: ConfigUpdate | None = None
    creator: Certificate | None = None
    fault: str = ""

    @property
    def what(self) -> str:
        """Chaincode and function, or that it is a configuration."""
        if self.transaction is not None:
            return f"{self.transaction.proposal.chaincode}.{self.transaction.proposal.function}"
        return f"configuration {self.update.sequence}" if self.update is not None else "cannot be read"

    @property
    def who(self) -> str:
        """The client's name and certificate's issuer; of a configuration how many have signed."""
        if self.creator is not None:
            return self.creator.common_name
        return f"{len(self.update.signatures)} admins" if self.update is not None else ""


def open_envelope(envelope: bytes) -> Opened:
    """Read an envelope, whatever it is."""
    try:
        parsed = parse_envelope(envelope)
        if isinstance(parsed, ConfigUpdate):
            return Opened(parsed.tx_id, update=parsed)
        return Opened(parsed.tx_id, parsed, creator=parsed.proposal.certificate())
    except GridLedgerError as error:
        return Opened("", fault=error.message)


def config_of(update: ConfigUpdate) -> Any:
    """The configuration that an update makes, as JSON values."""
    return jsontext.loads_trusted(update.config_text)
