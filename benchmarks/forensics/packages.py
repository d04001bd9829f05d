"""``package``: a package of a thousand events of a history, collected as the case desk does, and verified offline."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final

from benchmarks.forensics.chains import APPLICATIONS, CHAINCODES, GENERAL, REGISTRY, SECTIONS, People, ledgers
from benchmarks.forensics.history import KINDS, build, parser
from benchmarks.forensics.measuring import tell
from benchmarks.forensics.search import fill, open_index
from benchmarks.measure.machine import this_machine
from gridledger import jsontext
from gridledger.client.anchors import Anchor
from gridledger.command_line import EXIT_FAILED
from gridledger.evidence.assembling import disclosed_of, endings_of
from gridledger.evidence.package import BlockPart, Place, Roles, write_package
from gridledger.evidence.verification import verify_package
from gridledger.files import write_atomically
from gridledger.ledger import Ledger
from gridledger.protocol.block import ZERO_HASH
from gridledger.protocol.headers import HeadersPage
from gridledger.protocol.world_state import HistoryEntry
from services.case.collecting import Collector, FinalAnchor
from services.case.judging import processors, side_by_side
from services.case.questions import Question, Scope
from services.case.serving.index import Index
from services.case.serving.searching import search
from services.case.verifier import verifier

PACKAGE_S, VERIFY_S = 20.0, 10.0
_MAX_PAGE: Final = 1000
QUESTIONS: Final = {"one after another": tuple(sorted(set(KINDS))), "scattered": ("alarm",)}
"""Kinds of the events that a package is asked for: those of a stretch of time; and few in each of many transactions,
which have all their events in the package and are proved whole. The bars are for the first."""


def main(argv: Sequence[str]) -> int:
    """Build what is not there, collect, verify, and tell; 1 where a bar is missed."""
    made = parser("package", __doc__ or "")
    made.add_argument("--of", type=int, default=1000, help="events in the package (default: %(default)s)")
    options = made.parse_args(argv)
    build(options.folder, options.events, options.processes)
    report = asyncio.run(_measured(options))
    write_atomically(options.folder / "package.json", jsontext.dumps(report) + b"\n")
    print(jsontext.dumps(report).decode(), flush=True)
    bars = {"package_s": PACKAGE_S, "verify_s": VERIFY_S}
    judged = report["one after another"]
    missed = [name for name, bar in bars.items() if judged[name] >= bar]
    for name in missed:
        print(f"MISSED: {name} {judged[name]} is not below {bars[name]:g}", file=sys.stderr)
    proved = all(report[name]["outcome"] == "proved" for name in QUESTIONS)
    return 0 if proved and not missed else EXIT_FAILED


async def _measured(options: Any) -> dict[str, Any]:
    index = open_index(options.folder)
    fill(index, options.folder)
    opened = ledgers(options.folder, list(CHAINCODES))
    people = People.in_folder(options.folder / "people")
    roots = {mspid: [root] for mspid, root in people.roots.items()}
    genesis = opened[GENERAL].block(0).header.hash
    report: dict[str, Any] = {"machine": this_machine().to_dict()}
    for name, kinds in QUESTIONS.items():
        question = Question(kinds=kinds, limit=options.of)
        data, told = await _packaged(index, opened, question)
        begun = time.perf_counter()
        judged = verify_package(data, roots=roots, general_genesis=genesis, judge=side_by_side(processors()))
        told |= {"verify_s": round(time.perf_counter() - begun, 2), "proved_events": len(judged.events)}
        told |= {"outcome": judged.outcome.value, "broken": None if judged.broken is None else judged.broken.message}
        report[name] = told
        tell(f"{name}: {told}")
    index.close()
    for ledger in opened.values():
        ledger.close()
    return report


async def _packaged(index: Index, opened: Mapping[str, Ledger], question: Question) -> tuple[bytes, dict[str, Any]]:
    """The package of what a question finds, and what it took, the trees of the channels included."""
    scope = Scope(SECTIONS, 0, 10**16 - 1, None, None, None)
    collector = Collector(LedgersAsPeer(opened), _roles(), index.config_blocks, verifier)
    begun = time.perf_counter()
    page = search(index.reader(), index.channels, question, scope)
    places = [Place(row.channel, row.block, row.position) for row in page.rows]
    package = await collector.collect(places, {"case": "benchmark"})
    data = write_package(package)
    return data, {
        "events": len(page.rows),
        "transactions": len(package.evidence),
        "blocks": sum(len(part.blocks) for part in package.channels.values()),
        "disclosed": sum(len(each["transactions"]) for each in disclosed_of(package)),
        "bytes": len(data),
        "package_s": round(time.perf_counter() - begun, 2),
    }


class LedgersAsPeer:
    """What a peer with these ledgers would tell a collector."""

    def __init__(self, opened: Mapping[str, Ledger]) -> None:
        self._ledgers = opened

    async def block(self, channel: str, number: int) -> BlockPart:
        """A block as it stands in a package."""
        with self._ledgers[channel].snapshot() as snapshot:
            metadata = snapshot.metadata(number)
            before = snapshot.metadata(number - 1).commit_hash if number else ZERO_HASH
            return BlockPart(snapshot.block(number), metadata.codes, before, metadata.signature)

    async def headers(self, channel: str, start: int, limit: int) -> HeadersPage:
        """Headers of consecutive blocks."""
        with self._ledgers[channel].snapshot() as snapshot:
            numbers = range(start, min(snapshot.height, start + min(limit, _MAX_PAGE)))
            return HeadersPage(tuple(map(snapshot.header, numbers)), snapshot.height)

    async def block_of(self, channel: str, tx_id: str) -> int:
        """The block of a transaction."""
        return self._ledgers[channel].transaction(tx_id).block

    async def anchor(self, channel: str) -> FinalAnchor | None:
        """The channel's newest anchor."""
        with self._ledgers[GENERAL].snapshot() as snapshot:
            found = snapshot.get(CHAINCODES[GENERAL], f"final/{channel}")
        if found is None:
            return None
        anchor = Anchor.from_dict({"channel": channel, **jsontext.loads_trusted(found.value)})
        return FinalAnchor(anchor.size, anchor.organisations)

    async def history(self, key: str) -> Sequence[HistoryEntry]:
        """What was written at a key of the contract of anchors, the newest first."""
        with self._ledgers[GENERAL].snapshot() as snapshot:
            return list(islice(snapshot.history(CHAINCODES[GENERAL], key), 100))

    async def endings(self, device: str) -> tuple[str, ...]:
        """The registry's transactions that retired and revoked a device."""
        with self._ledgers[REGISTRY].snapshot() as snapshot:
            kept = [snapshot.get(CHAINCODES[REGISTRY], f"{kind}/{device}") for kind in ("device", "revoked")]
        record, revoked = (None if item is None else jsontext.loads_trusted(item.value) for item in kept)
        return endings_of({**(record or {}), "revoked": revoked})


def _roles() -> Roles:
    return Roles(
        (GENERAL, CHAINCODES[GENERAL]), (REGISTRY, CHAINCODES[REGISTRY]), dict(APPLICATIONS["forensics"]["sections"])
    )
