"""Letting an orderer in again that lost its log: an admin has its old incarnation removed, and a new one is started.
That one announces itself, and joins as any new orderer does (services/orderer/membership_follower.py).

Each step looks at what there is and does what is missing: begun again after a crash at any step, it goes on.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import SystemRandom
from typing import Any

from gridledger import jsontext
from gridledger.backoff import Backoff
from gridledger.client.profile import ConnectionProfile, load_profile
from gridledger.errors import ConflictError, CorruptionError, GridLedgerError, NotFoundError, TimeoutExceeded
from gridledger.files import lock_folder, sync_folder
from gridledger.identity.signer import SigningIdentity
from gridledger.incarnation import Incarnation, node_of
from gridledger.network.folder import NetworkFolder
from gridledger.transport.node_client import NodeClient

_MARK = "readmission"
"""A file in the data folder for as long as its incarnation does not vote yet."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0
_ANSWER_S = 15.0

Say = Callable[[str], None]


class Readmission:
    """Readmits the orderer ``name`` of the network in ``folder``. ``start`` starts its process where it does not run;
    ``say`` gets a line on each step. Gives up after ``timeout_s``, and can then be begun again."""

    def __init__(
        self, folder: NetworkFolder, name: str, *, start: Callable[[], Awaitable[None]], say: Say, timeout_s: float
    ) -> None:
        self._profile: ConnectionProfile = load_profile(folder.root)
        if name not in self._profile.orderers:
            raise NotFoundError(f"there is no orderer {name!r}; there are {', '.join(self._profile.orderers)}")
        if len(self._profile.orderers) == 1:
            raise ConflictError(f"{name} is the only orderer: no other one has its channels' blocks")
        self._name = name
        self._home = folder.node(name)
        settings = jsontext.loads((self._home / "config.json").read_bytes())
        self._data: Path = self._home / settings["data"]
        self._channels: list[str] = settings["channels"]
        self._start = start
        self._say = say
        self._until = time.monotonic() + timeout_s
        self._roots = self._profile.roots.read_text(encoding="ascii")
        entry = self._profile.orderers[name]
        self._admin = SigningIdentity.load(self._profile.user(entry.organisation, "admin"))

    async def run(self) -> None:
        """All steps."""
        incarnation = self._prepare()
        for channel in self._channels:
            await self._remove_lost(channel, incarnation.raft_id)
        await self._start()
        for channel in self._channels:
            await self._await_vote(channel, incarnation.raft_id)
        (self._data / _MARK).unlink(missing_ok=True)

    def _prepare(self) -> Incarnation:
        """The incarnation that joins: the one that was begun, or a new one in an empty data folder."""
        if (self._data / _MARK).exists():
            return Incarnation.read(self._data, self._name)
        new, lost = self._data.with_name(f"{self._data.name}.new"), self._free_name()
        shutil.rmtree(new, ignore_errors=True)
        incarnation = Incarnation(self._name, secrets.token_hex(4), joins=True)
        incarnation.write(new)
        (new / _MARK).touch()
        if self._data.exists():
            self._check_stopped()
            self._data.rename(lost)
            self._say(f"what {self._name} had is kept in {lost}")
        new.rename(self._data)
        sync_folder(self._home)
        return incarnation

    def _free_name(self) -> Path:
        return next(
            path
            for number in range(1, 10_000)
            if not (path := self._data.with_name(f"{self._data.name}.lost-{number}")).exists()
        )

    def _check_stopped(self) -> None:
        """Refuse while a process has the data folder open."""
        for folder in (self._data / "raft", *(self._data / "blocks" / channel for channel in self._channels)):
            if folder.exists():
                try:
                    os.close(lock_folder(folder))
                except ConflictError as error:
                    raise ConflictError(f"{error.message} (gridledger stop {self._name})") from None

    async def _remove_lost(self, channel: str, raft_id: str) -> None:
        """Have the incarnations that Raft knows of this orderer removed, but for the one that joins."""
        state = await self._at_leader(channel, "show", raft_id)
        for old in (*state["voters"], *state["learners"]):
            if node_of(old) == self._name and old != raft_id:
                await self._at_leader(channel, "remove", old)
                self._say(f"{channel}: {old} is removed")

    async def _await_vote(self, channel: str, raft_id: str) -> None:
        """Wait until the new incarnation votes: it announces itself, and whoever leads lets it join as any new
        orderer."""
        backoff = self._backoff()
        while True:
            state = await self._at_leader(channel, "show", raft_id)
            if raft_id in state["voters"]:
                self._say(f"{channel}: {raft_id} has caught up and votes")
                return
            await self._pause(backoff, f"{raft_id} does not vote on {channel} yet")

    async def _at_leader(self, channel: str, change: str, raft_id: str) -> dict[str, Any]:
        """Ask whoever leads the channel, again until the request is taken."""
        others = [name for name in self._profile.orderers if name != self._name]
        backoff, asked, error = self._backoff(), others[0], GridLedgerError("nobody was asked")
        while True:
            try:
                return await self._ask(asked, {"channel": channel, "change": change, "node": raft_id})
            except CorruptionError:
                raise
            except GridLedgerError as refused:
                if refused.status in (400, 401, 403, 404):
                    raise
                error, leader = refused, refused.details.get("leader")
            after = others[(others.index(asked) + 1) % len(others)]
            asked = leader if leader in others else after
            await self._pause(backoff, f"no leader of {channel} takes {change!r}: {error.message}")

    async def _ask(self, name: str, request: dict[str, str]) -> dict[str, Any]:
        async with NodeClient(self._profile.orderers[name].url, self._admin, self._roots) as node:
            answer = await node.post("/admin/membership", jsontext.dumps(request), timeout_s=_ANSWER_S)
        found: dict[str, Any] = jsontext.loads(answer)
        return found

    def _backoff(self) -> Backoff:
        return Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S, SystemRandom())

    async def _pause(self, backoff: Backoff, what: str) -> None:
        if time.monotonic() > self._until:
            raise TimeoutExceeded(f"{what}; run this again to go on")
        await asyncio.sleep(backoff.failed())
