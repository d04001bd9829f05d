"""The names of a relay's measurements over IEC 61850 (MMS): logical device MEAS, functional constraint MX.

    MMXU1.PPV.phsAB/phsBC/phsCA.cVal.mag.f   kV      MMXU1.A.phsA/phsB/phsC.cVal.mag.f   A
    MMXU1.Hz.mag.f                           Hz      MMXU1.TotPF.mag.f                   power factor
    MMXU1.TotW.mag.f                         MW      MMXU1.TotVAr.mag.f                  MVAr
    GGIO1.AnIn1.mag.f                        faults in the running minute

Each has ``t`` beside it, when it was measured: all values of one reading have the same.
"""

from __future__ import annotations

from typing import Final

DEVICE: Final = "MEAS"
FC: Final = "MX"
_PHASED = tuple(f"MMXU1.{name}" for name in ("PPV.phsAB", "PPV.phsBC", "PPV.phsCA", "A.phsA", "A.phsB", "A.phsC"))
_TOTAL = tuple(f"MMXU1.{name}" for name in ("Hz", "TotPF", "TotW", "TotVAr"))
FAULTS: Final = "GGIO1.AnIn1.mag.f"
VALUES: Final = (*(f"{name}.cVal.mag.f" for name in _PHASED), *(f"{name}.mag.f" for name in _TOTAL))
"""In the order of a reading's ten values."""
TIMES: Final = (*(f"{name}.t" for name in (*_PHASED, *_TOTAL)), "GGIO1.AnIn1.t")
FIRST_TIME: Final = TIMES[0]
"""Read before the values and after them: the same second means that they belong together."""
_TIME_BYTES: Final = 8
_QUALITY: Final = 0x0A
"""Of a time stamp: ten bits of the second's fraction are right; the clock is known to be good."""


def time_bytes(second: int) -> bytes:
    """A whole second since 1970 as an IEC 61850 time stamp."""
    return second.to_bytes(4, "big") + bytes(3) + bytes([_QUALITY])


def second_of(stamp: object) -> int | None:
    """The whole second of a time stamp; None for anything else, and for 0, which is no time yet."""
    if not isinstance(stamp, bytes) or len(stamp) != _TIME_BYTES:
        return None
    return int.from_bytes(stamp[:4], "big") or None
