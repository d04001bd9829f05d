"""Following the connection profile while a stream runs: groups are moved to the channels that it gives them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
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

    Where peers are reached otherwise than in ``profile``, the one that the stream began with, callers are connected
    anew. A profile that cannot be used changes nothing, and neither does what fails, which is tried again at the next
    look; each is told in one line.
    """

    def __init__(
        self, profile: ConnectionProfile, watch: ProfileWatch, *, clock: Clock, tell: Callable[[str], None]
    ) -> None:
        self.moves: list[Moved] = []
        self._connected = profile
        self._watch = watch
        self._clock = clock
        self._tell = tell
        self._told: dict[str, str] = {}
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
            changed = await asyncio.to_thread(self._watch.changed)
            if changed is not None:
                self._wanted = changed, _usable(layout_of(changed), mover.dvs.layout)
        except GridLedgerError as error:
            self._say("profile", f"the connection profile changed and is not followed: {error}")
        if self._wanted is None:
            return
        profile, layout = self._wanted
        known = self._connected.peers
        if _ways(profile, known) != _ways(self._connected, known):
            await self._connect_anew(mover, profile)
        for group in mover.groups:
            if layout.channel_of(group) != mover.dvs.layout.channel_of(group):
                await self._move(mover, group, profile, layout)

    async def _connect_anew(self, mover: GroupMover, profile: ConnectionProfile) -> None:
        """Reach the peers of all groups as the profile says."""
        callers, layout = mover.dvs.callers, mover.dvs.layout
        try:
            for group in mover.groups:
                callers = await callers.following(profile, layout, group)
        except GridLedgerError as error:
            self._say("peers", f"peers are reached as before, for now: {error}")
            return
        mover.dvs.go_on_as(mover.dvs.elsewhere(layout, callers))
        self._connected = profile
        self._say("peers", "peers are reached as the changed connection profile says")

    async def _move(self, mover: GroupMover, group: str, profile: ConnectionProfile, wanted: Layout) -> None:
        now, channel = mover.dvs.layout, wanted.channel_of(group)
        layout = wanted.placing({name: now.channel_of(name) for name in mover.groups} | {group: channel})
        try:
            callers = await mover.dvs.callers.following(profile, layout, group)
            moved = await mover.move(group, mover.dvs.elsewhere(layout, callers))
        except GridLedgerError as error:
            self._say(
                group, f"group {group} cannot move to {channel} now and goes on, on {now.channel_of(group)}: {error}"
            )
            return
        self.moves.append(moved)
        self._say(
            group,
            f"group {group} moved from {moved.old} to {moved.new} with {moved.vvc:.3f} p.u.; "
            f"it was not measured for {moved.held_s:.2f} s",
        )

    def _say(self, subject: str, text: str) -> None:
        """One line about the profile, the peers or a group, not the same one again and again."""
        if text != self._told.get(subject):
            self._tell(text)
        self._told[subject] = text


def _ways(profile: ConnectionProfile, names: Iterable[str]) -> list[object]:
    """How a profile has each of these peers reached; None for one that it does not have."""
    found = [profile.peers.get(name) for name in names]
    return [entry and (entry, profile.organisation_roots.get(entry.mspid)) for entry in found]


def _usable(layout: Layout, now: Layout) -> Layout:
    """The layout, where a stream can go on with it; raises SettingsError."""
    for what, value, other in (("main", layout.main, now.main), ("chaincode", layout.chaincode, now.chaincode)):
        if value != other:
            raise SettingsError(f"{what} of applications.dvs is {value}, not {other}: start the feeder anew for that")
    return layout
