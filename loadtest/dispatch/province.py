"""A province on paper: its sites, its doctors, who is on call where. From a seed, the same every time."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

SPECIALTIES = ("cardiology", "neurology", "ultrasound", "respiratory", "emergency", "obstetrics")
"""Those that are asked for, with how often below."""

WEIGHTS = (35, 20, 15, 12, 10, 8)

COUNTIES_IN_A_CITY = 5
TOWNSHIPS_IN_A_COUNTY = 3
EQUALS = 4
"""Doctors who share one line of a rota in turns."""
TURN_HOURS = 8
FIRST_TURN_HOUR = 8
"""At which hour of the first day the first of them begins (`server.drill.province`)."""


@dataclass(slots=True)
class Province:
    """``plan`` is what the drill stores; the rest is what the day is made of."""

    plan: dict[str, Any]
    askers: list[str]
    desks: dict[str, str]  # asker -> who sits at the desk of the county
    experts: list[str]
    firsts: dict[tuple[str, str], list[tuple[str, ...]]] = field(default_factory=dict)
    """(county, specialty) -> the doctors of each hospital's first line, in turn: on call for the same."""


def make_province(sites: int, people: int, seed: int) -> Province:
    """About ``sites`` places and ``people`` doctors.

    A province over cities over counties; each county has two hospitals, townships and villages. Each county's
    and each city's hospital has a rota of two lines for every specialty, the province's of one.
    """
    random = Random(seed)
    counties = max(1, sites // 20)
    cities = max(1, counties // COUNTIES_IN_A_CITY)
    made = Province({"organizations": [["org-p", "province", None]], "people": [], "rotas": []}, [], {}, [])
    for city in range(cities):
        made.plan["organizations"].append([f"org-c{city}", "city", "org-p"])
    for county in range(counties):
        _county(made, county, county % cities, max(1, (sites - 1 - cities) // counties))
    hospitals = [one for one in made.plan["organizations"] if one[1] in ("county", "city", "province")]
    for place, level, _ in hospitals:
        for specialty in SPECIALTIES:
            first = _rota(made, place, specialty, 1 if level == "province" else 2)
            if level == "county":
                made.firsts.setdefault((place.removesuffix("-b"), specialty), []).append(first)
    while len(made.plan["people"]) < people:  # those who work there, and are on no rota
        place = random.choice(hospitals)[0]
        _person(made, place, ["expert"], [random.choice(SPECIALTIES)])
    return made


def _person(made: Province, place: str, roles: list[str], specialties: list[str]) -> str:
    one = f"prc-{len(made.plan['people'])}"
    made.plan["people"].append([one, place, roles, specialties, ["zh"]])
    return one


def _county(made: Province, number: int, city: int, sites: int) -> None:
    hospital = f"org-k{number}"
    made.plan["organizations"].append([hospital, "county", f"org-c{city}"])
    made.plan["organizations"].append([f"{hospital}-b", "county", hospital])
    desk = _person(made, hospital, ["desk"], [])
    townships = [f"org-k{number}-t{one}" for one in range(min(TOWNSHIPS_IN_A_COUNTY, sites - 2))]
    villages = [f"org-k{number}-v{one}" for one in range(max(1, sites - 2 - len(townships)))]
    for place in townships:
        made.plan["organizations"].append([place, "township", hospital])
    for index, place in enumerate(villages):
        above = townships[index % len(townships)] if townships else hospital
        made.plan["organizations"].append([place, "village", above])
    posts = [(one, "township_doctor", 6) for one in townships] + [
        (one, "village_doctor", 3) for one in villages
    ]
    for place, role, doctors in posts:
        for _ in range(doctors):
            asker = _person(made, place, [role], [])
            made.askers.append(asker)
            made.desks[asker] = desk


def _rota(made: Province, place: str, specialty: str, lines: int) -> tuple[str, ...]:
    """Its first line's doctors."""
    drawn = []
    for _ in range(lines):
        members = [_person(made, place, ["expert"], [specialty]) for _ in range(EQUALS)]
        made.experts += members
        drawn.append(members)
    made.plan["rotas"].append([f"sch-{place}-{specialty}", place, specialty, drawn, TURN_HOURS])
    return tuple(drawn[0])
