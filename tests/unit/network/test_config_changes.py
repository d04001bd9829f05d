"""Submitting an update: other peers that are asked, updates of others that come first, nodes that lag behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridledger import jsontext
from gridledger.client.profile import ConnectionProfile, load_profile
from gridledger.errors import (
    BusyError,
    ConflictError,
    GridLedgerError,
    NotFoundError,
    PermissionDeniedError,
    UnavailableError,
)
from gridledger.network import config_changes
from gridledger.network.bootstrap import connection_profile
from gridledger.network.config_changes import ChannelNodes, UpdateOvertaken, change_config, draft_update
from gridledger.network.schema import load_network_config
from gridledger.protocol import Status, TxValidationCode
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.config_update import ConfigUpdate, InvalidConfigUpdate, verify_update
from gridledger.protocol.limits import TransactionLimits
from tests.support.paper import PaperNetwork
from tests.support.processes import REPOSITORY

PAPER = PaperNetwork("shard1", organisations=2)


class Ledger:
    """A channel of two peers. ``faults`` come in place of the answers to submissions, in turn."""

    def __init__(self) -> None:
        self.config = PAPER.config
        self.submitted: list[tuple[str, ConfigUpdate]] = []
        self.faults: list[Callable[[ConfigUpdate], GridLedgerError | None]] = []
        self.codes: dict[str, TxValidationCode] = {}
        self.down: set[str] = set()

    def overtake(self, _update: ConfigUpdate | None = None) -> None:
        """Another update holds first."""
        limits = replace(self.config.limits, proposal_window_s=self.config.limits.proposal_window_s + 1)
        self.config = self.config.followed_by(replace(self.config, limits=limits))

    def submit(self, update: ConfigUpdate) -> Status:
        if self.faults and (fault := self.faults.pop(0)(update)) is not None:
            raise fault
        self.apply(update)
        return Status(update.tx_id, self.codes[update.tx_id], 5, "0" * 64)

    def apply(self, update: ConfigUpdate) -> None:
        if update.tx_id not in self.codes:
            self.config = verify_update(self.config, update, config_changes._now_us())
            self.codes[update.tx_id] = TxValidationCode.VALID


class Client:
    """A peer's answers, as its HTTP edge gives them."""

    def __init__(self, ledger: Ledger, name: str) -> None:
        self._ledger = ledger
        self._name = name

    async def get(self, path: str) -> bytes:
        assert path == "/channels/shard1/config"
        self._check()
        return self._ledger.config.text.encode()

    async def get_json(self, path: str, *, params: Any = None) -> Any:
        code = self._ledger.codes.get(path.split("/")[4])
        if code is None:
            raise NotFoundError("unknown")
        return Status(path.split("/")[4], code, 5, "0" * 64).to_dict()

    async def post(self, path: str, body: bytes, *, params: Any) -> bytes:
        assert (path, params) == ("/gateway/submit", {"wait": "commit"})
        update = ConfigUpdate.parse(body)
        self._ledger.submitted.append((self._name, update))
        self._check()
        return jsontext.dumps(self._ledger.submit(update).to_dict())

    async def close(self) -> None:
        """Nothing is open."""

    def _check(self) -> None:
        if self._name in self._ledger.down:
            raise UnavailableError(f"{self._name} is down")


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> Ledger:
    made = Ledger()
    monkeypatch.setattr(ChannelNodes, "client", lambda _, name: Client(made, name))
    return made


@pytest.fixture
def profile(tmp_path: Path) -> ConnectionProfile:
    config = load_network_config(REPOSITORY / "network-config" / "three-shards.yaml")
    (tmp_path / "connection.json").write_bytes(jsontext.dumps(connection_profile(config, {})))
    found = load_profile(tmp_path)
    for mspid, identity in PAPER.admins.items():
        identity.save(found.user(mspid.removesuffix("MSP"), "admin"))
    PAPER.orderer_admin.save(found.user("Orderer", "admin"))
    return found


def wider(current: ChannelConfig) -> ChannelConfig:
    return replace(current, limits=replace(current.limits, config_window_s=86_400))


def refusal(current: int) -> GridLedgerError:
    return InvalidConfigUpdate("read the present configuration", current=current)


async def test_a_change_is_signed_submitted_and_waited_for(profile: ConnectionProfile, ledger: Ledger) -> None:
    changed = await change_config(profile, "shard1", wider)
    assert changed.config == ledger.config
    assert ledger.config.limits == TransactionLimits(config_window_s=86_400)
    assert (changed.signers, changed.behind) == (("Orderer/admin", "Org1/admin", "Org2/admin"), ())


async def test_what_holds_already_is_not_submitted(profile: ConnectionProfile, ledger: Ledger) -> None:
    changed = await change_config(profile, "shard1", lambda current: current)
    assert (changed.changed, changed.config, ledger.submitted) == (False, PAPER.config, [])
    assert (await draft_update(profile, "shard1", lambda current: current)).signed is None


async def test_an_overtaken_update_is_made_anew(profile: ConnectionProfile, ledger: Ledger) -> None:
    def first(_update: ConfigUpdate) -> GridLedgerError:
        ledger.overtake()
        return refusal(1)

    ledger.faults = [first]
    prepared: list[int] = []

    async def prepare() -> None:
        prepared.append(len(ledger.submitted))

    changed = await change_config(profile, "shard1", wider, prepare=prepare)
    assert [update.sequence for _, update in ledger.submitted] == [1, 2]
    assert changed.config.limits == TransactionLimits(proposal_window_s=301, config_window_s=86_400)
    assert prepared == [0]


async def test_an_update_without_effect_on_the_chain_too(profile: ConnectionProfile, ledger: Ledger) -> None:
    """Two that were ordered at once: the second is on the chain, and is not the configuration."""

    def second(update: ConfigUpdate) -> None:
        ledger.overtake()
        ledger.codes[update.tx_id] = TxValidationCode.INVALID_CONFIG_TRANSACTION

    ledger.faults = [second]
    await change_config(profile, "shard1", wider)
    assert [update.sequence for _, update in ledger.submitted] == [1, 2]


async def test_whoever_always_comes_too_late_is_told(profile: ConnectionProfile, ledger: Ledger) -> None:
    def late(update: ConfigUpdate) -> GridLedgerError:
        ledger.overtake()
        return refusal(update.sequence)

    ledger.faults = [late] * 9
    with pytest.raises(
        UpdateOvertaken, match=r"another update of shard1 came first: .* sequence 3, and this one"
    ) as it:
        await change_config(profile, "shard1", wider, attempts=3)
    assert (it.value.code, it.value.status, isinstance(it.value, ConflictError)) == ("UPDATE_OVERTAKEN", 409, True)
    assert len(ledger.submitted) == 3


async def test_a_lost_answer_is_asked_for_again(profile: ConnectionProfile, ledger: Ledger) -> None:
    """The update took effect, the answer was lost, and the next peer's orderer says that its sequence is gone."""

    def lost(update: ConfigUpdate) -> GridLedgerError:
        ledger.apply(update)
        return UnavailableError("the connection broke")

    ledger.faults = [lost, lambda update: refusal(update.sequence)]
    assert (await change_config(profile, "shard1", wider)).changed
    assert [name for name, _ in ledger.submitted] == ["peer1", "peer2"]
    assert ledger.config.sequence == 1


async def test_another_peer_is_asked_where_one_is_down(profile: ConnectionProfile, ledger: Ledger) -> None:
    ledger.down = {"peer1"}
    changed = await change_config(profile, "shard1", wider, within_s=0.2)
    assert [name for name, _ in ledger.submitted] == ["peer1", "peer2"]
    assert (ledger.config.sequence, changed.behind) == (1, ("peer1",))


async def test_a_busy_peer_is_asked_again(profile: ConnectionProfile, ledger: Ledger) -> None:
    """Nothing was done there, so another update that comes first is one of others."""
    ledger.faults = [lambda _: BusyError("too much at once")] * 3
    assert (await change_config(profile, "shard1", wider)).changed
    assert [name for name, _ in ledger.submitted] == ["peer1", "peer2", "peer1", "peer2"]


async def test_a_peer_that_stays_is_asked_first(profile: ConnectionProfile, ledger: Ledger) -> None:
    def without(current: ChannelConfig) -> ChannelConfig:
        left = current.with_organisations({k: v for k, v in current.organisations.items() if k != "Org1MSP"})
        kv = replace(current.chaincodes["kv"], sequence=2, policy="any.peer")
        return replace(left, chaincodes={"kv": kv})

    await change_config(profile, "shard1", without)
    assert [name for name, _ in ledger.submitted] == ["peer2"]


async def test_nothing_is_submitted_without_the_signatures(profile: ConnectionProfile, ledger: Ledger) -> None:
    with pytest.raises(PermissionDeniedError) as caught:
        await change_config(profile, "shard1", wider, user="Org1/admin")
    assert caught.value.details["policy"] == "/Channel/Admins"
    assert ledger.submitted == []
    draft = await draft_update(profile, "shard1", wider, user="Org1/admin")
    assert draft.signed is not None
    assert draft.signed.names == ("Org1/admin",)


async def test_what_cannot_follow_is_refused_before_it_is_signed(profile: ConnectionProfile, ledger: Ledger) -> None:
    def jump(current: ChannelConfig) -> ChannelConfig:
        return replace(current, chaincodes={"kv": replace(current.chaincodes["kv"], sequence=7)})

    with pytest.raises(InvalidConfigUpdate, match="the next definition has the sequence 2"):
        await draft_update(profile, "shard1", jump)
    with pytest.raises(NotFoundError, match="there is no channel 'shard9'; there are: mainchain, shard1"):
        await change_config(profile, "shard9", wider)
