"""Proposals: what a client asks a chaincode to do, signed by the client.

The proposal's text is signed and hashed as the bytes it is, and travels unchanged from the client to every peer's block
store. Its SHA-256 is the transaction's id, so an id cannot be chosen and stands for one content.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

from gridledger import jsontext
from gridledger.errors import MalformedMessage
from gridledger.protocol.fields import (
    MAX_INTEGER,
    MAX_TEXT,
    exactly,
    from_base64,
    hash_of,
    integer_of,
    list_of,
    parse_object,
    text_of,
    to_base64,
)

if TYPE_CHECKING:
    from gridledger.identity.certificate import Certificate

KIND = "proposal"
MAX_ARGS = 64
MAX_CREATOR = 8192
MAX_ORGANISATIONS = 64
_MAX_DEPTH = jsontext.MAX_VALUE_DEPTH + 2  # an argument lies in a list in the proposal
_MEMBERS = frozenset(
    ("kind", "channel", "chaincode", "sequence", "function", "args", "creator", "nonce", "time", "transient")
)
_SIGNED_MEMBERS = frozenset(("proposal", "signature"))


@dataclass(frozen=True, slots=True)
class Proposal:
    """One proposal, with the text that it was read from.

    ``args`` are JSON values; ``creator`` is the client's certificate (DER in base64); ``nonce`` 32 or more hexadecimal
    digits; ``time_us`` the client's clock in microseconds since 1970; ``transient_hash`` the SHA-256 of the transient
    data's text, or None: transient data reaches the chaincode but never the chain.
    """

    text: str
    tx_id: str
    channel: str
    chaincode: str
    sequence: int
    function: str
    args: tuple[Any, ...]
    creator: str
    nonce: str
    time_us: int
    transient_hash: str | None

    @classmethod
    def build(
        cls,
        *,
        channel: str,
        chaincode: str,
        sequence: int,
        function: str,
        args: Sequence[Any],
        creator: str,
        nonce: str,
        time_us: int,
        transient: Mapping[str, Any] | None = None,
    ) -> Proposal:
        """Write a new proposal. ``sequence`` is that of the chaincode's definition on the channel."""
        text = jsontext.dumps(
            {
                "kind": KIND,
                "channel": channel,
                "chaincode": chaincode,
                "sequence": sequence,
                "function": function,
                "args": list(args),
                "creator": creator,
                "nonce": nonce,
                "time": time_us,
                "transient": None if transient is None else transient_hash(transient),
            }
        ).decode()
        return cls.parse(text)

    @classmethod
    def parse(cls, text: str) -> Proposal:
        """Read a proposal's text; :class:`MalformedMessage` or :class:`MalformedJSON` says what is wrong with it."""
        message = parse_object(text, KIND, _MAX_DEPTH)
        if not _is_sound(message):
            _refuse(message)
        return cls(
            text,
            hash_of(text),
            message["channel"],
            message["chaincode"],
            message["sequence"],
            message["function"],
            tuple(message["args"]),
            message["creator"],
            message["nonce"],
            message["time"],
            message["transient"],
        )

    def certificate(self) -> Certificate:
        """The creator's certificate."""
        return creator_certificate(self.creator)


@dataclass(frozen=True, slots=True)
class SignedProposal:
    """A proposal with its client's signature over the proposal's text, and the transient data if there is any."""

    proposal: Proposal
    signature: bytes
    transient: Mapping[str, Any] | None = None

    def members(self) -> dict[str, Any]:
        """The members of the JSON form."""
        body: dict[str, Any] = {"proposal": self.proposal.text, "signature": to_base64(self.signature)}
        if self.transient is not None:
            body["transient"] = self.transient
        return body

    def to_bytes(self) -> bytes:
        """The body that a client posts to a gateway."""
        return jsontext.dumps(self.members())

    @classmethod
    def from_bytes(cls, body: bytes) -> SignedProposal:
        """Read such a body. Transient data must be what the proposal's hash says."""
        return cls.from_message(jsontext.loads(body))

    @classmethod
    def from_message(cls, message: Any) -> SignedProposal:
        """Read the members of such a body."""
        transient = message.pop("transient", None) if isinstance(message, dict) else None
        exactly(message, _SIGNED_MEMBERS, "a signed proposal")
        text = message["proposal"]
        if not isinstance(text, str):
            raise MalformedMessage("'proposal' must be the proposal's text, a string")
        return cls.of(Proposal.parse(text), from_base64(message["signature"], "'signature'"), transient)

    @classmethod
    def of(cls, proposal: Proposal, signature: bytes, transient: Any) -> SignedProposal:
        """Put together what was read; :class:`MalformedMessage` where the transient data is not what was signed."""
        if transient is not None and not isinstance(transient, dict):
            raise MalformedMessage("'transient' must be an object")
        if (None if transient is None else transient_hash(transient)) != proposal.transient_hash:
            raise MalformedMessage("the transient data is not what the proposal's hash says")
        return cls(proposal, signature, transient)


@dataclass(frozen=True, slots=True)
class EndorseRequest:
    """A signed proposal that a gateway is to have endorsed, by peers of ``organisations`` alone (MSP ids) if they are
    named."""

    signed: SignedProposal
    organisations: tuple[str, ...] | None = None

    def to_bytes(self) -> bytes:
        """The body that a client posts to a gateway."""
        if self.organisations is None:
            return self.signed.to_bytes()
        return jsontext.dumps({**self.signed.members(), "endorsing_organisations": list(self.organisations)})

    @classmethod
    def from_bytes(cls, body: bytes) -> EndorseRequest:
        """Read such a body."""
        message = jsontext.loads(body)
        named = message.pop("endorsing_organisations", None) if isinstance(message, dict) else None
        return cls(SignedProposal.from_message(message), None if named is None else _organisations(named))


def _organisations(named: Any) -> tuple[str, ...]:
    if (
        not isinstance(named, list)
        or not 0 < len(named) <= MAX_ORGANISATIONS
        or not all(isinstance(item, str) and 0 < len(item) <= MAX_TEXT for item in named)
    ):
        raise MalformedMessage(f"'endorsing_organisations' must be a list of 1 to {MAX_ORGANISATIONS} MSP ids")
    return tuple(sorted(set(named)))


@lru_cache(maxsize=4096)
def creator_certificate(creator: str) -> Certificate:
    """The certificate in a proposal's ``creator``, parsed once and kept in a bounded cache."""
    # Here, so that reading a proposal does not import cryptography: what runs contracts does without.
    from gridledger.identity.certificate import Certificate  # noqa: PLC0415

    return Certificate.from_der(from_base64(creator, "'creator'"))


def transient_hash(transient: Mapping[str, Any]) -> str:
    """SHA-256 of the transient data's text (members in the order given)."""
    return hash_of(jsontext.dumps(dict(transient)))


def _is_hex(value: Any, shortest: int, longest: int) -> bool:
    return isinstance(value, str) and shortest <= len(value) <= longest and not value.strip("0123456789abcdef")


def _is_sound(message: dict[str, Any]) -> bool:
    """Whether the members are a proposal's: in one go all that :func:`_refuse` looks for one by one."""
    if message.keys() != _MEMBERS:
        return False
    channel, chaincode, function = message["channel"], message["chaincode"], message["function"]
    sequence, args, time_us = message["sequence"], message["args"], message["time"]
    creator, nonce, transient = message["creator"], message["nonce"], message["transient"]
    return (
        type(channel) is str
        and 0 < len(channel) <= MAX_TEXT
        and type(chaincode) is str
        and 0 < len(chaincode) <= MAX_TEXT
        and type(function) is str
        and 0 < len(function) <= MAX_TEXT
        and type(creator) is str
        and 0 < len(creator) <= MAX_CREATOR
        and type(sequence) is int
        and 1 <= sequence <= MAX_INTEGER
        and type(time_us) is int
        and 0 <= time_us <= MAX_INTEGER
        and type(args) is list
        and len(args) <= MAX_ARGS
        and _is_hex(nonce, 32, 128)
        and (transient is None or _is_hex(transient, 64, 64))
    )


def _refuse(message: dict[str, Any]) -> NoReturn:
    """Say which member is not as it must be."""
    exactly(message, _MEMBERS, "a proposal")
    transient = message["transient"]
    if transient is not None and not _is_hex(transient, 64, 64):
        raise MalformedMessage("'transient' must be null or the SHA-256 of the transient data")
    if not _is_hex(message["nonce"], 32, 128):
        raise MalformedMessage("'nonce' must be 32 to 128 hexadecimal digits")
    text_of(message, "channel")
    text_of(message, "chaincode")
    integer_of(message, "sequence", minimum=1)
    text_of(message, "function")
    list_of(message, "args", max_length=MAX_ARGS)
    text_of(message, "creator", max_length=MAX_CREATOR)
    integer_of(message, "time")
    raise MalformedMessage("a proposal is not as it must be")
