"""Three control centres of a distribution network: their operators, terminals and devices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from services.case.replay.story import Cast, Device

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
SHIFTS: Final = 3
"""Of eight hours each, from midnight on."""
DAY_SHIFT: Final = 1

SUBSTATIONS: Final = 10
"""Of each control centre."""


@dataclass(frozen=True, slots=True)
class Centre:
    """A control centre: its organisation, the section that it works in, and its city's name in the names of things."""

    organisation: str
    section: str

    @property
    def city(self) -> str:
        """As names of devices and operators have it."""
        return self.organisation.lower()

    def operator(self, shift: int) -> str:
        """Who works in a shift, 0 from midnight on; the day shift's credential is stolen."""
        return f"{self.city}-operator-{shift + 1}"

    def terminal(self, shift: int) -> str:
        """His terminal."""
        return f"{self.city}-desk-{shift + 1}"

    @property
    def breakers(self) -> list[str]:
        """One a substation."""
        return [f"breaker-{self.city}-{number:02d}" for number in range(1, SUBSTATIONS + 1)]

    @property
    def gateways(self) -> list[str]:
        """Between the control system and its substations' serial lines."""
        return [f"gateway-{self.city}-{number}" for number in (1, 2)]

    @property
    def ups(self) -> str:
        """The control room's uninterruptible supply."""
        return f"ups-{self.city}"


CENTRES: Final = (
    Centre("Kyiv", "section-transmission"),
    Centre("Severodonetsk", "section-plant"),
    Centre("Lviv", "section-home"),
)
HOME: Final = CENTRES[2]
CALLS: Final = "calls-lviv"
METERS: Final = tuple(f"meter-lviv-{number}" for number in range(1, 5))
CHARGERS: Final = ("charger-lviv-1", "charger-lviv-2")


def cast() -> Cast:
    """Nine operators, and the devices of three sections."""
    operators = {each.operator(shift): each.organisation for each in CENTRES for shift in range(SHIFTS)}
    devices = [
        device
        for each in CENTRES
        for device in (
            *(Device(name, "relay", each.section, f"substation-{name[8:]}", "ABB", "REF615") for name in each.breakers),
            *(
                Device(name, "rtu", each.section, f"{each.city}-control", "Moxa", "NPort-6110")
                for name in each.gateways
            ),
            Device(each.ups, "ied", each.section, f"{each.city}-control", "Eaton", "9PX"),
        )
    ]
    devices.append(Device(CALLS, "operator-station", HOME.section, "lviv-call-centre", "Asterisk", "13"))
    devices += [Device(name, "meter", HOME.section, "lviv-street-7", "NIK", "2303") for name in METERS]
    devices += [Device(name, "charger", HOME.section, "lviv-station-2", "ABB", "Terra-54") for name in CHARGERS]
    return Cast(operators, {device.device: device for device in devices})
