"""Shamir's scheme over GF(2^521 - 1): any t of n shares give the secret, fewer tell nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gridledger.sharing import field
from gridledger.sharing.errors import ShareBroken
from gridledger.sharing.field import ELEMENT_BYTES, P521, combine, evaluate, weights
from gridledger.sharing.padding import PART_BYTES, group_count, pad, unpad


def share_secret(secret: int, t: int, ids: Sequence[int], draw: Callable[[], int]) -> dict[int, int]:
    """Shares of one element by id; ``draw()`` gives the t - 1 coefficients, ascending."""
    field.check_ids(t, ids)
    coefficients = [secret, *(draw() for _ in range(t - 1))]
    return {x: evaluate(coefficients, x) for x in ids}


def recover_secret(shares: Mapping[int, int], t: int, at: int = 0) -> int:
    """The polynomial of the first t shares at ``at``: at 0 the secret, at an id that id's share."""
    ids = list(shares)[:t]
    return combine(weights(ids, at), [shares[x] for x in ids])


def share_bytes(length: int) -> int:
    """The size of a share of data of ``length`` bytes."""
    return ELEMENT_BYTES * group_count(length, PART_BYTES)


def split(data: bytes, t: int, ids: Sequence[int], draw: Callable[[], int]) -> dict[int, bytes]:
    """Shares by id: each 64 bytes of the padded data are a secret; ``draw()`` gives its t - 1 coefficients, ascending.

    Raises :class:`SharingError` for ids and thresholds that cannot be used.
    """
    field.check_ids(t, ids)
    rows = [[pow(x, power, P521) for power in range(t)] for x in ids]
    shares: list[list[int]] = [[] for _ in ids]
    padded = pad(data, PART_BYTES)
    for at in range(0, len(padded), PART_BYTES):
        coefficients = [int.from_bytes(padded[at : at + PART_BYTES], "big"), *(draw() for _ in range(t - 1))]
        for row, share in zip(rows, shares, strict=True):
            share.append(combine(row, coefficients))
    return {x: field.to_bytes(share) for x, share in zip(ids, shares, strict=True)}


def join(shares: Mapping[int, bytes], t: int) -> bytes:
    """The data of the first t of the shares; :class:`ShareBroken` where they do not join to data."""
    ids = list(shares)[:t]
    factors = weights(ids)
    elements = [field.from_bytes(shares[x]) for x in ids]
    secrets = [combine(factors, values) for values in zip(*elements, strict=True)]
    if secrets and max(secrets) >> (8 * PART_BYTES):
        raise ShareBroken("shares", "they do not join to what was split: a block is too large")
    return unpad(b"".join([secret.to_bytes(PART_BYTES, "big") for secret in secrets]), PART_BYTES)


def extend(shares: Mapping[int, bytes], t: int, ids: Sequence[int]) -> dict[int, bytes]:
    """The shares of all ``ids`` from t: for any scheme whose shares are values of polynomials of degree t - 1."""
    known = list(shares)[:t]
    columns = list(zip(*(field.from_bytes(shares[x]) for x in known), strict=True))
    extended: dict[int, bytes] = {}
    for at in ids:
        factors = weights(known, at)
        extended[at] = field.to_bytes(combine(factors, values) for values in columns)
    return extended
