"""The article's chain: blocks in the form of its figure 3, their hashes, their proof of work. No I/O.

The article names SHA-256 and prints proofs and hashes, but not how they are made. These are the rules under which its
printed values come out: a proof is the least n >= 1 for which SHA-256 of the decimal text of n^2 - (previous proof)^2
begins with 0000; a hash is SHA-256 of the block's JSON text with sorted names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from itertools import count, pairwise
from typing import Any

Block = dict[str, Any]

GENESIS = "Bloque Génesis"
_RELAY = "Rele_1"
_BEGINNING = "0000"


def genesis(stamp: str) -> Block:
    """The first block, which has no capture. ``stamp`` is local time as Python prints it, as in all blocks."""
    return _block(1, stamp, 1, "0", GENESIS)


def next_block(chain: Sequence[Block], stamp: str, proof: int, server: str, text: str) -> Block:
    """The block behind ``chain`` with one capture's text."""
    transaction = {"A. Equipo": _RELAY, "B. Servidor": server, "C. Informacion": text}
    return _block(len(chain) + 1, stamp, proof, hash_of(chain[-1]), transaction)


def _block(index: int, stamp: str, proof: int, previous_hash: str, transaction: str | dict[str, str]) -> Block:
    return {
        "1_Index": index,
        "2_Estampa_de_tiempo": stamp,
        "3_proof": proof,
        "4_previous_hash": previous_hash,
        "5_transactions": [transaction],
    }


def hash_of(block: Block) -> str:
    """A block's hash in hexadecimal."""
    return hashlib.sha256(json.dumps(block, sort_keys=True).encode()).hexdigest()


def proof_after(previous: int) -> int:
    """The proof that follows ``previous``: some 65,536 hashes. It does not depend on what the block holds."""
    return next(proof for proof in count(1) if is_proof(proof, previous))


def is_proof(proof: int, previous: int) -> bool:
    """Whether ``proof`` may follow ``previous``."""
    return hashlib.sha256(str(proof**2 - previous**2).encode()).hexdigest().startswith(_BEGINNING)


def is_valid(chain: Sequence[Block]) -> bool:
    """Whether each block names the hash of the one before it and has a proof: a look at every block."""
    return all(
        block["4_previous_hash"] == hash_of(previous) and is_proof(block["3_proof"], previous["3_proof"])
        for previous, block in pairwise(chain)
    )


def time_of(text: str) -> str:
    """The relay's time of a capture: its first line, ``28 09 2021 06 58``."""
    return text.partition("\n")[0].strip()


def captures_of(chain: Sequence[Block]) -> list[str]:
    """The relay's times of all captures of a chain, in its order."""
    return [time_of(block["5_transactions"][0]["C. Informacion"]) for block in chain[1:]]
