"""Steps in which members change: S1 joins the security cluster, S2 is revoked from it, and shares are made anew."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import combinations
from typing import Final

from gridledger.client import SigningIdentity
from gridledger.errors import GridLedgerError
from gridledger.sharing.errors import SharingError
from gridledger.sharing.field import P521
from services.vault.cutting import join_object
from services.vault.cycling import begin_next
from services.vault.dealer import Dealer
from services.vault.demonstration.stage import HOST, until
from services.vault.demonstration.storing import PURPOSE, Storing, readings_of
from services.vault.described import sensor_identity
from services.vault.reader import Reader
from services.vault.records import Manifest
from services.vault.resharing import reshare
from services.vault.transport import PrivateKey

CLUSTER: Final = "M1"
S1: Final = "m1-infrared-3"
S1_ID: Final = 106
S1_PROCESS_PORT: Final = 1
"""The new infrared sensor, its id, and how far its port is behind that of the cluster's process."""
S2: Final = "m1-visible-2"
AFTER: Final = "m1-after"
WEAK: Final = {"0": "is 0 in the field", "102": "is the id of", str((P521 - 1) // 2): "is weak for t = 3"}
"""Ids that S1 tries, and what the contract says of each: f(0) is a part of the data, 102 is taken, and at (P - 1)/2 the
random number has no part in a share. Among the ids below 2^64 none is weak."""
_JOINED_WITHIN_S: Final = 60.0


async def join_with_weak_ids(story: Storing) -> None:
    """S1 asks for ids under which its share would tell more than others'; then for a good one."""
    stage, book = story.stage, story.book
    organisation = str(stage.vault.clusters[CLUSTER].organisation)
    port = next(spec.port for spec in stage.supervisor.config.companions if spec.name == "m1") or 0
    url = f"https://{HOST}:{port + S1_PROCESS_PORT}/holders/{S1}"
    key = PrivateKey.generate().public.text
    for x, refusal in WEAK.items():
        identity = await _identity(story, organisation, f"s1-tries-{len(x)}-digits", x)
        session, told = await stage.session(identity), ""
        try:
            await session.ledger.join(S1, CLUSTER, x, key, url)
        except GridLedgerError as error:
            told = error.message
        shown = x if len(x) < len(str(2**64)) else "(P - 1)/2"
        book.tried.append((shown, told or "taken in"))
        book.expect(f"S1 may not join with the id {shown}", refusal in told, told[:100])
    await stage.run_holder(S1, S1_ID, cluster=CLUSTER, organisation=organisation, port=port + S1_PROCESS_PORT)

    async def has_joined() -> bool:
        return S1 in [item["holder"] async for item in stage.base.ledger.joins()]

    await until(has_joined, f"{S1} asks to join", _JOINED_WITHIN_S)
    await stage.base.ledger.admit(S1)
    book.tried.append((str(S1_ID), "joined, and admitted"))
    book.expect(f"with the id {S1_ID} it joins, and the base admits it", True)


async def revoke(story: Storing) -> None:
    """S2 is found lost by its head and revoked by the base; the next cycle begins."""
    stage, book, name = story.stage, story.book, readings_of(CLUSTER)
    await stage.heads[CLUSTER].ledger.report_lost(S2, "does not report what its neighbour sees")
    suspected = (await stage.base.ledger.get_holder(S2))["suspicions"]
    reader = Reader(stage.readers[CLUSTER])
    before = await reader.request(name, PURPOSE)
    await stage.base.ledger.revoke("found opened", holder=S2)
    entry = next(each for each in before.holders if each["holder"] == S2)
    served = await reader.serve(before, entry, PrivateKey.generate())
    book.expect(
        "S2, suspected by its head and revoked by the base, serves nothing, even under a grant from before",
        bool(suspected) and served.share is None,
        served.why[:90],
    )
    cycle, _ = await begin_next(stage.base.ledger)
    active = {each["holder"] for found in cycle["clusters"] if found["cluster"] == CLUSTER for each in found["holders"]}
    book.expect(
        "the next cycle has S1 and not S2", S1 in active and S2 not in active, f"cycle {cycle['cycle']}: {len(active)}"
    )


async def nothing_new_nothing_old(story: Storing) -> None:
    """What is put now S2 does not get; what was put before S1 cannot read."""
    stage, book, old = story.stage, story.book, readings_of(CLUSTER)
    data = story.data[old][::-1]
    async with Dealer(stage.heads[CLUSTER]) as dealer:
        await dealer.put(AFTER, data, CLUSTER, readers=stage.readers_of(CLUSTER))
    story.data[AFTER] = data
    manifest = Manifest.of(await stage.base.ledger.get_object(AFTER))
    read = await Reader(stage.readers[CLUSTER]).get(AFTER, PURPOSE, ask_all=True)
    book.expect(
        "a new object has a share for S1 and none for S2",
        S1 in read.answered and S2 not in manifest.shares and not stage.share_file(S2, AFTER).exists(),
        ", ".join(read.answered),
    )
    s2 = await stage.session_of(S2)
    refusal = await _refusal(s2.ledger.request_read(AFTER, PURPOSE))
    book.expect("S2 may read nothing any more", "revoked" in refusal, refusal[:90])
    s1 = await stage.session(await _identity(story, str(stage.vault.clusters[CLUSTER].organisation), S1, str(S1_ID)))
    refusal = await _refusal(s1.ledger.request_read(old, PURPOSE))
    book.expect(
        "S1 has no share of what was put before it came, and may not read it",
        f"may not read {old}" in refusal and not stage.share_file(S1, old).exists(),
        refusal[:90],
    )


async def make_shares_anew(story: Storing) -> None:
    """After a reshare, shares from before and after never combine."""
    stage, book, name = story.stage, story.book, readings_of(CLUSTER)
    old = Manifest.of(await stage.base.ledger.get_object(name))
    kept = {holder: stage.share_file(holder, name).read_bytes() for holder in old.shares}
    async with Dealer(stage.base) as dealer:
        sending = await reshare(stage.base, dealer, name)
    new = Manifest.of(await stage.base.ledger.get_object(name))
    fresh = {holder: stage.share_file(holder, name, sending.version).read_bytes() for holder in new.shares}
    read = await Reader(stage.readers[CLUSTER]).get(name, PURPOSE, ask_all=True)
    book.expect(
        "reshared under a new key, the data come from the present holders, S1 among them",
        read.data == story.data[name] and S1 in read.answered and S2 not in read.answered,
        f"version {sending.version}",
    )
    tried, joined = await asyncio.to_thread(mixed, (old, new), kept, fresh)
    book.expect("no t shares of which some are old and some new join", tried > 0 and joined == 0, f"{tried} sets tried")


def mixed(
    manifests: tuple[Manifest, Manifest], kept: Mapping[str, bytes], fresh: Mapping[str, bytes]
) -> tuple[int, int]:
    """How many sets of t shares, old and new ones among them, were tried under both manifests, and how many joined."""
    tried = joined = 0
    for manifest in manifests:
        names = [name for name in manifest.shares if name in kept or name in fresh]
        for chosen in combinations(names, manifest.t):
            for pattern in range(1, 2**manifest.t - 1):
                picked = [(name, fresh if pattern >> at & 1 else kept) for at, name in enumerate(chosen)]
                if any(name not in source for name, source in picked):
                    continue
                tried += 1
                try:
                    join_object(manifest, {name: source[name] for name, source in picked})
                except SharingError:
                    continue
                joined += 1
    return tried, joined


async def _refusal(work: object) -> str:
    try:
        await work  # type: ignore[misc]
    except GridLedgerError as error:
        return error.message
    return ""


async def _identity(story: Storing, organisation: str, name: str, x: str) -> SigningIdentity:
    return await sensor_identity(story.stage.profile, organisation, name, cluster=CLUSTER, x=x, host=HOST)
