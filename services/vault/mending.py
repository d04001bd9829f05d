"""Repair of a share that a holder lost, damaged or never got: the same bytes again, as the manifest commits to them.

Shares of ``sealed`` and ``shamir`` come of contributions, so that whoever repairs learns none
(:mod:`services.vault.repairing`). Those of ``copies`` and ``article`` are repaired by reading; of ``article`` by the
owner alone, as t shares of it are the data.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any, Final

from gridledger.client.application import Answer
from gridledger.errors import GridLedgerError
from gridledger.sharing import profiles
from services.vault.cutting import join_object, share_of
from services.vault.errors import NotRepaired, TooFewAnswered
from services.vault.reader import Collected, Grant, Reader
from services.vault.records import ACTIVE, REPAIR, HolderRecord, Manifest
from services.vault.repairing import repair_share
from services.vault.session import Session, refused, why
from services.vault.transport import PrivateKey
from services.vault.wire import PUT, Place

_BY_READING: Final = ("copies", "article")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Mended:
    """A share that stands on its holder's disk again, and on the ledger as repaired."""

    object: str
    version: int
    holder: str
    read: str
    contributors: tuple[str, ...]
    named: tuple[str, ...] = ()
    suspects: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """What commands print."""
        return {
            "object": self.object,
            "version": self.version,
            "holder": self.holder,
            "read": self.read,
            "contributors": list(self.contributors),
            "named": list(self.named),
            "suspects": list(self.suspects),
        }


async def mend(session: Session, name: str, holder: str, version: int | None = None) -> Mended:
    """Repair a holder's share of an object, and tell the ledger.

    Raises :class:`NotRepaired` where the holder cannot have this share any more, :class:`RepairFailed`, the
    holders' own errors, and the contract's refusals.
    """
    grant = await Reader(session).request(name, REPAIR, version)
    manifest = grant.manifest
    told = await session.ledger.get_object(name, manifest.version)
    entry = next((share for share in told["shares"] if share["holder"] == holder), None)
    if entry is None:
        raise NotRepaired(f"{holder} has no share of version {manifest.version} of {name}")
    records = await _active(session, manifest)
    if holder not in records:
        raise NotRepaired(
            f"{holder} is not active, or has another id than the share is for: gridledger vault cycle --reshare "
            "changed gives the present holders shares"
        )
    if manifest.profile in _BY_READING:
        mended = await _by_reading(session, grant, records, holder)
    else:
        done = await repair_share(session.calls, manifest, records, target=holder, read=grant.read)
        mended = Mended(name, manifest.version, holder, grant.read, done.contributors, tuple(done.named), done.suspects)
    share = await _as_it_holds(session, entry, told)
    await session.ledger.repair({"object": name, "version": manifest.version, "read": grant.read, "share": share})
    return mended


async def _active(session: Session, manifest: Manifest) -> dict[str, HolderRecord]:
    """The manifest's holders that are active under the id that they have in it, and whose records can be used."""
    answers = await asyncio.gather(*(session.ledger.get_holder(name) for name in manifest.shares))
    records: dict[str, HolderRecord] = {}
    for name, answer in zip(manifest.shares, answers, strict=True):
        try:
            record = HolderRecord.of(answer)
        except GridLedgerError as error:
            _log.warning("%s takes no part in repairs, as its record cannot be used: %s", name, why(error))
            continue
        if record.state == ACTIVE and record.id == manifest.shares[name].id:
            records[name] = record
    return records


async def _by_reading(session: Session, grant: Grant, records: dict[str, HolderRecord], holder: str) -> Mended:
    manifest, reader, key = grant.manifest, Reader(session), PrivateKey.generate()
    needed = profiles.needed(manifest.profile, manifest.t)
    collected = Collected()
    others = [each for each in grant.holders if each["holder"] != holder]
    for served in await asyncio.gather(*(reader.serve(grant, each, key) for each in others)):
        collected.take(served)
    if len(collected.good) < needed:
        raise TooFewAnswered(manifest.object, needed, list(collected.good), collected.others)
    data = await asyncio.to_thread(join_object, manifest, collected.good)
    share = await asyncio.to_thread(share_of, manifest, data, collected.good, holder)
    place = Place(session.channel, manifest.object, manifest.version, holder, manifest.cycle)
    message = await asyncio.to_thread(records[holder].kem_key.seal, share, place.info(PUT))
    await session.calls.put(records[holder].url, manifest.object, manifest.version, message)
    used = tuple(list(collected.good)[:needed])
    return Mended(manifest.object, manifest.version, holder, grant.read, used)


async def _as_it_holds(session: Session, entry: Answer, told: Answer) -> Answer:
    """The share's entry with the audits that hold now: those of the last repair that brought some."""
    try:
        before = await session.ledger.get_repair(str(told["object"]), str(entry["holder"]), int(told["version"]))
    except GridLedgerError as error:
        if not refused(error):
            raise
        return entry  # it was never repaired
    return {**entry, "audit_root": before["audit_root"]}
