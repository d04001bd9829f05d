"""Following the connection profile while a stream runs: a group whose channel changed there is moved."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from gridledger.client.profile import ConnectionProfile, load_profile, profile_path
from gridledger.errors import GridLedgerError, SettingsError
from gridledger.grid.layout import Layout, layout_of
from services.feeder.clock import Clock
from services.feeder.group_move import GroupMover, Moved

LOOK_EVERY_S = 1.0

_Mark = tuple[int, int, int]


class ProfileWatch:
    """Says when the profile's file has become another one."""

    def __init__(self, path: Path) -> None:
        place = profile_path(path)
        self._file = place / "connection.json" if place.is_dir() else place
        self._seen = self._mark()

    def changed(self) -> ConnectionProfile | None:
        """The profile where it was written since the last call; raises SettingsError where it cannot be used."""
        mark = self._mark()
        if mark is None or mark == self._seen:
            return None
        self._seen = mark
        return load_profile(self._file)

    def _mark(self) -> _Mark | None:
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


class LayoutFollower:
    """Looks at the profile once a second and moves groups, one after the other. ``moves`` are those that were done.

    A profile that cannot be used changes nothing, and neither does a move that cannot begin, which is tried again at
    the next look; each is told in one line.
    """

    def __init__(self, watch: ProfileWatch, *, clock: Clock, tell: Callable[[str], None]) -> None:
        self.moves: list[Moved] = []
        self._watch = watch
        self._clock = clock
        self._tell = tell
        self._told = ""
        self._wanted: tuple[ConnectionProfile, Layout] | None = None
        self._looking = asyncio.Lock()

    async def run(self, mover: GroupMover) -> None:
        """Look until cancelled."""
        while True:
            await self._clock.sleep(LOOK_EVERY_S)
            async with self._looking:
                await self.look(mover)

    async def idle(self, within_s: float) -> bool:
        """Wait until no move is under way; False where that takes longer."""
        try:
            async with asyncio.timeout(within_s), self._looking:
                return True
        except TimeoutError:
            return False

    async def look(self, mover: GroupMover) -> None:
        """Look once, and move what is to be moved."""
        try:
            profile = await asyncio.to_thread(self._watch.changed)
            if profile is not None:
                self._wanted = profile, _usable(layout_of(profile), mover.dvs.layout)
        except GridLedgerError as error:
            self._say(f"the connection profile changed and is not followed: {error}")
        if self._wanted is not None:
            for group in mover.groups:
                if self._wanted[1].channel_of(group) != mover.dvs.layout.channel_of(group):
                    await self._move(mover, group, *self._wanted)

    async def _move(self, mover: GroupMover, group: str, profile: ConnectionProfile, wanted: Layout) -> None:
        now, channel = mover.dvs.layout, wanted.channel_of(group)
        layout = wanted.placing({name: now.channel_of(name) for name in mover.groups} | {group: channel})
        try:
            callers = await mover.dvs.callers.following(profile, layout, group)
            moved = await mover.move(group, mover.dvs.elsewhere(layout, callers))
        except GridLedgerError as error:
            self._say(f"group {group} cannot move to {channel} now and goes on, on {now.channel_of(group)}: {error}")
            return
        self.moves.append(moved)
        self._say(
            f"group {group} moved from {moved.old} to {moved.new} with {moved.vvc:.3f} p.u.; "
            f"it was not measured for {moved.held_s:.2f} s"
        )

    def _say(self, text: str) -> None:
        """One line, not the same one again and again."""
        if text != self._told:
            self._tell(text)
        self._told = text


def _usable(layout: Layout, now: Layout) -> Layout:
    """The layout, where a stream can go on with it; raises SettingsError."""
    for what, value, other in (("main", layout.main, now.main), ("chaincode", layout.chaincode, now.chaincode)):
        if value != other:
            raise SettingsError(f"{what} of applications.dvs is {value}, not {other}: start the feeder anew for that")
    return layout
