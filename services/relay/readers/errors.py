"""What can go wrong between a server and a relay.

A message has details: what was answered, by which address. They are for the server's own log. What others are told, on
the ledger and on the page, is :func:`in_brief`: a record's address may lead to any machine that the server reaches.
"""

from __future__ import annotations

from typing import Any, Final

from gridledger.errors import GridLedgerError, InputError, UnavailableError

UNREACHABLE: Final = "unreachable"
LATE: Final = "no answer in time"
NOT_HTTP: Final = "not HTTP"
ANSWERED_BADLY: Final = "answered badly"
GAP: Final = "gap"


class RelayUnreachable(UnavailableError):
    """The relay does not answer, or not in time: ask again later."""

    code = "RELAY_UNREACHABLE"

    def __init__(self, message: str, *, brief: str = UNREACHABLE, **more: Any) -> None:
        super().__init__(message, **more)
        self.brief = brief


class RelayAnswerBad(InputError):
    """The relay answered something that is no capture, or more than a reader takes."""

    code = "RELAY_ANSWER_BAD"

    def __init__(self, message: str, *, brief: str = ANSWERED_BADLY, **more: Any) -> None:
        super().__init__(message, **more)
        self.brief = brief


def in_brief(error: GridLedgerError) -> str:
    """Why a relay is not read, without anything of what it answered."""
    return error.brief if isinstance(error, RelayUnreachable | RelayAnswerBad) else ANSWERED_BADLY
