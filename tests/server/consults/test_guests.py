"""Guest links: into one room, for a time, until ended."""

from __future__ import annotations

from server.consults.limits import GUEST_LINKS_PER_CONSULT
from server.consults.models import GuestLink
from server.consults.schema import GuestLinkIn
from server.consults.vocabulary import Action
from signaling.access import RoomClaims, verify_room_token
from signaling.events import PeerJoined
from tests.server.consults.flow import accepted, in_session, refused
from tests.server.consults.world import World


async def invite(world: World, consult: str, minutes: int = 60) -> tuple[GuestLink, str]:
    body = GuestLinkIn(label="家属", expires_in_minutes=minutes)
    return await world.services.consults.guests.create(world.actor("village"), consult, body, world.now)


async def enter(world: World, secret: str) -> RoomClaims:
    entry = await world.services.consults.guests.enter(secret, "张强", world.now)
    return verify_room_token([world.services.keys.room_secret], entry.token, world.now)


async def link_state(world: World, secret: str) -> str:
    async with world.services.database.read() as session:
        return (await world.services.consults.guests.look(session, secret, world.now)).state


async def test_a_guest_enters_with_camera_microphone_and_chat_only(world: World) -> None:
    consult, _ = await accepted(world)
    link, secret = await invite(world, consult)
    claims, second = await enter(world, secret), await enter(world, secret)
    assert claims.role == "guest"
    assert claims.grant.publish == {"microphone", "camera"}
    assert (claims.grant.chat, claims.grant.chair, claims.grant.record) == (True, False, False)
    assert claims.grant.signals == frozenset()
    assert claims.token_id == second.token_id == link.id
    assert claims.user_id != second.user_id
    assert claims.expires_at == link.expires_at


async def test_an_ended_link_lets_nobody_in_and_sends_its_guests_out(world: World) -> None:
    consult, _ = await accepted(world)
    link, secret = await invite(world, consult)
    await enter(world, secret)
    end = world.services.consults.guests.end
    await end(world.actor("village"), consult, link.id, world.now)
    await end(world.actor("village"), consult, link.id, world.now)
    await world.services.consults.settle()
    assert ("remove", f"c-{consult}", "", link.id, "link_ended") in world.rooms.log
    assert await refused(enter(world, secret)) == "guest_link_ended"
    assert await link_state(world, secret) == "ended"
    assert [one for _, one in await world.trail(consult)].count("uninvite") == 1


async def test_a_guest_of_an_ended_link_is_sent_out_even_after_a_restart(world: World) -> None:
    consult, _ = await in_session(world)
    link, secret = await invite(world, consult)
    claims = await enter(world, secret)
    joined = PeerJoined(f"c-{consult}", claims.user_id, "guest", world.now)
    await world.tell(joined)
    assert not [entry for entry in world.rooms.log if entry[0] == "remove"]
    await world.services.consults.guests.end(world.actor("village"), consult, link.id, world.now)
    fresh = await world.restart()
    await fresh.tell(joined)
    assert fresh.rooms.log == [("remove", f"c-{consult}", claims.user_id, "", "ended")]
    await fresh.end()


async def test_a_link_ends_by_itself_and_with_the_consult(world: World) -> None:
    consult, expert = await in_session(world)
    _, short = await invite(world, consult, minutes=1)
    _, long = await invite(world, consult)
    world.clock.advance(60)
    assert await refused(enter(world, short)) == "guest_link_ended"
    assert await link_state(world, long) == "open"
    await world.act(expert, consult, Action.END)
    assert await refused(enter(world, long)) == "guest_link_ended"


async def test_a_link_waits_while_another_expert_is_looked_for(world: World) -> None:
    consult, expert = await accepted(world)
    _, secret = await invite(world, consult)
    await world.act(expert, consult, Action.RELEASE, reason="急诊手术")
    assert await link_state(world, secret) == "waiting"
    assert await refused(enter(world, secret)) == "room_not_open"


async def test_only_those_in_the_consult_invite_and_not_without_bound(world: World) -> None:
    consult, _ = await accepted(world)
    guests = world.services.consults.guests
    for stranger in ("desk", "neuro1"):
        attempt = guests.create(world.actor(stranger), consult, GuestLinkIn(), world.now)
        assert await refused(attempt) == "forbidden"
    for _ in range(GUEST_LINKS_PER_CONSULT):
        await invite(world, consult)
    assert await refused(invite(world, consult)) == "too_many_links"
    assert await refused(enter(world, "no-such-secret")) == "guest_link_unknown"
