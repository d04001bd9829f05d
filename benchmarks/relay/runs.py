"""One run: a substation with its servers and its simulated relay, so many minutes, and what they came to."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import PROJECT
from benchmarks.measure.processes import ProcessWatcher, Samples
from benchmarks.measure.window import Window, process_uses
from benchmarks.relay.delays import Delay, all_beside, delayed, moved_aside
from benchmarks.relay.outcome import Rename, outcome_of, read_renames, updates_of
from benchmarks.relay.own_processes import ChannelSet
from benchmarks.relay.substations import CHANNEL, peers_by_server, registration, simulator_of, substation
from benchmarks.relay.watching import CaptureWatch
from gridledger.client.profile import ConnectionProfile, load_profile
from gridledger.network.companions import chosen
from gridledger.network.folder import NetworkFolder
from gridledger.network.schema import CompanionSpec, NetworkConfig
from gridledger.network.supervisor import running_network
from services.relay.ledger import operator_identity, relay_ledger

Tell = Callable[[str], None]

_APPLICATION = "relay"
_SAMPLE_EVERY_S = 2.0
_LOOK_EVERY_S = 0.2
_TELL_EVERY_S = 10.0
_ARRIVE_WITHIN_S = 60.0
_MARGIN_S = 120.0
_SPARE_MINUTES = 2_000
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Run:
    """What to run: servers, real seconds of one of the relay's minutes, minutes that are measured and those before,
    how long a server waits for each place in a minute's turns before it submits, and by how much a question to another
    node and its answer are delayed."""

    servers: int
    minute_s: float
    minutes: int
    warmup: int = 3
    stagger_ms: int = 0
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    port_offset: int = 20_000


async def measure(run: Run, folder: Path, tell: Tell) -> dict[str, Any]:
    """Run it in ``folder``, which is emptied; the outcome as JSON. Everything is stopped at the end."""
    settings = {"minute_s": run.minute_s, "minutes": run.warmup + run.minutes + _SPARE_MINUTES, "seed": 1}
    server = {"minute_s": run.minute_s, "stagger_ms": run.stagger_ms}
    config = substation(run.servers, port_offset=run.port_offset, simulator=settings, server=server)
    async with _running(run, config, folder) as (profile, log):
        tell(f"{run.servers} servers: the network runs, the relay is registered")
        watch = CaptureWatch(profile, CHANNEL, [peer.name for peer in config.peers])
        async with watch.following(), sampled() as samples:
            followed = await follow_minutes(watch, log, run, tell)
            codes = await watch.outcomes()
    updates = updates_of(followed.renames, watch.seen, peers_by_server(config))
    outcome = outcome_of(followed.renames, updates, codes)
    uses = uses_of(samples, followed.begun, followed.lasted_s)
    return {**asdict(run), **outcome, "lasted_s": followed.lasted_s, **uses}


@asynccontextmanager
async def _running(run: Run, config: NetworkConfig, folder: Path) -> AsyncIterator[tuple[ConnectionProfile, Path]]:
    """The network with relay and servers, the relay registered: a profile by which peers are reached without delay, and
    the relay's log of renames."""
    shutil.rmtree(folder, ignore_errors=True)
    if not run.delay_ms:
        async with running_network_of(config, folder, chosen(config, (_APPLICATION,))):
            profile = load_profile(folder)
            await register(profile, config)
            yield profile, folder / "companions" / simulator_of(config).name / "data" / "renames.jsonl"
        return
    aside = moved_aside(config)
    async with delayed(config, Delay(run.delay_ms, run.jitter_ms)), running_network_of(aside, folder):
        profile = all_beside(load_profile(folder))
        await register(profile, config)
        processes = ChannelSet(config, folder, folder / "beside", CHANNEL)
        processes.prepare({}, own_peer_beside=True)
        async with processes.running():
            yield profile, processes.renames


@dataclass(frozen=True, slots=True)
class Followed:
    """The renames of the measured minutes; when measuring began (seconds since 1970), and how long it lasted."""

    renames: list[Rename]
    begun: float
    lasted_s: float


async def follow_minutes(watch: CaptureWatch, log: Path, run: Run, tell: Tell) -> Followed:
    """Wait for the warm-up, then until the relay has completed the minutes of the run and every peer has them."""
    first = await _warmed_up(watch, run, tell)
    begun = time.time()
    renames = await _renamed(log, first, run, watch, tell)
    missing = await watch.wait_for([item.minute for item in renames], _ARRIVE_WITHIN_S)
    if missing:
        tell(f"{len(missing)} minutes did not reach every peer: {missing[:10]}")
    return Followed(renames, begun, time.time() - begun)


@asynccontextmanager
async def running_network_of(
    config: NetworkConfig, folder: Path, companions: Sequence[CompanionSpec] = ()
) -> AsyncIterator[None]:
    """A network in a folder, with companions, while the block lasts."""
    network = NetworkFolder(folder)
    async with running_network(config, network, project=PROJECT, sink=lambda _name, _line: None, companions=companions):
        yield


async def register(profile: ConnectionProfile, config: NetworkConfig) -> None:
    """Register the simulated relay with all servers."""
    operator = await operator_identity(profile, config.peers[0].organisation)
    async with relay_ledger(profile, operator) as ledger:
        await ledger.register_relay(registration(config))


async def _warmed_up(watch: CaptureWatch, run: Run, tell: Tell) -> int:
    """Wait until every peer has so many captures; the minute behind the last of them, from which on is measured."""
    within_s = _MARGIN_S + 3 * run.warmup * run.minute_s
    deadline = time.monotonic() + within_s
    while sum(map(watch.everywhere, list(watch.seen))) < run.warmup:
        if time.monotonic() > deadline:
            raise SystemExit(
                f"{len(watch.seen)} captures reached a peer within {within_s:.0f} s: see the servers' logs"
            )
        await asyncio.sleep(_LOOK_EVERY_S)
    tell(f"{len(watch.seen)} captures are there; measuring {run.minutes} minutes of {run.minute_s:g} s")
    return max(watch.seen) + 1


async def _renamed(log: Path, first: int, run: Run, watch: CaptureWatch, tell: Tell) -> list[Rename]:
    """The renames of the measured minutes, once the relay has completed all."""
    deadline = time.monotonic() + (run.minutes + 2) * run.minute_s + _MARGIN_S
    told = time.monotonic()
    while True:
        renames = [item for item in read_renames(log) if item.minute >= first]
        if len(renames) >= run.minutes:
            return renames[: run.minutes]
        if time.monotonic() > deadline:
            raise SystemExit(f"the relay completed {len(renames)} of {run.minutes} minutes in time: see {log}")
        if time.monotonic() - told > _TELL_EVERY_S:
            told = time.monotonic()
            there = sum(watch.everywhere(item.minute) for item in renames)
            tell(f"{len(renames)} of {run.minutes} minutes complete, {there} on every peer")
        await asyncio.sleep(_LOOK_EVERY_S)


@asynccontextmanager
async def sampled() -> AsyncIterator[Samples]:
    """Samples of the processes below this one, every two seconds while the block lasts."""
    samples: Samples = []
    watcher = ProcessWatcher()

    async def sample() -> None:
        while True:
            samples.append((time.time(), watcher.sample()))
            await asyncio.sleep(_SAMPLE_EVERY_S)

    task = asyncio.create_task(sample())
    try:
        yield samples
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def uses_of(samples: Samples, begun: float, lasted_s: float) -> dict[str, Any]:
    """For each kind of process: how many, the cores and MiB of one on average, at the begin, at the end and at most;
    and over time the same of the servers."""
    kinds: dict[str, list[Any]] = {}
    for use in process_uses(samples, Window(0.0, lasted_s, begun)):
        kinds.setdefault(use.kind, []).append(use)
    return {
        "processes": {
            kind: {
                "count": len(uses),
                "cores": _mean([use.cores for use in uses]),
                "begin_mib": _mean([use.rss_first_bytes / _MIB for use in uses]),
                "end_mib": _mean([use.rss_last_bytes / _MIB for use in uses]),
                "most_mib": max(use.rss_max_bytes / _MIB for use in uses),
            }
            for kind, uses in sorted(kinds.items())
        },
        "server_over_time": over_time(samples, begun, lasted_s),
    }


_PARTS = 10


def over_time(samples: Samples, begun: float, lasted_s: float) -> list[dict[str, float]]:
    """Mean cores and MiB of one server, in ten parts of the run."""
    parts = []
    for part in range(_PARTS):
        window = Window(0.0, lasted_s / _PARTS, begun + part * lasted_s / _PARTS)
        uses = [use for use in process_uses(samples, window) if use.kind == "relay server"]
        if uses:
            cores, mib = _mean([use.cores for use in uses]), _mean([use.rss_last_bytes / _MIB for use in uses])
            parts.append({"at_s": (part + 1) * lasted_s / _PARTS, "cores": cores, "mib": mib})
    return parts


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
