"""A day of requests on a counted clock: what people do next, from what the nodes reply.

The nodes decide everything; this is the people: they ask, answer a ring or not, come, leave, sign, and press
again when the server went away under their fingers. Time jumps from one event to the next.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from loadtest.dispatch.answering import DAY_S, Habits, arrivals
from loadtest.dispatch.found import Found
from loadtest.dispatch.node import Node, NodeGoneError
from loadtest.dispatch.people import People
from loadtest.dispatch.progress import HOUR_S, Reached
from loadtest.dispatch.province import Province

MIDNIGHT = 1_767_196_800.0
"""2026-01-01 00:00 in China, Unix seconds."""

LATEST_KILL_S = 0.006
"""A node is killed at most so long after a command was sent: most are done by then."""

SURE_EVENTS = 5
"""So many commands a request has at least: the kills are spread over them, so that all of them happen."""

AT_ONCE_S = 1.0
"""Answers to one ring that come within so many seconds are given at the same moment."""

BESIDE_S = 0.05
"""With several nodes, whatever anybody does within so many seconds is done at the same moment: ten times as
long as it takes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How large a day is.

    :param kills: how often a node is killed, spread over its commands.
    :param until_s: seconds after midnight; later requests are left out.
    """

    requests: int
    kills: int = 0
    seed: int = 1
    habits: Habits = field(default_factory=Habits)
    until_s: float = DAY_S


class Day:
    """One day. `run` once.

    :param progress: told at each hour of the clock how far it is.
    """

    def __init__(
        self, nodes: list[Node], province: Province, plan: Plan, progress: Callable[[Reached], None]
    ) -> None:
        self.found = Found()
        self.now = MIDNIGHT
        self._nodes = nodes
        self._province = province
        self._plan = plan
        self._progress = progress
        self._random = Random(plan.seed)
        self._habits = plan.habits
        self._heap: list[tuple[float, int, str, Callable[[], Awaitable[None]]]] = []
        self._count = 0
        self._people = People(self, province, plan.habits, Random(plan.seed + 1), self.found)
        self._due: float | None = None
        span = plan.requests * SURE_EVENTS
        self._kill_at = sorted(self._random.randrange(span) for _ in range(plan.kills))
        self._expected = 0
        self._fresh = False  # it has decided nothing since the last kill
        self._began = time.monotonic()

    @property
    def reached(self) -> Reached:
        """How far it is; its clock says 25 hours at the end."""
        made, took = len(self._people.cases), time.monotonic() - self._began
        clock = self.now - MIDNIGHT
        return Reached(clock, made, self._expected, self.found.events, self.found.kills, took)

    async def run(self) -> None:
        """From midnight until every request of the day is decided or an hour after the last."""
        await self._nodes[0].ask(self.now, "settle", plan=self._province.plan)
        for node in self._nodes:  # they serve a province that they found at their start, as servers do
            await node.stop()
            await node.start(self.now)
        for hour in range(25):
            self.at(MIDNIGHT + hour * HOUR_S, "", self._shift)
        for at in arrivals(self._random, self._plan.requests):
            if at < self._plan.until_s:
                self.at(MIDNIGHT + at, "", self._people.ask_for_help)
                self._expected += 1
        self._began = time.monotonic()
        await self._live(until=MIDNIGHT + DAY_S + HOUR_S)
        await self._check(whole=True)

    async def _live(self, until: float) -> None:
        told = MIDNIGHT
        while True:
            at = min(self._heap[0][0] if self._heap else until, self._due or until)
            if at >= until:
                break
            self.now = max(self.now, at)
            if self._due is not None and self._due <= at:
                await self._tick()
            else:
                await self._next()
            if self.now - told >= HOUR_S:
                told = self.now
                self._progress(self.reached)

    # -- the clock -----------------------------------------------------------------------------------------

    def at(self, when: float, consult: str, what: Callable[[], Awaitable[None]]) -> None:
        self._count += 1
        heapq.heappush(self._heap, (max(when, self.now), self._count, consult, what))

    async def _next(self) -> None:
        """The next event; what people do to one consult in the same second they do at the same time.

        With several nodes, also what anybody does within `BESIDE_S`.
        """
        at, _, consult, what = heapq.heappop(self._heap)
        together = [what()]
        many = len(self._nodes) > 1
        while self._heap:
            later, _, other, _ = self._heap[0]
            races = bool(consult) and other == consult and later - at < AT_ONCE_S
            if not races and not (many and later - at < BESIDE_S):
                break
            together.append(heapq.heappop(self._heap)[3]())
        await asyncio.gather(*together)

    async def _tick(self) -> None:
        """Every node's dispatcher wakes for the same timer."""
        before = self._due
        await asyncio.gather(*(self.ask("tick", node=number) for number in range(len(self._nodes))))
        if self._due == before:  # it is another's hand just now
            await self.ask("tick")

    async def _check(self, *, whole: bool = False) -> None:
        reply = await self.ask("check", whole=whole)
        if reply is None:
            return
        self.found.silent |= {*reply["silentAll"], *reply["overdue"]}
        self.found.doubled |= set(reply["doubled"])
        if whole:
            self.found.audit = -1 if reply["broken"] else reply["audit"]

    # -- asking the nodes ----------------------------------------------------------------------------------

    async def ask(self, do: str, node: int | None = None, **what: Any) -> dict[str, Any] | None:
        """The reply, read; None when the node was killed over it (what was asked may be done or not)."""
        number = self._random.randrange(len(self._nodes)) if node is None else node % len(self._nodes)
        chosen = self._nodes[number]
        self.found.events += 1
        self.found.done[do if "action" not in what else str(what["action"])] += 1
        try:
            if self._kill_at and self.found.events >= self._kill_at[0]:
                self._kill_at.pop(0)
                return await self._ask_and_kill(chosen, do, what)
            reply = await chosen.ask(self.now, do, **what)
        except NodeGoneError:
            return None
        self._read(do, what, reply)
        return reply

    async def _ask_and_kill(self, node: Node, do: str, what: dict[str, Any]) -> dict[str, Any] | None:
        asked = asyncio.ensure_future(node.ask(self.now, do, **what))
        await asyncio.sleep(self._random.random() * LATEST_KILL_S)
        killed = asyncio.ensure_future(node.kill())
        await asyncio.wait({asked, killed})
        self.found.kills += 1
        self._fresh = True
        await node.start(self.now)
        await node.ask(self.now, "presence", on=sorted(self._people.online))
        rings = await node.ask(self.now, "rings")
        self._people.hear([tuple(one) for one in rings["ringing"]])
        self._people.come_back()
        self._due = self.now
        check = await node.ask(self.now, "check")
        self.found.silent |= set(check["silentAll"])
        self.found.doubled |= set(check["doubled"])
        if asked.cancelled() or asked.exception() is not None:
            return None
        reply = asked.result()
        self._read(do, what, reply)
        return reply

    def _read(self, do: str, what: dict[str, Any], reply: dict[str, Any]) -> None:
        if "refused" in reply:
            self.found.done[f"{do}: {reply['refused']}"] += 1
        self._due = reply["due"]
        self.found.silent |= set(reply.get("silent", ()))
        if do == "request" and "consult" in reply:
            self._people.asked(reply["consult"], what["by"], what["kind"])
            if what["kind"] == "urgent" and reply["ringMs"] is not None:
                self.found.ring_ms.append(reply["ringMs"])
            elif what["kind"] == "urgent":
                self.found.unrung += 1
        if reply.get("rings") and reply.get("taken", 1) == 1:
            self.found.decision_ms.append(reply["ms"])
            if self._fresh:
                self._fresh = False
                self.found.first_ms.append(reply["ms"])
        for consult, (state, expert) in reply.get("states", {}).items():
            self._people.saw(consult, state, expert)
        self._people.hear([tuple(one) for one in reply.get("rings", ())])

    async def _shift(self) -> None:
        """An hour begins: some sign in, some go; and everything is looked through."""
        on, off = self._people.shift(self.now - MIDNIGHT)
        for number in range(len(self._nodes)):
            await self.ask("presence", node=number, on=on, off=off)
        await self._check()
