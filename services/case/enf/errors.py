"""What is wrong with a recording or with a reference, so that nothing can be compared."""

from __future__ import annotations

from gridledger.errors import InputError


class BadRecording(InputError):
    """A file that is no sound, is cut short, or is beyond a bound."""

    code = "BAD_RECORDING"


class BadReference(InputError):
    """Rows that are no frequency for each second."""

    code = "BAD_REFERENCE"
