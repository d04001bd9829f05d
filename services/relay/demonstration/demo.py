"""The demonstration: starts a network with a relay and four servers, has the story happen, and judges what is left."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gridledger.client.profile import ConnectionProfile
from gridledger.demonstration.console import Console
from gridledger.demonstration.network import DemoNetwork, Place, demo_network, disagreements
from gridledger.demonstration.summary import write_summary
from gridledger.errors import InputError
from gridledger.network.folder import NetworkFolder
from gridledger.network.users import enroll_user
from services.relay.commands.reaching import gaps_of, pages_of_captures
from services.relay.commands.record_file import read_record
from services.relay.demonstration import story
from services.relay.demonstration.director import Director
from services.relay.demonstration.expectations import Evidence, judged
from services.relay.demonstration.files import write_captures, write_chain
from services.relay.demonstration.outcome import MinuteOutcome, outcome_of
from services.relay.demonstration.renames import Renames
from services.relay.demonstration.report import Results, update_percentiles_ms, write_all
from services.relay.demonstration.stage import SIMULATOR, Stage, companion
from services.relay.demonstration.summary import summary_of
from services.relay.demonstration.table import show_table
from services.relay.demonstration.watching import watching
from services.relay.ledger import APPLICATION, RelayLedger, operator_identity, relay_ledger

PROJECT: Final = Path(__file__).resolve().parents[3]
NETWORK: Final = PROJECT / "network-config" / "substation.yaml"
RELAY: Final = PROJECT / "network-config" / "relays" / "rele1.yaml"
READERS: Final = "Customers"
SETTLED_WITHIN_S: Final = 120.0
_POLL_S: Final = 0.5
_PATIENCE_MINUTES, _PATIENCE_S = 2, 30.0
"""How long the relay may take for its next capture: minutes of its own, and more where the machine is busy."""
_SPARE_S: Final = 90.0
"""How long the network's start, the registration and the end may take together, before the relay's clock, which runs
fast from the past, has reached the present."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """``minutes`` of the relay's clock, of which each lasts ``minute_s``."""

    minutes: int
    minute_s: float
    out: Path
    folder: Path
    port_offset: int = 0
    begun: float = 0.0


async def demonstrate(options: DemoOptions, console: Console) -> int:
    """Run everything; the exit code: 0 when all expectations held."""
    if options.minutes < story.LEAST_MINUTES:
        raise InputError(f"the story takes {story.LEAST_MINUTES} minutes of the relay's clock; --minutes may be more")
    options.out.mkdir(parents=True, exist_ok=True)
    async with demo_network(_place(options), console) as network:
        run = await network.run(_run(network, options, console))
        state = await network.run(network.agreement())
    await asyncio.to_thread(write_captures, options.out / "captures.csv", run.record, run.items)
    chain = await asyncio.to_thread(write_chain, options.out / "chain.json", run.record, run.items)
    evidence = Evidence(
        options.minutes, run.outcomes, run.cast, run.lies, run.gaps, run.silences, disagreements(state), chain.fault
    )
    results = Results(
        run.outcomes, run.cast, run.record, judged(evidence), run.silences, run.gaps, options.minute_s, chain
    )
    show_table(console, results)
    console.channels(state)
    console.latencies("the relay's file to the winner's own peer", update_percentiles_ms(run.outcomes))
    write_summary(options.out / "summary.json", summary_of(results, network.ready_s, state, run.lies))
    await asyncio.to_thread(write_all, options.out, results)
    if not results.is_good:
        failed = "; ".join(f"not: {text}" for text, held in results.expectations if not held)
        console.verdict(f"The demonstration failed: {failed}", good=False)
        return 1
    console.verdict(f"All {len(results.expectations)} expectations held. Results: {options.out}", good=True)
    return 0


@dataclass(frozen=True, slots=True)
class _Run:
    """What is left when the story is over. ``items``: ListCaptures' of its minutes, with texts."""

    cast: story.Cast
    record: Mapping[str, Any]
    outcomes: list[MinuteOutcome]
    lies: Mapping[int, str]
    gaps: list[tuple[int, int]]
    silences: list[dict[str, Any]]
    items: list[dict[str, Any]]


def _place(options: DemoOptions) -> Place:
    servers = [item["id"] for item in read_record(RELAY).record["servers"]]
    minutes = options.minutes + math.ceil(_SPARE_S / options.minute_s)
    pace: dict[str, Any] = {"minute_s": options.minute_s}
    settings = {SIMULATOR: {**pace, "minutes": minutes}, **{companion(server): pace for server in servers}}
    return Place(
        NETWORK,
        options.folder,
        PROJECT,
        options.port_offset,
        companions=(APPLICATION,),
        settings=settings,
        begun=options.begun,
    )


async def _run(network: DemoNetwork, options: DemoOptions, console: Console) -> _Run:
    assert network.supervisor is not None  # noqa: S101 - it was started here
    async with AsyncExitStack() as stack:
        stage = await _set_up(network, options, console)
        stack.callback(stage.connect_all)
        cast = story.cast_of([item["id"] for item in stage.record["servers"]])
        reader = await enroll_user(network.profile, READERS, "watchdog", "client", {})
        watched = await stack.enter_async_context(watching(network.profile, reader))
        ledger = await stack.enter_async_context(relay_ledger(network.profile, reader))
        renames = Renames(stage.renames, _PATIENCE_MINUTES * options.minute_s + _PATIENCE_S)
        # The minute that runs began before anyone could read it.
        first = await renames.newest() + 2
        director = Director(
            stage, cast, watched=watched, renames=renames, first=first, minute_s=options.minute_s, console=console
        )
        lies = await director.play(options.minutes, stack)
        console.say("waiting until every server has spoken to every minute")
        await _settle(ledger, stage.record, first, options.minutes)
        return await _collect(ledger, director, options, lies)


async def _set_up(network: DemoNetwork, options: DemoOptions, console: Console) -> Stage:
    """Register the relay, where it is in this network."""
    assert network.supervisor is not None  # noqa: S101 - it was started here
    config = network.supervisor.config
    simulator = next(spec for spec in config.companions if spec.name == SIMULATOR)
    record = {**read_record(RELAY).record, "address": config.url(simulator)}
    operator = await operator_identity(network.profile, _operator(network.profile, record))
    async with relay_ledger(network.profile, operator) as ledger:
        stored = await ledger.register_relay(record)
    console.say(f"registered {stored['relay']} ({stored['name']}, {stored['substation']}): quorum {stored['quorum']}")
    return Stage(network.supervisor, NetworkFolder(options.folder.resolve()), network.profile, stored)


def _operator(profile: ConnectionProfile, record: Mapping[str, Any]) -> str:
    """The operator is of the first server's organisation."""
    mspid = record["servers"][0]["mspid"]
    return next(entry.organisation for entry in profile.peers.values() if entry.mspid == mspid)


async def _settle(ledger: RelayLedger, record: Mapping[str, Any], first: int, count: int) -> None:
    """Wait until each minute has its verdict and all voices, or for SETTLED_WITHIN_S."""
    deadline = time.monotonic() + SETTLED_WITHIN_S
    waiting = set(range(first, first + count))
    while waiting and time.monotonic() < deadline:
        recorded = {item["minute"] for item in await _items(ledger, record["relay"], first, count)}
        for minute in sorted(waiting & recorded):
            capture = await ledger.get_capture(record["relay"], minute)
            if capture["verdict"] is not None and len(capture["attestations"]) == len(record["servers"]) - 1:
                waiting.discard(minute)
        await asyncio.sleep(_POLL_S)


async def _items(
    ledger: RelayLedger, relay: str, first: int, count: int, *, texts: bool = False
) -> list[dict[str, Any]]:
    pages = pages_of_captures(ledger, relay, first, first + count, texts=texts)
    return [item async for page in pages for item in page]


async def _collect(ledger: RelayLedger, director: Director, options: DemoOptions, lies: Mapping[int, str]) -> _Run:
    record, first, count = director.stage.record, director.first, options.minutes
    items = await _items(ledger, record["relay"], first, count, texts=True)
    outcomes = [await _outcome(ledger, director, item["minute"], options.minute_s) for item in items]
    gaps = [gap async for gap in gaps_of(ledger, record["relay"], first, first + count)]
    return _Run(director.cast, record, outcomes, lies, gaps, director.watched.silences, items)


async def _outcome(ledger: RelayLedger, director: Director, minute: int, minute_s: float) -> MinuteOutcome:
    stored = await ledger.get_capture(director.stage.record["relay"], minute)
    return outcome_of(
        minute - director.first + 1,
        stored,
        director.renames.all[minute],
        director.watched.recorded.get(minute, {}),
        times_recorded=director.watched.times_recorded(minute),
        own_peer=director.stage.own_peer(stored["server"]),
        record=director.stage.record,
        cast=director.cast,
        minute_s=minute_s,
    )
