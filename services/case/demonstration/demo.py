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
from services.case.demonstration import forging, investigating, playing
from services.case.demonstration.casting import devices_of_nodes, settings_of
from services.case.demonstration.stage import Stage, set_stage
from services.case.described import APPLICATION, authority_identity
from services.case.replay.story import Story
from services.case.replay.ukraine2015 import parameters, story
from services.case.rules.catalogue import Examined, examine
from services.case.setting_up import set_up

PROJECT: Final = Path(__file__).resolve().parents[3]
NETWORK: Final = PROJECT / "network-config" / "forensics.yaml"
_SET_UP_WAIT_S: Final = 60.0


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


@dataclass(slots=True)
class _Found:
    """What came of the demonstration."""

    replayed: playing.Replayed | None = None
    examined: Examined | None = None


async def demonstrate(options: DemoOptions, console: Console) -> int:
    """Run everything; the exit code: 0 when all that was planted was found, nobody else accused, and all is proved."""
    options.out.mkdir(parents=True, exist_ok=True)
    told = story(options.seed, replay_s=options.replay_s, quantity=options.quantity)
    config = load_network_config(NETWORK)
    devices = devices_of_nodes(told.cast, sections_of(config))
    place = Place(
        NETWORK,
        options.folder,
        PROJECT,
        options.port_offset,
        companions=(APPLICATION, "anchors"),
        settings={name: {"devices": settings_of(each)} for name, each in devices.items()},
        begun=options.begun,
    )
    steps, found, folder = Steps(console), _Found(), options.folder.resolve()
    async with demo_network(place, console) as network, AsyncExitStack() as stack:

        async def work() -> None:
            stage = await set_stage(network, folder, told.cast, devices, stack)
            await _play(stage, told, steps, found)

        await network.run(work())
        state = await network.run(network.agreement())
    steps.step = "At the end"
    disagreeing = disagreements(state)
    steps.expect("all peers have the same ledger", not disagreeing, ", ".join(disagreeing))
    console.channels(state)
    write_summary(options.out / "summary.json", _summary(steps, found, network, state, options))
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


async def _play(stage: Stage, told: Story, steps: Steps, found: _Found) -> None:
    async def register() -> None:
        done = await set_up(stage.profile, list(stage.nodes.values()), wait_s=_SET_UP_WAIT_S)
        count = sum(each["done"] == "registered" for each in done["devices"])
        steps.expect(f"{len(told.cast.devices)} devices are registered and admitted", count == len(told.cast.devices))

    async def replay() -> None:
        found.replayed = await playing.replay(told, stage, steps)
        playing.expect_played(found.replayed, told, steps)

    async def forge() -> None:
        await forging.forge(stage, steps)

    async def investigate() -> None:
        rows = await investigating.read_rows(stage.profile, await authority_identity(stage.profile))
        found.examined = examine(rows, parameters=parameters(told.pace))
        outages = found.replayed.outages if found.replayed is not None else ()
        investigating.expect_found(told, found.examined.findings, outages, steps)

    await steps.act("The devices are registered", register)
    await steps.act("The week of the attack is played", replay)
    await steps.act("Events are forged", forge)
    await steps.act("The rules are applied", investigate)


def _summary(
    steps: Steps, found: _Found, network: DemoNetwork, state: NetworkState, options: DemoOptions
) -> dict[str, Any]:
    replayed = found.replayed
    return {
        "passed": steps.is_good,
        "ready_s": round(network.ready_s, 2),
        "seed": options.seed,
        "replay_s": options.replay_s,
        "quantity": options.quantity,
        "expectations": [asdict(each) for each in steps.expectations],
        "played": None if replayed is None else asdict(replayed.played),
        "outages": [] if replayed is None else [asdict(each) for each in replayed.outages],
        "examined": None if found.examined is None else found.examined.to_dict(),
        "channels": channel_summary(state),
    }
