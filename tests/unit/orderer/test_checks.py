"""What an orderer checks in the background: its newest block against the others', its old blocks on the disk."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

from gridledger.errors import GridLedgerError
from services.orderer.block_store import BlockStore
from services.orderer.catching_up import Fetched
from services.orderer.chain import Chain, entry_of
from services.orderer.comparing import Comparing, Comparison, compare
from services.orderer.deliver import deliver
from services.orderer.errors import ChannelStopped
from services.orderer.raft.interface import CommittedEntry
from services.orderer.scrubbing import Scrubbing
from tests.support.paper import NOW_US, PaperNetwork


async def nowhere(
    channel: str, first: int, height: int, avoid: Collection[str] = (), *, only_once: bool = False
) -> Fetched:
    raise AssertionError("nothing is to be fetched here")


@pytest.fixture(scope="module")
def paper() -> PaperNetwork:
    return PaperNetwork()


async def grown(paper: PaperNetwork, folder: Path, orderer: str, *envelopes: bytes) -> Chain:
    chain = Chain.open(BlockStore.open(folder / orderer), paper.genesis, paper.orderers[orderer], nowhere)
    await chain.apply([CommittedEntry(n, 1, entry_of(NOW_US + n, [item])) for n, item in enumerate(envelopes, 1)])
    return chain


@pytest.mark.parametrize(
    ("own", "others", "orderers", "differ", "minority"),
    [
        ("a", {"o2": "a", "o3": "a"}, 3, (), False),
        ("a", {"o2": "b", "o3": "b"}, 3, ("o2", "o3"), True),
        ("a", {"o2": "b", "o3": "a"}, 3, ("o2",), False),
        ("a", {"o2": "b"}, 3, ("o2",), False),
        ("a", {"o2": "b", "o3": "c"}, 3, ("o2", "o3"), False),
        ("a", {"o2": "b"}, 2, ("o2",), False),
        ("a", {"o2": "b", "o3": "b", "o4": "a", "o5": "b"}, 5, ("o2", "o3", "o5"), True),
        ("a", {"o2": "b", "o3": "b"}, 4, ("o2", "o3"), False),
        ("a", {"o2": "b", "o3": "b", "o4": "b"}, 4, ("o2", "o3", "o4"), True),
        ("a", {}, 1, (), False),
    ],
)
def test_who_is_in_the_minority(
    own: str, others: Mapping[str, str], orderers: int, differ: tuple[str, ...], minority: bool
) -> None:
    assert compare(7, own, others, orderers) == Comparison(7, differ, minority)


async def test_an_orderer_in_the_minority_stops_its_channel_and_says_so(paper: PaperNetwork, tmp_path: Path) -> None:
    """A mark that was believed made a forked chain, correctly signed, and a peer followed it."""
    chains = {
        "orderer1": await grown(paper, tmp_path, "orderer1", b"a", b"b"),
        "orderer2": await grown(paper, tmp_path, "orderer2", b"a", b"b"),
        "orderer3": await grown(paper, tmp_path, "orderer3", b"forked", b"b"),
    }
    stopped: dict[str, str] = {}

    async def ask(channel: str, number: int, names: Collection[str]) -> Mapping[str, str]:
        return {name: chains[name].header(number).hash for name in names}

    def comparing(name: str) -> Comparing:
        def stop(error: GridLedgerError) -> None:
            stopped[name] = error.message
            chains[name].stop(error)

        return Comparing(name, chains[name], ask, stop, every_s=60)

    rounds = {name: comparing(name) for name in chains}
    for one in rounds.values():
        await one.compare_at(2)
    assert list(stopped) == ["orderer3"]
    told = "block 2 here is another one than a majority of the orderers holds (orderer1, orderer2)"
    assert told in stopped["orderer3"]
    assert rounds["orderer1"].found.differ == ("orderer3",)
    stream = deliver(chains["orderer3"], 0, count=1, max_chunk_bytes=1000, allowed=lambda: None)
    with pytest.raises(ChannelStopped, match="damaged; let it join anew"):
        await anext(stream)


async def test_who_waits_for_a_block_is_told_when_the_channel_stops(paper: PaperNetwork, tmp_path: Path) -> None:
    chain = await grown(paper, tmp_path, "orderer1", b"a")
    stream = deliver(chain, 2, count=None, max_chunk_bytes=1000, allowed=lambda: None)
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    chain.stop(GridLedgerError("forked"))
    with pytest.raises(ChannelStopped, match="forked"):
        await asyncio.wait_for(waiting, 10)


async def test_old_blocks_that_rot_are_found_and_named(paper: PaperNetwork, tmp_path: Path) -> None:
    chain = await grown(paper, tmp_path, "orderer1", *(b"envelope %d" % n for n in range(6)))
    told: list[int] = []
    scrubbing = Scrubbing(chain, bytes_per_s=1 << 40, on_damage=told.append)
    await scrubbing.read_all()
    assert not scrubbing.damaged
    path = tmp_path / "orderer1" / "blocks.dat"
    data = bytearray(path.read_bytes())
    data[data.index(b"envelope 2")] ^= 1
    path.write_bytes(data)
    await scrubbing.read_all()
    await scrubbing.read_all()
    assert (scrubbing.damaged, told) == ({3}, [1])


async def test_old_blocks_are_read_slowly(paper: PaperNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = await grown(paper, tmp_path, "orderer1", b"x" * 5000, b"y" * 5000)
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    await Scrubbing(chain, bytes_per_s=1000).read_all()
    read = sum(len(chain.store.record(number).payload) for number in range(3))
    assert sum(slept) == pytest.approx(read / 1000)
