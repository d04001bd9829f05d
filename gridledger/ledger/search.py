"""Searches a ledger's transactions, newest first, page by page, with a bound on the work of each page.

Each field that is asked for has its postings, a row of blocks each with the transactions that have the value. The
search goes down all rows at once: the highest block of one row is looked for in the others, where it is missing the
next lower one is tried. So the rarest of the fields decides what a search costs. Each transaction that is told is read
from its block and held against the filter; the index only says where to look.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from gridledger.errors import GridLedgerError, MalformedMessage
from gridledger.ledger import codec
from gridledger.ledger.bookmarks import bookmark_of, pack_bookmark, position_of, unpack_bookmark
from gridledger.ledger.codec import Table, pack_number
from gridledger.ledger.index import (
    Field,
    certificate_prefix,
    positions_of,
    posting_prefix,
    unpack_certificate,
    unpack_mask,
)
from gridledger.ledger.snapshot import Snapshot
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.config_update import ConfigUpdate, parse_envelope
from gridledger.protocol.search import (
    CONFIG,
    MAX_FOUND,
    TRANSACTION,
    UNREADABLE,
    FoundTransaction,
    TransactionFilter,
    TransactionsPage,
)

MAX_WORK: Final = 20_000
"""Of one page: a look into the index is 1, a transaction that is read ``READ_WORK`` and more for a long one. Some 0.2 s
of a core at most."""

READ_WORK: Final = 20
_BYTES_OF_WORK = 16 * 1024
_ALL = -1
_VALID = TxValidationCode.VALID.name
_ID_DIGITS = 64
_ID_BYTES = _ID_DIGITS // 2


@dataclass(slots=True)
class _Work:
    """What a page may still look at."""

    left: int

    def spend(self, amount: int) -> None:
        self.left -= amount


def search(
    snapshot: Snapshot,
    wanted: TransactionFilter,
    *,
    limit: int,
    bookmark: str | None = None,
    max_work: int = MAX_WORK,
) -> TransactionsPage:
    """The transactions that fit ``wanted``, the newest first, from behind ``bookmark`` on: at most ``limit`` of them.

    Pages that are read one after the other have each transaction once that was on the chain with the first page. Raises
    :class:`MalformedMessage` for a bookmark of another search.
    """
    if not 0 < limit <= MAX_FOUND:
        raise MalformedMessage(f"'limit' must be from 1 to {MAX_FOUND}")
    work, rows = _Work(max_work), _Rows(snapshot)
    known = snapshot.index_head.height
    bottom = 0 if wanted.from_us is None else _first_block(snapshot, wanted.from_us, known)
    top = known if wanted.to_us is None else _first_block(snapshot, wanted.to_us, known)
    before = (top, 0)
    if bookmark is not None:
        before = min(before, position_of(bookmark, wanted.to_params()))
    found: list[FoundTransaction] = []
    for block, index in _candidates(snapshot, wanted, before, bottom, work):
        if index is not None:
            row = rows.read(block, index)
            work.spend(READ_WORK + rows.size // _BYTES_OF_WORK)
            if wanted.fits(row):
                if len(found) == limit:
                    # One more than asked for: only so it is known that this page is not the last one.
                    return _page(snapshot, found, (found[-1].block, found[-1].index), wanted)
                found.append(row)
        if work.left <= 0:
            return _page(snapshot, found, (block, index or 0), wanted)
    return TransactionsPage(tuple(found), None, bottom, known, snapshot.height)


def find_by_prefix(
    snapshot: Snapshot, prefix: str, *, limit: int, bookmark: str | None = None, max_work: int = MAX_WORK
) -> TransactionsPage:
    """The transactions whose ids begin with ``prefix`` (1 to 64 hexadecimal digits), in the order of the ids.

    A page that is more work has fewer than ``limit``, at least one, and a bookmark.
    """
    digits = prefix.lower()
    if not 0 < len(digits) <= _ID_DIGITS or digits.strip("0123456789abcdef"):
        raise MalformedMessage(f"'prefix' must be 1 to {_ID_DIGITS} hexadecimal digits")
    if not 0 < limit <= MAX_FOUND:
        raise MalformedMessage(f"'limit' must be from 1 to {MAX_FOUND}")
    start = bytes.fromhex(digits.ljust(_ID_DIGITS, "0"))
    stop = bytes.fromhex(digits.ljust(_ID_DIGITS, "f")) + b"\0"
    if bookmark is not None:
        start = max(start, _id_of(bookmark) + b"\0")
    rows, found, more, work = _Rows(snapshot), list[FoundTransaction](), False, _Work(max_work)
    for key, entry in islice(snapshot.scan(Table.TRANSACTIONS, start, stop), limit + 1):
        if len(found) == limit or (found and work.left <= 0):
            more = True
            break
        block, index, _ = codec.unpack_transaction(entry)
        found.append(rows.read(block, index))
        work.spend(READ_WORK + rows.size // _BYTES_OF_WORK)
        last = key
    following = pack_bookmark(last) if more else None
    return TransactionsPage(tuple(found), following, 0, snapshot.index_head.height, snapshot.height)


def _page(
    snapshot: Snapshot, found: list[FoundTransaction], behind: tuple[int, int], wanted: TransactionFilter
) -> TransactionsPage:
    bookmark = bookmark_of(*behind, wanted.to_params())
    return TransactionsPage(tuple(found), bookmark, behind[0], snapshot.index_head.height, snapshot.height)


def _id_of(bookmark: str) -> bytes:
    data = unpack_bookmark(bookmark)
    if len(data) != _ID_BYTES:
        raise MalformedMessage("the bookmark is not one of this question")
    return data


def _first_block(snapshot: Snapshot, at_us: int, known: int) -> int:
    """The first block of this time or later, among the first ``known``: blocks' times never go back."""
    low, high = 0, known
    while low < high:
        middle = (low + high) // 2
        if snapshot.header(middle).header.timestamp_us < at_us:
            low = middle + 1
        else:
            high = middle
    return low


def _candidates(
    snapshot: Snapshot, wanted: TransactionFilter, before: tuple[int, int], bottom: int, work: _Work
) -> Iterator[tuple[int, int | None]]:
    """The places (block, index) of transactions that may fit, the newest first, before a place and not below the block
    ``bottom``. (block, None) is no place: all blocks from that one on are done."""
    prefixes = _prefixes(snapshot, wanted)
    if prefixes is None:
        return
    block, index = before
    within: int | None = (1 << index) - 1
    if not index:
        block, within = block - 1, None
    while block >= bottom:
        agreed = _agreed(snapshot, prefixes, block, work)
        if agreed is None:
            return
        lower, mask = agreed
        if lower == block:
            mask = _of_block(snapshot, block, mask, wanted, work)
            yield from ((block, place) for place in positions_of(mask if within is None else mask & within))
            lower -= 1
        block, within = lower, None
        yield block + 1, None


def _agreed(snapshot: Snapshot, prefixes: Sequence[bytes], block: int, work: _Work) -> tuple[int, int] | None:
    """``block`` and its transactions that are in all rows (-1: all, where there is no row); a lower block where a row
    has no posting between; None where one has no more at all."""
    mask = _ALL
    for prefix in prefixes:
        work.spend(1)
        row = snapshot.scan_back(Table.INDEX, prefix + pack_number(0), prefix + pack_number(block + 1))
        found = next(row, None)
        if found is None:
            return None
        lower = int.from_bytes(found[0][len(prefix) :], "big")
        if lower < block:
            return lower, 0
        mask &= unpack_mask(found[1])
    return block, mask


def _of_block(snapshot: Snapshot, block: int, mask: int, wanted: TransactionFilter, work: _Work) -> int:
    """The transactions of a block that are in ``mask``, without those that its codes rule out."""
    if mask != _ALL and wanted.code != _VALID:
        return mask
    work.spend(1)
    codes = snapshot.metadata(block).codes
    valid_only = wanted.code == _VALID
    return mask & sum(
        1 << place for place, code in enumerate(codes) if not valid_only or code is TxValidationCode.VALID
    )


def _prefixes(snapshot: Snapshot, wanted: TransactionFilter) -> list[bytes] | None:
    """The rows of postings that have what is wanted; None where nothing can fit."""
    creator = wanted.creator
    if wanted.certificate is not None:
        known = _certificates(snapshot, wanted.certificate)
        if not known:
            return None
        # A certificate has no row of its own: its holder has, and seldom more than two certificates.
        creator = creator or known[0][1]
    named = [
        (Field.CREATOR, creator),
        (Field.FUNCTION, wanted.function),
        (Field.CHAINCODE, wanted.chaincode),
        (Field.MSPID, wanted.mspid),
        (Field.CODE, None if wanted.code == _VALID else wanted.code),
        (Field.KIND, None if wanted.kind == TRANSACTION else wanted.kind),
    ]
    return [posting_prefix(field, value) for field, value in named if value is not None]


def _certificates(snapshot: Snapshot, fingerprint: str) -> list[tuple[str, str]]:
    """What a certificate was taken for: MSP id (empty: nobody's) and common name."""
    prefix = certificate_prefix(fingerprint)
    found = snapshot.scan(Table.INDEX, prefix, codec.namespace_end(prefix))
    return [unpack_certificate(entry) for _, entry in found]


class _Rows:
    """Reads the transactions that are told. What several of them share is read once."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._times: dict[int, int] = {}
        self._known: dict[str, list[tuple[str, str]]] = {}
        self.size = 0
        """Bytes of the envelope that was read last."""

    def read(self, block: int, index: int) -> FoundTransaction:
        """The transaction at a place."""
        envelope = self._snapshot.envelope(block, index)
        self.size = len(envelope)
        code, at_us = self._snapshot.metadata(block).codes[index], self._time(block)
        try:
            parsed = parse_envelope(envelope)
            if isinstance(parsed, ConfigUpdate):
                return FoundTransaction(parsed.tx_id, block, index, code, at_us, CONFIG)
            proposal, certificate = parsed.proposal, parsed.proposal.certificate()
        except GridLedgerError:
            return FoundTransaction("", block, index, code, at_us, UNREADABLE)
        return FoundTransaction(
            tx_id=parsed.tx_id,
            block=block,
            index=index,
            code=code,
            timestamp_us=at_us,
            kind=TRANSACTION,
            mspid=self._mspid(certificate.fingerprint, block, index),
            creator=certificate.common_name,
            certificate=certificate.fingerprint,
            chaincode=proposal.chaincode,
            function=proposal.function,
            proposed_us=proposal.time_us,
        )

    def _time(self, block: int) -> int:
        if block not in self._times:
            self._times[block] = self._snapshot.header(block).header.timestamp_us
        return self._times[block]

    def _mspid(self, fingerprint: str, block: int, index: int) -> str | None:
        """The organisation that the creator was taken for in this block, if any."""
        if fingerprint not in self._known:
            self._known[fingerprint] = _certificates(self._snapshot, fingerprint)
        for mspid, _ in self._known[fingerprint]:
            entry = self._snapshot.entry(Table.INDEX, posting_prefix(Field.MSPID, mspid) + pack_number(block))
            if mspid and entry is not None and unpack_mask(entry) >> index & 1:
                return mspid
        return None
