"""The reader: a grant on the ledger, all holders asked side by side, and the first t good shares joined.

What a holder serves is judged by the manifest before anything is decoded. One that signs another root has proved
against itself and is reported (ReportBad); one that signs the right root over other bytes is suspected (ReportLost). A
reader computes all shares again, so that a dealer whose shares do not belong together is found by whoever reads first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gridledger.client.application import Answer
from gridledger.errors import GridLedgerError, MalformedMessage
from gridledger.protocol.fields import parse_object, text_of, to_base64
from gridledger.sharing import commitment, profiles
from gridledger.sharing.errors import SharingError
from services.vault.cutting import false_shares, join_object
from services.vault.errors import CannotOpen, DealerAtFault, HolderOut, ShareDamaged, ShareMissing, TooFewAnswered
from services.vault.records import Manifest, is_key_of
from services.vault.session import Session, refused, why
from services.vault.transport import PrivateKey
from services.vault.wire import SERVED, Place, ServeRequest, Signed, check_served
from services.vault.wire import Answer as Served

ANSWER_WITHIN_S: Final = 15.0
"""How long holders are waited for while fewer than t have served a good share."""
_REPORT_WITHIN_S: Final = 10.0
_MOST_BEHIND: Final = 256
_LONGEST_REASON: Final = 200

_BEHIND: Final[set[asyncio.Task[None]]] = set()
"""What goes on behind reads that have ended."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServedShare:
    """What one holder served, judged. ``share`` is None where it is not the manifest's, and ``why`` says so.

    ``proof`` is there where the holder signed for another root than it committed to; ``suspect`` where it signed the
    right one over other bytes; ``damaged`` where it says itself that its share is not what it should be, or missing.
    """

    holder: str
    share: bytes | None
    why: str = ""
    proof: Signed | None = None
    suspect: bool = False
    damaged: bool = False


@dataclass(slots=True)
class Collected:
    """The good shares by holder, why others gave none, and what speaks against whom."""

    good: dict[str, bytes] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)
    liars: dict[str, Signed] = field(default_factory=dict)
    suspects: dict[str, str] = field(default_factory=dict)

    def take(self, served: ServedShare) -> None:
        """Count what a holder served."""
        if served.share is not None:
            self.good[served.holder] = served.share
            return
        self.others[served.holder] = served.why
        if served.proof is not None:
            self.liars[served.holder] = served.proof
        elif served.suspect:
            self.suspects[served.holder] = served.why


@dataclass(frozen=True, slots=True)
class Read:
    """An object's data, the grant under which they were read, and how the holders answered.

    ``reported`` are proven liars that the ledger has now, ``suspected`` holders that served wrong bytes; ``false``
    those to whose shares the dealer committed falsely (only where the reader asked for the data all the same).
    """

    data: bytes
    manifest: Manifest
    read: str
    answered: tuple[str, ...]
    others: Mapping[str, str]
    reported: tuple[str, ...]
    suspected: tuple[str, ...]
    false: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """What commands print, without the data."""
        return {
            "object": self.manifest.object,
            "version": self.manifest.version,
            "read": self.read,
            "bytes": len(self.data),
            "answered": list(self.answered),
            "others": dict(self.others),
            "reported": list(self.reported),
            "suspected": list(self.suspected),
            "false": list(self.false),
        }


@dataclass(frozen=True, slots=True)
class Grant:
    """A committed read: the manifest that it is of, and the holders that may serve (RequestRead's answer)."""

    read: str
    manifest: Manifest
    holders: tuple[Answer, ...]


class Reader:
    """Reads objects as one identity."""

    def __init__(self, session: Session, *, answer_within_s: float = ANSWER_WITHIN_S) -> None:
        self._session = session
        self._answer_within_s = answer_within_s

    async def get(
        self,
        name: str,
        purpose: str,
        *,
        version: int | None = None,
        ask_all: bool = False,
        even_if_false: bool = False,
        known: Mapping[str, bytes] | None = None,
    ) -> Read:
        """An object's data.

        ``ask_all`` waits for every holder's answer, and so finds every one that is wrong. ``known``: shares that are
        there already, by holder, whose roots hold. ``even_if_false``: give the data although the dealer's shares do not
        belong together. Raises :class:`TooFewAnswered`, which names who answered and why others did not,
        :class:`DealerAtFault`, and the contract's refusals.
        """
        grant = await self.request(name, purpose, version)
        collected = Collected(good=dict(known or {}))
        await self._collect(grant, collected, ask_all=ask_all)
        reports = asyncio.create_task(self._report(grant, collected))
        try:
            data, false = await self._joined(grant.manifest, collected, even_if_false=even_if_false)
        finally:
            reported, suspected = await reports
        return Read(
            data,
            grant.manifest,
            grant.read,
            tuple(collected.good),
            collected.others,
            reported,
            suspected,
            false,
        )

    async def request(self, name: str, purpose: str, version: int | None = None) -> Grant:
        """Have a read granted, and fetch the manifest beside it."""
        ledger = self._session.ledger
        granted, told = await asyncio.gather(
            ledger.request_read(name, purpose, version), ledger.get_object(name, version), return_exceptions=True
        )
        if isinstance(granted, BaseException):
            raise granted
        if isinstance(told, BaseException) or told["version"] != granted["version"]:
            told = await ledger.get_object(name, granted["version"])
        return Grant(str(granted["read"]), Manifest.of(told), tuple(granted["holders"]))

    async def serve(self, grant: Grant, holder: Answer, key: PrivateKey) -> ServedShare:
        """Ask one holder, and judge what it serves."""
        name, manifest = str(holder["holder"]), grant.manifest
        place = Place(self._session.channel, manifest.object, manifest.version, name, manifest.cycle)
        request = ServeRequest(grant.read, key.public.text)
        try:
            answer = await self._session.calls.serve(str(holder["url"]), manifest.object, manifest.version, request)
        except GridLedgerError as error:
            damaged = isinstance(error, ShareDamaged | ShareMissing | HolderOut)
            return ServedShare(name, None, why(error), damaged=damaged)
        expected = manifest.shares[name].root
        public_key = str(holder["public_key"])
        return await asyncio.to_thread(
            judge, answer, place, grant.read, expected=expected, public_key=public_key, key=key
        )

    async def _collect(self, grant: Grant, collected: Collected, *, ask_all: bool) -> None:
        """Ask side by side until t good shares are there; raises :class:`TooFewAnswered`."""
        manifest = grant.manifest
        needed = profiles.needed(manifest.profile, manifest.t)
        key = PrivateKey.generate()
        asked = [holder for holder in grant.holders if holder["holder"] not in collected.good]
        tasks = {asyncio.create_task(self.serve(grant, holder, key)): str(holder["holder"]) for holder in asked}
        loop = asyncio.get_running_loop()
        deadline, pending = loop.time() + self._answer_within_s, set(tasks)
        try:
            while pending and (ask_all or len(collected.good) < needed):
                done, pending = await asyncio.wait(
                    pending, timeout=max(0.0, deadline - loop.time()), return_when=asyncio.FIRST_COMPLETED
                )
                if not done:
                    break
                for task in done:
                    collected.take(task.result())
        except asyncio.CancelledError:
            for task in pending:
                task.cancel()
            raise
        self._let_end(grant, pending, deadline - loop.time())
        if len(collected.good) >= needed:
            return
        for task in pending:
            collected.others[tasks[task]] = f"no answer within {self._answer_within_s:g} s"
        served = {str(holder["holder"]) for holder in grant.holders}
        for name in manifest.shares:
            if name not in served and name not in collected.good:
                collected.others[name] = "was revoked, or has another id since"
        await self._report(grant, collected)
        answered = [name for name in manifest.shares if name in collected.good]
        others = {name: collected.others[name] for name in manifest.shares if name in collected.others}
        raise TooFewAnswered(manifest.object, needed, answered, others)

    def _let_end(self, grant: Grant, pending: set[asyncio.Task[ServedShare]], within_s: float) -> None:
        """Judge behind the reader's back what the slower holders serve: a request that is cut off costs its connection,
        and a wrong answer is worth a report whenever it comes."""
        if not pending:
            return
        if len(_BEHIND) >= _MOST_BEHIND or within_s <= 0:
            for task in pending:
                task.cancel()
            return
        judging = asyncio.create_task(self._judge_behind(grant, pending, within_s))
        _BEHIND.add(judging)
        judging.add_done_callback(_BEHIND.discard)

    async def _judge_behind(self, grant: Grant, pending: set[asyncio.Task[ServedShare]], within_s: float) -> None:
        try:
            done, _ = await asyncio.wait(pending, timeout=within_s)
        finally:
            for task in pending:
                task.cancel()
        late = Collected()
        for task in done:
            late.take(task.result())
        await self._report(grant, late)

    async def _joined(
        self, manifest: Manifest, collected: Collected, *, even_if_false: bool
    ) -> tuple[bytes, tuple[str, ...]]:
        try:
            data = await asyncio.to_thread(join_object, manifest, collected.good)
        except SharingError as error:
            raise DealerAtFault(
                f"the shares of {manifest.object} are those that its dealer committed to, and do not join: "
                f"{error.message}. Ask its owner to put the data anew",
                object=manifest.object,
                version=manifest.version,
                holders=[],
            ) from None
        false = tuple(await asyncio.to_thread(false_shares, manifest, data, collected.good))
        if false and not even_if_false:
            raise DealerAtFault(
                f"the dealer of {manifest.object} gave {', '.join(false)} shares that do not belong to those of "
                f"{', '.join(collected.good)}: others may read other data. --even-if-false gives what these have",
                object=manifest.object,
                version=manifest.version,
                holders=list(false),
            )
        return data, false

    async def _report(self, grant: Grant, collected: Collected) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Tell the ledger of wrong answers; what it does not take is logged. The liars and suspects that it has."""
        liars = [(name, self._report_liar(name, signed)) for name, signed in collected.liars.items()]
        suspects = [(name, self._suspect(grant, name, reason)) for name, reason in collected.suspects.items()]
        told = await asyncio.gather(*(work for _, work in (*liars, *suspects)))
        names = [name for name, _ in (*liars, *suspects)]
        taken = [name if held else None for name, held in zip(names, told, strict=True)]
        return (
            tuple(name for name in taken[: len(liars)] if name),
            tuple(name for name in taken[len(liars) :] if name),
        )

    async def _report_liar(self, name: str, signed: Signed) -> bool:
        try:
            async with asyncio.timeout(_REPORT_WITHIN_S):
                await self._session.ledger.report_bad(signed.text, to_base64(signed.signature))
        except (GridLedgerError, TimeoutError) as error:
            if isinstance(error, GridLedgerError) and refused(error, "answer.holder"):
                return True  # another reader was first
            _log.warning("the report on %s was not taken: %s", name, why(error))
            return False
        return True

    async def _suspect(self, grant: Grant, name: str, reason: str) -> bool:
        try:
            async with asyncio.timeout(_REPORT_WITHIN_S):
                await self._session.ledger.report_lost(
                    name, reason[:_LONGEST_REASON].strip(), name=grant.manifest.object, read=grant.read
                )
        except (GridLedgerError, TimeoutError) as error:
            _log.warning("the suspicion of %s was not taken: %s", name, why(error))
            return False
        return True


def judge(answer: Served, place: Place, read: str, *, expected: str, public_key: str, key: PrivateKey) -> ServedShare:
    """What a holder's answer is worth. ``expected`` is the manifest's root, ``public_key`` (PEM) the holder's."""
    name = place.holder
    try:
        signer = answer.signed.signer()
        if not is_key_of(signer, public_key):
            raise MalformedMessage("it is signed by another key than the holder's on the ledger")
        signed_root = text_of(parse_object(answer.signed.text, "share_served"), "root")
        check_served(answer.signed, place, read, signed_root)
    except GridLedgerError as error:
        return ServedShare(name, None, f"its answer does not count: {why(error)}")
    if signed_root != expected:
        return ServedShare(name, None, f"served another share than it committed to, root {signed_root}", answer.signed)
    try:
        share = key.open(answer.sealed, place.info(SERVED, read))
    except CannotOpen as error:
        return ServedShare(
            name, None, f"signed the right root, and what it sealed does not open: {why(error)}", None, True
        )
    if commitment.root(share).hex() != expected:
        return ServedShare(name, None, "signed the right root over other bytes", None, True)
    return ServedShare(name, share)
