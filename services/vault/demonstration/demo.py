"""The demonstration: starts the substation's network with its holders, has everything happen, and judges it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from gridledger.demonstration.console import Console
from gridledger.demonstration.network import DemoNetwork, Place, demo_network, disagreements
from gridledger.demonstration.summary import write_summary
from gridledger.network.folder import NetworkFolder
from services.vault.demonstration import colluding, failing, joining
from services.vault.demonstration.book import Book, failed
from services.vault.demonstration.files import summary_of, write_storage
from services.vault.demonstration.report import write_all
from services.vault.demonstration.speed import speeds
from services.vault.demonstration.stage import Stage, set_stage
from services.vault.demonstration.storing import Storing
from services.vault.ledger import APPLICATION

PROJECT: Final = Path(__file__).resolve().parents[3]
NETWORK: Final = PROJECT / "network-config" / "substation-vault.yaml"
_BASE: Final[dict[str, Any]] = {"look_over_s": 2.0, "audit_every_s": 0.0, "repair_again_s": 1.0}
"""The base looks often, so that nobody waits for a repair; it audits when it is asked to."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """``periods`` minutes of data of each cluster, made up from ``seed``."""

    seed: int
    periods: int
    out: Path
    folder: Path
    port_offset: int = 0
    begun: float = 0.0


async def demonstrate(options: DemoOptions, console: Console) -> int:
    """Run everything; the exit code: 0 when each step ended as it must."""
    options.out.mkdir(parents=True, exist_ok=True)
    place = Place(
        NETWORK,
        options.folder,
        PROJECT,
        options.port_offset,
        companions=(APPLICATION,),
        settings={"base": _BASE},
        begun=options.begun,
    )
    book = Book(console)
    async with demo_network(place, console) as network:
        await network.run(_play(network, options, book))
        state = await network.run(network.agreement())
    book.step = "At the end"
    disagreeing = disagreements(state)
    book.expect("all peers have the same ledger", not disagreeing, ", ".join(disagreeing))
    console.say("measuring the profiles in memory")
    book.speeds = await asyncio.to_thread(speeds)
    console.channels(state)
    write_storage(options.out / "storage.csv", book.stored)
    write_summary(options.out / "summary.json", summary_of(book, network.ready_s, state, options))
    await asyncio.to_thread(write_all, options.out, book)
    if not book.is_good:
        console.verdict(f"The demonstration failed: {failed(book.expectations)}", good=False)
        return 1
    console.verdict(f"All {len(book.expectations)} expectations held. Results: {options.out}", good=True)
    return 0


async def _play(network: DemoNetwork, options: DemoOptions, book: Book) -> None:
    assert network.supervisor is not None  # noqa: S101 - it was started here
    folder = NetworkFolder(options.folder.resolve())
    async with AsyncExitStack() as stack:
        stage = await set_stage(network.supervisor, folder, network.profile, PROJECT, stack)
        story = Storing(stage, book, options.seed, options.periods)
        await book.act("Five clusters are set up", story.set_up)
        await book.act("Monitoring data are put", story.put)
        await book.act("Monitoring data are read", story.read)
        await book.act("The disks are looked at", story.measure)
        await book.act("Four holders of M3 are killed", partial(failing.kill_n_minus_t, story))
        await book.act("One holder more is killed", partial(failing.kill_one_more, story))
        await book.act("The killed holders are started again", partial(failing.start_again, story))
        await book.act("A byte of a share flips", partial(failing.flip_a_byte, story))
        await book.act("Holders are audited", partial(failing.audit, story))
        await book.act("A stranger asks", partial(failing.refuse_a_stranger, story))
        await book.act("S1 joins the security cluster", partial(joining.join_with_weak_ids, story))
        await book.act("S2 is revoked", partial(joining.revoke, story))
        await book.act("S1 and S2 look for data", partial(joining.nothing_new_nothing_old, story))
        await book.act("Shares are made anew", partial(joining.make_shares_anew, story))
        await book.act("The base's peer is cut off", partial(failing.cut_off_a_peer, story))
        await book.act("Two holders collude", partial(colluding.collude, story))
        await book.act("Who read what", partial(_collect_reads, stage, book))


async def _collect_reads(stage: Stage, book: Book) -> None:
    """All reads of all objects, by time."""
    names = [str(item["object"]) async for item in stage.base.ledger.objects()]
    reads = [item for name in names async for item in _reads(stage, name)]
    book.reads = sorted(reads, key=lambda item: item["granted_us"])
    purposes = {str(item["purpose"]) for item in book.reads}
    book.expect(
        "every read, repair and reshare stands on the ledger, with who and when",
        {"repair", "reshare"} < purposes and len(book.reads) >= len(names),
        f"{len(book.reads)} of {len(names)} objects",
    )


async def _reads(stage: Stage, name: str) -> Any:
    async for item in stage.base.ledger.reads(name):
        yield {"object": name, **item}
