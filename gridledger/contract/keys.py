"""Keys of the world state: which keys are allowed, and how composite keys are made and split (as Fabric does).

A composite key is NUL, the object type, NUL, and each attribute followed by NUL. Simple keys contain no NUL, so no
composite key equals a simple one, and a range over simple keys shows no composite ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from gridledger.contract.errors import ContractError

MAX_KEY_BYTES: Final = 1024
NUL: Final = "\x00"
FIRST_SIMPLE: Final = "\x01"
LAST: Final = "\U0010ffff"


def check_key(key: object) -> str:
    """``key`` itself if it may stand in the world state; :class:`ContractError` says why not."""
    if not isinstance(key, str):
        raise ContractError(f"a key is a string, not {type(key).__name__}")
    if not key:
        raise ContractError("a key is not empty")
    if NUL in key and not _is_composite(key):
        raise ContractError("a simple key contains no NUL; make composite keys by create_composite_key")
    return _check_size(key)


def create_composite_key(object_type: str, attributes: Iterable[str]) -> str:
    """The key of an object of ``object_type`` with ``attributes``, in this order."""
    parts = [object_type, *attributes]
    for part in parts:
        if not isinstance(part, str):
            raise ContractError(f"the parts of a composite key are strings, not {type(part).__name__}")
        if NUL in part or LAST in part:
            raise ContractError("a part of a composite key contains neither NUL nor U+10FFFF")
    if not object_type:
        raise ContractError("a composite key has an object type that is not empty")
    return _check_size(NUL + NUL.join(parts) + NUL)


def split_composite_key(key: str) -> tuple[str, list[str]]:
    """Object type and attributes of a key that :func:`create_composite_key` made."""
    if not _is_composite(key):
        raise ContractError("not a composite key: it does not start and end with NUL")
    object_type, *attributes = key[1:-1].split(NUL)
    return object_type, attributes


def simple_range(start: object, end: object) -> tuple[str, str]:
    """Bounds of a range over simple keys; empty strings stand for the first and the last of them."""
    for bound in (start, end):
        if not isinstance(bound, str):
            raise ContractError(f"the bounds of a range are strings, not {type(bound).__name__}")
        if NUL in bound:
            raise ContractError(
                "a bound of a range has no NUL; for composite keys use get_state_by_partial_composite_key"
            )
        _check_size(bound)
    return str(start) or FIRST_SIMPLE, str(end)


def partial_composite_range(object_type: str, attributes: Sequence[str]) -> tuple[str, str]:
    """Bounds of the range of all composite keys that begin with this object type and these attributes."""
    prefix = create_composite_key(object_type, attributes)
    return prefix, prefix + LAST


def _is_composite(key: str) -> bool:
    return len(key) > 2 and key[0] == NUL and key[-1] == NUL and key[1] != NUL  # noqa: PLR2004


def _check_size(key: str) -> str:
    try:
        size = len(key) if key.isascii() else len(key.encode())
    except UnicodeEncodeError:
        raise ContractError("a key is valid Unicode, without lone surrogates") from None
    if size > MAX_KEY_BYTES:
        raise ContractError(f"a key of {size} bytes is beyond the bound of {MAX_KEY_BYTES}")
    return key
