"""``history``: a week of events of 2,000 devices on two sections, with sessions and commands, anchored at its end.

The ledgers are built through the committer directly, without a network; ``search``, ``package`` and ``verify`` read
them. Each section is built by a process of its own. It goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import base64
import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from benchmarks.forensics.chains import (
    ACCESS,
    BEGIN_US,
    CHAINCODES,
    GENERAL,
    MSPIDS,
    REGISTRY,
    SECTIONS,
    WEEK_US,
    PaperChannel,
    People,
    ProvingDevice,
    S,
)
from benchmarks.forensics.measuring import tell
from gridledger import jsontext
from gridledger.evidence.anchor import HeaderTree
from gridledger.evidence.events import registration_text

DEVICES: Final = 2_000
"""In all, half of them on each section."""
A_CALL: Final = 64
A_BLOCK: Final = 16
"""Calls of a block; each is another device's."""
KINDS: Final = ("frequency",) * 60 + ("gps",) * 20 + ("health",) * 9 + ("alarm",) * 8 + ("command", "tamper", "outage")
OPERATORS, TERMINALS = 40, 60
SESSIONS_A_BLOCK: Final = 20
MOST_SESSIONS: Final = 3_000
_REGISTRATIONS: Final = 100
"""Of a block."""
DEFAULT_FOLDER: Final = Path("out/forensics-history")


def main(argv: Sequence[str]) -> int:
    """Build what is not there yet."""
    options = parser("history", __doc__ or "").parse_args(argv)
    begun = time.monotonic()
    build(options.folder, options.events, options.processes)
    tell(f"{options.events:,} events are in {options.folder} ({time.monotonic() - begun:.0f} s)")
    return 0


def parser(name: str, description: str) -> argparse.ArgumentParser:
    """The options that the commands on a history share."""
    made = argparse.ArgumentParser(prog=f"python -m benchmarks.forensics {name}", description=description)
    made.add_argument("--folder", type=Path, default=DEFAULT_FOLDER, help="of the ledgers (default: %(default)s)")
    made.add_argument("--events", type=int, default=1_000_000, help="of devices (default: %(default)s)")
    made.add_argument("--processes", type=int, default=2, help="that build (default: %(default)s)")
    return made


def build(folder: Path, events: int, processes: int) -> None:
    """The ledgers of a week with so many events."""
    folder.mkdir(parents=True, exist_ok=True)
    people = People.in_folder(folder / "people")
    registered = _register(folder, people)
    _sessions(folder, people, min(events // 100, MOST_SESSIONS))
    share = -(-events // len(SECTIONS))
    if processes == 1:
        for channel in SECTIONS:
            _section(folder, channel, share, registered)
    else:
        _sections_side_by_side(folder, share, registered, processes)
    _anchor(folder, people)


def _sections_side_by_side(folder: Path, share: int, registered: dict[str, str], processes: int) -> None:
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for done in [pool.submit(_section, folder, channel, share, registered) for channel in SECTIONS]:
            done.result()


def devices_of(section: str) -> list[str]:
    """The devices of a section, by name."""
    first = SECTIONS.index(section) * (DEVICES // len(SECTIONS))
    return [f"pmu-{first + number}" for number in range(DEVICES // len(SECTIONS))]


def _register(folder: Path, people: People) -> dict[str, str]:
    """The registrations by device: the ids of their transactions."""
    file = folder / "registered.json"
    if file.exists():
        found: dict[str, str] = jsontext.loads(file.read_bytes())
        return found
    tell(f"{DEVICES} devices are registered")
    channel, registrar, node = PaperChannel(folder, people, REGISTRY), people.of("registrar"), people.of("lightnode")
    certificate, ids = node.certificate.der, {}
    for section in SECTIONS:
        for number, name in enumerate(devices_of(section), 1):
            device = ProvingDevice(REGISTRY, name, None)
            text = registration_text(REGISTRY, name, sha256(certificate).hexdigest(), device.public)
            argument = {
                "device": name,
                "type": "pmu",
                "section": section,
                **dict.fromkeys(("site", "vendor", "model"), "x"),
                "proof_key": device.public,
                "certificate": base64.b64encode(certificate).decode(),
                "proof": device.prove(text),
            }
            ids[name] = channel.call("RegisterDevice", argument, registrar, BEGIN_US)
            if number % _REGISTRATIONS == 0 or name == devices_of(section)[-1]:
                channel.block(BEGIN_US)
    channel.ledger.close()
    file.write_bytes(jsontext.dumps(ids))
    return ids


def _sessions(folder: Path, people: People, count: int) -> None:
    """Operators' sessions over the week, a command in each, all closed: three blocks for some at once."""
    channel, operator = PaperChannel(folder, people, ACCESS), people.of("operator")
    begun = (channel.ledger.height - 1) // 3 * SESSIONS_A_BLOCK
    for number in range(begun, count, SESSIONS_A_BLOCK):
        some = range(number, min(count, number + SESSIONS_A_BLOCK))
        at_us = BEGIN_US + WEEK_US * number // max(count, 1)
        for each in some:
            named = {"session": f"s-{each}", "operator": f"operator-{each % OPERATORS}"}
            place = {"terminal": f"terminal-{each % TERMINALS}", "section": SECTIONS[each % 2], "reason": "shift"}
            channel.call("OpenSession", {**named, **place}, operator, at_us)
        channel.block(at_us + S)
        for each in some:
            command = {"session": f"s-{each}", "device": f"pmu-{each % DEVICES}", "command": "open"}
            channel.call("Command", command, operator, at_us + 2 * S)
        channel.block(at_us + 3 * S)
        for each in some:
            channel.call("CloseSession", {"session": f"s-{each}"}, operator, at_us + 4 * S)
        channel.block(at_us + 5 * S)
    channel.ledger.close()


def _section(folder: Path, name: str, count: int, registered: dict[str, str]) -> None:
    """One section's events, from where its ledger ends."""
    people = People.in_folder(folder / "people")
    channel, node = PaperChannel(folder, people, name), people.of("lightnode")
    names = devices_of(name)
    if channel.ledger.height == 1:
        for device in names:
            key = ProvingDevice(name, device, None).public
            argument = {"device": device, "mspid": "KyivMSP", "proof_key": key, "tx": registered[device]}
            channel.call("AdmitDevice", argument, people.of("registrar"), BEGIN_US)
        channel.block(BEGIN_US)
    done = (channel.ledger.height - 2) * A_BLOCK * A_CALL
    told_s = time.monotonic()
    while done < count:
        at_us = BEGIN_US + WEEK_US * done // count
        first = done // A_CALL
        for call in range(A_BLOCK):
            device = names[(first + call) * 7 % len(names)]
            told = ProvingDevice(name, device, channel.value(f"head/{device}"))
            batch = [told.tell(kind, when, body) for kind, when, body in _events(first + call, at_us)]
            channel.call("LogEvents", {"device": device, "events": batch}, node, at_us + 2 * S)
        channel.block(at_us + 2 * S)
        done += A_BLOCK * A_CALL
        if time.monotonic() - told_s > 10:  # noqa: PLR2004
            told_s = time.monotonic()
            tell(f"{name}: {done:,} of {count:,} events")
    channel.ledger.close()


def _events(call: int, at_us: int) -> Iterator[tuple[str, int, str]]:
    """Kinds, times and bodies of one call's events, the same each time."""
    draw = random.Random(call)  # noqa: S311 - to fill events with
    for number in range(A_CALL):
        kind = draw.choice(KINDS)
        if kind in ("command", "alarm", "tamper"):
            body: dict[str, Any] = {"text": f"breaker {draw.randrange(40)} {draw.choice(('opened', 'closed'))} by hand"}
        else:
            body = {"frequency_mhz": draw.randrange(49_900, 50_100), "quality": draw.choice(("good", "fair"))}
        yield kind, at_us + number * 20_000, jsontext.dumps(body).decode()


def _anchor(folder: Path, people: People) -> None:
    """All channels' heads, attested by a majority."""
    general = PaperChannel(folder, people, GENERAL)
    for name in (each for each in CHAINCODES if each != GENERAL):
        channel = PaperChannel(folder, people, name)
        known = general.value(f"final/{name}")
        if known is None or known["size"] != channel.ledger.height:
            _attest(general, channel, 0 if known is None else known["size"])
        channel.ledger.close()
    general.ledger.close()


def _attest(general: PaperChannel, channel: PaperChannel, before: int) -> None:
    with channel.ledger.snapshot() as snapshot:
        headers = [snapshot.header(number) for number in range(snapshot.height)]
    tree, last, at_us = HeaderTree.from_hashes(item.leaf_hash for item in headers), headers[-1], BEGIN_US + WEEK_US
    if not before:
        said = {"channel": channel.channel, "organisations": sorted(MSPIDS), "genesis": headers[0].header.hash}
        for mspid in MSPIDS[:2]:
            general.call("SetMembers", said, general.people.of("agent", mspid), at_us)
            general.block(at_us)
    for mspid in MSPIDS[:2]:
        argument = {
            "channel": channel.channel,
            "size": tree.size,
            "root": tree.root().hex(),
            "header_hash": last.header.hash,
            "commit_hash": last.commit_hash,
            "height": tree.size,
            "consistency": [item.hex() for item in tree.consistency(before, tree.size)],
            "conclude": mspid == MSPIDS[1],
        }
        general.call("Attest", argument, general.people.of("agent", mspid), at_us)
        general.block(at_us)
