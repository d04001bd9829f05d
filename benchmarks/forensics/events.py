"""``python -m benchmarks.forensics events``: events with their proofs, one section, everything on this machine.

``alone``: so few a second that each goes by itself. ``steady``: so many a second over all devices. ``one``: a
thousand of one device at once. ``held``: what a light node recorded in three hours without the ledger, while another
one's events go on. Exit code 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

from benchmarks.forensics.measuring import Cpu, grown, outcome, tell
from benchmarks.forensics.network import Section, running_section
from benchmarks.forensics.node import Node, forwarding
from benchmarks.forensics.tables import events_table
from benchmarks.relay.results import Results
from gridledger.command_line import EXIT_FAILED, EXIT_INTERRUPTED, tell_error
from gridledger.demonstration.running import run_to_end
from gridledger.errors import GridLedgerError
from services.lightnode.recorder.records import Entry

ONE_WITHIN_S: Final = 10.0
HELD_WITHIN_S: Final = 60.0
"""The bars, for four cores."""
BAR_CORES: Final = 4
_WARM_UP_S: Final = 5.0
_DRAIN_WITHIN_S: Final = 120.0
_ALARM_EVERY: Final = 10
_MANY: Final = 1000
_ALONE_RATE: Final = 5.0
_ALONE_S: Final = 20.0
_US: Final = 1_000_000


def now_us() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


def event(device: str, number: int, time_us: int) -> Entry:
    """Nine of ten are of kind frequency, the tenth an alarm, which the recorder flushes at once."""
    kind = "frequency" if number % _ALARM_EVERY else "alarm"
    return Entry(device, kind, time_us, f'{{"hz":{49.98 + number % 41 / 1000:.3f},"n":{number}}}')


async def offer(node: Node, devices: Sequence[str], rate: float, seconds: float) -> tuple[float, float]:
    """Have events come evenly, each at its time whatever became of those before; the stretch behind the warm-up."""
    begin, number = time.monotonic(), 0
    told: set[asyncio.Task[None]] = set()
    while number < (seconds + _WARM_UP_S) * rate:
        due_at = begin + number / rate
        await asyncio.sleep(max(0.0, due_at - time.monotonic()))
        device = devices[number % len(devices)]
        task = asyncio.create_task(node.tell(event(device, number, now_us()), due_at))
        told.add(task)
        task.add_done_callback(told.discard)
        number += 1
    await asyncio.gather(*told)
    return begin + _WARM_UP_S, begin + _WARM_UP_S + seconds


async def steady(
    section: Section, node: Node, devices: Sequence[str], mode: str, *, rate: float, seconds: float
) -> dict[str, Any]:
    """So many events a second over all devices."""
    before, cpu_before, known = section.sizes(), Cpu.now(), len(node.due_at)
    begin, end = await offer(node, devices, rate, seconds)
    await node.drained(_DRAIN_WITHIN_S)
    numbers = list(node.due_at)[known:]
    return {
        "mode": mode,
        "devices": len(devices),
        **outcome(node, numbers, begin, end),
        "drained_s": round(max(0.0, time.monotonic() - end), 1),
        "cpu_ms_per_event": Cpu.now().ms_since(cpu_before, len(numbers)),
        "bytes_per_event": grown(section, before, len(numbers)),
    }


async def one_device(section: Section, node: Node, device: str) -> dict[str, Any]:
    """A thousand events of one device at once."""
    before_bytes = section.sizes()
    cpu_before, begin = Cpu.now(), time.monotonic()
    before = len(node.recorder.transactions)
    await asyncio.gather(*(node.tell(event(device, number, now_us()), begin) for number in range(_MANY)))
    recorded_s = time.monotonic() - begin
    done = await node.drained(_DRAIN_WITHIN_S)
    took_s = time.monotonic() - begin
    return {
        "mode": "one",
        "events": _MANY,
        "recorded_s": round(recorded_s, 2),
        "all_valid": done,
        "took_s": round(took_s, 1),
        "transactions": len(node.recorder.transactions) - before,
        "bytes_per_event": grown(section, before_bytes, _MANY),
        "cpu_ms_per_event": Cpu.now().ms_since(cpu_before, _MANY),
    }


def record_outage(node: Node, device: str, count: int) -> None:
    """What a device told, one event a second, while the ledger could not be reached."""
    begin_us = now_us() - count * _US
    for first in range(0, count, _MANY):
        numbers = range(first, min(first + _MANY, count))
        records = node.recorder.append([event(device, n, begin_us + n * _US) for n in numbers])
        node.due_at.update(dict.fromkeys((record.number for record in records), 0.0))


async def held(live: Node, devices: Sequence[str], cut_off: Node, options: argparse.Namespace) -> dict[str, Any]:
    """A light node that reaches the ledger again with hours of one device, while another one's events come."""
    (device,) = cut_off.devices
    record_outage(cut_off, device, options.held)
    known = len(live.due_at)
    coming = asyncio.create_task(offer(live, devices, options.live, options.held_seconds))
    await asyncio.sleep(_WARM_UP_S)
    cpu_before, begin = Cpu.now(), time.monotonic()
    async with forwarding(cut_off):
        done = await cut_off.drained(_DRAIN_WITHIN_S)
        took_s = time.monotonic() - begin
        used = Cpu.now().ms_since(cpu_before, options.held + round(took_s * options.live))
    await coming
    await live.drained(_DRAIN_WITHIN_S)
    numbers = list(live.due_at)[known:]
    return {
        "mode": "held",
        "events": options.held,
        "all_valid": done,
        "took_s": round(took_s, 1),
        "transactions": len(cut_off.recorder.transactions),
        "live_while_held": outcome(live, numbers, begin, begin + took_s),
        "cpu_ms_per_event": used,
    }


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All of them, on one network; the order is that of the table."""
    devices = [f"device-{number:05d}" for number in range(options.devices)]
    Random(1).shuffle(devices)  # noqa: S311 - an order
    async with running_section(options.folder, options.port_offset) as section:
        tell("the network runs")
        async with section.ledger("ln-live") as ledger, section.ledger("ln-cut-off") as other:
            folder = section.folder.root / "lightnodes"
            live = Node(folder / "live", ledger, devices, at_once=options.at_once)
            cut_off = Node(folder / "cut-off", other, ["cut-off"], at_once=4)
            await section.admit(live.proof_keys() | cut_off.proof_keys())
            tell(f"{len(devices) + 1} devices are admitted")
            async with forwarding(live):
                await live.asked_all()
                tell("the light node knows where each device's chain ends")
                runs = [await steady(section, live, devices, "alone", rate=_ALONE_RATE, seconds=_ALONE_S)]
                tell(f"alone: {runs[-1]}")
                runs.append(await steady(section, live, devices, "steady", rate=options.rate, seconds=options.seconds))
                tell(f"steady: {runs[-1]}")
                runs.append(await one_device(section, live, devices[0]))
                tell(f"one: {runs[-1]}")
                runs.append(await held(live, devices, cut_off, options))
                tell(f"held: {runs[-1]}")
    return {"runs": runs}


def missed(runs: Sequence[dict[str, Any]]) -> list[str]:
    """What missed its bar."""
    by_mode = {run["mode"]: run for run in runs}
    found = [f"{name}: not all events became VALID" for name in ("one", "held") if not by_mode[name]["all_valid"]]
    if by_mode["steady"]["never_valid"]:
        found.append(f"steady: {by_mode['steady']['never_valid']} events did not become VALID")
    for name, bar in (("one", ONE_WITHIN_S), ("held", HELD_WITHIN_S)):
        if by_mode[name]["took_s"] > bar:
            found.append(f"{name}: {by_mode[name]['took_s']} s, the bar is {bar:.0f} s on {BAR_CORES} cores")
    if by_mode["steady"]["valid_per_s"] < 0.98 * by_mode["steady"]["offered_per_s"]:
        found.append(f"steady: {by_mode['steady']['valid_per_s']}/s of {by_mode['steady']['offered_per_s']}/s")
    return found


async def run(options: argparse.Namespace) -> int:
    """Measure, or take what is stored for this commit."""
    results = Results(options.out / "events.json", anew=options.anew)
    names = ("devices", "rate", "seconds", "live", "held", "held_seconds", "at_once")
    configuration = {name: getattr(options, name) for name in names}
    found = await results.of(configuration, lambda: measure(options))
    results.write_table(events_table(found["runs"]))
    failed = missed(found["runs"])
    for text in failed:
        print(f"MISSED: {text}", file=sys.stderr)
    return EXIT_FAILED if failed else 0


def main(argv: Sequence[str]) -> int:
    """The command; the exit code is 1 where a bar is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.forensics events",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=Path("out/forensics-bench"), help="where results go")
    parser.add_argument("--port-offset", type=int, default=20_000, help="add this to every port")
    parser.add_argument("--devices", type=int, default=2000, help="(default: 2,000)")
    parser.add_argument("--rate", type=float, default=200.0, help="events a second of `steady` (default: 200)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of `steady` (default: 60)")
    parser.add_argument("--held", type=int, default=10_800, help="events of the outage (default: 10,800)")
    parser.add_argument("--live", type=float, default=50.0, help="events a second beside them (default: 50)")
    parser.add_argument("--held-seconds", type=float, default=60.0, help="for which these come (default: 60)")
    parser.add_argument("--at-once", type=int, default=64, help="transactions under way of a light node (default: 64)")
    parser.add_argument("--anew", action="store_true", help="measure again what is stored")
    options = parser.parse_args(argv)
    options.folder = options.out.absolute() / "network"
    try:
        return run_to_end(run(options))
    except GridLedgerError as error:
        return tell_error(error)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return EXIT_INTERRUPTED
