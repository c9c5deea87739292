"""Steps that many tests begin with."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import pytest

from media.errors import Fault
from server.consults.vocabulary import Action
from tests.server.consults.world import World


async def ringing(world: World, consult: str) -> list[str]:
    """User names of those who are being rung."""
    page = await world.see("desk", consult)
    return [o.practitioner.id.removeprefix("prc-") for o in page.offers if o.state == "ringing"]


async def accepted(world: World, **how: Any) -> tuple[str, str]:
    """A consult that the first expert has accepted, and who that is."""
    consult = await world.request(**how)
    [expert] = await ringing(world, consult)
    await world.act(expert, consult, Action.ACCEPT)
    return consult, expert


async def in_session(world: World, **how: Any) -> tuple[str, str]:
    """Both are in the room."""
    consult, expert = await accepted(world, **how)
    await world.enter("village", consult)
    await world.enter(expert, consult)
    return consult, expert


async def signed(world: World, **how: Any) -> tuple[str, str]:
    """The expert has signed; the requester has the opinion."""
    consult, expert = await in_session(world, **how)
    await world.act(expert, consult, Action.END)
    await world.write_opinion(expert, consult)
    await world.sign(expert, consult)
    return consult, expert


async def refused(attempt: Awaitable[Any]) -> str:
    """The code with which a coroutine is refused."""
    with pytest.raises(Fault) as refusal:
        await attempt
    return refusal.value.code.code
