"""Verifies an evidence package: offline, from the roots and the block 0 that the reader trusts, and nothing else.

Trusted are the organisations' root certificates and the header hash of block 0 of the anchoring channel. Which
chaincodes are meant, as the registry of devices or for anchors, no signature says: the reader names them, by channel,
name and their packages' SHA-256. That a channel approved just these is then proved by its configuration; without them
it is told which it approved. From there:

    form, manifest      every byte of the package is accounted for
    roles               the chaincodes of anchors, devices and sections are those that the reader means
    genesis             block 0 of the anchoring channel is the trusted one
    configurations      each follows from the one before by its admins' signatures; roots are the trusted ones
    blocks, signatures  envelopes are those of the header, which an orderer of that time has signed
    commit hashes       are computed from codes and updates
    anchors             a majority of a channel's organisations attests the head of its tree on the anchoring channel,
                        by a record that has the hash of the channel's block 0
    consistency, paths  each head begins with the one before; block and commit hash, and so the codes, are under a head
    transactions        are valid, signed by who called, endorsed as the chaincode's policy asks
    events              are proved by the device's admitted key, which was registered; their chain is not broken
    bodies, rows        a body off the chain has the hash of its event, a row is under the root of its batch
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final

from cryptography import x509

from gridledger.evidence.attested import VerifiedAnchor, genesis_by, read_attestations, verify_anchors, verify_path
from gridledger.evidence.chains import Roots, VerifiedChannel, genesis_of, read_roots, verify_chain
from gridledger.evidence.claims import Judge, here
from gridledger.evidence.off_chain import BODIES, ROWS
from gridledger.evidence.package import ATTACHMENTS, CHANNELS, MANIFEST, Package, Place, chain_file, read_package
from gridledger.evidence.report import Broken, Outcome, ProvedRow, ProvedTransaction, Report, Step
from gridledger.evidence.roles import STEP as ROLES
from gridledger.evidence.roles import KnownRoles, check_definitions, check_names
from gridledger.evidence.said import Registry, SaidEvents, check_body, check_row, has_events
from gridledger.evidence.signed import STEP, SignedTransaction, signed_transaction
from gridledger.evidence.stamp import BadStamp, check_stamp

STAMP: Final = "stamp"
CLOCKS_US: Final = 2_000_000
"""By how much clocks of orderers and of an authority may differ."""
NOT_SHOWN: Final = (
    "It is not shown that what a device said was true, nor that a device's key was in nobody else's hands.",
    "The package may leave transactions out, a device's revocation too; what stands in it is as it is on the chains.",
    "Records are worth what the code of their chaincode lets in; which package, by SHA-256, is meant is yours to know.",
)


def verify_package(
    data: bytes,
    *,
    roots: Mapping[str, Sequence[str]],
    general_genesis: str,
    roles: KnownRoles | None = None,
    judge: Judge = here,
) -> Report:
    """Verify a package's bytes. ``roots``: PEM texts by MSP id; ``general_genesis``: the header hash of block 0 of the
    anchoring channel; ``roles``: the chaincodes that are meant. Without ``roles`` those that the package names are
    taken, and noted with what their channels approved. ``judge`` says which of the events' proofs hold. The report ends
    with the first step that does not hold.

    Raises MalformedCertificate for roots that cannot be read; whatever the package is, it is told in the report.
    """
    trusted = read_roots(roots)
    report = Report()
    try:
        package = read_package(data)
        report.passed("form", "", f"{len(data)} bytes, all accounted for")
        report.verifier_sha256 = sha256(package.verifier).hexdigest()
        _Verification(package, trusted, report, judge).run(general_genesis, roles)
    except Broken as error:
        report.outcome = Outcome.BROKEN
        report.steps.append(Step(error.step, error.field, error.problem, holds=False))
    return report


def verify_stamp(
    report: Report, data: bytes, stamp: bytes, *, name: str, roots: Sequence[x509.Certificate] = ()
) -> None:
    """Add to the report of a package's bytes what their time stamp shows; ``name`` is its file's.

    Without ``roots`` (of its authority) it is read, and a note says what was not checked. A stamp that is not one over
    these bytes breaks the report; where the package itself is broken it is not looked at.
    """
    if report.broken is not None:
        return
    try:
        found = check_stamp(stamp, sha256(data).digest(), roots=roots)
    except BadStamp as error:
        report.outcome = Outcome.BROKEN
        report.steps.append(Step(STAMP, name, error.message, holds=False))
        return
    report.stamp = found
    if not found.is_verified:
        report.passed(STAMP, name, "it is over this package's SHA-256; who signed it was not checked")
        report.notes.append(
            f"The stamp tells {found.time}, by {found.authority}. Its signature was not checked, so anybody can have "
            "made it: give the authority's root certificates."
        )
        return
    within = "" if found.accuracy_us is None else f", to within {found.accuracy_us / 1e6:g} s"
    report.passed(STAMP, name, f"this package was there at {found.time}{within}, says {found.authority}")
    report.notes.append("Whether the authority has revoked the certificate of its stamp was not checked.")
    newest_us = max((item.block_time_us for item in report.transactions), default=0)
    if newest_us > found.time_us + (found.accuracy_us or 0) + CLOCKS_US:
        report.notes.append("A block of the package tells a later time than the stamp over it: one of them is wrong.")


class _Verification:
    """One run over the parts of a package."""

    def __init__(self, package: Package, roots: Roots, report: Report, judge: Judge) -> None:
        self._judge = judge
        self._package = package
        self._roots = roots
        self._report = report
        self._channels: dict[str, VerifiedChannel] = {}
        self._anchors: dict[str, list[VerifiedAnchor]] = {}
        self._anchored: dict[tuple[str, int], int | None] = {}
        self._signed: dict[Place, SignedTransaction] = {}
        self._missing: set[tuple[str, int]] = set()
        self._devices: Registry | None = None

    def run(self, general_genesis: str, roles: KnownRoles | None) -> None:
        package, report = self._package, self._report
        if roles is not None:
            check_names(package, roles)
            report.passed(ROLES, MANIFEST, "the chaincodes of anchors, devices and sections are those that you know")
        anchoring, chaincode = package.roles.anchoring
        if anchoring not in package.channels:
            raise Broken("genesis", CHANNELS, f"the package has nothing of the anchoring channel {anchoring}")
        general = verify_chain(anchoring, package.channels[anchoring], general_genesis, self._roots)
        self._channels[anchoring] = general
        report.passed("genesis", chain_file(anchoring), f"block 0 of {anchoring} is the trusted one")
        report.passed("blocks", chain_file(anchoring), f"{len(general.blocks)} blocks of {anchoring}")
        for name in sorted(package.channels):
            if name != anchoring:
                self._channel(name, general, chaincode)
        check_definitions(package, self._channels, roles, report)
        self._transactions()
        self._events()
        report.disclosed = len(package.disclosed())
        report.notes += NOT_SHOWN

    def _channel(self, name: str, general: VerifiedChannel, chaincode: str) -> None:
        part, report = self._package.channels[name], self._report
        attestations = read_attestations(name, part, general, chaincode)
        # Without an anchor nothing says which block 0 is the channel's: what follows from it is not proved.
        genesis = genesis_by(attestations, name) if attestations else genesis_of(name, part)
        channel = self._channels[name] = verify_chain(name, part, genesis, self._roots)
        report.passed("blocks", chain_file(name), f"{len(channel.blocks)} blocks of {name}")
        anchors = self._anchors[name] = verify_anchors(part, channel, attestations)
        for item in part.blocks.values():
            self._anchored[(name, item.number)] = verify_path(channel, item, anchors)
        if anchors:
            last = anchors[-1]
            report.organisations[name] = (last.organisations, last.needed)
            told = f"{len(anchors)} heads of {name}, the last at {last.size} blocks by {', '.join(last.organisations)}"
            report.passed("anchors", chain_file(name), told)

    def _transactions(self) -> None:
        report, anchoring = self._report, self._package.roles.anchoring[0]
        if not self._package.evidence:
            raise Broken(STEP, "manifest.json", "the package names no transaction as evidence")
        for place in self._package.evidence:
            proved = self._proved(place)
            report.transactions.append(proved)
            self._need(place.channel, place.block)
        count = len(report.transactions)
        report.passed(STEP, "manifest.json", f"{count} transactions are valid, signed and endorsed")
        if any(place.channel == anchoring for place in self._package.evidence):
            report.notes.append(
                f"Transactions on {anchoring} are shown by the signatures of callers, endorsers and orderers; their "
                "validation codes are told and not anchored."
            )

    def _need(self, channel: str, block: int) -> None:
        """Note it where a block on which the proof rests is not anchored yet."""
        anchoring = self._package.roles.anchoring[0]
        if (
            channel == anchoring
            or self._anchored.get((channel, block)) is not None
            or (channel, block) in self._missing
        ):
            return
        self._missing.add((channel, block))
        self._report.outcome = Outcome.NOT_ANCHORED
        self._report.notes.append(f"block {block} of {channel} is not anchored yet, so what rests on it is not proved")

    def _proved(self, place: Place) -> ProvedTransaction:
        channel = self._channels.get(place.channel)
        if channel is None:
            raise Broken(STEP, "manifest.json", f"the package has nothing of the channel {place.channel}")
        signed = signed_transaction(channel, place.block, place.index)
        proposal, caller = signed.transaction.proposal, signed.caller
        self._signed[place] = signed
        return ProvedTransaction(
            channel=place.channel,
            block=place.block,
            index=place.index,
            tx_id=signed.transaction.tx_id,
            chaincode=proposal.chaincode,
            function=proposal.function,
            mspid=caller.mspid,
            signer=caller.name,
            block_time_us=signed.block.block.header.timestamp_us,
            anchored=self._anchored.get((place.channel, place.block)),
        )

    def _events(self) -> None:
        roles, report = self._package.roles, self._report
        said: dict[str, SaidEvents] = {}
        for place in self._package.evidence:
            chaincode = roles.sections.get(place.channel)
            if chaincode is None or not has_events(self._signed[place], chaincode):
                continue
            if place.channel not in said:
                said[place.channel] = SaidEvents(self._channels[place.channel], chaincode, self._registry())
            said[place.channel].add(self._signed[place])
        proved = iter(self._judge([claim for item in said.values() for claim in item.claims()]))
        for item in said.values():
            item.check_proofs(proved)
            report.notes += item.check_chain()
            report.events += item.events
            for channel, block in sorted(item.needed):
                self._need(channel, block)
        if report.events:
            report.passed("events", "", f"{len(report.events)} events are proved by their devices' keys")
        self._bodies(said)
        self._rows(said)
        self._attachments(said)

    def _registry(self) -> Registry:
        devices = self._package.roles.devices
        if devices is None or devices[0] not in self._channels:
            raise Broken("registrations", "manifest.json", "the package has nothing of the channel of devices")
        if self._devices is None:
            self._devices = Registry(self._channels[devices[0]], devices[1])
        return self._devices

    def _bodies(self, said: Mapping[str, SaidEvents]) -> None:
        for body in self._package.bodies:
            check_body(body, said[body.channel].body_hashes if body.channel in said else {})
        if self._package.bodies:
            self._report.passed("bodies", BODIES, f"{len(self._package.bodies)} bodies are those of their events")

    def _rows(self, said: Mapping[str, SaidEvents]) -> None:
        for row in self._package.rows:
            check_row(row, said[row.channel].batches if row.channel in said else {})
            self._report.rows.append(ProvedRow(*row.place, row.row))
        if self._package.rows:
            batches = len({row.place[:3] for row in self._package.rows})
            told = f"{len(self._package.rows)} rows are under the roots of their {batches} batches"
            self._report.passed("rows", ROWS, told)

    def _attachments(self, said: Mapping[str, SaidEvents]) -> None:
        named = {batch.sha256 for item in said.values() for batch in item.batches.values()}
        for name, content in self._package.attachments.items():
            if sha256(content).hexdigest() not in named:
                raise Broken("attachments", ATTACHMENTS + name, "no batch of the package names a file with its SHA-256")
            self._report.passed("attachments", ATTACHMENTS + name, "a batch names it by its SHA-256")
