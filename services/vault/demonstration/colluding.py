"""Two holders put their shares of one record together, and look for the voltage that they do not know.

They know all of the record but that reading. Of the profile ``article`` two shares leave one voltage; of ``sealed``
they leave all that could have been measured: two key shares of three fit every key.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from gridledger.sharing import sealed, shamir
from gridledger.sharing.errors import SharingError, TooFewShares
from gridledger.sharing.leak import candidates_left
from services.vault.cutting import join_object, part_head
from services.vault.demonstration.book import Collusion
from services.vault.demonstration.storing import RECORD, Storing
from services.vault.monitoring import Record, to_json
from services.vault.records import Manifest

HOLDERS: Final = ("m4-voltage-2", "m4-current-1")
LEAST_V: Final = 110_500
MOST_V: Final = 119_500
"""The voltages that are looked through: 110.5 to 119.5 kV in steps of 1 V, as fine as the sensor tells them."""


async def collude(story: Storing) -> None:
    """Both attempts."""
    record, ledger = story.record, story.stage.base.ledger
    if record is None:
        raise SharingError("record", "none was put")
    candidates = voltages(record)
    article = Manifest.of(await ledger.get_object(f"{RECORD}-article"))
    own = {article.shares[name].id: story.stage.share_file(name, article.object).read_bytes() for name in HOLDERS}
    began = time.perf_counter()
    left = await asyncio.to_thread(candidates_left, list(candidates), own, article.t)
    seconds = time.perf_counter() - began
    hidden = Manifest.of(await ledger.get_object(f"{RECORD}-sealed"))
    theirs = {name: story.stage.share_file(name, hidden.object).read_bytes() for name in HOLDERS}
    found = await asyncio.to_thread(found_in_sealed, list(candidates), theirs, hidden)
    book = story.book
    book.collusion = Collusion(
        holders=HOLDERS,
        t=article.t,
        candidates=len(candidates),
        left_article=tuple(candidates[each] for each in left),
        left_sealed=tuple(candidates[each] for each in found),
        truth=_shown(record),
        seconds=seconds,
    )
    book.console.line(f"    {' and '.join(HOLDERS)} know all of one record but its voltage: {len(candidates)} may be")
    book.console.line(f"    of article their two shares leave {', '.join(book.collusion.left_article) or 'none'}")
    book.console.line(f"    of sealed every one of the {len(candidates)} stays possible, and they can open none")
    book.expect(
        f"two holders of {article.t} compute the voltage from their shares of article",
        book.collusion.left_article == (_shown(record),),
        f"{len(candidates)} candidates, {seconds:.1f} s: {', '.join(book.collusion.left_article)}",
    )
    book.expect("and fail on sealed", not found and _needs_more(hidden, theirs), "needs 3 of 5, 2 are there")


def voltages(record: Record) -> dict[bytes, str]:
    """The record with each voltage that could have been measured, and that voltage."""
    made = (replace(record, value=round(volts / 1000, 3)) for volts in range(LEAST_V, MOST_V + 1))
    return {to_json([each]): _shown(each) for each in made}


def found_in_sealed(candidates: Sequence[bytes], shares: Mapping[str, bytes], manifest: Manifest) -> list[bytes]:
    """The candidates whose ciphertext, under a key that can be computed of the shares, has the shares' fragments.

    Keys that fewer than t shares give: the polynomial of lower degree through them at 0, and each key share itself, cut
    to the length of a key.
    """
    known = {manifest.shares[name].id: share for name, share in shares.items()}
    points = {x: sealed.key_share(share) for x, share in known.items()}
    guesses = (shamir.recover_secret(points, len(points)), *points.values())
    keys = [guess.to_bytes(sealed.KEY_BYTES + 40, "big")[-sealed.KEY_BYTES :] for guess in guesses]
    head, ids = part_head(manifest.head, 0), list(manifest.ids)
    wanted = {x: sealed.fragment(share) for x, share in known.items()}

    def fits(candidate: bytes, key: bytes) -> bool:
        made, _ = sealed.split(candidate, manifest.t, ids, head=head, randbytes=lambda count: key.rjust(count, b"\0"))
        return all(sealed.fragment(made[x]) == piece for x, piece in wanted.items())

    return [candidate for candidate in candidates if any(fits(candidate, key) for key in keys)]


def _needs_more(manifest: Manifest, shares: Mapping[str, bytes]) -> bool:
    try:
        join_object(manifest, shares)
    except TooFewShares:
        return True
    return False


def _shown(record: Record) -> str:
    return f"{record.value:.3f} {record.unit}" if isinstance(record.value, float) else str(record.value)
