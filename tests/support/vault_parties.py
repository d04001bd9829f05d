"""A vault in one process, for tests of dealers, readers and the base: the real contract, real holders with files and
keys, and calls that go straight to them. Holders can be away, slow, or lie."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gridledger.contract import ClientIdentity
from gridledger.contract.simulator.state import MemoryState
from gridledger.disk import SYSTEM_DISK, Disk
from gridledger.errors import GridLedgerError
from gridledger.identity.msp import MSP, MSPManager
from gridledger.identity.signer import SigningIdentity
from gridledger.shares import Pool
from gridledger.transport.node_client import ConnectionFailed
from services.vault.holder.mending import Mending
from services.vault.holder.own import Own
from services.vault.holder.serving import Serving
from services.vault.holder.store import Store
from services.vault.holder.upkeep import Upkeep
from services.vault.hosting import Hosted
from services.vault.key_file import kem_key
from services.vault.ledger import VaultLedger
from services.vault.session import Session
from services.vault.transport import X25519, PrivateKey
from services.vault.wire import Answer, ContributeRequest, RebuildRequest, ServeRequest, StoredAnswer
from tests.support.paper import PaperOrganisation
from tests.support.vault_channel import CHANNEL, VaultChannel

S = 1_000_000
READERS = "OR('SecurityMSP.member', 'BaseMSP.member')"
_ORGANISATIONS = ("Base", "Security", "Transformer", "Breaker")
_CLUSTERS = (("M1", "Security"), ("M2", "Transformer"), ("M3", "Breaker"))
Lie = Callable[[Answer], Answer]


class ContractOf:
    """The contract as one identity calls it."""

    chaincode = "vault"

    def __init__(self, channel: VaultChannel, identity: SigningIdentity, role: str) -> None:
        self._channel = channel
        certificate = identity.certificate
        self._caller = ClientIdentity(
            f"x509::CN={certificate.common_name}",
            identity.mspid,
            role,
            dict(certificate.attributes),
            b64encode(certificate.der).decode("ascii"),
        )
        self.calls: list[str] = []

    async def submit_transaction(self, function: str, argument: Any, *, retry: Any = None) -> Any:
        del retry
        await asyncio.sleep(0)
        self.calls.append(function)
        answer = self._channel.ask(function, argument, self._caller)
        if not answer.successful:
            raise GridLedgerError(answer.message, code="CHAINCODE_REFUSED", status=400)
        return answer.payload

    evaluate_transaction = submit_transaction


class Parties:
    """Clusters of holders of the organisations Security (M1) and Transformer (M2), and who deals with them.

    The dealer puts objects of M1.
    """

    def __init__(self, folder: Path, *, t: int = 3, spare: int = 1, n: int = 5, profile: str = "sealed") -> None:
        self.folder = folder
        self.channel = VaultChannel(MemoryState())
        self.organisations = {name: PaperOrganisation(f"{name}MSP") for name in _ORGANISATIONS}
        self.msps = MSPManager({one.mspid: MSP(one.mspid, [one.root]) for one in self.organisations.values()})
        self.base = self.issue("Base", "base", {"vault.role": "base"})
        self.dealer = self.issue("Security", "dealer", {"vault.role": "dealer", "vault.cluster": "M1"})
        self.reader = self.issue("Security", "reader", {})
        self.base_key = PrivateKey.generate()
        self.hosted: dict[str, Hosted] = {}
        self.away: set[str] = set()
        self.stuck: set[str] = set()
        self.release = asyncio.Event()
        self.lies: dict[str, Lie] = {}
        self.older: set[str] = set()
        self.false_words: dict[str, Callable[[StoredAnswer], StoredAnswer]] = {}
        self._work = Pool("bytes of shares in work", 1 << 30, retry_after_s=1.0)
        self._t, self._spare, self._n, self._profile = t, spare, n, profile

    async def set_up(self, *, heads: bool = False, clusters: int = 2) -> Parties:
        """From nothing to the first cycle; with ``heads`` there is a third cluster, and layer 1 over the heads."""
        base = self.session(self.base).ledger
        await base.set_base(self.base_key.public.text, "https://127.0.0.1:5200")
        chosen = _CLUSTERS if heads else _CLUSTERS[:clusters]
        for cluster, organisation in chosen:
            await base.set_cluster(cluster, self._t, self._profile, self._spare, mspid=f"{organisation}MSP")
        if heads:
            await base.set_cluster("heads", 2, self._profile, 0)
        for cluster, _ in chosen:
            for number in range(1, self._n + 1):
                await self.join(f"{cluster.lower()}-{number}", int(cluster[1]) * 100 + number)
        await base.begin_cycle(1, {cluster: f"{cluster.lower()}-1" for cluster, _ in chosen})
        return self

    async def join(self, name: str, x: int, *, admit: bool = True) -> Hosted:
        """A further holder of the cluster that its name begins with."""
        cluster = f"M{name[1]}"
        organisation = dict(_CLUSTERS)[cluster]
        role = "head" if name.endswith("-1") else "sensor"
        identity = self.issue(organisation, name, {"vault.role": role, "vault.cluster": cluster, "vault.id": str(x)})
        (self.folder / name).mkdir(parents=True)
        ledger = self.session(identity).ledger
        hosted = self.open_holder(name, identity, ledger)
        await ledger.join(name, cluster, str(x), hosted.own.key.public.text, f"https://127.0.0.1:1/holders/{name}")
        if admit:
            await self.session(self.base).ledger.admit(name)
        return hosted

    def open_holder(
        self, name: str, identity: SigningIdentity, ledger: VaultLedger, disk: Disk = SYSTEM_DISK
    ) -> Hosted:
        """A holder from what its folder has, as a process does when it starts."""
        own = Own(
            name=name,
            channel=CHANNEL,
            identity=identity,
            key=kem_key(self.folder / name / "kem_key", X25519),
            store=Store(self.folder / name, self.now_us, disk=disk),
            ledger=ledger,
            work=self._work,
            now_us=self.now_us,
            wait_s=0.05,
        )
        self.hosted[name] = Hosted(own, Serving(own), Mending(own), Upkeep(own))
        return self.hosted[name]

    def issue(self, organisation: str, name: str, attributes: dict[str, str]) -> SigningIdentity:
        """An identity of an organisation."""
        return self.organisations[organisation].issue(name, "client", attributes=attributes)

    def session(self, identity: SigningIdentity) -> Session:
        """What an identity deals or reads with."""
        contract: Any = ContractOf(self.channel, identity, "client")
        return Session(CHANNEL, identity, VaultLedger(contract), Calls(self, identity))

    def now_us(self) -> int:
        """The ledger's time, which holders have too."""
        return self.channel.now_us

    def later(self, seconds: float) -> None:
        """Let time pass."""
        self.channel.now_us += int(seconds * S)

    def share_file(self, holder: str, name: str, version: int = 1) -> Path:
        """Where a holder has a share."""
        return self.folder / holder / "shares" / f"{name}.{version}"

    def flip(self, holder: str, name: str, version: int = 1, at: int = 200) -> None:
        """Change a byte of a share on a holder's disk."""
        file = self.share_file(holder, name, version)
        data = bytearray(file.read_bytes())
        data[at] ^= 1
        file.write_bytes(data)

    def close(self) -> None:
        """Give all files back."""
        for hosted in self.hosted.values():
            hosted.own.store.close()


class Calls:
    """Calls of one identity, straight to the holders."""

    def __init__(self, parties: Parties, identity: SigningIdentity) -> None:
        self._parties = parties
        self._identity = identity

    async def _at(self, url: str) -> tuple[Hosted, Any]:
        name = url.rpartition("/")[2]
        if name in self._parties.away:
            raise ConnectionFailed(f"{url}: connection refused")
        if name in self._parties.stuck:
            await self._parties.release.wait()
        certificate = self._identity.certificate
        return self._parties.hosted[name], self._parties.msps.identify(certificate, self._parties.now_us())

    async def put(
        self, url: str, object_name: str, version: int, sealed: bytes, *, signed: bool = False
    ) -> StoredAnswer:
        hosted, caller = await self._at(url)
        name = hosted.own.name

        async def read_body(max_bytes: int) -> bytes:
            assert len(sealed) <= max_bytes
            return sealed

        signed = signed and name not in self._parties.older
        answer = await hosted.serving.take(caller, (object_name, version), read_body, signed=signed)
        told = StoredAnswer.from_bytes(answer.to_bytes())
        return self._parties.false_words.get(name, lambda one: one)(told)

    async def serve(self, url: str, object_name: str, version: int, request: ServeRequest) -> Answer:
        hosted, caller = await self._at(url)
        asked = ServeRequest.from_bytes(request.to_bytes())
        answer = Answer.from_bytes((await hosted.serving.serve(caller, (object_name, version), asked)).to_bytes())
        return self._parties.lies.get(hosted.own.name, lambda one: one)(answer)

    async def contribute(self, url: str, object_name: str, version: int, request: ContributeRequest) -> Answer:
        hosted, caller = await self._at(url)
        return await hosted.mending.contribute(caller, (object_name, version), request)

    async def rebuild(self, url: str, object_name: str, version: int, request: RebuildRequest) -> StoredAnswer:
        hosted, caller = await self._at(url)
        return await hosted.mending.rebuild(caller, (object_name, version), request)

    async def describe(self, url: str) -> dict[str, Any]:
        raise NotImplementedError(url)
