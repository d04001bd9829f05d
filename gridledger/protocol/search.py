"""The search of a channel's transactions: what is asked for, and what a peer tells of each that it finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from gridledger.errors import MalformedMessage
from gridledger.protocol.codes import TxValidationCode, code_of
from gridledger.protocol.fields import (
    MAX_INTEGER,
    MAX_TEXT,
    integer_of,
    list_of,
    object_of,
    text_of,
    value_of,
)

MAX_FOUND: Final = 1000
"""Transactions of one page."""

INVALID: Final = "invalid"
"""As a filter's code: every code but ``VALID``."""

TRANSACTION: Final = "transaction"
CONFIG: Final = "config"
UNREADABLE: Final = "unreadable"
KINDS: Final = (TRANSACTION, CONFIG, UNREADABLE)

_HASH_LENGTH = 64
_MAX_BOOKMARK = 128
_TIMES = frozenset(("from_us", "to_us"))
_PARAMETERS = {"from_us": "from", "to_us": "to"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionFilter:
    """Which transactions are wanted: those that fit all that is named here; what is None fits all.

    ``mspid`` and ``creator`` are the creator's organisation and common name, ``certificate`` the fingerprint of the
    creator's certificate (SHA-256 of its DER, hexadecimal). ``code`` is a validation code's name, or ``invalid`` for
    all but VALID. ``kind`` is ``transaction``, ``config``, or ``unreadable`` for an envelope that is neither. Times are
    those of blocks, microseconds since 1970: ``from_us`` <= time < ``to_us``.
    """

    mspid: str | None = None
    creator: str | None = None
    certificate: str | None = None
    chaincode: str | None = None
    function: str | None = None
    code: str | None = None
    kind: str | None = None
    from_us: int | None = None
    to_us: int | None = None

    def __post_init__(self) -> None:
        """:class:`MalformedMessage` says what nothing can fit."""
        for name in ("mspid", "creator", "chaincode", "function"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, str) and 0 < len(value) <= MAX_TEXT):
                raise MalformedMessage(f"{name!r} must be a text of 1 to {MAX_TEXT} characters")
        if self.certificate is not None and not _is_hash(self.certificate):
            raise MalformedMessage(
                "'certificate' must be a fingerprint: the SHA-256 of the certificate's DER, 64 hexadecimal digits"
            )
        if self.code is not None and self.code != INVALID and self.code not in TxValidationCode.__members__:
            raise MalformedMessage(
                f"'code' must be {INVALID!r} or the name of a validation code, such as MVCC_READ_CONFLICT, "
                f"not {self.code!r:.80}"
            )
        if self.kind is not None and self.kind not in KINDS:
            raise MalformedMessage(f"'kind' must be one of {', '.join(KINDS)}, not {self.kind!r:.80}")
        for name in _TIMES:
            value = getattr(self, name)
            if value is not None and not (type(value) is int and 0 <= value <= MAX_INTEGER):
                raise MalformedMessage(f"{_PARAMETERS[name]!r} must be microseconds since 1970")

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> TransactionFilter:
        """The filter that a query's parameters name; a code by its name, in small letters too, or by its number, a
        fingerprint in capitals too."""
        code, certificate = params.get("code"), params.get("certificate")
        return cls(
            **{
                **params,
                "code": None if code is None else _code_name(code),
                "certificate": None if certificate is None else certificate.lower(),
            }
        )

    def to_params(self) -> dict[str, str]:
        """The filter as the parameters of a query."""
        named = ((item.name, getattr(self, item.name)) for item in fields(self))
        return {_PARAMETERS.get(name, name): str(value) for name, value in named if value is not None}

    def fits(self, found: FoundTransaction) -> bool:
        """Whether a transaction is one of those that are wanted."""
        return (
            self.mspid in (None, found.mspid)
            and self.creator in (None, found.creator)
            and self.certificate in (None, found.certificate)
            and self.chaincode in (None, found.chaincode)
            and self.function in (None, found.function)
            and self.kind in (None, found.kind)
            and self._fits_code(found.code)
            and (self.from_us is None or self.from_us <= found.timestamp_us)
            and (self.to_us is None or found.timestamp_us < self.to_us)
        )

    def _fits_code(self, code: TxValidationCode) -> bool:
        if self.code == INVALID:
            return code is not TxValidationCode.VALID
        return self.code in (None, code.name)


@dataclass(frozen=True, slots=True)
class FoundTransaction:
    """A transaction on the chain, valid or not, and who has called what by it.

    ``tx_id`` is empty where the envelope cannot be read. ``timestamp_us`` is the block's time, ``proposed_us`` the
    client's, microseconds since 1970. ``mspid`` is None where the channel did not know the creator then; of a config
    transaction and of one that cannot be read all from ``mspid`` on is None.
    """

    tx_id: str
    block: int
    index: int
    code: TxValidationCode
    timestamp_us: int
    kind: str
    mspid: str | None = None
    creator: str | None = None
    certificate: str | None = None
    chaincode: str | None = None
    function: str | None = None
    proposed_us: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "tx_id": self.tx_id,
            "block": self.block,
            "index": self.index,
            "code": int(self.code),
            "code_name": self.code.name,
            "timestamp": self.timestamp_us,
            "kind": self.kind,
            "mspid": self.mspid,
            "creator": self.creator,
            "certificate": self.certificate,
            "chaincode": self.chaincode,
            "function": self.function,
            "time": self.proposed_us,
        }

    @classmethod
    def from_dict(cls, value: Any) -> FoundTransaction:
        """Read the JSON form; :class:`MalformedMessage` says what is wrong with it."""
        message = object_of(value, "a transaction that was found")
        return cls(
            tx_id=text_of(message, "tx_id", empty=True),
            block=integer_of(message, "block"),
            index=integer_of(message, "index"),
            code=code_of(value_of(message, "code")),
            timestamp_us=integer_of(message, "timestamp"),
            kind=text_of(message, "kind"),
            mspid=_text_or_none(message, "mspid"),
            # A common name may be empty, and longer than the protocol's own texts.
            creator=_text_or_none(message, "creator"),
            certificate=_text_or_none(message, "certificate"),
            chaincode=_text_or_none(message, "chaincode"),
            function=_text_or_none(message, "function"),
            proposed_us=None if value_of(message, "time") is None else integer_of(message, "time"),
        )


@dataclass(frozen=True, slots=True)
class TransactionsPage:
    """One page of a search, the newest transaction first.

    ``bookmark`` leads to the next page; None: there is no more. A page may have fewer than were asked for, none even,
    and a bookmark: the peer has looked at as much as it does for one request, down to the block ``reached``.
    ``indexed`` is how many blocks the peer's index has, ``height`` how many its ledger has.
    """

    items: tuple[FoundTransaction, ...]
    bookmark: str | None
    reached: int
    indexed: int
    height: int

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "items": [item.to_dict() for item in self.items],
            "bookmark": self.bookmark,
            "reached": self.reached,
            "indexed": self.indexed,
            "height": self.height,
        }

    @classmethod
    def from_dict(cls, value: Any) -> TransactionsPage:
        """Read the JSON form; :class:`MalformedMessage` says what is wrong with it."""
        message = object_of(value, "a page of transactions")
        return cls(
            items=tuple(FoundTransaction.from_dict(item) for item in list_of(message, "items", max_length=MAX_FOUND)),
            bookmark=bookmark_of(message),
            reached=integer_of(message, "reached"),
            indexed=integer_of(message, "indexed"),
            height=integer_of(message, "height"),
        )


def bookmark_of(message: dict[str, Any]) -> str | None:
    """The bookmark that a page has, None on the last one."""
    if value_of(message, "bookmark") is None:
        return None
    return text_of(message, "bookmark", max_length=_MAX_BOOKMARK)


def _code_name(text: str) -> str:
    if text.isascii() and text.isdigit() and len(text) <= 3:  # noqa: PLR2004 - a code is one byte
        return code_of(int(text)).name
    return INVALID if text.lower() == INVALID else text.upper()


def _is_hash(text: Any) -> bool:
    return isinstance(text, str) and len(text) == _HASH_LENGTH and not text.strip("0123456789abcdef")


def _text_or_none(message: dict[str, Any], name: str) -> str | None:
    if value_of(message, name) is None:
        return None
    return text_of(message, name, max_length=_MAX_NAME, empty=True)


_MAX_NAME = 64 * 1024
"""A certificate has at most 16 KiB, and its common name with it."""
