"""Several nodes on a bus of one process: pushes, presence, what a dead bus loses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from media.clock import CountedClock
from signaling.bus import BUS_AWAY, LocalBus, LocalHub
from signaling.fan_out import FanOut
from signaling.limits import NODE_SILENT_S, NODES_MAX
from signaling.online import OnlineElsewhere


@dataclass
class Page:
    """One node and what its browsers and rooms were told."""

    users: set[str] = field(default_factory=set)
    told: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    heard: list[bool] = field(default_factory=list)

    def open(self, name: str, bus: LocalBus, clock: CountedClock) -> FanOut:
        fan_out = FanOut(bus, name, clock, lambda *told: self.told.append(told), lambda: self.users)
        fan_out.on_command = lambda command: self.asked.append(dict(command))
        fan_out.on_change = self.heard.append
        return fan_out


@asynccontextmanager
async def two(hub: LocalHub, clock: CountedClock) -> AsyncIterator[tuple[Page, FanOut, Page, FanOut]]:
    pages = Page({"early"}), Page()
    nodes = [page.open(name, LocalBus(hub), clock) for page, name in zip(pages, ("one", "two"), strict=True)]
    for node in nodes:
        await node.start()
    yield pages[0], nodes[0], pages[1], nodes[1]
    for node in nodes:
        await node.close()


async def test_a_push_and_a_command_reach_the_other_node_alone() -> None:
    async with two(LocalHub(), CountedClock()) as (here, one, there, _):
        one.push("doctor", "ring", {"offerId": "o-1"})
        one.command(do="close", room="c-1", reason="ended")
        assert there.told == [("doctor", "ring", {"offerId": "o-1"})]
        assert there.asked == [{"do": "close", "room": "c-1", "reason": "ended"}]
        assert (here.told, here.asked) == ([], [])


async def test_who_is_online_is_known_everywhere_also_to_whoever_comes_later() -> None:
    async with two(LocalHub(), CountedClock()) as (_, one, __, two_):
        assert two_.online("early")
        one.came("doctor")
        assert two_.online("doctor")
        assert not one.online("doctor")  # that is not elsewhere
        one.went("doctor")
        assert not two_.online("doctor")


async def test_what_a_dead_bus_lost_is_asked_for_when_it_is_back() -> None:
    hub = LocalHub()
    async with two(hub, CountedClock()) as (here, one, there, two_):
        hub.cut()
        assert one.trouble is BUS_AWAY
        here.users = {"doctor"}
        one.went("early")
        one.came("doctor")
        one.push("doctor", "ring", {})
        assert two_.online("early")
        hub.mend()
        assert (two_.online("early"), two_.online("doctor")) == (False, True)
        assert there.told == []
        assert there.heard == [True, False, True]


async def test_a_change_that_was_missed_is_found_by_its_number() -> None:
    hub = LocalHub()
    async with two(hub, CountedClock()) as (here, one, _, two_):
        here.users = {"early", "missed"}
        silent, hub.up = hub.up, False  # without anybody noticing
        one.came("missed")
        hub.up = silent
        assert not two_.online("missed")
        one.beat()
        assert two_.online("missed")


async def test_a_node_that_is_silent_or_says_goodbye_has_nobody() -> None:
    clock = CountedClock()
    async with two(LocalHub(), clock) as (_, one, __, two_):
        clock.advance(NODE_SILENT_S + 1)
        two_.beat()
        assert not two_.online("early")
        one.beat()
        assert two_.online("early")
        await one.close()
        assert not two_.online("early")


async def test_what_is_not_understood_changes_nothing() -> None:
    hub = LocalHub()
    stranger = LocalBus(hub)
    async with two(hub, CountedClock()) as (here, _, there, two_):
        for message in (
            {},
            {"k": "push", "n": "x"},
            {"k": "push", "n": 7, "to": "a", "event": "ring", "data": {}},
            {"k": "do", "n": "x", "what": 3},
            {"k": "here", "n": "x", "seq": "many", "users": []},
            {"k": "later-version", "n": "x"},
        ):
            stranger.publish(message)
        assert (here.told, there.told, there.asked) == ([], [], [])
        assert two_.online("early")


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans(), st.booleans())))
def test_whatever_is_lost_on_the_way_the_next_number_tells(changes: list[tuple[str, bool, bool]]) -> None:
    known, true, sequence = OnlineElsewhere(), set[str](), 0
    known.whole("n", 0, (), 0.0)
    for user, online, arrives in changes:
        sequence += 1
        update: Callable[[str], None] = true.add if online else true.discard
        update(user)
        if arrives and not known.change("n", sequence, user, online, 0.0):
            known.whole("n", sequence, true, 0.0)
    if not known.alive("n", sequence, 0.0):
        known.whole("n", sequence, true, 0.0)
    assert {user for user in "ab" if user in known} == true


def test_nodes_are_bounded() -> None:
    known = OnlineElsewhere()
    for number in range(NODES_MAX + 5):
        known.whole(f"n{number}", 0, ("doctor",), 0.0)
    assert len(known.nodes) == NODES_MAX
