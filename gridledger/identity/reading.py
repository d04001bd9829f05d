"""Reading foreign X.509: whatever the library raises becomes an error of ours, in this one place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gridledger.errors import GridLedgerError, InputError


@contextmanager
def reading(refusal: type[InputError], what: str) -> Iterator[None]:
    """Turn every failure of the block into ``refusal``, with ``what`` could not be read before its reason.

    cryptography has no family of errors for what it cannot read: ValueError, TypeError, UnsupportedAlgorithm,
    InvalidVersion, DuplicateExtension and others are unrelated, and each version adds some. A panic of its Rust part is
    not even an Exception. Errors of ours pass, as does a lack of memory: it says nothing about what was read.
    """
    try:
        yield
    except (GridLedgerError, MemoryError):
        raise
    except Exception as error:
        raise refusal(f"{what}: {error or type(error).__name__}") from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise refusal(f"{what}: the reader gave it up") from None
