"""What is compared, and the thresholds. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from loadtest.relay.forwarder import LARGE, SMALL

FLOOR, PYTHON, NATIVE, JANUS = "floor", "python", "native", "janus"
PLANES = (FLOOR, PYTHON, NATIVE, JANUS)
CM, GCM = "AES128_CM_SHA1_80", "AEAD_AES_128_GCM"
SHORT = {CM: "cm", GCM: "gcm"}

NATIVE_TO_FLOOR = 1.5
"""At saturation, fan-out 3 and 10."""
NATIVE_TO_JANUS = {CM: 0.40, GCM: 0.60}
"""At 40 x 500 packets a second."""
PYTHON_TO_JANUS = 1.0
"""At 40 x 500 packets a second, in CM."""
MEDIASOUP_US = {"cm-40x500": 7.3, "gcm-40x500": 5.2, "cm-rooms": 15.9, "gcm-rooms": 12.7}
"""CPU for each packet of mediasoup 3.14.16's worker at the same loads on a machine of this kind, with
statistics and retransmission on, and without bandwidth estimation: measured once, not in this run."""
NATIVE_DELAY_P99_MS = 2.0
"""At half of what saturates it."""


@dataclass(frozen=True, slots=True)
class Case:
    """One set of rooms, and how they are loaded.

    :param sizes: bytes of a packet, one measurement each.
    :param packets_per_second: of each publisher; 0 = saturated, and then half of that.
    :param frame_packets: packets of one picture, which leave together.
    """

    name: str
    profile: str
    fan_out: int
    rooms: int
    sizes: tuple[int, ...]
    packets_per_second: int
    frame_packets: int


_SATURATED = ((3, 100), (10, 30), (40, 8), (100, 3))
"""(fan-out, rooms): about 300 receivers, so that none is sent more than a receiver's line would take."""


def all_cases() -> list[Case]:
    """Every case, the small ones first."""
    cases = []
    for (profile, short), (fan_out, rooms) in product(SHORT.items(), _SATURATED):
        cases.append(Case(f"{short}-{fan_out}", profile, fan_out, rooms, (LARGE, SMALL), 0, 5))
    for profile, short in SHORT.items():
        cases.append(Case(f"{short}-40x500", profile, 40, 1, (LARGE,), 500, 5))
    for profile, short in SHORT.items():
        cases.append(Case(f"{short}-rooms", profile, 2, 200, (LARGE,), 75, 3))
    return cases


def chosen(names: str) -> list[Case]:
    """Cases by comma-separated names, a prefix is enough; all when empty.

    :raises ValueError: a name that fits none.
    """
    every = all_cases()
    if not names:
        return every
    wanted: dict[str, Case] = {}
    for name in names.split(","):
        exact = [case for case in every if case.name == name]
        fitting = exact or [case for case in every if case.name.startswith(name)]
        if not fitting:
            raise ValueError(f"no case {name!r}; there are {', '.join(case.name for case in every)}")
        wanted |= {case.name: case for case in fitting}
    return list(wanted.values())


def expected_s(case: Case, planes: int, runs: int) -> float:
    """About how long a case takes: rooms to open on each plane, then the runs, so many sizes each."""
    settled_s, run_s = (1.5, 1.3) if case.packets_per_second else (5.0, 1.5)
    return planes * (0.5 + case.rooms * case.fan_out / 60 + len(case.sizes) * (settled_s + runs * run_s))


def planes_named(names: str) -> Sequence[str]:
    """Planes by comma-separated names, all when empty.

    :raises ValueError: a name that is none.
    """
    wanted = names.split(",") if names else list(PLANES)
    unknown = set(wanted) - set(PLANES)
    if unknown:
        raise ValueError(f"no plane {', '.join(sorted(unknown))}; there are {', '.join(PLANES)}")
    return [plane for plane in PLANES if plane in wanted]
