"""What the people of a day do: who asks, who answers, who comes, who signs. See `answering` for how often."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from loadtest.dispatch.answering import DAY_S, Habits, answer, kind, online
from loadtest.dispatch.found import Found
from loadtest.dispatch.province import SPECIALTIES, WEIGHTS, Province

ROOMED = ("ACCEPTED", "READY", "IN_SESSION", "SUSPENDED")
"""States in which somebody may be in the room."""

REJOIN_S = 5.0
"""A page tries again every second (clients/web, `signaling.ts`): by then it is back in its room."""

DESK_S = 90.0
"""How long the desk takes to begin anew when nobody answered."""


class World(Protocol):
    """The clock and the nodes."""

    now: float

    def at(self, when: float, consult: str, what: Callable[[], Awaitable[None]]) -> None:
        """Do something at a time of the counted clock."""
        ...

    async def ask(self, do: str, node: int | None = None, **what: Any) -> dict[str, Any] | None:
        """A command; None when the node died over it."""
        ...


@dataclass(slots=True)
class Case:
    """One request as the people around it know it."""

    asker: str
    kind: str
    made: float
    home: int  # the node where its room is
    state: str = ""
    expert: str | None = None
    accepted: bool = False
    in_place: bool = False


class People:
    """Everybody. Holds what they know, and plans what they do next."""

    def __init__(
        self, world: World, province: Province, habits: Habits, random: Random, found: Found
    ) -> None:
        self.cases: dict[str, Case] = {}
        self.online: set[str] = set()
        self._world = world
        self._province = province
        self._habits = habits
        self._random = random
        self._found = found
        self._rung: set[tuple[str, str, int]] = set()
        self._inside: dict[tuple[str, str], str] = {}  # (consult, who) -> role in its room
        self._in_session: set[str] = set()

    def shift(self, at_s: float) -> tuple[list[str], list[str]]:
        """Who signs in and who goes, so many seconds after midnight."""
        there = {one for one in self._province.experts if online(self._random, at_s)}
        for one in self._province.experts:
            if one not in there:
                self._found.away[one].add(int(at_s // 3600.0))
        on, off = sorted(there - self.online), sorted(self.online - there)
        self.online = there
        return on, off

    async def ask_for_help(self) -> None:
        asker = self._random.choice(self._province.askers)
        [specialty] = self._random.choices(SPECIALTIES, WEIGHTS)
        what: dict[str, Any] = {"by": asker, "kind": kind(self._random, self._habits), "specialty": specialty}
        since = self._world.now
        if await self._world.ask("request", **what) is not None:
            return
        # The page says that the server is away: the doctor looks whether the request is there, or asks again.
        mine = await self._world.ask("mine", by=asker, since=since)
        if mine is None or mine["mine"] is None:
            await self._world.ask("request", **what)
        else:
            self.asked(mine["mine"], asker, what["kind"])
            await self._world.ask("tick", consult=mine["mine"])
            rings = await self._world.ask("rings")  # they began before anybody here knew of the request
            self.hear([tuple(one) for one in rings["ringing"]] if rings is not None else [])

    def asked(self, consult: str, asker: str, kind_: str) -> None:
        self.cases[consult] = Case(asker, kind_, self._world.now, self._random.randrange(1 << 16))
        self._found.urgent += kind_ == "urgent"

    def hear(self, rings: list[tuple[Any, ...]]) -> None:
        """Pages ring: who sits there answers, or does not; who is in a session does not."""
        for consult, who, ring in rings:
            if (consult, who, ring) in self._rung or who not in self.online or consult not in self.cases:
                continue
            self._rung.add((consult, who, ring))
            heard = answer(self._random, self._habits)
            if heard.action is not None and who not in self._in_session:
                self._act(heard.after_s, consult, who, heard.action, "OFFERED", reason="忙于抢救")

    def come_back(self) -> None:
        """The node went away under those in its rooms: their pages join again when it replies."""
        inside, self._inside = self._inside, {}
        for (consult, who), role in inside.items():
            self._enter(REJOIN_S * self._random.random(), consult, who, role)

    def saw(self, consult: str, state: str, expert: str | None) -> None:
        """A consult stands so now: what follows from it, when that is new."""
        case = self.cases.get(consult)
        if case is None or (case.state, case.expert) == (state, expert):
            return
        if case.state == "IN_SESSION" and case.expert is not None:
            self._in_session.discard(case.expert)
        assigned = expert is not None and expert != case.expert
        if expert != case.expert:
            self._inside.pop((consult, case.expert or ""), None)  # sent out
        if state not in ROOMED:
            self._inside.pop((consult, case.asker), None)
            self._inside.pop((consult, expert or ""), None)
        case.state, case.expert = state, expert
        if assigned and state in ("ACCEPTED", "READY"):  # READY: the requester waits in the room already
            self._accepted(consult, case)
        follow = {
            "SUBMITTED": self._submitted,
            "UNFILLED": self._unfilled,
            "IN_SESSION": self._together,
            "OPINION_PENDING": self._to_sign,
            "RETURNED": self._returned,
        }.get(state)
        if follow is not None:
            follow(consult, case)

    # -- state by state ------------------------------------------------------------------------------------

    def _submitted(self, consult: str, case: Case) -> None:
        if case.kind == "routine":
            desk = self._province.desks[case.asker]
            self._act(self._lasts(self._habits.triage_s), consult, desk, "triage", "SUBMITTED")

    def _unfilled(self, consult: str, case: Case) -> None:
        self._act(DESK_S, consult, self._province.desks[case.asker], "offer_again", "UNFILLED")

    def _accepted(self, consult: str, case: Case) -> None:
        who = case.expert or ""
        if case.kind == "urgent" and not case.accepted:
            self._found.accept_s.append(self._world.now - case.made)
        case.accepted = True
        if self._random.random() < self._habits.release:
            self._act(30.0, consult, who, "release", case.state, reason="急诊手术")
        elif case.kind == "routine":
            self._act(60.0, consult, who, "schedule", case.state, at=case.made + DAY_S)
        elif case.kind == "diagnostic":
            self._act(self._lasts(self._habits.read_s), consult, who, "end", case.state)
        else:
            self._enter(5.0 + 35.0 * self._random.random(), consult, case.asker, "requester")
            if self._random.random() >= self._habits.no_show:
                self._enter(self._lasts(self._habits.arrive_s), consult, who, "expert")

    def _together(self, consult: str, case: Case) -> None:
        if not case.in_place:
            case.in_place = True
            self._found.in_place_s.append(self._world.now - case.made)
        if case.expert is not None:
            self._in_session.add(case.expert)
            self._act(self._lasts(self._habits.session_s), consult, case.expert, "end", "IN_SESSION")

    def _to_sign(self, consult: str, case: Case) -> None:
        who = case.expert

        async def sign() -> None:
            if case.state == "OPINION_PENDING" and case.expert == who:
                await self._twice("opinion", by=who, consult=consult)

        self._world.at(self._world.now + self._lasts(self._habits.opinion_s), "", sign)

    def _returned(self, consult: str, case: Case) -> None:
        after = self._lasts(self._habits.acknowledge_s)
        self._act(after, consult, case.asker, "acknowledge", "RETURNED", text="按意见处理")

    # -- doing ---------------------------------------------------------------------------------------------

    def _lasts(self, median_s: float) -> float:
        return self._habits.lasts(self._random, median_s)

    def _act(self, after_s: float, consult: str, who: str, action: str, state: str, **data: Any) -> None:
        """Later, unless the consult has left ``state`` (or its expert is another) by then."""
        expert = self.cases[consult].expert

        async def act() -> None:
            case = self.cases[consult]
            if case.state != state or case.expert != expert:
                return
            reply = await self._twice("act", by=who, consult=consult, action=action, **data)
            if action == "accept" and reply is not None and "refused" not in reply:
                self._found.accepts[who] += 1
            elif action == "offer_again" and reply is not None and "refused" in reply:
                await self._twice("act", by=who, consult=consult, action="refer", reason="无人值班")

        self._world.at(self._world.now + after_s, consult, act)

    def _enter(self, after_s: float, consult: str, who: str, role: str) -> None:
        expert = self.cases[consult].expert

        async def enter() -> None:
            case = self.cases[consult]
            if (case.expert == expert or role == "requester") and case.state in ROOMED:
                self._inside[consult, who] = role
                given = {"by": who, "consult": consult, "role": role, "inside": True}
                await self._twice("room", node=case.home, **given)

        self._world.at(self._world.now + after_s, "", enter)

    async def _twice(self, do: str, **what: Any) -> dict[str, Any] | None:
        """Whoever sees the server go away over a press presses again."""
        reply = await self._world.ask(do, **what)
        return reply if reply is not None else await self._world.ask(do, **what)
