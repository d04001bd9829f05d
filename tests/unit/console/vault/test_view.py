"""Shard storage as the pages show it: what cannot be read or counted on comes first."""

from __future__ import annotations

from typing import Any

from services.console.vault import view


def holder(name: str, *, active: bool = True, revoked: bool = False, suspected: bool = False) -> dict[str, Any]:
    return {
        "holder": name,
        "cluster": "M1",
        "mspid": "SecurityMSP",
        "url": "https://h",
        "role": "leaf",
        "active": active,
        "revoked": {"reason": "stolen"} if revoked else None,
        "suspicions": [{"by": "m1-head", "reason": "silent"}] if suspected else [],
    }


def stored(holders: list[dict[str, Any]], **more: Any) -> view.Stored:
    cluster = {"cluster": "M1", "t": 2, "spare": 1, "head": None, "profile": "sealed", "mspid": "SecurityMSP"}
    return view.Stored(
        **{"channel": "vault", "clusters": [cluster], "holders": holders, "joins": [], "objects": [], **more}
    )


def health(*, live: int, **more: Any) -> dict[str, Any]:
    told = {"status": "stored", "t": 2, "n": 4, "needed": 3, "live": live, "reshare_due": False, "holders": []}
    return {**told, "enough": live >= 3, "readable": live >= 2, **more}


def share(name: str, *, live: bool, **more: Any) -> dict[str, Any]:
    audits = {"passed": 1, "failed": 0, "unanswered": 0, "left": 5, "last": None, **more.pop("audits", {})}
    told = {"holder": name, "live": live, "acked": True, "bad": False, "revoked": False, "deleted": False}
    return {**told, "id_changed": False, "repairs": 0, "audits": audits, **more}


def test_revoked_and_suspected_holders_come_first_then_those_that_wait() -> None:
    told = stored(
        [holder("sound"), holder("new", active=False), holder("lost", suspected=True), holder("out", revoked=True)],
        joins=[holder("guest"), holder("sound")],
    )
    rows = view.holder_rows(told)
    assert [(row.cells["holder"].text, row.cells["state"].text) for row in rows] == [
        ("lost", "suspected"),
        ("out", "revoked"),
        ("guest", "joined, waits to be admitted"),
        ("sound", "joins again"),
        ("sound", "active"),
        ("new", "admitted, from the next cycle"),
    ]
    assert (rows[0].cells["suspected_by"].text, rows[0].cells["reason"].text) == ("m1-head", "silent")
    assert rows[1].cells["reason"].text == "stolen"


def test_a_cluster_with_too_few_active_holders_is_marked() -> None:
    states = {
        count: view.cluster_rows(stored([holder(f"h{number}") for number in range(count)]))[0].state
        for count in (1, 2, 3)
    }
    assert states == {1: "bad", 2: "warn", 3: ""}


def test_objects_that_cannot_be_read_come_first() -> None:
    def named(name: str) -> dict[str, Any]:
        return {"object": name, "cluster": "M1", "version": 1, "length": 9, "time_us": 1}

    objects = [
        (named("sound"), health(live=3)),
        (named("gone"), None),
        (named("due"), health(live=3, reshare_due=True)),
        (named("weak"), health(live=2)),
        (named("lost"), health(live=1)),
    ]
    rows = view.object_rows(stored([], objects=objects))
    assert [(row.cells["object"].text, row.state) for row in rows] == [
        ("lost", "bad"),
        ("due", "warn"),
        ("weak", "warn"),
        ("sound", ""),
        ("gone", ""),
    ]
    assert rows[0].cells["readable"].text == "NO"


def test_holders_that_cannot_be_counted_on_come_first_with_their_last_audit() -> None:
    failed = {"last": {"outcome": "failed", "finding": "holder"}, "failed": 1}
    told = health(
        live=1,
        holders=[
            share("ok", live=True),
            share("late", live=False, acked=False),
            share("bad", live=False, audits=failed),
        ],
    )
    rows = view.share_rows(told)
    assert [tuple(row.cells[name].text for name in ("holder", "state", "audit")) for row in rows] == [
        ("late", "not acknowledged", "none yet"),
        ("bad", "audit not passed", "failed, holder"),
        ("ok", "live", "none yet"),
    ]


def test_reads_tell_who_and_under_which_grant_the_newest_first() -> None:
    def read(at_us: int, holder: str | None) -> dict[str, Any]:
        reader = {"mspid": "BaseMSP", "certificate": "c" * 64, "holder": holder}
        told = {"granted_us": at_us, "until_us": at_us + 1, "purpose": "look", "version": 1, "read": "d" * 64}
        return {**told, "reader": reader}

    rows = view.read_rows("vault", [read(1, None), read(2, "m1-head")])
    assert [row.cells["by"].text for row in rows] == ["m1-head of BaseMSP", "BaseMSP"]
    assert rows[0].cells["grant"].href == f"/channels/vault/transactions/{'d' * 64}"
