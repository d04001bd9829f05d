"""The complaints of ``make bench-quick``."""

from __future__ import annotations

from benchmarks.commands.bench_quick import below_guard, not_valid


def test_it_complains_below_a_guard_and_of_what_is_not_valid() -> None:
    row = {
        "topology": "no-shard",
        "workload": "put",
        "load": "saturation",
        "floor_share": 0.5,
        "tx_s": 9,
        "refused": {},
    }
    assert below_guard([row]) == []
    assert not_valid([row]) == []
    assert "0.1% of the floor" in below_guard([row | {"floor_share": 0.001}])[0]
    assert "TIMEOUT" in not_valid([row | {"refused": {"TIMEOUT": 1}}])[0]
    assert "nothing" in not_valid([row | {"tx_s": 0}])[0]
    conflicts = row | {"workload": "read-write", "refused": {"MVCC_READ_CONFLICT": 1}}
    assert not_valid([conflicts]) == []
    assert not_valid([conflicts | {"workload": "put"}])
