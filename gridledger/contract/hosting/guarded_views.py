"""The views by which a peer guards what its chaincode hosts read.

LMDB's writer uses a page again when no registered view can see it any more. Hosts cannot register theirs: that takes
write access to the lock file, by which a host could stop the writer. So the peer registers one before a host begins to
read, and lets it go after the host has ended. The host's view is as new or newer, and so whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from gridledger.contract.hosting.confinement import LEDGER_FILE, ledger_files
from gridledger.errors import GridLedgerError
from gridledger.ledger.lmdb_store import DEFAULT_MAP_BYTES, LmdbReader, LmdbStore

RENEWED_S: Final = 0.05
"""How long the batches of a channel that begin share one view; it ends with the last of them."""


class _View:
    __slots__ = ("channel", "reader", "users")

    def __init__(self, channel: str, reader: LmdbReader) -> None:
        self.channel = channel
        self.reader = reader
        self.users = 0


Held = list[_View]


class GuardedViews:
    """Opens the ledgers in ``ledger_dir`` as they are needed, and keeps them open. For one event loop."""

    def __init__(self, ledger_dir: Path) -> None:
        self._ledger_dir = ledger_dir
        self._stores: dict[str, LmdbStore] = {}
        self._newest: dict[str, _View] = {}

    def hold(self, channels: Iterable[str]) -> Held:
        """Hold a view of each channel that has a ledger, until :meth:`release`."""
        held: Held = []
        try:
            for channel in channels:
                view = self._newest.get(channel) or self._begun(channel)
                if view is not None:
                    view.users += 1
                    held.append(view)
        except BaseException:
            self.release(held)
            raise
        return held

    def release(self, held: Held) -> None:
        """Let views go that :meth:`hold` gave."""
        for view in held:
            view.users -= 1
            if not view.users and self._newest.get(view.channel) is not view:
                view.reader.close()

    def map_bytes(self) -> int:
        """Bytes of addresses that the maps of all ledgers may take up, now and after a restart with larger ones."""
        stores = [self._opened(path.parent.name) for path in ledger_files(self._ledger_dir)]
        return sum(max(2 * store.map_bytes(), DEFAULT_MAP_BYTES) for store in stores if store is not None)

    def forget(self, channel: str) -> None:
        """Open a channel's ledger anew when it is asked for next: the one of that name was removed. It is closed with
        the last view of it."""
        view = self._newest.get(channel)
        if view is not None:
            self._expire(view)
        self._stores.pop(channel, None)

    def close(self) -> None:
        """Let the ledgers go, once all views are released."""
        for view in list(self._newest.values()):
            self._expire(view)
        while self._stores:
            self._stores.popitem()[1].close()

    def _begun(self, channel: str) -> _View | None:
        store = self._stores.get(channel) or self._opened(channel)
        if store is None:
            return None
        view = self._newest[channel] = _View(channel, store.reader())
        asyncio.get_running_loop().call_later(RENEWED_S, self._expire, view)
        return view

    def _expire(self, view: _View) -> None:
        """The next batch begins a view of its own; this one ends with those that hold it."""
        if self._newest.get(view.channel) is view:
            del self._newest[view.channel]
            if not view.users:
                view.reader.close()

    def _opened(self, channel: str) -> LmdbStore | None:
        store = self._stores.get(channel)
        folder = self._ledger_dir / channel
        if store is None and (folder / LEDGER_FILE).exists():
            with suppress(GridLedgerError):  # it is just being made, or damaged: its calls will say so
                store = self._stores[channel] = LmdbStore(folder, readonly=True)
        return store
