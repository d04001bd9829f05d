"""The base's side of a repair: another holder's share is put together again without anybody's learning a key share.

Fragments (pieces of the ciphertext) of t holders give the lost one, and the manifest's ``cipher_sha256`` says whether
they were right. The key share comes from contributions of t holders: each multiplies its own by its Lagrange weight and
adds masks that it has in common with each other contributor and that cancel in the sum. They are sealed to the holder
that is repaired, which learns their sum, its own share, and nothing else; the base learns none.

A wrong fragment is found and named: what t right ones give is compared with what each holder signed. A wrong
contribution names nobody by itself, since nobody sees a contribution but the target, and the target only sums. So
other sets are asked, those first whose members stood in the fewest failures. Once one succeeds, a failed set that
differs from it in one holder names that one a suspect; no proof, because two of the others may have lied together.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, islice
from typing import Final

from gridledger.errors import GridLedgerError, MalformedMessage
from gridledger.sharing import sealed
from gridledger.sharing.errors import SharingError
from services.vault.contributions import fragment_sizes
from services.vault.errors import RepairFailed
from services.vault.holder_client import HolderCalls
from services.vault.records import HolderRecord, Manifest
from services.vault.transport import PrivateKey
from services.vault.wire import (
    SERVED,
    Answer,
    ContributeRequest,
    Place,
    RebuildRequest,
    ServeRequest,
    StoredAnswer,
    check_contribution,
    check_fragment,
)

MAX_ATTEMPTS: Final = 32
"""Sets of holders that are tried, where some of them tell wrong values."""

_MAX_LOOKED_AT: Final = 4096
"""Sets that are looked at to find one that was not tried."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """The share stands on the target's disk again, and its root is the manifest's.

    ``named``: holders whose own message or fragment was wrong, with what was wrong; ``suspects``: of each set that
    failed the one holder that the set which succeeded does not have; ``silent``: those that gave no answer, with why.
    """

    root: str
    log_head: str
    commitments: tuple[str, ...]
    contributors: tuple[str, ...]
    named: Mapping[str, str]
    suspects: tuple[str, ...]
    silent: Mapping[str, str]


@dataclass(slots=True)
class _Repair:
    """One repair under way."""

    calls: HolderCalls
    channel: str
    manifest: Manifest
    holders: Mapping[str, HolderRecord]
    target: str
    read: str
    nonces: Sequence[bytes]
    named: dict[str, str] = field(default_factory=dict)
    silent: dict[str, str] = field(default_factory=dict)
    failed: list[tuple[str, ...]] = field(default_factory=list)

    def place(self, holder: str) -> Place:
        return Place(self.channel, self.manifest.object, self.manifest.version, holder, self.manifest.cycle)

    def candidates(self) -> list[str]:
        """Who may be asked yet, in the manifest's order."""
        gone = {self.target, *self.named, *self.silent}
        return [name for name in self.manifest.shares if name in self.holders and name not in gone]

    def too_few(self) -> RepairFailed:
        """Why there is nobody left to ask."""
        told = {**self.silent, **self.named}
        why = "; ".join(f"{name}: {message}" for name, message in sorted(told.items()))
        return RepairFailed(
            f"a repair needs {self.manifest.t} other holders whose shares are right, and {len(self.candidates())} are "
            f"left to ask" + (f" ({why})" if why else ""),
            named=sorted(self.named),
            unresolved=sorted({name for names in self.failed for name in names}),
        )


async def repair_share(
    calls: HolderCalls,
    manifest: Manifest,
    holders: Mapping[str, HolderRecord],
    *,
    target: str,
    read: str,
    nonces: Sequence[bytes] = (),
) -> Repaired:
    """Repair ``target``'s share under the committed ``read`` (purpose ``repair``), within the read's time.

    ``holders`` are those of the manifest that are active, the target among them; ``nonces`` of new audits, if any.
    Raises :class:`RepairFailed` where too few holders give right values, and the target's own error where it is not
    reached or cannot store.
    """
    work = _Repair(calls, str(manifest.head["channel"]), manifest, holders, target, read, nonces)
    fragments = await _lost_fragments(work) if manifest.profile == "sealed" else b""
    for _ in range(MAX_ATTEMPTS):
        chosen = _next_set(work)
        contributions = await _contributions(work, chosen)
        if contributions is None:
            continue
        request = RebuildRequest(read, chosen, fragments, contributions, tuple(nonces))
        try:
            stored = await calls.rebuild(holders[target].url, manifest.object, manifest.version, request)
        except RepairFailed as error:
            _note_failure(work, chosen, error)
            continue
        return _repaired(work, chosen, stored)
    raise work.too_few()


async def _lost_fragments(work: _Repair) -> bytes:
    """The target's fragments, part by part, from those of t others that give the ciphertext of the manifest."""
    got = await _fragments(work)
    manifest = work.manifest
    for names in islice(combinations(got, manifest.t), MAX_ATTEMPTS):
        cut = {manifest.shares[name].id: _cut(manifest, got[name]) for name in names}
        try:
            rebuilt = await asyncio.to_thread(_rebuilt, work, cut)
        except SharingError:
            continue
        _name_wrong(work, got, rebuilt)
        own_id = manifest.shares[work.target].id
        return b"".join(part[own_id] for part in rebuilt)
    raise work.too_few()


async def _fragments(work: _Repair) -> dict[str, bytes]:
    """The fragments of all who answer, as they signed them."""
    key = PrivateKey.generate()
    request = ServeRequest(work.read, key.public.text)
    names = work.candidates()
    manifest = work.manifest

    async def ask(name: str) -> bytes:
        answer = await work.calls.serve(work.holders[name].url, manifest.object, manifest.version, request)
        return await asyncio.to_thread(_open_fragment, work, name, key, answer)

    answers = await asyncio.gather(*(ask(name) for name in names), return_exceptions=True)
    got: dict[str, bytes] = {}
    for name, answer in zip(names, answers, strict=True):
        if isinstance(answer, bytes):
            got[name] = answer
        elif isinstance(answer, GridLedgerError):
            (work.named if isinstance(answer, MalformedMessage) else work.silent)[name] = answer.message
        else:
            raise answer
    return got


def _open_fragment(work: _Repair, name: str, key: PrivateKey, answer: Answer) -> bytes:
    place = work.place(name)
    work.holders[name].check_signer(answer.signed.signer())
    fragment = key.open(answer.sealed, place.info(SERVED, work.read))
    check_fragment(answer.signed, place, work.read, fragment)
    if len(fragment) != sum(fragment_sizes(work.manifest)):
        raise MalformedMessage(f"its fragments have {len(fragment)} bytes")
    return fragment


def _cut(manifest: Manifest, fragments: bytes) -> list[bytes]:
    cut, at = [], 0
    for size in fragment_sizes(manifest):
        cut.append(fragments[at : at + size])
        at += size
    return cut


def _rebuilt(work: _Repair, cut: Mapping[int, Sequence[bytes]]) -> list[dict[int, bytes]]:
    numbers = range(len(work.manifest.parts))
    return [_rebuilt_part(work, number, {x: parts[number] for x, parts in cut.items()}) for number in numbers]


def _rebuilt_part(work: _Repair, number: int, fragments: Mapping[int, bytes]) -> dict[int, bytes]:
    """All fragments of a part, by id; :class:`SharingError` where these are not of the manifest's ciphertext."""
    manifest, part = work.manifest, work.manifest.parts[number]
    return sealed.every_fragment(fragments, manifest.t, manifest.ids, length=part.length, cipher=part.cipher_sha256)


def _name_wrong(work: _Repair, got: Mapping[str, bytes], rebuilt: Sequence[Mapping[int, bytes]]) -> None:
    """Whoever signed other fragments than the right ones is named, and asked for nothing more."""
    for name, fragments in got.items():
        x = work.manifest.shares[name].id
        if fragments != b"".join(part[x] for part in rebuilt):
            work.named[name] = "its fragments are not those of the ciphertext on the ledger"


def _next_set(work: _Repair) -> tuple[str, ...]:
    """A set that was not asked, of those who stood in the fewest sets that failed."""
    blamed = Counter(name for names in work.failed for name in names)
    ordered = sorted(work.candidates(), key=lambda name: blamed[name])
    for names in islice(_sets(ordered, work.manifest.t), _MAX_LOOKED_AT):
        if names not in work.failed:
            return names
    raise work.too_few()


def _sets(names: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    return (tuple(sorted(chosen)) for chosen in combinations(names, size))


async def _contributions(work: _Repair, chosen: tuple[str, ...]) -> tuple[Answer, ...] | None:
    """What these tell; None where one of them gives no answer or a wrong one, and is not asked again."""
    request = ContributeRequest(work.read, work.target, chosen)
    manifest = work.manifest

    async def ask(name: str) -> Answer:
        answer = await work.calls.contribute(work.holders[name].url, manifest.object, manifest.version, request)
        work.holders[name].check_signer(answer.signed.signer())
        check_contribution(answer, work.place(name), request)
        return answer

    answers = await asyncio.gather(*(ask(name) for name in chosen), return_exceptions=True)
    got: list[Answer] = []
    for name, answer in zip(chosen, answers, strict=True):
        if isinstance(answer, Answer):
            got.append(answer)
        elif isinstance(answer, GridLedgerError):
            (work.named if isinstance(answer, MalformedMessage) else work.silent)[name] = answer.message
        else:
            raise answer
    return tuple(got) if len(got) == len(chosen) else None


def _note_failure(work: _Repair, chosen: tuple[str, ...], error: RepairFailed) -> None:
    """What the target says of a set. Only those that were asked can be named by it."""
    named = [name for name in error.details.get("named", ()) if name in chosen]
    for name in named:
        work.named[name] = error.message
    if error.details.get("part") == "fragments":
        raise error  # they gave the ledger's ciphertext: the target itself is at fault
    if not named:
        work.failed.append(chosen)


def _repaired(work: _Repair, chosen: tuple[str, ...], stored: StoredAnswer) -> Repaired:
    root = work.manifest.shares[work.target].root
    if stored.root != root:
        raise RepairFailed(f"{work.target} says that it stored another share than the ledger has")
    differing = [set(names) - set(chosen) for names in work.failed]
    suspects = sorted({name for names in differing if len(names) == 1 for name in names})
    return Repaired(
        root, stored.log_head, stored.commitments, chosen, dict(work.named), tuple(suspects), dict(work.silent)
    )
