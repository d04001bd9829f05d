"""The demonstration: starts the network of three cities, plays the attack, and judges what an investigation finds."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from gridledger.demonstration.console import Console
from gridledger.demonstration.network import DemoNetwork, Place, demo_network, disagreements
from gridledger.demonstration.steps import Steps
from gridledger.demonstration.summary import channel_summary, write_summary
from gridledger.network.schema import NetworkConfig, load_network_config
from gridledger.network.status import NetworkState
from services.case.demonstration import grid, investigating, proving, sounding
from services.case.demonstration.casting import devices_of_nodes, settings_of
from services.case.demonstration.course import Course
from services.case.demonstration.pmu_servers import pmu_servers
from services.case.demonstration.stage import PROJECT, RealClock, set_stage
from services.case.described import APPLICATION
from services.case.replay.pmus import MovingGrid
from services.case.replay.ukraine2015 import story

NETWORK: Final = PROJECT / "network-config" / "forensics.yaml"
_BESIDE_S: Final = 900.0
"""For how much longer than the replay the PMUs measure."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """``seed`` of the story, how long it is played, and how much of what is ordinary happens (1: as usual)."""

    seed: int
    replay_s: float
    quantity: float
    out: Path
    folder: Path
    port_offset: int = 0
    begun: float = 0.0


async def demonstrate(options: DemoOptions, console: Console) -> int:
    """Run everything; the exit code: 0 when all that was planted was found, nobody else accused, and all is proved."""
    options.out.mkdir(parents=True, exist_ok=True)
    told = story(options.seed, replay_s=options.replay_s, quantity=options.quantity)
    devices = devices_of_nodes(
        (*told.cast.devices.values(), *grid.devices(), sounding.device()), sections_of(load_network_config(NETWORK))
    )
    sources = grid.sources(options.port_offset)
    place = Place(
        NETWORK,
        options.folder,
        PROJECT,
        options.port_offset,
        companions=(APPLICATION, "anchors"),
        settings={name: {"devices": settings_of(each, sources)} for name, each in devices.items()},
        begun=options.begun,
    )
    steps, folder, out = Steps(console), options.folder.resolve(), options.out.resolve()
    console.say("solving the grid that the PMUs measure")
    begun_us, seconds = RealClock().now_us(), options.replay_s + _BESIDE_S
    frequency = sounding.Frequency(options.seed, begun_us)
    moving = MovingGrid(grid.placement(), seconds, options.seed, frequency=frequency.at)
    pmus = pmu_servers(moving, grid.ports(options.port_offset), begun_us=begun_us, rate=grid.RATE)
    async with pmus, demo_network(place, console) as network, AsyncExitStack() as stack:

        async def work() -> Course:
            stage = await set_stage(network, folder, told.cast, devices, stack)
            course = Course(stage, told, steps, moving, begun_us, frequency, out)
            await course.run()
            return course

        course = await network.run(work())
        state = await network.run(network.agreement())
    steps.step = "At the end"
    disagreeing = disagreements(state)
    steps.expect("all peers have the same ledger", not disagreeing, ", ".join(disagreeing))
    console.channels(state)
    write_summary(options.out / "summary.json", _summary(course, network, state, options))
    if not steps.is_good:
        console.verdict(f"The demonstration failed: {steps.failed}", good=False)
        return 1
    console.verdict(f"All {len(steps.expectations)} expectations held. Results: {options.out}", good=True)
    return 0


def sections_of(config: NetworkConfig) -> dict[str, list[str]]:
    """The light nodes of each section, as the description has them."""
    found: dict[str, list[str]] = {}
    for spec in config.companions:
        if spec.kind == "lightnode":
            found.setdefault(spec.attributes["forensics.section"], []).append(spec.name)
    return found


def _summary(course: Course, network: DemoNetwork, state: NetworkState, options: DemoOptions) -> dict[str, Any]:
    replayed, steps = course.replayed, course.steps
    return {
        "passed": steps.is_good,
        "ready_s": round(network.ready_s, 2),
        "seed": options.seed,
        "replay_s": options.replay_s,
        "quantity": options.quantity,
        "expectations": [asdict(each) for each in steps.expectations],
        "played": None if replayed is None else asdict(replayed.played),
        "outages": [] if replayed is None else [asdict(each) for each in replayed.outages],
        "planted": [] if course.judged is None else investigating.told(course.judged),
        "package": None if course.packed is None else proving.summary_of(course.packed, course.verified),
        "recordings": None
        if course.heard is None
        else {"call.wav": course.heard.own.as_json(), "other.wav": course.heard.other.as_json()},
        "examined": None if course.examined is None else course.examined.to_dict(),
        "channels": channel_summary(state),
    }
