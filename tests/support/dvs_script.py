"""A long scripted sequence of calls of the contract ``dvs``, and a digest of everything that each of them did.

Calls are drawn with a seed from frames, merges, lists, queries and refusals, on the grid of four groups. What is drawn
depends on answers, so a changed answer changes all that follows.
"""

from __future__ import annotations

import hashlib
import json
from random import Random
from typing import Any

from gridledger.grid.records import Profile
from tests.support.dvs_channel import TIME_US, full_list
from tests.support.dvs_grid import GROUPS, Channel, frame, loads, record

_STATUS_OPERATIONS = {"asked": ("Lend", "Adopt"), "out": ("Restore", "Close"), "in": ("Split",), "back": ()}
_IDS = ("1", "2", "3", "10", "1_2", "1_3", "1_10", "2_3", "3_10", "1_2_3", "1_2_10", "1_3_10", "1_2_3_10")


def rounded(value: Any) -> Any:
    """A record whose numbers are the same on every processor: 9 decimals."""
    if isinstance(value, float):
        return round(value, 9) + 0.0
    if isinstance(value, list):
        return [rounded(item) for item in value]
    if isinstance(value, dict):
        return {name: rounded(item) for name, item in value.items()}
    return value


class Script:
    """The sequence in one profile. ``lines``: function, status or outcome, and digest of each call."""

    def __init__(self, profile: Profile, seed: int) -> None:
        self.lines: list[str] = []
        self._profile: Profile = profile
        self._random = Random(seed)
        self._channel = Channel()
        self._time = TIME_US
        self._lent: dict[str, Any] = {}
        self._parts: dict[str, Any] = {}
        self._merges: dict[int, dict[str, Any]] = {}

    def run(self, steps: int) -> list[str]:
        """All lines: the records, the lists, then ``steps`` drawn calls."""
        for group in _IDS:
            changes = {"retention_s": 1} if group == "3" else {}
            self._call("InitialGrouping", rounded(record(group, self._profile, **changes)))
        for group in GROUPS:
            self._call("UpdateResources", {"group": group, "vvc": full_list(loads(group), 6.0)})
        for _ in range(steps):
            self._step()
        return self.lines

    def _step(self) -> None:
        drawn = self._random.random()
        if drawn < 0.5:
            self._frame()
        elif drawn < 0.85:
            self._merge()
        elif drawn < 0.88:
            group = self._one_of(list(GROUPS))
            self._call(
                "UpdateResources", {"group": group, "vvc": full_list(loads(group), self._one_of([0.0, 0.5, 6.0]))}
            )
        elif drawn < 0.94:
            self._refused()
        else:
            self._query()

    def _frame(self) -> None:
        group = self._one_of([self._one_of(list(_IDS)), *(m["group"] for m in self._merges.values()), *GROUPS])
        low = [bus for bus in loads(group) if self._random.random() < 0.3]
        sags = {bus: 0.8 + round(0.22 * self._random.random(), 6) for bus in low}
        self._time += self._one_of([1, 1000, 400_000])
        measured = frame(group, self._time - self._one_of([0, 0, 0, 0, 2000]), sags)
        actions = self._channel.stored(f"vvc/{group}")
        if actions is not None and self._random.random() < 0.3:
            measured["applied"] = max(0, actions["actions"] + self._one_of([-1, 0, 0, 1]))
        if self._random.random() < 0.1:
            turned = dict(measured["branches"][-1])
            turned["Pf"], turned["Pt"] = -turned["Pf"], -turned["Pt"]
            measured["branches"] = [*measured["branches"][:-1], turned]
        result = self._call("ComputeVSI", measured)
        if result is not None and result["outcome"] == "escalate" and self._random.random() < 0.8:
            self._note(self._call("GlobalController", {"group": group}))

    def _merge(self) -> None:
        unclosed = [merge for merge in self._merges.values() if merge["status"] != "closed"]
        if not unclosed:
            self._note(self._call("GlobalController", {"group": self._one_of(list(GROUPS))}))
            return
        merge = self._one_of(unclosed)
        name = self._one_of(list(merge["components"]))
        for function in _STATUS_OPERATIONS[merge["components"][name]]:
            self._operate(function, merge["merge"], name)

    def _operate(self, function: str, number: int, name: str) -> None:
        if function == "Split":
            if self._random.random() < 0.7:
                return
            answer = self._call("Split", {"merge": number})
            self._note(answer)
            self._parts |= {} if answer is None else answer["vvc"]
            return
        argument: dict[str, Any] = {"group": name, "merge": number}
        if function == "Adopt":
            argument |= {"vvc": self._lent.get(name, {}), "channel": "own", "tx_id": f"lend-{number}-{name}"}
        elif function == "Restore":
            argument["vvc"] = self._parts[name]
        elif function == "Close":
            argument["tx_id"] = f"restore-{number}-{name}"
        answer = self._call(function, argument)
        if self._random.random() < 0.2:
            self._call(function, argument)
        if function == "Lend" and answer is not None:
            self._lent[name] = answer["vvc"]
        elif function in ("Adopt", "Close"):
            self._note(answer)

    def _refused(self) -> None:
        group = self._one_of(list(_IDS))
        measured = frame(group, self._time)
        self._call(
            *self._one_of(
                [
                    ("ComputeVSI", measured | {"base": 10.0}),
                    ("ComputeVSI", measured | {"buses": measured["buses"][1:]}),
                    ("ComputeVSI", measured | {"extra": 1}),
                    ("UpdateResources", {"group": group, "vvc": {"999": 1.0}}),
                    ("UpdateResources", {"group": group, "vvc": {}, "extra": []}),
                    ("Restore", {"group": "1", "merge": 99, "vvc": {}}),
                    ("Lend", {"group": "2", "merge": 0}),
                    ("Split", {"merge": 77}),
                    ("GlobalController", {"group": "2_10"}),
                    ("InitialGrouping", record(group, self._profile) | {"extra": None}),
                    ("GetResources", {"group": "99"}),
                ]
            )
        )

    def _query(self) -> None:
        group = self._one_of(list(_IDS))
        self._call("GetGroup", {"group": group})
        self._call("GetResources", {"group": group})
        self._call("GetActions", {"group": group, "limit": 3})
        self._call("GetVSI", {"group": group, "from": TIME_US, "to": self._time, "limit": 5})

    def _note(self, merge: Any) -> None:
        if merge is not None and merge["merge"] is not None:
            self._merges[merge["merge"]] = {name: merge[name] for name in ("merge", "group", "status", "components")}

    def _call(self, function: str, argument: Any) -> Any:
        done = self._channel.ask(function, argument)
        seen = [done.status, done.message, done.payload, done.event, sorted(done.reads), sorted(done.writes.items())]
        digest = hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:16]
        told = done.payload.get("outcome", done.payload.get("status")) if done.successful else done.status
        self.lines.append(f"{function} {told or 'ok'} {digest}")
        return done.payload if done.successful else None

    def _one_of(self, choices: Any) -> Any:
        return choices[int(self._random.random() * len(choices))]
