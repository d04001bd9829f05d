"""The contract ``relay`` through the SDK: one method for each of its functions, for servers and commands alike."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from gridledger.client import NO_RETRY, SigningIdentity
from gridledger.client import application as applications
from gridledger.client.application import Answer, ContractCalls, given, network_through, peers_of
from gridledger.client.profile import ConnectionProfile
from gridledger.network.users import enroll_user

APPLICATION: Final = "relay"
SERVER, OPERATOR = "server", "operator"

_ONCE: Final = NO_RETRY
"""Of two servers that record one minute at once the later loses by a read conflict: that is the outcome."""


class RelayLedger(ContractCalls):
    """One identity's calls of the contract."""

    async def register_relay(self, record: Mapping[str, Any]) -> Answer:
        """RegisterRelay: the stored record."""
        return await self._submit("RegisterRelay", record)

    async def update_relay(self, record: Mapping[str, Any]) -> Answer:
        """UpdateRelay: the stored record, with the next revision."""
        return await self._submit("UpdateRelay", record)

    async def record_capture(
        self,
        relay: str,
        text: str,
        source: Mapping[str, str],
        minute: int | None = None,
        revision: int | None = None,
    ) -> Answer:
        """RecordCapture. ``source`` has ``protocol`` and ``sha256``; ``minute`` is UTC, where the reader knows it;
        ``revision`` that of the record under which the capture was taken, where it is not the present one."""
        argument = {"relay": relay, "text": text, "source": dict(source), **given(minute=minute, revision=revision)}
        return await self._submit("RecordCapture", argument, _ONCE)

    async def attest_capture(self, relay: str, minute: int, sha256: str, text: str | None = None) -> Answer:
        """AttestCapture. ``text`` comes exactly when ``sha256`` is not the capture's."""
        argument: Answer = {"relay": relay, "minute": minute, "sha256": sha256}
        if text is not None:
            argument["text"] = text
        return await self._submit("AttestCapture", argument)

    async def conclude(self, relay: str, minute: int) -> Answer:
        """Conclude: the verdict."""
        return await self._submit("Conclude", {"relay": relay, "minute": minute}, _ONCE)

    async def report_silence(self, relay: str, minute: int, reason: str) -> Answer:
        """ReportSilence since ``minute``."""
        return await self._submit("ReportSilence", {"relay": relay, "minute": minute, "reason": reason}, _ONCE)

    async def end_silence(self, relay: str, minute: int) -> Answer:
        """EndSilence with ``minute``."""
        return await self._submit("EndSilence", {"relay": relay, "minute": minute}, _ONCE)

    async def close_hour(self, relay: str, hour: int) -> Answer:
        """CloseHour: the hour's synopsis."""
        return await self._submit("CloseHour", {"relay": relay, "hour": hour}, _ONCE)

    async def record_fault(self, fault: Mapping[str, Any]) -> Answer:
        """RecordFault: this server's statement of a fault record."""
        return await self._submit("RecordFault", fault)

    async def get_relay(self, relay: str, revision: int | None = None) -> Answer:
        """GetRelay: the record, as it is or as a revision of it was, and ``silence``."""
        return await self._evaluate("GetRelay", {"relay": relay, **given(revision=revision)})

    async def list_relays(self, *, limit: int | None = None, bookmark: str | None = None) -> Answer:
        """ListRelays: one page, ``items`` and ``bookmark``."""
        return await self._evaluate("ListRelays", given(limit=limit, bookmark=bookmark))

    async def get_capture(self, relay: str, minute: int) -> Answer:
        """GetCapture: text, attestations, verdict, text of record."""
        return await self._evaluate("GetCapture", {"relay": relay, "minute": minute})

    async def list_captures(
        self,
        relay: str,
        first: int,
        end: int,
        *,
        limit: int | None = None,
        bookmark: str | None = None,
        texts: bool | None = None,
    ) -> Answer:
        """ListCaptures of the minutes from ``first`` up to, but not with, ``end``: one page."""
        more = given(limit=limit, bookmark=bookmark, texts=texts)
        return await self._evaluate("ListCaptures", {"relay": relay, "from": first, "to": end, **more})

    async def get_gaps(self, relay: str, first: int, end: int, *, bookmark: str | None = None) -> Answer:
        """GetGaps of the same minutes: ``gaps``, ``captures``, ``bookmark``."""
        more = given(bookmark=bookmark)
        return await self._evaluate("GetGaps", {"relay": relay, "from": first, "to": end, **more})

    async def get_statistics(self, relay: str, from_hour: int, to_hour: int) -> Answer:
        """GetStatistics of hours: ``hours``, ``total``, ``open_hours``."""
        return await self._evaluate("GetStatistics", {"relay": relay, "from_hour": from_hour, "to_hour": to_hour})

    async def get_disputes(self, relay: str, *, limit: int | None = None, bookmark: str | None = None) -> Answer:
        """GetDisputes: one page."""
        return await self._evaluate("GetDisputes", {"relay": relay, **given(limit=limit, bookmark=bookmark)})

    async def get_faults(self, relay: str, *, limit: int | None = None, bookmark: str | None = None) -> Answer:
        """GetFaults: one page."""
        return await self._evaluate("GetFaults", {"relay": relay, **given(limit=limit, bookmark=bookmark)})


@asynccontextmanager
async def relay_ledger(
    profile: ConnectionProfile, signer: SigningIdentity, *, own_peer: str | None = None
) -> AsyncIterator[RelayLedger]:
    """The contract as ``signer`` calls it; its gateways are open in the block.

    The first gateway is ``own_peer``, or a peer of the signer's organisation; the channel's other peers take over when
    it fails.
    """
    channel, chaincode = application_of(profile)
    peers = peers_of(profile, channel, signer.mspid, own_peer)
    async with network_through(profile, channel, peers, signer) as network:
        yield RelayLedger(network.get_contract(chaincode), network)


def application_of(profile: ConnectionProfile) -> tuple[str, str]:
    """The channel and the chaincode of relay monitoring; :class:`SettingsError` where a network has none."""
    return applications.application_of(profile, APPLICATION, "relay monitoring")


def server_user(server: str) -> str:
    """The user of a server's identity in the network's folder."""
    return f"relay-server-{server}"


async def server_identity(
    profile: ConnectionProfile, organisation: str, server: str, hosts: Sequence[str] = ()
) -> SigningIdentity:
    """The identity of a server, enrolled by the organisation's registrar where it is not yet; its certificate is for
    ``hosts``, too."""
    attributes = {"relay.role": SERVER, "relay.server": server}
    return await enroll_user(profile, organisation, server_user(server), "client", attributes, hosts=hosts)


async def operator_identity(profile: ConnectionProfile, organisation: str) -> SigningIdentity:
    """The identity of an operator, enrolled by the organisation's registrar where it is not yet."""
    return await enroll_user(profile, organisation, "relay-operator", "client", {"relay.role": OPERATOR})
