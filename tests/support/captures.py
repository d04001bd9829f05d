"""Texts of captures for tests.

The figures are short quotations from J.A. Muñoz-Romero, D.A. Giral-Ramírez and C.A. Ramírez-Vanegas, "Monitoring
Algorithm for Electrical Variables Implementing Blockchain and Python", Tecnura 26(71), 2022, 16-29, doi
10.14483/22487638.18628: figure 2 as the journal and as the accepted manuscript print it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from gridledger.field.capture import Capture, Reading, render_capture

SUBSTATION = "Bogotá Electrical Substation - U.D."

FIGURE_2 = """\

02 07 2021 18 11
Relay 1
Bogotá Electrical Substation - U.D.

Openings caused by faults: 22.0

Time Stamp;28 09 2021 07 01 18;Vab;115.314;Vbc;116.048;Vca;116.293;Ia;26.082;Ib;30.831;Ic;45.186;F;60.158;FP;0.979;P;236.887;Q;57.743
Time Stamp;28 09 2021 07 01 28;Vab;110.69;Vbc;117.149;Vca;112.374;Ia;41.868;Ib;41.825;Ic;26.057;F;59.877;FP;0.715;P;125.543;Q;615.162
Time Stamp;28 09 2021 07 01 38;Vab;114.175;Vbc;117.479;Vca;111.914;Ia;17.894;Ib;32.324;Ic;49.737;F;59.342;FP;0.513;P;595.397;Q;507.482
Time Stamp;28 09 2021 07 01 48;Vab;116.332;Vbc;113.905;Vca;115.683;Ia;44.307;Ib;0.065;Ic;29.083;F;59.067;FP;0.81;P;122.33;Q;486.381
Time Stamp;28 09 2021 07 01 58;Vab;112.672;Vbc;115.69;Vca;109.112;Ia;19.199;Ib;22.847;Ic;1.307;F;59.477;FP;0.998;P;155.695;Q;50.381
Time Stamp;28 09 2021 07 02 08;Vab;110.577;Vbc;112.259;Vca;112.543;Ia;37.693;Ib;12.535;Ic;29.003;F;60.857;FP;0.306;P;175.923;Q;392.21
    
"""  # noqa: E501, W293 - as printed

#: The manuscript's print: rows joined by blanks, and the fifth of another time and voltage.
FIGURE_2_MANUSCRIPT = """\
```
02 07 2021 18 11
Relay 1
Bogotá Electrical Substation - U.D.
```

Openings caused by faults: 22.0

Time Stamp;28 09 2021 07 01 18;Vab;115.314;Vbc;116.048;Vca;116.293;Ia;26.082;Ib;30.831;Ic;45.186;F;60.158;FP;0.979;P;236.887;Q;57.743 Time Stamp;28 09 2021 07 01 28;Vab;110.69;Vbc;117.149;Vca;112.374;Ia;41.868;Ib;41.825;Ic;26.057;F;59.877;FP;0.715;P;125.543;Q;615.162 Time Stamp;28 09 2021 07 01 38;Vab;114.175;Vbc;117.479;Vca;111.914;Ia;17.894;Ib;32.324;Ic;49.737;F;59.342;FP;0.513;P;595.397;Q;507.482 Time Stamp;28 09 2021 07 01 48;Vab;116.332;Vbc;113.905;Vca;115.683;Ia;44.307;Ib;0.065;Ic;29.083;F;59.067;FP;0.81;P;122.33;Q;486.381 Time Stamp;28 09 2021 07 01 48;Vab;116.32;Vbc;115.69;Vca;109.112;Ia;19.199;Ib;22.847;Ic;1.307;F;59.477;FP;0.998;P;155.695;Q;50.381 Time Stamp;28 09 2021 07 02 08;Vab;110.577;Vbc;112.259;Vca;112.543;Ia;37.693;Ib;12.535;Ic;29.003;F;60.857;FP;0.306;P;175.923;Q;392.21
"""  # noqa: E501

#: What figure 2 says, row by row; the manuscript's fifth row apart.
FIGURE_2_ROWS = [
    ("2021-09-28T07:01:18", 115.314, 116.048, 116.293, 26.082, 30.831, 45.186, 60.158, 0.979, 236.887, 57.743),
    ("2021-09-28T07:01:28", 110.69, 117.149, 112.374, 41.868, 41.825, 26.057, 59.877, 0.715, 125.543, 615.162),
    ("2021-09-28T07:01:38", 114.175, 117.479, 111.914, 17.894, 32.324, 49.737, 59.342, 0.513, 595.397, 507.482),
    ("2021-09-28T07:01:48", 116.332, 113.905, 115.683, 44.307, 0.065, 29.083, 59.067, 0.81, 122.33, 486.381),
    ("2021-09-28T07:01:58", 112.672, 115.69, 109.112, 19.199, 22.847, 1.307, 59.477, 0.998, 155.695, 50.381),
    ("2021-09-28T07:02:08", 110.577, 112.259, 112.543, 37.693, 12.535, 29.003, 60.857, 0.306, 175.923, 392.21),
]
MANUSCRIPT_ROW_5 = ("2021-09-28T07:01:48", 116.32, *FIGURE_2_ROWS[4][2:])


def capture(time: datetime, *, seed: int = 0, readings: int = 6, **changes: object) -> Capture:
    """A capture that fits: a reading every 10 s from second 3 on; ``seed`` varies the values."""
    rows = tuple(
        Reading(
            time + timedelta(seconds=3 + 10 * row),
            tuple(round(low + (high - low) * ((seed * 7919 + row * 104_729 + i * 1_299_709) % 1000) / 1000, 3)
                  for i, (low, high) in enumerate(RANGES)),
        )
        for row in range(readings)
    )  # fmt: skip
    fields = {"relay": "Relay 1", "substation": SUBSTATION, "faults": float(seed % 29), "readings": rows} | changes
    return Capture(time, **fields)  # type: ignore[arg-type]


def text(time: datetime, *, seed: int = 0, readings: int = 6, **changes: object) -> str:
    """The text of :func:`capture`."""
    return render_capture(capture(time, seed=seed, readings=readings, **changes))


#: The article's, algorithm 1.
RANGES = [(109, 118), (109, 118), (109, 118), (0, 50), (0, 50), (0, 50), (59, 61), (0, 1), (0, 700), (0, 700)]
