"""Kinds beside the urgent one: seats of a multidisciplinary consult, a thread without a room, clocks."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from server.archive.models import Practitioner
from server.consults.contributions import contributions_of
from server.consults.models import Opinion, Seat
from server.consults.schema import ConsultationOut, ConsultationPatch
from server.consults.states import DURATIONS
from server.consults.vocabulary import Action, Kind, State
from server.oncall.models import LayerRow, TimerRow
from tests.server.consults.flow import accepted, refused, ringing, signed
from tests.server.consults.world import World

FOUR_HOURS = DURATIONS["ring"].routine


async def meeting(world: World, *members: str) -> str:
    """A multidisciplinary consult that the desk has let through: chair and seats are rung."""
    consult = await world.request(kind=Kind.MULTIDISCIPLINARY, members=members or ("neurology", "ultrasound"))
    await world.act("desk", consult, Action.TRIAGE)
    return consult


def seats(page: ConsultationOut) -> dict[str, str]:
    return {one.specialty: one.state for one in page.seats}


async def test_every_specialty_has_an_offer_of_its_own(world: World) -> None:
    consult = await meeting(world)
    page = await world.see("desk", consult)
    assert seats(page) == {"neurology": "ringing", "ultrasound": "ringing"}
    rung = {(one.specialty, one.practitioner.id) for one in page.offers}
    assert ("neurology", "prc-neuro1") in rung
    assert ("ultrasound", "prc-sono1") in rung
    assert world.gateway.to("prc-neuro1", "ring")[0]["specialty"]["code"] == "neurology"
    await world.act("neuro1", consult, Action.ACCEPT)
    page = await world.see("desk", consult)
    assert (page.state, page.expert) == (State.OFFERED, None), "a seat is not the chair"
    assert seats(page) == {"neurology": "taken", "ultrasound": "ringing"}


async def test_it_needs_more_than_one_specialty(world: World) -> None:
    same = world.request(kind=Kind.MULTIDISCIPLINARY, members=("cardiology",))
    assert await refused(same) == "incomplete"
    unknown = world.request(kind=Kind.MULTIDISCIPLINARY, members=("astrology",))
    assert await refused(unknown) == "no_such_specialty"


async def test_the_chair_signs_with_the_members_contributions(world: World) -> None:
    consult = await meeting(world)
    for member in ("neuro1", "sono1"):
        await world.act(member, consult, Action.ACCEPT)
    [chair] = await ringing(world, consult)
    await world.act(chair, consult, Action.ACCEPT)
    for who in ("village", chair, "neuro1"):
        claims = await world.enter(who, consult)
        assert claims.grant.chair == (who == chair)
    assert await world.state(consult) is State.IN_SESSION
    await world.act("neuro1", consult, Action.CONTRIBUTE, text="无局灶体征")
    assert await refused(world.act(chair, consult, Action.CONTRIBUTE, text="x")) == "forbidden"
    assert await refused(world.act("neuro1", consult, Action.END)) == "forbidden"
    await world.act(chair, consult, Action.END)
    await world.act("sono1", consult, Action.CONTRIBUTE, text="左室壁运动减弱")
    await world.write_opinion(chair, consult)
    await world.sign(chair, consult)
    page = await world.see("village", consult)
    assert page.opinion is not None
    assert page.opinion.signature is not None
    assert page.opinion.signature.verified
    assert [(one.by.id, one.text) for one in page.opinion.contributions] == [
        ("prc-neuro1", "无局灶体征"),
        ("prc-sono1", "左室壁运动减弱"),
    ]
    assert await refused(world.act("neuro1", consult, Action.CONTRIBUTE, text="too late")) == "wrong_state"


async def test_a_changed_contribution_breaks_the_chairs_signature(world: World) -> None:
    consult = await meeting(world, "neurology")
    await world.act("neuro1", consult, Action.ACCEPT)
    [chair] = await ringing(world, consult)
    await world.act(chair, consult, Action.ACCEPT)
    await world.act("neuro1", consult, Action.CONTRIBUTE, text="无局灶体征")
    await world.enter("village", consult)
    await world.enter(chair, consult)
    await world.act(chair, consult, Action.END)
    await world.write_opinion(chair, consult)
    await world.sign(chair, consult)
    async with world.services.database.write() as session:
        opinion = await session.get_one(Opinion, consult)
        [one] = contributions_of(opinion)
        assert one.text == "无局灶体征"
        opinion.contributions = type(opinion.contributions)(
            opinion.contributions.reveal().replace("无局灶", "有局灶")
        )
    page = await world.see("village", consult)
    assert page.opinion is not None
    assert page.opinion.signature is not None
    assert not page.opinion.signature.verified


async def test_a_seat_that_nobody_takes_alarms_the_desk_and_can_be_asked_anew(world: World) -> None:
    consult = await meeting(world, "neurology")
    await world.act("neuro1", consult, Action.DECLINE, reason="in_surgery")
    page = await world.see("desk", consult)
    assert seats(page) == {"neurology": "empty"}
    assert page.state is State.OFFERED
    assert any(push.get("alarm") == "invite_again" for push in world.gateway.to("prc-desk", "consultation"))
    assert Action.INVITE_AGAIN in page.allowed
    await world.act("desk", consult, Action.INVITE_AGAIN)
    assert seats(await world.see("desk", consult)) == {"neurology": "ringing"}


async def test_a_seats_ring_ends_by_its_own_timer_after_a_restart(world: World) -> None:
    consult = await meeting(world, "neurology")
    [chair] = set(await ringing(world, consult)) - {"neuro1"}
    await world.advance(60)
    await world.act(chair, consult, Action.ACCEPT)
    async with world.services.database.read() as session:
        timer = await session.get_one(TimerRow, consult)
    assert timer.action == "seat_timeout", "the seat is due before the chair"
    after = await world.restart()
    await after.advance(FOUR_HOURS)
    page = await after.see("desk", consult)
    assert seats(page) == {"neurology": "empty"}
    assert page.state is State.ACCEPTED
    await after.end()


async def test_a_member_may_give_the_seat_back(world: World) -> None:
    consult = await meeting(world, "neurology")
    await world.act("neuro1", consult, Action.ACCEPT)
    await world.act("neuro1", consult, Action.RELEASE, reason="called away")
    assert seats(await world.see("desk", consult)) == {"neurology": "empty"}, "asked once already"
    await world.services.consults.settle()
    assert any(entry[0] == "remove" and entry[2] == "prc-neuro1" for entry in world.rooms.log)


async def test_cancelling_ends_every_ring(world: World) -> None:
    consult = await meeting(world)
    await world.act("village", consult, Action.CANCEL, reason="好转")
    async with world.services.database.read() as session:
        assert {one.state for one in await session.scalars(select(Seat))} == {"ringing"}
    page = await world.see("desk", consult)
    assert {one.state for one in page.offers} == {"cancelled"}
    assert world.gateway.to("prc-neuro1", "ringEnded")


async def test_the_seats_of_a_draft_can_be_changed(world: World) -> None:
    consult = await world.request(kind=Kind.MULTIDISCIPLINARY, members=("neurology",), submit=False)
    edit = world.services.consults.requests.edit
    await edit(world.actor("village"), consult, ConsultationPatch(members=["ultrasound"]), world.now)
    assert seats(await world.see("village", consult)) == {"ultrasound": "open"}
    await edit(world.actor("village"), consult, ConsultationPatch(kind=Kind.ROUTINE), world.now)
    assert seats(await world.see("village", consult)) == {}


async def test_a_picture_and_text_consult_has_no_room(world: World) -> None:
    consult, expert = await accepted(world, kind=Kind.PICTURE_TEXT)
    assert f"c-{consult}" not in world.rooms.open
    assert await refused(world.enter("village", consult)) == "room_not_open"
    page = await world.see(expert, consult)
    assert Action.JOIN not in page.allowed
    assert {Action.POST, Action.END} <= set(page.allowed)
    await world.act(expert, consult, Action.END)
    await world.write_opinion(expert, consult)
    await world.sign(expert, consult)
    assert await world.state(consult) is State.RETURNED


async def test_what_is_read_without_a_room_is_signed_straight_away(world: World) -> None:
    for kind in (Kind.DIAGNOSTIC, Kind.PICTURE_TEXT):
        consult, expert = await accepted(world, kind=kind)
        await world.write_opinion(expert, consult)
        assert await refused(world.sign(expert, consult, "not it")) == "wrong_password"
        assert await world.state(consult) is State.ACCEPTED
        await world.sign(expert, consult)
        page = await world.see("village", consult)
        assert page.state is State.RETURNED
        assert [event.action for event in page.events][-3:] == ["end", "sign", "return_opinion"]
    consult, expert = await accepted(world, kind=Kind.GUIDANCE)
    await world.write_opinion(expert, consult)
    assert await refused(world.sign(expert, consult)) == "wrong_state"


async def test_whoever_is_writing_a_read_is_reminded_and_not_replaced(world: World) -> None:
    consult, expert = await accepted(world, kind=Kind.DIAGNOSTIC)
    await world.advance(5 * 60)
    await world.write_opinion(expert, consult)
    await world.enter("village", consult)
    await world.advance(6 * 60)
    await world.advance(10 * 60)
    page = await world.see(expert, consult)
    assert (page.state, page.expert.id if page.expert else None) == (State.READY, f"prc-{expert}")
    assert [event.action for event in page.events].count(Action.OVERDUE) == 2
    told = [push["alarm"] for push in world.gateway.to(f"prc-{expert}", "consultation") if "alarm" in push]
    assert told == ["overdue", "overdue"]
    await world.sign(expert, consult)
    assert await world.state(consult) is State.RETURNED


async def test_a_read_that_nobody_begins_goes_to_the_next(world: World) -> None:
    consult, expert = await accepted(world, kind=Kind.DIAGNOSTIC)
    page = await world.see("village", consult)
    assert page.next is not None
    assert page.next.name.zh == "开始写意见的时限"
    await world.advance(DURATIONS["reading"].diagnostic)
    assert await ringing(world, consult) != [expert]
    assert await world.state(consult) is State.OFFERED


async def test_a_message_waits_for_whoever_has_not_had_it_on_the_screen(world: World) -> None:
    consult, expert = await accepted(world, kind=Kind.PICTURE_TEXT)
    threads = world.services.consults.threads
    await threads.post(world.actor(expert), consult, "何时开始？", world.now)
    await threads.post(world.actor(expert), consult, "有无用药？", world.now)
    waiting = {one: (await world.see(one, consult)).unread for one in ("village", expert, "desk")}
    assert waiting == {"village": 2, expert: 0, "desk": 0}
    await threads.mark_read(world.actor("village"), consult, world.now)
    assert (await world.see("village", consult)).unread == 0


async def test_guidance_rings_at_once_and_for_a_minute(world: World) -> None:
    consult = await world.request(kind=Kind.GUIDANCE)
    page = await world.see("desk", consult)
    assert page.state is State.OFFERED
    assert page.offers[0].expires_at == world.now + DURATIONS["ring"].diagnostic


async def test_a_teaching_round_waits_for_the_desk(world: World) -> None:
    consult = await world.request(kind=Kind.TEACHING)
    assert await world.state(consult) is State.SUBMITTED


@pytest.mark.parametrize("after_s", [-301.0, 367 * 86_400.0, 1e12, float("inf"), float("nan")])
async def test_a_time_that_nobody_would_keep_is_none(world: World, after_s: float) -> None:
    consult = await world.request(kind=Kind.ROUTINE)
    await world.act("desk", consult, Action.TRIAGE)
    [expert] = await ringing(world, consult)
    await world.act(expert, consult, Action.ACCEPT)
    assert (
        await refused(world.act(expert, consult, Action.SCHEDULE, at=world.now + after_s))
        == "no_time_to_plan"
    )
    assert await world.state(consult) is State.ACCEPTED


async def test_the_green_channel_clocks_its_stages(world: World) -> None:
    consult = await world.request(channel="stroke", specialty="neurology")
    onset = world.now - 1800
    await world.act("village", consult, Action.NOTE_STAGE, stage="onset", at=onset)
    [expert] = await ringing(world, consult)
    await world.advance(20)
    await world.act(expert, consult, Action.ACCEPT)
    await world.act(expert, consult, Action.NOTE_STAGE, stage="imaging")
    clocks = {one.stage: one.at for one in (await world.see("village", consult)).stages}
    assert list(clocks) == ["onset", "door", "first_call", "accepted", "imaging", "decision"]
    assert (clocks["onset"], clocks["first_call"]) == (onset, world.now - 20)
    assert (clocks["accepted"], clocks["imaging"], clocks["door"]) == (world.now, world.now, None)
    for given in ({"stage": "lunch"}, {"stage": "accepted"}, {"stage": "door", "at": world.now + 60}):
        assert await refused(world.act("village", consult, Action.NOTE_STAGE, **given)) == "no_such_stage"


async def test_the_green_channel_rings_all_its_specialties_at_once(world: World) -> None:
    consult = await world.request(channel="stroke", specialty="cardiology")
    [cardiologist, neurologist] = await ringing(world, consult)
    assert cardiologist in ("cardio1", "cardio2")
    assert neurologist == "neuro1"
    assert any(push.get("alarm") == "offer" for push in world.gateway.to("prc-desk", "consultation"))
    await world.act(neurologist, consult, Action.ACCEPT)
    assert await ringing(world, consult) == []
    [ended] = world.gateway.to(f"prc-{cardiologist}", "ringEnded")
    assert ended["reason"] == "taken"
    seen = await world.see("desk", consult)
    assert [one.at for one in seen.stages if one.stage == "accepted"] == [world.now]


async def test_a_green_channel_falls_back_on_everyone_of_its_lines(world: World) -> None:
    consult = await world.request(channel="infarction", specialty="neurology")
    rung = set(await ringing(world, consult))
    assert "neuro1" in rung
    for _ in range(2):
        for one in await ringing(world, consult):
            await world.act(one, consult, Action.DECLINE, reason="手术中")
    assert await world.state(consult) is State.UNFILLED


async def test_the_chair_is_nobody_who_sits_for_another_specialty(world: World) -> None:
    """A cardiologist who reads ultrasound has the seat; the chair is another cardiologist."""
    async with world.services.database.write() as session:
        both = {"specialties": ["cardiology", "ultrasound"]}
        await session.execute(update(Practitioner).where(Practitioner.id == "prc-cardio1").values(both))
        layer = LayerRow.schedule_id == "sch-ultrasound"
        await session.execute(update(LayerRow).where(layer).values(members=["prc-cardio1"]))
    consult = await world.request(kind=Kind.MULTIDISCIPLINARY, members=("ultrasound",))
    await world.act("desk", consult, Action.TRIAGE)
    page = await world.see("desk", consult)
    rung = [one.practitioner.id for one in page.offers if one.state == "ringing"]
    assert sorted(rung) == ["prc-cardio1", "prc-cardio2"]
    await world.act("cardio1", consult, Action.ACCEPT)
    page = await world.see("desk", consult)
    [seat] = page.seats
    assert (seat.state, page.expert) == ("taken", None)
    await world.act("cardio2", consult, Action.DECLINE, reason="手术中")
    assert await world.state(consult) is State.UNFILLED
    await world.act("desk", consult, Action.OFFER_AGAIN)
    assert await ringing(world, consult) == ["cardio2"]


async def test_an_ordinary_request_has_no_clocks(world: World) -> None:
    consult = await world.request()
    assert (await world.see("village", consult)).stages == []
    noted = world.act("village", consult, Action.NOTE_STAGE, stage="onset")
    assert await refused(noted) == "wrong_state"


async def test_a_critical_value_is_acknowledged_before_the_decision(world: World) -> None:
    consult, expert = await accepted(world, kind=Kind.DIAGNOSTIC)
    await world.act(expert, consult, Action.END)
    await world.write_opinion(expert, consult, critical=True)
    await world.sign(expert, consult)
    page = await world.see("village", consult)
    assert page.next is not None
    assert page.next.action is Action.CALL
    await world.act("village", consult, Action.ACKNOWLEDGE_CRITICAL)
    page = await world.see("village", consult)
    assert page.next is not None
    assert page.next.action is Action.OVERDUE
    assert page.opinion is not None
    assert page.opinion.critical_acknowledged_at == world.now
    assert Action.ACKNOWLEDGE_CRITICAL not in page.allowed
    world.clock.advance(60)
    await world.act("village", consult, Action.ACKNOWLEDGE, text="已转院")
    page = await world.see("village", consult)
    assert page.opinion is not None
    assert page.opinion.critical_acknowledged_at == world.now - 60  # the first word counts


async def test_the_decision_says_what_became_of_the_advice_and_the_rating_follows(world: World) -> None:
    consult, expert = await signed(world)
    assert await refused(world.act("village", consult, Action.RATE, stars=5)) == "wrong_state"
    await world.act("village", consult, Action.ACKNOWLEDGE, outcome="partly", text="家属不同意转院")
    page = await world.see(expert, consult)
    assert page.decision is not None
    assert (page.decision.outcome, page.decision.text) == ("partly", "家属不同意转院")
    assert await refused(world.act("village", consult, Action.RATE)) == "incomplete"
    await world.act("village", consult, Action.RATE, stars=4, text="很及时")
    page = await world.see(expert, consult)
    assert page.rating is not None
    assert page.rating.stars == 4
    assert await refused(world.act("village", consult, Action.RATE, stars=1)) == "wrong_state"
