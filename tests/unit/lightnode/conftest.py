from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from services.lightnode.aside import Aside
from services.lightnode.forwarder import Forwarder
from services.lightnode.keys import Keys
from services.lightnode.lane import Lane
from services.lightnode.recorder.recorder import Bounds, Recorder
from services.lightnode.recorder.records import Entry, Record
from tests.support.fake_section import FakeSection, inline
from tests.support.unsynced_disk import UnsyncedDisk


class Node:
    """A recorder and its lanes to a section in memory."""

    def __init__(self, folder: Path, section: FakeSection, devices: tuple[str, ...] = ("pmu-1",)) -> None:
        self.folder = folder
        self.section = section
        self.devices = devices
        self.keys = Keys(folder / "keys")
        self.open()

    def open(self, bounds: Bounds = Bounds()) -> None:  # noqa: B008 - it is frozen
        disk = UnsyncedDisk()
        self.recorder = Recorder(self.folder, bounds, disk)
        aside = Aside(self.folder / "aside", disk)
        self.lanes = {
            device: Lane(
                device,
                self.section.channel,
                self.section,
                self.recorder,
                keys=self.keys,
                aside=aside,
                in_thread=inline,
            )
            for device in self.devices
        }
        self.forwarder = Forwarder(self.lanes.values(), Random(1), rate=1000.0)

    def restart(self) -> None:
        """As after a kill: what is in memory only is gone."""
        self.recorder.close()
        self.open()

    def record(self, count: int = 1, device: str = "pmu-1", kind: str = "frequency") -> list[Record]:
        first = self.recorder.device(device).last_seq + 1
        records = self.recorder.append([Entry(device, kind, n, f'{{"n":{n}}}') for n in range(first, first + count)])
        self.forwarder.has_news([device])
        return records

    def admit(self) -> None:
        for device in self.devices:
            self.section.admit(device, self.keys.key(device).public)

    def on_ledger(self, device: str = "pmu-1") -> list[str]:
        return [event["body"] for event, _, _ in self.section.devices[device].events]


@pytest.fixture
def node(tmp_path: Path) -> Node:
    made = Node(tmp_path, FakeSection())
    made.admit()
    return made
