"""The error for a package of the extra ``feeder`` that is not installed."""

from __future__ import annotations

from gridledger.errors import GridLedgerError


class MissingExtra(GridLedgerError):
    """A package of the extra ``feeder`` is not installed; the message says how to install it."""

    code = "MISSING_EXTRA"

    def __init__(self, package: str) -> None:
        super().__init__(
            f"gridledger.grid needs {package}, which is not installed: run pip install 'gridledger[feeder]' "
            "(in a checkout: pip install -e '.[feeder]')",
            package=package,
        )
