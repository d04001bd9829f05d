"""Update time by the length of the ledger: one network, a channel for each length, measured in alternation."""

from __future__ import annotations

import json
import shutil
import statistics
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.relay.bootstrap import ratio_of_medians
from benchmarks.relay.outcome import Update, outcome_of, updates_of
from benchmarks.relay.own_processes import ChannelSet
from benchmarks.relay.prefill import fill
from benchmarks.relay.runs import Run, Tell, follow_minutes, running_network_of, sampled, uses_of
from benchmarks.relay.substations import RELAY, registration, substation
from benchmarks.relay.watching import CaptureWatch
from gridledger.client import EndorseError, SigningIdentity
from gridledger.client.profile import ConnectionProfile, load_profile
from gridledger.network.schema import NetworkConfig
from services.relay.commands.reaching import latest_minute
from services.relay.ledger import operator_identity, relay_ledger

MOST_CAPTURES = 120_000
"""The ledger takes minutes of the last 90 days: 129,600."""
_AHEAD = 4_000
"""Minutes between what is prefilled and the present, for those that are measured."""
_APART = 2_000
"""Minutes between the two: servers look back a day for captures that are not concluded, and shall find none."""
_LEAD = 5


@dataclass(frozen=True, slots=True)
class LengthPlan:
    """Captures before (one channel each), servers, real seconds of a minute, minutes of a batch, batches of each."""

    lengths: tuple[int, ...]
    servers: int = 4
    minute_s: float = 2.0
    minutes: int = 20
    rounds: int = 10
    port_offset: int = 21_000


@dataclass(slots=True)
class _Measured:
    updates: list[Update] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    uses: list[dict[str, Any]] = field(default_factory=list)


async def measure_lengths(plan: LengthPlan, folder: Path, tell: Tell) -> dict[str, Any]:
    """Prefill what is missing, then measure. The network stays in ``folder``, for the next time."""
    names = {length: f"length-{length}" for length in plan.lengths}
    config = substation(
        plan.servers, port_offset=plan.port_offset, channels=tuple(names.values()), server={"minute_s": plan.minute_s}
    )
    network, home = folder / f"network-{plan.servers}", folder / "sets"
    shutil.rmtree(home, ignore_errors=True)
    measured = {length: _Measured() for length in plan.lengths}
    async with running_network_of(config, network):
        profile = load_profile(network)
        for length, channel in names.items():
            await _prefill(_of_channel(profile, channel), config, network / f"{channel}.json", length, tell)
        sets = {}
        for length, channel in names.items():
            sets[length] = ChannelSet(config, network, home / channel, channel)
            sets[length].prepare(await _simulator(_of_channel(profile, channel), plan))
        for number in range(plan.rounds):
            for length, channel in names.items():
                tell(f"round {number + 1} of {plan.rounds}: {length:,} captures before")
                watch = CaptureWatch(_of_channel(profile, channel), channel, [peer.name for peer in config.peers])
                await _batch(plan, watch, sets[length], measured[length], tell)
    return {**asdict(plan), "lengths": [_row(length, found) for length, found in measured.items()], **_ratios(measured)}


def _of_channel(profile: ConnectionProfile, channel: str) -> ConnectionProfile:
    """The profile of a program that monitors the relay on this channel."""
    application = {"chaincode": "relay", "channel": channel}
    return profile.model_copy(update={"applications": {**profile.applications, "relay": application}})


async def _prefill(profile: ConnectionProfile, config: NetworkConfig, state: Path, length: int, tell: Tell) -> None:
    """Register the relay on the channel, and record so many minutes; what is there already is not done again."""
    record = registration(config)
    operator = await operator_identity(profile, config.peers[0].organisation)
    async with relay_ledger(profile, operator) as ledger:
        try:
            await ledger.get_relay(record["relay"])
        except EndorseError as error:
            if error.code != "CHAINCODE_REFUSED":
                raise
            await ledger.register_relay(record)
    end = _end_of_prefilled(state)
    added = await fill(profile, record, range(end - length, end), tell)
    tell(f"{length:,} captures: {added:,} added")


def _end_of_prefilled(state: Path) -> int:
    """The minute behind the last that is prefilled, chosen once for a folder."""
    if not state.exists():
        state.write_text(json.dumps({"end": int(time.time()) // 60 - _AHEAD - _APART}))
    end: int = json.loads(state.read_bytes())["end"]
    return end


async def _simulator(profile: ConnectionProfile, plan: LengthPlan) -> dict[str, Any]:
    """Settings of the channel's relay: it begins behind the last capture there, and must not reach the present."""
    now, needed = int(time.time()) // 60, plan.rounds * len(plan.lengths) * (plan.minutes + 60)
    identity = SigningIdentity.load(profile.user_folder())
    async with relay_ledger(profile, identity) as ledger:
        last = await latest_minute(ledger, RELAY, now)
    start = max(now - _AHEAD, (last or 0) + _LEAD)
    if start + needed > now:
        raise SystemExit(
            f"the last capture is {now - start} minutes old, and {needed} are needed: remove the folder, or wait"
        )
    return {"minute_s": plan.minute_s, "start_minute": start, "seed": 1}


async def _batch(plan: LengthPlan, watch: CaptureWatch, processes: ChannelSet, into: _Measured, tell: Tell) -> None:
    """Run the channel's servers and relay for one batch of minutes."""
    run = Run(plan.servers, plan.minute_s, plan.minutes, port_offset=plan.port_offset)
    async with watch.following(), processes.running(), sampled() as samples:
        followed = await follow_minutes(watch, processes.renames, run, tell)
    found = updates_of(followed.renames, watch.seen, processes.own_peers)
    into.updates += found
    into.lost += outcome_of(followed.renames, found, {})["lost"]
    into.uses.append(uses_of(samples, followed.begun, followed.lasted_s)["processes"])


def _row(length: int, found: _Measured) -> dict[str, Any]:
    outcome = outcome_of([], found.updates, {})
    server = [uses["relay server"] for uses in found.uses if "relay server" in uses]
    return {
        "length": length,
        "minutes": len(found.updates) + len(found.lost),
        "lost": found.lost,
        "own_peer": outcome["own_peer"],
        "last_peer": outcome["last_peer"],
        "updates_ms": outcome["updates_ms"],
        "server_cores": statistics.median(use["cores"] for use in server) if server else None,
        "server_mib": statistics.median(use["end_mib"] for use in server) if server else None,
    }


def _ratios(measured: dict[int, _Measured]) -> dict[str, Any]:
    """The ratio of each length's median to the shortest's, at the winner's own peer."""
    shortest = min(measured)
    of_shortest = [update.own_s for update in measured[shortest].updates]
    ratios = []
    for length in sorted(measured):
        over = [update.own_s for update in measured[length].updates]
        if length != shortest and over and of_shortest:
            ratio, low, high = ratio_of_medians(over, of_shortest)
            ratios.append({"of": length, "to": shortest, "ratio": ratio, "interval": [low, high]})
    return {"ratios": ratios}
