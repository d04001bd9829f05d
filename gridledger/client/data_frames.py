"""What was read from a chain, as lists that pandas can take: a key's history, and the items of a paged query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from gridledger.errors import InputError
from gridledger.extras import MissingExtra
from gridledger.protocol.world_state import HistoryEntry

if TYPE_CHECKING:
    from pandas import DataFrame


class History(list[HistoryEntry]):
    """All committed writes of a key, the newest first."""

    def to_frame(self) -> DataFrame:
        """One row for each write: block, index, tx_id, timestamp (UTC), deleted, and the value.

        A value that is an object has a column for each member, ``value.NAME``, members of members with a further dot;
        another one stands in ``value``. Raises :class:`MissingExtra` without pandas.
        """
        pandas = _pandas()
        rows = [
            {
                "block": entry.block,
                "index": entry.index,
                "tx_id": entry.tx_id,
                "timestamp": entry.timestamp_us,
                "deleted": entry.is_delete,
                **(flat(entry.value, "value.") if isinstance(entry.value, Mapping) else {"value": entry.value}),
            }
            for entry in self
        ]
        frame = pandas.DataFrame(rows, columns=None if rows else ["block", "index", "tx_id", "timestamp", "deleted"])
        frame["timestamp"] = pandas.to_datetime(frame["timestamp"], unit="us", utc=True)
        return frame


class Items(list[dict[str, Any]]):
    """The items of a paged query, all pages, in the chaincode's order."""

    def to_frame(self, rows: str | None = None) -> DataFrame:
        """One row for each item, with a column for each member, members of members with a dot between.

        ``rows`` names a member that is a list of objects: one row for each of these, with the item's other members
        beside; an object's member that the item has as well is ``ROWS.NAME``. Raises :class:`MissingExtra` without
        pandas, InputError where an item has no such list.
        """
        pandas = _pandas()
        if rows is None:
            return pandas.DataFrame([flat(item) for item in self])
        return pandas.DataFrame([row for item in self for row in _rows_of(item, rows)])


def flat(members: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The members of an object, those of objects inside it with a dot between the names; lists stay lists."""
    found: dict[str, Any] = {}
    for name, value in members.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def _rows_of(item: Mapping[str, Any], name: str) -> Iterable[dict[str, Any]]:
    listed = item.get(name)
    if not isinstance(listed, list) or not all(isinstance(part, Mapping) for part in listed):
        lists = [key for key, value in item.items() if isinstance(value, list)]
        raise InputError(f"an item has no list of objects {name!r}; its lists: {', '.join(lists) or 'none'}")
    others = flat({key: value for key, value in item.items() if key != name})
    for part in listed:
        yield others | {f"{name}.{key}" if key in others else key: value for key, value in flat(part).items()}


def _pandas() -> Any:
    try:
        import pandas  # noqa: PLC0415 -- of an extra; takes half a second
    except ImportError as error:
        raise MissingExtra("to_frame()", "pandas", "feeder") from error
    return pandas
