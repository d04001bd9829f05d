"""What can go wrong between a server and a relay."""

from __future__ import annotations

from gridledger.errors import InputError, UnavailableError


class RelayUnreachable(UnavailableError):
    """The relay does not answer, or not in time: ask again later."""

    code = "RELAY_UNREACHABLE"


class RelayAnswerBad(InputError):
    """The relay answered something that is no capture, or more than a reader takes."""

    code = "RELAY_ANSWER_BAD"
