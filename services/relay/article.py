"""The article's chain form (its Fig. 3): written from the ledger's captures, and verified.

A block's ``4_previous_hash`` is the SHA-256 of the previous block's JSON with sorted members and escaped letters; its
``3_proof`` is the least n >= 1 for which the SHA-256 of the decimal text of n^2 - p^2, where p is the previous block's
proof, begins with 0000. The article does not say so; both are what its printed values follow. The proof does not
depend on what the block holds, so the form protects nothing by itself: the ledger does. All chains have the same
proofs, and there are 225 of them: from the 226th block on they come again, from the 68th on.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from services.relay.errors import ArticleChainBad

FIRST_PROOF: Final = 1
FIRST_PREVIOUS: Final = "0"
GENESIS: Final = "Bloque Génesis"
NODE_PREFIX: Final = "Red_BKC_NODO_"
MAX_CHAIN_BYTES: Final = 512 * 1024 * 1024

_WRITTEN_BY: Final = " ('gridledger relay export --article' writes one)"
_WORK: Final = "0000"
_MAX_PROOF: Final = 2**53
_MEMBERS: Final = frozenset(("1_Index", "2_Estampa_de_tiempo", "3_proof", "4_previous_hash", "5_transactions"))
_TRANSACTION: Final = frozenset(("A. Equipo", "B. Servidor", "C. Informacion"))
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_TIME: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]{6})?")

Block = dict[str, Any]
"""A block as the article prints it."""


@dataclass(frozen=True, slots=True)
class ArticleCapture:
    """What one block tells: the relay, the server that added it, the capture's text, and when (us since 1970)."""

    relay: str
    server: str
    text: str
    time_us: int


def genesis_block(time_us: int) -> Block:
    """The first block of a chain."""
    return _block(1, time_us, FIRST_PROOF, FIRST_PREVIOUS, [GENESIS])


def capture_block(index: int, proof: int, previous_hash: str, capture: ArticleCapture) -> Block:
    """The block of a capture; the genesis has index 1."""
    transaction = {
        "A. Equipo": capture.relay,
        "B. Servidor": f"{NODE_PREFIX}{capture.server}",
        "C. Informacion": capture.text,
    }
    return _block(index, capture.time_us, proof, previous_hash, [transaction])


def block_hash(block: Block) -> str:
    """SHA-256 of a block, as the next one names it."""
    return hashlib.sha256(json.dumps(block, sort_keys=True).encode()).hexdigest()


def is_proof(proof: int, previous: int) -> bool:
    """Whether ``proof`` may follow ``previous``."""
    return hashlib.sha256(str(proof * proof - previous * previous).encode()).hexdigest().startswith(_WORK)


def first_proof_from(start: int, count: int, previous: int) -> int | None:
    """The least proof among ``count`` numbers from ``start`` on that may follow ``previous``."""
    sha256, square = hashlib.sha256, previous * previous
    for n in range(start, start + count):
        if sha256(b"%d" % (n * n - square)).digest().startswith(b"\0\0"):
            return n
    return None


@lru_cache(maxsize=1024)
def next_proof(previous: int) -> int:
    """The proof of the block after one whose proof is ``previous``: some 65,000 hashes, a good half of 0.1 s."""
    found, start, step = None, 1, 65536
    while found is None:
        found, start = first_proof_from(start, step, previous), start + step
    return found


def blocks_of(captures: Iterable[ArticleCapture], genesis_us: int) -> Iterator[Block]:
    """The blocks of a whole chain, one after the other, for files that are written as they are made."""
    block = genesis_block(genesis_us)
    yield block
    for index, capture in enumerate(captures, 2):
        block = capture_block(index, next_proof(block["3_proof"]), block_hash(block), capture)
        yield block


def chain_of(blocks: Iterable[Block]) -> dict[str, Any]:
    """The document of Fig. 3."""
    chain = list(blocks)
    return {"1_length": len(chain), "2_chain": chain}


def verify_chain(document: bytes) -> dict[str, Any]:
    """Verify a chain's text: form, times, hashes, that each proof is the least, and that no capture is in it twice.

    Returns ``{"length", "head"}``, where ``head`` is the hash of the last block. Raises :class:`ArticleChainBad`, which
    names the block.
    """
    if len(document) > MAX_CHAIN_BYTES:
        raise ArticleChainBad(f"bytes: a chain of more than {MAX_CHAIN_BYTES} bytes is not read")
    try:
        value = json.loads(document.decode("utf-8-sig"), object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise ArticleChainBad(f"bytes: not the JSON of a chain{_WRITTEN_BY}: {error}") from None
    if not isinstance(value, dict) or value.keys() != {"1_length", "2_chain"}:
        raise ArticleChainBad(f"members: a chain has 1_length and 2_chain{_WRITTEN_BY}")
    blocks = value["2_chain"]
    if not isinstance(blocks, list) or not blocks:
        raise ArticleChainBad("2_chain: must be a list that begins with the genesis")
    if type(value["1_length"]) is not int or value["1_length"] != len(blocks):
        raise ArticleChainBad(f"1_length: is {value['1_length']!r:.40}, and there are {len(blocks)} blocks")
    return {"length": len(blocks), "head": verify_blocks(blocks)}


def verify_blocks(blocks: Iterable[Any], *, previous: Block | None = None) -> str:
    """Verify blocks that begin with the genesis, or that follow ``previous``; the last one's hash.

    That no capture comes twice is told of these blocks alone.
    """
    seen: set[tuple[str, str]] = set()
    for block in blocks:
        expected = 1 if previous is None else previous["1_Index"] + 1
        _check_form(block, expected)
        if previous is None:
            _check_genesis(block)
        else:
            _check_link(block, previous)
            transaction = block["5_transactions"][0]
            capture = (transaction["A. Equipo"], transaction["C. Informacion"])
            if capture in seen:
                raise ArticleChainBad(f"block {expected}, 5_transactions: the capture is in the chain already")
            seen.add(capture)
        previous = block
    if previous is None:
        raise ArticleChainBad("2_chain: must be a list that begins with the genesis")
    return block_hash(previous)


def _check_form(block: Any, index: int) -> None:
    if not isinstance(block, dict) or block.keys() != _MEMBERS:
        raise ArticleChainBad(f"block {index}: a block has {', '.join(sorted(_MEMBERS))}")
    if type(block["1_Index"]) is not int or block["1_Index"] != index:
        raise ArticleChainBad(f"block {index}, 1_Index: is {block['1_Index']!r:.40}")
    if type(block["3_proof"]) is not int or not 0 < block["3_proof"] < _MAX_PROOF:
        raise ArticleChainBad(f"block {index}, 3_proof: must be a whole number from 1 on")
    if not _is_time(block["2_Estampa_de_tiempo"]):
        raise ArticleChainBad(f"block {index}, 2_Estampa_de_tiempo: must be a time such as 2021-09-28 06:58:11.088496")
    if not isinstance(block["4_previous_hash"], str):
        raise ArticleChainBad(f"block {index}, 4_previous_hash: must be a text")
    if not isinstance(block["5_transactions"], list) or len(block["5_transactions"]) != 1:
        raise ArticleChainBad(f"block {index}, 5_transactions: must be a list of one")


def _check_genesis(block: Block) -> None:
    if block["3_proof"] != FIRST_PROOF:
        raise ArticleChainBad(f"block 1, 3_proof: the genesis has {FIRST_PROOF}")
    if block["4_previous_hash"] != FIRST_PREVIOUS:
        raise ArticleChainBad(f'block 1, 4_previous_hash: the genesis has "{FIRST_PREVIOUS}"')
    if block["5_transactions"] != [GENESIS]:
        raise ArticleChainBad(f"block 1, 5_transactions: the genesis has {GENESIS!r}")


def _check_link(block: Block, previous: Block) -> None:
    index = block["1_Index"]
    if block["4_previous_hash"] != block_hash(previous):
        raise ArticleChainBad(f"block {index}, 4_previous_hash: is not the hash of block {index - 1}")
    if not is_proof(block["3_proof"], previous["3_proof"]):
        raise ArticleChainBad(f"block {index}, 3_proof: {block['3_proof']} does not follow {previous['3_proof']}")
    if block["3_proof"] != (least := next_proof(previous["3_proof"])):
        raise ArticleChainBad(f"block {index}, 3_proof: {block['3_proof']} is not the least proof, which is {least}")
    transaction = block["5_transactions"][0]
    if not isinstance(transaction, dict) or transaction.keys() != _TRANSACTION:
        raise ArticleChainBad(f"block {index}, 5_transactions: one has {', '.join(sorted(_TRANSACTION))}")
    for name, text in transaction.items():
        if not isinstance(text, str):
            raise ArticleChainBad(f"block {index}, {name}: must be a text")
        if _LONE_SURROGATE.search(text):
            raise ArticleChainBad(f"block {index}, {name}: has half a character, which no text in UTF-8 can have")


def _is_time(value: object) -> bool:
    """Whether ``value`` is a time as Python's ``str`` writes one, with microseconds or without."""
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    try:
        return match is not None and bool(datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC))
    except ValueError:
        return False


def _block(index: int, time_us: int, proof: int, previous_hash: str, transactions: list[Any]) -> Block:
    time = _EPOCH + timedelta(microseconds=time_us)
    return {
        "1_Index": index,
        "2_Estampa_de_tiempo": time.strftime("%Y-%m-%d %H:%M:%S.%f"),
        "3_proof": proof,
        "4_previous_hash": previous_hash,
        "5_transactions": transactions,
    }


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        raise ValueError("a member comes twice")
    return found


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")
