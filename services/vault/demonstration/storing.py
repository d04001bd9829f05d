"""The first steps: the clusters are set up, their monitoring data put, read back, and measured on the disks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Final

from gridledger.sharing import profiles
from gridledger.sharing.errors import SharingError
from services.vault.cutting import HEADS, join_object
from services.vault.dealer import Dealer
from services.vault.demonstration.book import Book, Recovery, StoredShare
from services.vault.demonstration.stage import Stage
from services.vault.monitoring import CLUSTERS, Record, cluster_records, table_records, to_csv, to_json
from services.vault.reader import Reader
from services.vault.records import Manifest
from services.vault.session import Session
from services.vault.setting_up import set_up

SUBSTATION: Final = "substation"
"""The object of layer 1."""
PURPOSE: Final = "look at the substation"
RECORD: Final = "m4-record"
MEASURED: Final = ("m4-voltage-1", "voltage")
COMPARED: Final = {"copies": "m1-copies", "shamir": "m1-shamir"}
_SET_UP_WITHIN_S: Final = 180.0
_KS: Final = (5, 7, 9, 5, 3)


def readings_of(cluster: str) -> str:
    """The name of a cluster's object under ``sealed``."""
    return f"{cluster.lower()}-readings"


def study_of(cluster: str) -> str:
    """The name of the same data under ``article``."""
    return f"{cluster.lower()}-study"


@dataclass(slots=True)
class Storing:
    """The steps, and what was put: ``data`` by object."""

    stage: Stage
    book: Book
    seed: int
    periods: int
    data: dict[str, bytes] = field(default_factory=dict)
    record: Record | None = None
    """Of M4: the reading whose voltage two holders will want to know."""

    async def set_up(self) -> None:
        """Clusters, holders, the first cycle."""
        stage, book = self.stage, self.book
        done = await set_up(stage.base.ledger, stage.profile, stage.vault, wait_s=_SET_UP_WITHIN_S)
        cycle = await stage.base.ledger.get_cycle()
        told = {each["cluster"]: each for each in cycle["clusters"]}
        ks = tuple(len(told[name]["holders"]) for name in CLUSTERS)
        book.expect(
            "five clusters of 5, 7, 9, 5 and 3 holders and the layer of their heads begin the first cycle",
            (done["cycle"], ks, len(told[HEADS]["holders"])) == (1, _KS, len(CLUSTERS)),
            ", ".join(f"{name}: {told[name]['t']} of {len(told[name]['holders'])}" for name in (*CLUSTERS, HEADS)),
        )

    async def put(self) -> None:
        """Each head puts its cluster's data; the base puts Table 1 over the heads."""
        stage, acked = self.stage, dict[str, int]()
        for cluster, head in stage.heads.items():
            data = to_csv(cluster_records(cluster, self.periods, seed=self.seed))
            for name, profile in ((readings_of(cluster), "sealed"), (study_of(cluster), "article")):
                acked[name] = await self._put(head, name, data, cluster, profile)
        data = to_csv(table_records(self.periods, seed=self.seed))
        async with Dealer(stage.base) as dealer:
            sending = await dealer.put(SUBSTATION, data, HEADS, readers=self._everyone(), meta={"content": "Table 1"})
        acked[SUBSTATION], self.data[SUBSTATION] = len(sending.acked), data
        for profile, name in COMPARED.items():
            await self._put(stage.heads["M1"], name, self.data[readings_of("M1")], "M1", profile)
        await self._put_record()
        health = {name: await stage.base.ledger.get_health(name) for name in acked}
        self.book.expect(
            "each cluster's data and the substation's are stored by all their holders",
            all(each["status"] == "stored" and each["acks"] == each["n"] for each in health.values()),
            f"{len(acked)} objects, {sum(map(len, self.data.values())) / 1e6:.2f} MB",
        )

    async def read(self) -> None:
        """Whoever may reads every object back."""
        right = 0
        for name, data in self.data.items():
            reader = self.stage.readers["M1" if name == SUBSTATION else name[:2].upper()]
            right += (await Reader(reader).get(name, PURPOSE)).data == data
        self.book.expect(
            "every object is read back, byte for byte", right == len(self.data), f"{right} of {len(self.data)}"
        )

    async def measure(self) -> None:
        """What each holder has on its disk, and how many holders may be dead."""
        book = self.book
        for name, data in self.data.items():
            manifest, told = await self._manifest(name)
            formula = profiles.share_bytes(manifest.profile, len(data), manifest.t)
            for holder in manifest.shares:
                book.stored.append(
                    StoredShare(
                        object=name,
                        cluster=told,
                        profile=manifest.profile,
                        t=manifest.t,
                        n=len(manifest.shares),
                        holder=holder,
                        data=len(data),
                        disk=self.stage.share_file(holder, name).stat().st_size,
                        formula=formula,
                    )
                )
        book.expect(
            "every share on disk has the bytes of its profile's formula",
            all(each.disk == each.formula for each in book.stored),
            f"{len(book.stored)} files",
        )
        smaller = [
            (each.cluster, each.disk, other.disk)
            for each in book.stored
            for other in book.stored
            if (each.cluster, each.holder, each.data) == (other.cluster, other.holder, other.data)
            and (each.object, other.object) == (readings_of(each.cluster), study_of(each.cluster))
        ]
        book.expect(
            "a holder's share of sealed is smaller than that of article",
            bool(smaller) and all(mine < theirs for _, mine, theirs in smaller),
        )
        for cluster in self.stage.heads:
            name = readings_of(cluster)
            manifest, _ = await self._manifest(name)
            shares = {holder: self.stage.share_file(holder, name).read_bytes() for holder in manifest.shares}
            book.recoveries += await asyncio.to_thread(recoveries, cluster, manifest, shares, self.data[name])
        book.expect(
            "with any n - t holders dead the data come back, with one more they never do",
            all(each.recovered == (each.subsets if each.n - each.dead >= each.t else 0) for each in book.recoveries),
            f"{sum(each.subsets for each in book.recoveries)} sets of dead holders",
        )

    async def _put(self, dealer_session: Session, name: str, data: bytes, cluster: str, profile: str) -> int:
        async with Dealer(dealer_session) as dealer:
            readers = self.stage.readers_of(cluster)
            sending = await dealer.put(name, data, cluster, profile=profile, readers=readers)
        self.data[name] = data
        return len(sending.acked)

    async def _put_record(self) -> None:
        """One record of M4, under both profiles: all of it but the voltage is easily known."""
        records = cluster_records("M4", self.periods, seed=self.seed)
        self.record = next(each for each in reversed(records) if (each.sensor, each.measure) == MEASURED)
        for profile in ("article", "sealed"):
            data = to_json([self.record])
            await self._put(self.stage.heads["M4"], f"{RECORD}-{profile}", data, "M4", profile)

    async def _manifest(self, name: str) -> tuple[Manifest, str]:
        told = await self.stage.base.ledger.get_object(name)
        return Manifest.of(told), str(told["cluster"])

    def _everyone(self) -> str:
        principals = [f"'{each.identity.mspid}.client[vault.role=reader]'" for each in self.stage.readers.values()]
        return f"OR({','.join((*principals, repr(f'{self.stage.base.identity.mspid}.member')))})"


def recoveries(cluster: str, manifest: Manifest, shares: Mapping[str, bytes], data: bytes) -> list[Recovery]:
    """For each number of dead holders: after how many of all their sets the others' shares give the data."""
    n, found = len(shares), []
    for dead in range(n + 1):
        alive = list(combinations(shares, n - dead))
        recovered = sum(_comes_back(manifest, {name: shares[name] for name in names}, data) for names in alive)
        found.append(Recovery(cluster, manifest.t, n, dead, len(alive), recovered))
    return found


def _comes_back(manifest: Manifest, shares: Mapping[str, bytes], data: bytes) -> bool:
    try:
        return join_object(manifest, shares) == data
    except SharingError:
        return False
