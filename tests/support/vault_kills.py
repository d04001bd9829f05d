"""Parties of a vault that are killed: a life counts the steps of one process, which dies at a chosen one.

A step is a call of the disk, the beginning or end of a call of the ledger or of a holder, or a holder's answer: between
two of them
nothing that another process or the next start could see is done. A dead process does nothing more; what it was writing
is torn. Whoever called it sees a broken connection.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from gridledger.disk import Piece, SystemDisk
from gridledger.identity.signer import SigningIdentity
from gridledger.transport.node_client import ConnectionFailed
from services.vault.ledger import VaultLedger
from services.vault.session import Session
from services.vault.wire import Answer, ContributeRequest, RebuildRequest, ServeRequest, StoredAnswer
from tests.support.vault_channel import CHANNEL
from tests.support.vault_parties import Calls, ContractOf, Parties

_T = TypeVar("_T")


class Killed(BaseException):
    """What a dead process does next: nothing. No handler of errors may take it for one."""


class Life:
    """One process from its start to its death; without ``dies_at`` it lives on."""

    def __init__(self, dies_at: int | None = None) -> None:
        self.left = dies_at
        self.dead = False

    def step(self) -> None:
        """Go on, or die here."""
        if self.left == 0:
            self.dead = True
        if self.dead:
            raise Killed
        if self.left is not None:
            self.left -= 1

    async def around(self, call: Callable[[], Awaitable[_T]]) -> _T:
        """A call that another process does: it may be done although this one never knows."""
        self.step()
        try:
            done = await call()
        except Exception:
            self.step()
            raise
        self.step()
        return done


class MortalDisk(SystemDisk):
    """The real disk, under a process that may die at each call. What was written stays: a kill is no power loss."""

    def __init__(self, life: Life) -> None:
        self._life = life

    def open(self, path: Path, flags: int, mode: int = 0o666) -> int:
        self._life.step()
        return super().open(path, flags, mode)

    def read(self, path: Path) -> bytes:
        self._life.step()
        return super().read(path)

    def pwrite(self, descriptor: int, pieces: Sequence[Piece], offset: int) -> None:
        try:
            self._life.step()
        except Killed:
            whole = b"".join(pieces)
            super().pwrite(descriptor, [whole[: len(whole) // 2]], offset)
            raise
        super().pwrite(descriptor, pieces, offset)

    def truncate(self, descriptor: int, size: int) -> None:
        self._life.step()
        super().truncate(descriptor, size)

    def fsync(self, descriptor: int) -> None:
        self._life.step()

    def fdatasync(self, descriptor: int) -> None:
        self._life.step()

    def names(self, folder: Path) -> list[str]:
        self._life.step()
        return super().names(folder)

    def replace(self, old: Path, new: Path) -> None:
        self._life.step()
        super().replace(old, new)

    def unlink(self, path: Path) -> None:
        self._life.step()
        super().unlink(path)

    def sync_folder(self, folder: Path) -> None:
        self._life.step()


class MortalContract:
    """The contract as a process calls it that may die before or after each call."""

    chaincode = "vault"

    def __init__(self, contract: ContractOf, life: Life) -> None:
        self._contract = contract
        self._life = life

    async def submit_transaction(self, function: str, argument: Any, *, retry: Any = None) -> Any:
        del retry
        return await self._life.around(lambda: self._contract.submit_transaction(function, argument))

    evaluate_transaction = submit_transaction


class MortalCalls:
    """Calls of holders by a process that may die, to holders that may die meanwhile."""

    def __init__(self, calls: Calls, life: Life, lives: Mapping[str, Life]) -> None:
        self._calls = calls
        self._life = life
        self._lives = lives

    async def put(
        self, url: str, object_name: str, version: int, sealed: bytes, *, signed: bool = False
    ) -> StoredAnswer:
        return await self._call(url, lambda: self._calls.put(url, object_name, version, sealed, signed=signed))

    async def serve(self, url: str, object_name: str, version: int, request: ServeRequest) -> Answer:
        return await self._call(url, lambda: self._calls.serve(url, object_name, version, request))

    async def contribute(self, url: str, object_name: str, version: int, request: ContributeRequest) -> Answer:
        return await self._call(url, lambda: self._calls.contribute(url, object_name, version, request))

    async def rebuild(self, url: str, object_name: str, version: int, request: RebuildRequest) -> StoredAnswer:
        return await self._call(url, lambda: self._calls.rebuild(url, object_name, version, request))

    async def describe(self, url: str) -> dict[str, Any]:
        raise NotImplementedError(url)

    async def _call(self, url: str, call: Callable[[], Awaitable[_T]]) -> _T:
        async def called() -> _T:
            try:
                answer = await call()
                self._lives[url.rpartition("/")[2]].step()  # all is done, and the answer never leaves
            except Killed:
                raise ConnectionFailed(f"{url}: the connection broke") from None
            return answer

        return await self._life.around(called)


class MortalParties(Parties):
    """Parties whose holders may be killed, and who are killed in turn."""

    def __init__(self, folder: Path, **more: Any) -> None:
        super().__init__(folder, **more)
        self.lives: dict[str, Life] = {}

    def mortal(self, identity: SigningIdentity, life: Life) -> Session:
        """What a process of an identity deals or reads with."""
        calls = Calls(self, identity)
        return Session(CHANNEL, identity, self._ledger(identity, life), MortalCalls(calls, life, self.lives))

    def start(self, name: str, dies_at: int | None = None) -> bool:
        """Start a holder's process from its folder, in place of the one before; whether it came up."""
        before = self.hosted[name]
        before.own.store.close()
        self.lives[name] = life = Life(dies_at)
        try:
            self.open_holder(name, before.own.identity, self._ledger(before.own.identity, life), MortalDisk(life))
        except Killed:
            return False
        return True

    def _ledger(self, identity: SigningIdentity, life: Life) -> VaultLedger:
        contract: Any = MortalContract(ContractOf(self.channel, identity, "client"), life)
        return VaultLedger(contract)
