"""The committers of a peer's channels: which process has which channel, as channels come and go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from gridledger.channel_record import ChannelFiles
from gridledger.ledger.validation import SignatureCheck
from services.peer.committer.child import CommitProcess, CommitterFailed
from services.peer.committer.messages import CommitterReport
from services.peer.settings import PeerSettings


class Committers:
    """Starts, stops and watches them. ``on_report`` gets the reports of all, those of a channel in order.

    At the start the channels share processes as the settings say. One that is joined later has a process of its own
    until the next start.
    """

    def __init__(
        self,
        settings: PeerSettings,
        on_report: Callable[[CommitterReport], None],
        files: Callable[[str], ChannelFiles],
    ) -> None:
        self._settings = settings
        self._on_report = on_report
        self._files = files
        self._processes: dict[str, CommitProcess] = {}
        self._watching: asyncio.TaskGroup | None = None

    async def start(self, channels: Sequence[str]) -> None:
        """Start the committers of the channels that there are; raises CommitterFailed."""
        per_channel = self._settings.committer.processes == "per-channel"
        shares = [[name] for name in channels] if per_channel else [list(channels)]
        await asyncio.gather(*(self._start(share) for share in shares if share))

    async def add(self, channel: str) -> None:
        """Start the committer of one more channel; raises CommitterFailed."""
        await self._start([channel])

    async def remove(self, channel: str) -> None:
        """Stop a channel's committer. The others of its process pause until that is started again without it."""
        process = self._processes.pop(channel, None)
        if process is not None:
            await self._restart(process, [name for name in process.channels if name != channel])

    async def renew(self, channel: str) -> None:
        """Start a channel's process again, which then reads its files anew; the others of that process pause."""
        process = self._processes.get(channel)
        if process is not None:
            await self._restart(process, process.channels)

    def note(self, channel: str, check: SignatureCheck) -> None:
        """Tell a channel's committer of a signature that this peer has made or verified."""
        process = self._processes.get(channel)
        if process is not None:
            process.note(check)

    async def run(self) -> None:
        """Watch all processes until cancelled; raises CommitterFailed when one ends by itself."""
        try:
            async with asyncio.TaskGroup() as self._watching:
                for process in set(self._processes.values()):
                    self._watching.create_task(process.watch())
                await asyncio.get_running_loop().create_future()
        except* Exception as failures:
            raise failures.exceptions[0] from None
        finally:
            self._watching = None

    async def stop(self) -> None:
        """Stop all processes."""
        await asyncio.gather(*(process.stop() for process in set(self._processes.values())))

    async def _start(self, channels: Sequence[str]) -> None:
        process = CommitProcess(self._settings, channels, self._on_report, self._files)
        # Noted before it is up: whoever stops all of them stops this one too.
        self._processes |= dict.fromkeys(channels, process)
        try:
            await process.start()
        except BaseException:
            for name in channels:
                self._processes.pop(name, None)
            await process.stop()
            raise
        if self._watching is not None:
            self._watching.create_task(process.watch())

    async def _restart(self, process: CommitProcess, channels: Sequence[str]) -> None:
        await process.stop()
        if not channels:
            return
        try:
            await self._start(channels)
        except CommitterFailed as error:
            if self._watching is not None:
                self._watching.create_task(_fail(error))  # the peer stops: these channels have no committer
            raise


async def _fail(error: CommitterFailed) -> None:
    raise error
