"""Steps in which something fails: holders die, a byte flips, a peer is cut off."""

from __future__ import annotations

from typing import Any, Final

from gridledger import jsontext
from gridledger.client.profile import read_roots
from gridledger.errors import GridLedgerError
from gridledger.network.status import network_state, own_admins
from gridledger.transport.node_client import NodeClient, path_of
from services.vault.dealer import Dealer
from services.vault.demonstration.stage import until
from services.vault.demonstration.storing import PURPOSE, Storing, readings_of
from services.vault.errors import PutIncomplete, TooFewAnswered
from services.vault.reader import Reader

KILLED: Final = "m3c"
"""Four holders of M3, the head among them: n - t."""
KILLED_TOO: Final = "m3b"
"""One holder more."""
CUT_OFF: Final = "base-peer"
DAMAGED: Final = "m2-current-1"
_BYTE: Final = 400
_M1_HOLDERS: Final = 5
_REPAIRED_WITHIN_S: Final = 60.0
_AUDIT_S: Final = 60.0
_LEVEL_WITHIN_S: Final = 60.0


async def kill_n_minus_t(story: Storing) -> None:
    """As many holders of M3 die as may."""
    story.stage.kill(KILLED)
    name = readings_of("M3")
    read = await Reader(story.stage.readers["M3"]).get(name, PURPOSE)
    story.book.expect(
        "four of nine holders killed (kill -9): the five others give the data",
        read.data == story.data[name] and len(read.answered) == read.manifest.t,
        ", ".join(read.answered),
    )


async def kill_one_more(story: Storing) -> None:
    """One more: neither a read nor a put succeeds, and both say why."""
    story.stage.kill(KILLED_TOO)
    name, book = readings_of("M3"), story.book
    try:
        await Reader(story.stage.readers["M3"]).get(name, PURPOSE)
        book.expect("one more killed: the read is refused", False, "the data came")
    except TooFewAnswered as error:
        answered = ", ".join(error.details["answered"])
        dead = [each for each, process in story.stage.processes.items() if process in (KILLED, KILLED_TOO)]
        book.expect(
            "one more killed: the refusal says how many are needed, who answered, and why the others did not",
            error.message.startswith(f"{name} needs 5 of 9, 4 answered: {answered}; ")
            and sorted(error.details["others"]) == sorted(dead),
            error.message.partition("; ")[0],
        )
    try:
        async with Dealer(story.stage.heads["M3"], send_within_s=1.0) as dealer:
            await dealer.put("m3-too-few", b"one record", "M3", readers=story.stage.readers_of("M3"))
        book.expect("a put that too few holders take does not pass for stored", False, "it was stored")
    except PutIncomplete as error:
        book.expect(
            "a put that too few holders take does not pass for stored",
            len(error.details["acked"]) < error.details["needed"],
            f"{len(error.details['acked'])} of {error.details['needed']} acknowledged",
        )
    await story.stage.base.ledger.abandon("m3-too-few", "five of nine holders were dead")


async def start_again(story: Storing) -> None:
    """Who was killed comes back with what it had."""
    for process in (KILLED_TOO, KILLED):
        await story.stage.start(process)
    name = readings_of("M3")
    read = await Reader(story.stage.readers["M3"]).get(name, PURPOSE, ask_all=True)
    story.book.expect(
        "started again, all nine serve what they had",
        read.data == story.data[name] and not read.others,
        f"{len(read.answered)} answered",
    )


async def flip_a_byte(story: Storing) -> None:
    """A byte of a share changes on its holder's disk: it is found, named and repaired."""
    name, book, ledger = readings_of("M2"), story.book, story.stage.base.ledger
    file = story.stage.share_file(DAMAGED, name)
    right = file.read_bytes()
    file.write_bytes(right[:_BYTE] + bytes([right[_BYTE] ^ 1]) + right[_BYTE + 1 :])
    read = await Reader(story.stage.readers["M2"]).get(name, PURPOSE, ask_all=True)
    book.expect(
        "a byte flipped on a disk: the data come, and the ledger has the holder's own signature against it",
        read.data == story.data[name] and read.reported == (DAMAGED,),
        f"BadShare: {', '.join(read.reported) or 'nobody'}",
    )

    async def is_mended() -> bool:
        health = await ledger.get_health(name)
        found = next(each for each in health["holders"] if each["holder"] == DAMAGED)
        return bool(found["repairs"] and found["live"])

    await until(is_mended, f"the base repairs the share of {DAMAGED}", _REPAIRED_WITHIN_S)
    book.expect("the base has the share repaired: the same bytes stand on the disk", file.read_bytes() == right)
    purposes = [item["purpose"] async for item in ledger.reads(name)]
    book.expect("the repair stands among who read what", "repair" in purposes)


async def audit(story: Storing) -> None:
    """The base has all holders of M1 prove that they have their shares."""
    name, base = readings_of("M1"), story.stage.base
    url = str((await base.ledger.get_base())["url"])
    async with NodeClient(url, base.identity, read_roots(story.stage.profile.roots)) as node:
        body = jsontext.dumps({"holder": None})
        told: dict[str, Any] = jsontext.loads(
            await node.post(path_of("objects", name, "audit"), body, timeout_s=_AUDIT_S)
        )
    outcomes = [each["outcome"] for each in told["audits"]]
    story.book.expect(
        "asked by the base, all five holders of M1 prove that they have their shares",
        outcomes == ["passed"] * _M1_HOLDERS and not told["failed"],
        f"{outcomes.count('passed')} of 5 passed",
    )


async def cut_off_a_peer(story: Storing) -> None:
    """The base's peer is away; everyone else goes on, and it catches up."""
    stage, book, name = story.stage, story.book, "m1-meanwhile"
    data = story.data[readings_of("M1")]
    stage.cut_off(CUT_OFF)
    try:
        async with Dealer(stage.heads["M1"]) as dealer:
            sending = await dealer.put(name, data, "M1", readers=stage.readers_of("M1"))
        read = await Reader(stage.readers["M1"]).get(name, PURPOSE)
        story.data[name] = data
        book.expect(
            "the base's peer cut off: M1 puts and reads all the same",
            read.data == data and len(sending.acked) >= sending.needed,
        )
    finally:
        stage.connect_all()

    async def is_level() -> bool:
        state = await network_state(stage.profile, own_admins(stage.profile))
        return not state.down and all(channel.level for channel in state.channels.values())

    await until(is_level, f"{CUT_OFF} catches up", _LEVEL_WITHIN_S)
    book.expect("back, the base's peer catches up", True)


async def refuse_a_stranger(story: Storing) -> None:
    """A reader of another organisation gets neither a grant nor, under somebody else's grant, a share."""
    stage, book, name = story.stage, story.book, readings_of("M1")
    stranger = stage.readers["M5"]
    refusal = ""
    try:
        await Reader(stranger).get(name, PURPOSE)
    except GridLedgerError as error:
        refusal = error.message
    book.expect(
        "a reader without the right is refused by the contract", f"may not read {name}" in refusal, refusal[:90]
    )
    grant = await Reader(stage.readers["M1"]).request(name, PURPOSE)
    refusals = await served_to(stranger, grant)
    book.expect(
        "and by every holder that it asks under another's grant",
        len(refusals) == _M1_HOLDERS and all(refusals.values()),
        next(iter(refusals.values()), "")[:90],
    )
    log = (stage.folder.logs / "m1.log").read_text(encoding="utf-8", errors="replace")
    book.expect("the holders' logs have the refusals", "NOT_GRANTED" in log)


async def served_to(session: Any, grant: Any) -> dict[str, str]:
    """Why each holder served nothing under a grant; an empty text where it served."""
    from services.vault.transport import PrivateKey  # noqa: PLC0415

    key = PrivateKey.generate()
    told = [await Reader(session).serve(grant, holder, key) for holder in grant.holders]
    return {each.holder: each.why if each.share is None else "" for each in told}
