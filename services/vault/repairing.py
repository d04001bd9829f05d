"""The base's side of a repair: another holder's share is put together again without anybody's learning a key share.

Fragments (pieces of the ciphertext) of t holders give the lost one, and the manifest's ``cipher_sha256`` says whether
they were right. The key share comes from contributions of t holders: each multiplies its own by its Lagrange weight and
adds masks that it has in common with each other contributor and that cancel in the sum. They are sealed to the holder
that is repaired, which learns their sum, its own share, and nothing else; the base learns none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from services.vault.holder_client import HolderCalls
from services.vault.records import HolderRecord, Manifest

MAX_ATTEMPTS: Final = 32
"""Sets of contributors that are tried, where some of them tell wrong values."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """The share stands on the target's disk again.

    ``root`` is the manifest's. ``named``: holders whose own message was wrong; ``suspects``: of each set that failed
    the one holder that no set which succeeded has. A suspect is none of proof: two others may have lied together.
    """

    root: str
    log_head: str
    commitments: tuple[str, ...]
    contributors: tuple[str, ...]
    named: tuple[str, ...]
    suspects: tuple[str, ...]


async def repair_share(
    calls: HolderCalls,
    manifest: Manifest,
    holders: Mapping[str, HolderRecord],
    *,
    target: str,
    read: str,
    nonces: Sequence[bytes] = (),
) -> Repaired:
    """Repair ``target``'s share under the committed ``read`` (purpose ``repair``).

    ``holders`` are those of the manifest that are active, the target among them; ``nonces`` of new audits, if any.
    Raises :class:`RepairFailed`, or the holders' own errors where fewer than t answer.
    """
    raise NotImplementedError
