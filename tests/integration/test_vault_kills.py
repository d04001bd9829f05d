"""kill -9 of dealers, of who reshares, of the base and of holders' processes, at drawn moments on a real network: all
that was acknowledged reads back."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from functools import partial
from itertools import chain, count
from pathlib import Path
from random import Random

import pytest

from gridledger.errors import GridLedgerError
from services.vault.reader import Reader
from services.vault.session import Session, open_session
from tests.support.processes import REPOSITORY
from tests.support.vault_network import VaultNetwork, vault_description, vault_network
from tests.support.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.deep, pytest.mark.timeout(300)]

SEED = 20
KILLED_FOR_S = 60.0
BASE = {"look_over_s": 1.0, "audit_every_s": 0.0, "repair_again_s": 1.0, "abandon_after_s": 3600.0}
PROCESSES = ("m3a", "m3b", "m3c", "base")


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VaultNetwork]:
    folder = tmp_path_factory.mktemp("vault") / "network"
    with vault_network(vault_description(["M3"], base=BASE), folder) as network:
        yield network


class Story:
    """Dealers that put and reshare in processes of their own, and who kills them and the others."""

    def __init__(self, vault: VaultNetwork, files: Path) -> None:
        self.vault = vault
        self.files = files
        self.random = Random(SEED)
        self.tried: dict[str, bytes] = {}
        self.acknowledged: set[str] = set()
        self.killed: dict[str, int] = {}

    async def command(self, *arguments: str, kill_after_s: float | None = None) -> tuple[int, str]:
        """``gridledger vault``, killed after a time if it has not ended by then; its exit code and what it said."""
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.vault", *arguments, "--json"),
            *("--dir", str(self.vault.network.folder.root)),
            cwd=REPOSITORY,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        telling = asyncio.ensure_future(child.communicate())
        done, _ = await asyncio.wait([telling], timeout=kill_after_s)
        if not done:
            child.kill()
            self.killed[arguments[0]] = self.killed.get(arguments[0], 0) + 1
        out, _ = await telling
        assert child.returncode is not None
        return child.returncode, out.decode()

    async def put(self, *, kill_after_s: float | None = None) -> None:
        """A further object. It is acknowledged where the command ended well."""
        name = f"object-{len(self.tried)}"
        data = self.tried[name] = self.random.randbytes(self.random.choice((0, 1, 5_000, 300_000)))
        (self.files / name).write_bytes(data)
        put = ("put", str(self.files / name), "--cluster", "M3", "--audits", "2")
        code, _ = await self.command(*put, kill_after_s=kill_after_s)
        if code == 0:
            self.acknowledged.add(name)

    async def deal(self, until: float) -> None:
        """Put and reshare in turn; of both, every second one is killed on its way."""
        for number in count():
            if time.monotonic() > until:
                return
            kill_after_s = self.random.uniform(0.8, 3.0) if number % 4 < 2 else None
            if number % 2 == 0:
                await self.put(kill_after_s=kill_after_s)
            else:
                name = self.random.choice(sorted(self.acknowledged))
                await self.command("reshare", name, kill_after_s=kill_after_s)

    async def strike(self, until: float) -> None:
        """Kill one process after another, each once in a round, and start it again."""
        random = Random(SEED + 1)
        rounds = (random.sample(PROCESSES, len(PROCESSES)) for _ in count())
        for name in chain.from_iterable(rounds):
            await asyncio.sleep(random.uniform(0.2, 2.0))
            if time.monotonic() > until:
                return
            await self.vault.network.kill(name)
            self.killed[name] = self.killed.get(name, 0) + 1
            await asyncio.sleep(random.uniform(0.0, 1.0))
            await self.vault.network.start(name)


async def read(session: Session, name: str) -> bytes | None:
    """What an object gives; None where it is refused."""
    try:
        return (await Reader(session).get(name, "to see that it is there")).data
    except GridLedgerError:
        return None


async def healthy(session: Session, name: str) -> bool:
    """Whether all nine holders have their share of an object."""
    health = await session.ledger.get_health(name)
    return bool(health["status"] == "stored" and health["live"] == health["n"])


async def test_nothing_acknowledged_is_lost(vault: VaultNetwork, tmp_path: Path) -> None:
    await vault.set_up()
    story = Story(vault, tmp_path)
    await story.put()
    assert story.acknowledged == {"object-0"}
    until = time.monotonic() + KILLED_FOR_S
    await asyncio.gather(story.deal(until), story.strike(until))
    print(f"killed: {story.killed}; acknowledged {len(story.acknowledged)} of {len(story.tried)}")
    assert set(story.killed) >= {*PROCESSES, "put", "reshare"}
    assert len(story.acknowledged) >= 3
    async with open_session(vault.network.profile, await vault.dealer("M3")) as session:
        for name, data in story.tried.items():
            there = await read(session, name)
            assert there == data or (there is None and name not in story.acknowledged), name
        for name in sorted(story.acknowledged):
            await eventually(partial(healthy, session, name), within_s=90, what=f"the base completes {name}")
