"""The contracts of forensics through the SDK: one method for each function that commands and services use.

Times are microseconds since 1970, hashes and proofs hexadecimal. ``begin`` and ``end`` are the contracts' ``from`` and
``to``: begin <= time < end.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, TypeVar

from gridledger.client import Retry, SigningIdentity
from gridledger.client.application import Answer, ContractCalls, each_item, given, network_through, peers_of
from gridledger.client.profile import ConnectionProfile
from services.case.described import Place, described_forensics

_AGAIN: Final = Retry(attempts=8, total_s=20.0)
"""A transaction that lost to a concurrent one had no effect, and may be made anew."""

_Ledger = TypeVar("_Ledger", bound=ContractCalls)
Scalar = str | int | float | bool | None


class AccessLedger(ContractCalls):
    """One identity's calls of the contract ``access``."""

    again = _AGAIN

    async def open_session(self, session: str, operator: str, terminal: str, section: str, reason: str) -> Answer:
        """OpenSession: the record; ``suspicious`` says what is, as far as it was committed: [{why, session}]."""
        named = {"session": session, "operator": operator, "terminal": terminal, "section": section}
        return await self._submit("OpenSession", {**named, "reason": reason})

    async def close_session(self, session: str, reason: str | None = None) -> Answer:
        """CloseSession: {session, reason, time_us, tx}."""
        return await self._submit("CloseSession", {"session": session, **given(reason=reason)})

    async def command(self, session: str, device: str, command: str, value: Scalar = None) -> Answer:
        """Command: the command as it is kept, with operator, terminal, section."""
        argument = {"session": session, "device": device, "command": command}
        return await self._submit("Command", {**argument, **given(value=value)})

    async def deny(self, operator: str, terminal: str, why: str) -> Answer:
        """Deny: ``operator``, or whoever claimed to be it, was not let in."""
        return await self._submit("Deny", {"operator": operator, "terminal": terminal, "why": why})

    async def get_session(self, session: str) -> Answer:
        """GetSession: the record with ``closed`` (null while open) and all that is suspicious of it."""
        return await self._evaluate("GetSession", {"session": session})

    async def get_sessions(self, wanted: Mapping[str, Any], *, bookmark: str | None = None) -> Answer:
        """GetSessions: one page. ``wanted`` may have operator, terminal, section, certificate, open, suspicious, from,
        to, limit."""
        return await self._evaluate("GetSessions", {**wanted, **given(bookmark=bookmark)})

    async def get_commands(self, wanted: Mapping[str, Any], *, bookmark: str | None = None) -> Answer:
        """GetCommands: one page. ``wanted`` may have session, device, operator, from, to, limit."""
        return await self._evaluate("GetCommands", {**wanted, **given(bookmark=bookmark)})

    async def get_denials(self, wanted: Mapping[str, Any], *, bookmark: str | None = None) -> Answer:
        """GetDenials: one page. ``wanted`` may have operator, terminal, from, to, limit."""
        return await self._evaluate("GetDenials", {**wanted, **given(bookmark=bookmark)})

    def sessions(self, **wanted: Any) -> AsyncIterator[Answer]:
        """All of GetSessions, page after page; a member that is None is left out."""
        asked = _asked(wanted)
        return each_item(lambda bookmark: self.get_sessions(asked, bookmark=bookmark))

    def commands(self, **wanted: Any) -> AsyncIterator[Answer]:
        """All of GetCommands."""
        asked = _asked(wanted)
        return each_item(lambda bookmark: self.get_commands(asked, bookmark=bookmark))

    def denials(self, **wanted: Any) -> AsyncIterator[Answer]:
        """All of GetDenials."""
        asked = _asked(wanted)
        return each_item(lambda bookmark: self.get_denials(asked, bookmark=bookmark))


class CasesLedger(ContractCalls):
    """One identity's calls of the contract ``cases``."""

    again = _AGAIN

    async def set_authority(self, investigators: str) -> Answer:
        """SetAuthority: {mspid, investigators, by, time_us}. The authority is the caller's organisation, unless another
        is it already; ``investigators`` is the MSP of the investigators."""
        return await self._submit("SetAuthority", {"investigators": investigators})

    async def open_case(self, case: str, purpose: str, scope: Mapping[str, Any]) -> Answer:
        """OpenCase: the record. ``scope``: {channels, from_us, to_us, devices?, operators?, kinds?}."""
        return await self._submit("OpenCase", {"case": case, "purpose": purpose, "scope": dict(scope)})

    async def approve(self, case: str) -> Answer:
        """Approve: {case, by, time_us, tx}."""
        return await self._submit("Approve", {"case": case})

    async def close_case(self, case: str, reason: str | None = None) -> Answer:
        """CloseCase: {case, reason, by, time_us, tx}."""
        return await self._submit("CloseCase", {"case": case, **given(reason=reason)})

    async def query(self, case: str, text: str) -> Answer:
        """Query: {case, text, by, time_us, tx}. What it asks for may be looked up once this has returned: it is
        valid."""
        return await self._submit("Query", {"case": case, "text": text})

    async def record_finding(
        self, case: str, package_sha256: str, title: str, disclosed: Sequence[Mapping[str, Any]] = ()
    ) -> Answer:
        """RecordFinding: the record. ``disclosed``: [{channel, transactions}] that the package lays open besides."""
        argument = {"case": case, "package_sha256": package_sha256, "title": title}
        more = {"disclosed": [dict(each) for each in disclosed]} if disclosed else {}
        return await self._submit("RecordFinding", {**argument, **more})

    async def get_authority(self) -> Answer:
        """GetAuthority: {mspid, investigators, by, time_us}; refused before there is one."""
        return await self._evaluate("GetAuthority", {})

    async def get_case(self, case: str) -> Answer:
        """GetCase: the record with status (open, approved or closed), approved, closed."""
        return await self._evaluate("GetCase", {"case": case})

    async def list_cases(self, *, limit: int | None = None, bookmark: str | None = None) -> Answer:
        """ListCases: one page, by name."""
        return await self._evaluate("ListCases", given(limit=limit, bookmark=bookmark))

    async def list_queries(self, case: str, *, limit: int | None = None, bookmark: str | None = None) -> Answer:
        """ListQueries: one page, by time."""
        return await self._evaluate("ListQueries", {"case": case, **given(limit=limit, bookmark=bookmark)})

    async def list_findings(self, case: str, *, limit: int | None = None, bookmark: str | None = None) -> Answer:
        """ListFindings: one page, by time."""
        return await self._evaluate("ListFindings", {"case": case, **given(limit=limit, bookmark=bookmark)})

    def cases(self) -> AsyncIterator[Answer]:
        """All of ListCases."""
        return each_item(lambda bookmark: self.list_cases(bookmark=bookmark))

    def queries(self, case: str) -> AsyncIterator[Answer]:
        """All of ListQueries."""
        return each_item(lambda bookmark: self.list_queries(case, bookmark=bookmark))

    def findings(self, case: str) -> AsyncIterator[Answer]:
        """All of ListFindings."""
        return each_item(lambda bookmark: self.list_findings(case, bookmark=bookmark))


class RegistryLedger(ContractCalls):
    """One identity's calls of the contract ``registry``."""

    again = _AGAIN

    async def set_authority(self) -> Answer:
        """SetAuthority: {mspid, time_us, tx}; refused where there is one."""
        return await self._submit("SetAuthority", {})

    async def get_authority(self) -> Answer:
        """GetAuthority: {mspid, time_us, tx}; refused before there is one."""
        return await self._evaluate("GetAuthority", {})

    async def register_device(self, registration: Mapping[str, Any]) -> Answer:
        """RegisterDevice: {device, type, section, site, vendor, model, proof_key, certificate, proof}; the record."""
        return await self._submit("RegisterDevice", registration)

    async def rotate_key(self, rotation: Mapping[str, Any]) -> Answer:
        """RotateKey: {device, proof_key, certificate?, proof_old, proof_new}; the record."""
        return await self._submit("RotateKey", rotation)

    async def retire(self, device: str) -> Answer:
        """Retire: the record; for good."""
        return await self._submit("Retire", {"device": device})

    async def revoke(self, device: str, reason: str) -> Answer:
        """Revoke: {device, section, mspid, reason, by, time_us, tx}; for good."""
        return await self._submit("Revoke", {"device": device, "reason": reason})

    async def get_device(self, device: str) -> Answer:
        """GetDevice: the record with ``revoked``, null where it is not."""
        return await self._evaluate("GetDevice", {"device": device})

    async def list_devices(self, wanted: Mapping[str, Any], *, bookmark: str | None = None) -> Answer:
        """ListDevices: one page. ``wanted`` may have section, type, status, limit."""
        return await self._evaluate("ListDevices", {**wanted, **given(bookmark=bookmark)})

    def devices(self, **wanted: Any) -> AsyncIterator[Answer]:
        """All of ListDevices."""
        asked = given(**wanted)
        return each_item(lambda bookmark: self.list_devices(asked, bookmark=bookmark))


class SectionLedger(ContractCalls):
    """One identity's calls of a section's contract, ``events``, as set-up needs them."""

    again = _AGAIN

    async def admit_device(self, device: str, mspid: str, proof_key: str, tx: str) -> Answer:
        """AdmitDevice: the record. ``tx``: the transaction that registered the device."""
        argument = {"device": device, "mspid": mspid, "proof_key": proof_key, "tx": tx}
        return await self._submit("AdmitDevice", argument)

    async def get_device(self, device: str) -> Answer:
        """GetDevice: the record; refused where the section has not admitted it."""
        return await self._evaluate("GetDevice", {"device": device})


def access_ledger(profile: ConnectionProfile, signer: SigningIdentity) -> AbstractAsyncContextManager[AccessLedger]:
    """The contract ``access`` as ``signer`` calls it; its gateways are open in the block."""
    return _opened(AccessLedger, profile, signer, described_forensics(profile).access)


def cases_ledger(profile: ConnectionProfile, signer: SigningIdentity) -> AbstractAsyncContextManager[CasesLedger]:
    """The contract ``cases``."""
    return _opened(CasesLedger, profile, signer, described_forensics(profile))


def registry_ledger(profile: ConnectionProfile, signer: SigningIdentity) -> AbstractAsyncContextManager[RegistryLedger]:
    """The contract ``registry``."""
    return _opened(RegistryLedger, profile, signer, described_forensics(profile).devices)


def section_ledger(
    profile: ConnectionProfile, signer: SigningIdentity, section: str
) -> AbstractAsyncContextManager[SectionLedger]:
    """The contract of the section whose channel this is; :class:`SettingsError` where it is none."""
    return _opened(SectionLedger, profile, signer, described_forensics(profile).section(section))


@asynccontextmanager
async def _opened(
    kind: type[_Ledger], profile: ConnectionProfile, signer: SigningIdentity, place: Place
) -> AsyncIterator[_Ledger]:
    """The first gateway is a peer of the signer's organisation; the channel's others take over when it fails."""
    peers = peers_of(profile, place.channel, signer.mspid)
    async with network_through(profile, place.channel, peers, signer, retry=_AGAIN) as network:
        yield kind(network.get_contract(place.chaincode), network)


def _asked(wanted: Mapping[str, Any]) -> Answer:
    """The contract's names of what is there: ``from`` is no name in Python."""
    names = {"begin": "from", "end": "to", "is_open": "open"}
    return {names.get(name, name): value for name, value in wanted.items() if value is not None}
