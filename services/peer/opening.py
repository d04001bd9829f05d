"""Opening a peer: its committers, its ledgers for reading, its chaincode hosts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from gridledger.channel_record import ChannelFiles, ChannelRecord
from gridledger.errors import SettingsError
from gridledger.identity.local_msp import LocalMSP
from gridledger.identity.signer import SigningIdentity
from gridledger.ledger.validation import SignatureCheck
from services.peer import metrics
from services.peer.channel import Channels
from services.peer.committer.messages import CommitterReport
from services.peer.committers import Committers
from services.peer.participation import Participation
from services.peer.peer import Peer, TrustedRoots
from services.peer.settings import PeerSettings


@asynccontextmanager
async def open_peer(settings: PeerSettings, tls: TrustedRoots) -> AsyncIterator[tuple[Peer, Committers]]:
    """Start the committers, open the ledgers they have made for reading, start chaincode hosts; stop all at the end.

    Raises :class:`SettingsError` and CommitterFailed.
    """
    identity = SigningIdentity.load(settings.identity)
    if identity.mspid != settings.mspid:
        raise SettingsError(f"the identity in {settings.identity} is of {identity.mspid}, not of {settings.mspid}")
    local = LocalMSP.open(settings.identity, settings.mspid)
    local.trust = tls.extend_roots
    local.trust(local.roots_pem)
    for folder in (settings.ledger_directory, settings.package_directory):
        folder.mkdir(parents=True, exist_ok=True)
    record = ChannelRecord(settings.data)
    async with AsyncExitStack() as stack:

        def take(report: CommitterReport) -> None:
            peer.take(report)

        def note(channel: str, check: SignatureCheck) -> None:
            committers.note(channel, check)

        def files(channel: str) -> ChannelFiles:
            return record.files(channel, settings.genesis)

        committers = Committers(settings, take, files)
        peer = Peer(settings, identity, Channels({}), tls, local=local, note=note)
        peer.participation = participation = Participation(peer, committers, record)
        stack.push_async_callback(committers.stop)
        stack.push_async_callback(peer.close)
        stack.enter_context(metrics.GatewayCollector(peer))
        await participation.open_all()
        await peer.prepare()
        yield peer, committers
