"""A plain key-value store: the ledger by itself, for measuring it and for trying things out."""

from __future__ import annotations

from typing import Any

from gridledger.contract import Context, Contract, ContractError, transaction

PAGE = 100


class KeyValue(Contract):
    """Values are JSON values, keys are strings. Everybody who may write to the channel may write here."""

    @transaction
    def put(self, ctx: Context, key: str, value: Any) -> None:
        """Set a key without looking at it: two puts of one key never conflict, the later one holds."""
        ctx.stub.put_state(_checked(key), value)

    @transaction(readonly=True)
    def get(self, ctx: Context, key: str) -> Any:
        """The value of a key, null where there is none."""
        return ctx.stub.get_state(_checked(key))

    @transaction
    def delete(self, ctx: Context, key: str) -> None:
        """Forget a key. Its history stays."""
        ctx.stub.del_state(_checked(key))

    @transaction
    def add(self, ctx: Context, key: str, amount: int) -> int:
        """Add to a number (0 where there is none) and return the sum. Of two at the same time one conflicts."""
        total = ctx.stub.get_state(_checked(key)) or 0
        if type(total) is not int:
            raise ContractError(f"{key!r} holds no integer")
        ctx.stub.put_state(key, total + amount)
        return total + amount

    @transaction(readonly=True)
    def range(self, ctx: Context, start: str, end: str) -> list[list[Any]]:
        """Up to 100 pairs of key and value from ``start`` to before ``end``; "" is the beginning or the end."""
        return [[key, value] for key, value in ctx.stub.get_state_by_range(start, end, PAGE)]

    @transaction
    def announce(self, ctx: Context, key: str, value: Any) -> None:
        """Set a key and tell of it: sets the event ``Put``."""
        ctx.stub.put_state(_checked(key), value)
        ctx.stub.set_event("Put", {"key": key, "value": value})


def _checked(key: str) -> str:
    if not key:
        raise ContractError("key must not be empty")
    return key
