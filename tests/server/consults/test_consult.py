"""Whole consults on a real database: from the first call to the sealed record, and how they go wrong."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from media.errors import Fault
from server.consults.reading import Scope, Wanted
from server.consults.requests import next_number
from server.consults.schema import ConsultationIn
from server.consults.vocabulary import Action, Kind, State
from server.demo_county import ECG_DEVICE
from signaling.events import PeerJoined
from signaling.rooms import RoomSettings
from tests.server.consults.flow import accepted, in_session, refused, ringing
from tests.server.consults.world import CARDIO1, CARDIO2, DESK, VILLAGE, World


async def test_a_whole_urgent_consult(world: World) -> None:
    consult = await world.request()
    [expert] = await ringing(world, consult)
    [ring] = world.gateway.to(f"prc-{expert}", "ring")
    assert ring["kind"] == "urgent"
    assert ring["specialty"] == {"code": "cardiology", "name": {"zh": "心血管内科", "en": "Cardiology"}}
    assert ring["patient"] == {"age": 67, "sex": "female"}
    assert ring["from"]["organization"]["name"] == "石桥村卫生室"
    assert "张桂英" not in str(ring)

    await world.act(expert, consult, Action.ACCEPT)
    assert await world.state(consult) is State.ACCEPTED
    [assigned] = world.gateway.to(ECG_DEVICE, "deviceAssigned")
    assert assigned["roomId"] == f"c-{consult}"

    claims = await world.enter("village", consult)
    assert (claims.role, claims.grant.chair, claims.grant.record) == ("requester", False, False)
    assert await world.state(consult) is State.READY
    claims = await world.enter(expert, consult)
    assert (claims.role, claims.grant.chair, claims.grant.record) == ("expert", True, True)
    assert await world.state(consult) is State.IN_SESSION
    assert ("record", f"c-{consult}") in world.rooms.log

    await world.act(expert, consult, Action.END)
    await world.services.consults.settle()
    assert await world.state(consult) is State.OPINION_PENDING
    assert world.rooms.log[-1] == ("close", f"c-{consult}", "ended")
    assert world.gateway.to(ECG_DEVICE, "deviceReleased") == [{"consultationId": consult}]

    await world.write_opinion(expert, consult)
    assert (await world.see("village", consult)).opinion is None, "a draft is its author's"
    await world.sign(expert, consult)
    page = await world.see("village", consult)
    assert page.state is State.RETURNED
    assert page.opinion is not None
    assert page.opinion.signature is not None
    assert page.opinion.signature.verified
    assert Action.ACKNOWLEDGE in page.allowed

    await world.act("village", consult, Action.ACKNOWLEDGE, text="转县医院行 PCI")
    page = await world.see("village", consult)
    assert page.state is State.ACKNOWLEDGED
    assert page.decision is not None
    assert page.decision.text == "转县医院行 PCI"
    assert page.decision.by.id == VILLAGE

    await world.advance(72 * 3600)
    page = await world.see("village", consult)
    assert page.state is State.ARCHIVED
    assert page.next is None
    assert page.allowed == []
    assert [event.action for event in page.events] == [
        Action.SUBMIT, Action.TRIAGE, Action.OFFER, Action.ACCEPT, Action.ARRIVE, Action.START, Action.END,
        Action.SIGN, Action.RETURN_OPINION, Action.ACKNOWLEDGE, Action.ARCHIVE,
    ]  # fmt: skip
    trail = [action for _, action in await world.trail(consult)]
    assert [one for one in trail if one != "view"] == [
        "create", "submit", "triage", "offer", "accept", "join", "arrive", "join", "start", "end", "sign",
        "return_opinion", "acknowledge", "archive",
    ]  # fmt: skip


async def test_everyone_concerned_is_told_of_every_state(world: World) -> None:
    _, expert = await in_session(world)
    for who in (VILLAGE, f"prc-{expert}", DESK):
        states = [push["state"] for push in world.gateway.to(who, "consultation")]
        assert states == ["OFFERED", "ACCEPTED", "READY", "IN_SESSION"]
    assert not world.gateway.to("prc-neuro1", "consultation")


async def test_a_decline_rings_the_next_at_once(world: World) -> None:
    consult = await world.request()
    [first] = await ringing(world, consult)
    assert await refused(world.act(first, consult, Action.DECLINE)) == "incomplete"
    await world.act(first, consult, Action.DECLINE, reason="手术中")
    [second] = await ringing(world, consult)
    assert second != first
    page = await world.see("village", consult)
    assert [(offer.ring, offer.state, offer.reason) for offer in page.offers] == [
        (1, "declined", "手术中"),
        (2, "ringing", None),
    ]
    [ended] = world.gateway.to(f"prc-{first}", "ringEnded")
    assert ended["reason"] == "declined"


async def test_nobody_answers_then_the_desk_is_alarmed_again_and_again(world: World) -> None:
    consult = await world.request()
    [first] = await ringing(world, consult)
    assert await world.advance(59.9) == 0
    await world.advance(0.1)
    [second] = await ringing(world, consult)
    assert second != first
    assert world.gateway.to(f"prc-{first}", "ringEnded")[0]["reason"] == "timed_out"
    await world.advance(60)
    assert await world.state(consult) is State.UNFILLED
    assert len(_alarms(world)) == 1
    await world.advance(60)
    await world.advance(60)
    assert [alarm["alarm"] for alarm in _alarms(world)] == ["unfilled", "alarm", "alarm"]
    page = await world.see("desk", consult)
    assert {Action.OFFER_AGAIN, Action.REFER, Action.CANCEL} <= set(page.allowed)
    await world.act("desk", consult, Action.OFFER_AGAIN)
    assert set(await ringing(world, consult)) == {first, second}, "five minutes are over: everyone"
    assert await world.state(consult) is State.OFFERED


def _alarms(world: World) -> list[dict[str, object]]:
    return [push for push in world.gateway.to(DESK, "consultation") if "alarm" in push]


async def test_a_specialty_nobody_has_goes_to_the_desk_at_once(world: World) -> None:
    consult = await world.request(specialty="obstetrics")
    assert await world.state(consult) is State.UNFILLED
    assert await refused(world.act("desk", consult, Action.OFFER_AGAIN)) == "nobody_on_call"
    await world.act("desk", consult, Action.REFER, reason="市妇幼保健院")
    assert await world.state(consult) is State.REFERRED


async def test_a_requester_is_never_rung_for_the_own_request(world: World) -> None:
    body = await world.request(by="village")
    assert "village" not in await ringing(world, body)


async def test_an_offline_expert_is_rung_together_with_the_next(world: World) -> None:
    first = await world.request()
    [expert] = await ringing(world, first)
    world.gateway.offline.add(f"prc-{expert}")
    second = await world.request()
    assert set(await ringing(world, second)) == {"cardio1", "cardio2"}


async def test_of_two_accepts_at_once_one_wins(world: World) -> None:
    world.gateway.offline |= {CARDIO1, CARDIO2}
    consult = await world.request()
    [first] = await ringing(world, consult)
    second = "cardio2" if first == "cardio1" else "cardio1"
    world.gateway.offline = {f"prc-{first}"}
    await world.act(first, consult, Action.DECLINE, reason="忙")
    consult = await world.request()
    assert set(await ringing(world, consult)) == {first, second}

    outcomes = await asyncio.gather(
        world.act("cardio1", consult, Action.ACCEPT),
        world.act("cardio2", consult, Action.ACCEPT),
        return_exceptions=True,
    )
    [lost] = [one for one in outcomes if one is not None]
    assert isinstance(lost, Fault)
    assert lost.code.code == "already_taken"
    page = await world.see("desk", consult)
    assert page.expert is not None
    assert lost.as_json()["by"]["id"] == page.expert.id
    assert sorted(offer.state for offer in page.offers) == ["accepted", "cancelled"]
    loser = CARDIO2 if page.expert.id == CARDIO1 else CARDIO1
    taken = world.gateway.to(loser, "ringEnded")[-1]
    assert (taken["reason"], taken["by"]["id"]) == ("taken", page.expert.id)


async def test_an_accept_after_the_ring_is_refused(world: World) -> None:
    consult = await world.request()
    [first] = await ringing(world, consult)
    await world.advance(60)
    assert await refused(world.act(first, consult, Action.ACCEPT)) == "forbidden"


async def test_an_old_version_is_refused(world: World) -> None:
    consult = await world.request()
    page = await world.see("village", consult)
    attempt = world.act("village", consult, Action.CANCEL, reason="误报", version=page.version - 1)
    assert await refused(attempt) == "version_conflict"
    await world.act("village", consult, Action.CANCEL, reason="误报", version=page.version)
    assert await world.state(consult) is State.CANCELLED
    assert world.gateway.notes[-1].event in ("consultation", "ringEnded")


async def test_an_incomplete_request_is_not_kept(world: World) -> None:
    body = ConsultationIn(
        kind=Kind.URGENT, specialty="cardiology", patient_id="pat-demo-1", purpose="?", submit=True
    )
    village = world.actor("village")
    attempt = world.services.consults.requests.create(village, body, world.now)
    with pytest.raises(Fault) as refusal:
        await attempt
    assert (refusal.value.code.code, refusal.value.detail) == ("incomplete", "consent, summary")
    assert world.gateway.notes == []


async def test_a_draft_waits_for_its_author_and_expires(world: World) -> None:
    consult = await world.request(submit=False)
    assert await world.state(consult) is State.DRAFT
    await world.advance(7 * 86400)
    assert await world.state(consult) is State.EXPIRED


async def test_a_routine_request_waits_for_the_desk(world: World) -> None:
    consult = await world.request(kind=Kind.ROUTINE)
    assert await world.state(consult) is State.SUBMITTED
    await world.act("desk", consult, Action.RETURN_INFO, reason="请补充血压")
    await world.act("village", consult, Action.SUBMIT)
    await world.act("desk", consult, Action.TRIAGE)
    [expert] = await ringing(world, consult)
    await world.act(expert, consult, Action.ACCEPT)
    await world.act(expert, consult, Action.SCHEDULE, at=world.now + 7200)
    await world.advance(7200 - 900)
    assert await world.state(consult) is State.READY


async def test_a_diagnostic_read_goes_without_a_room(world: World) -> None:
    consult, expert = await accepted(world, kind=Kind.DIAGNOSTIC)
    await world.act(expert, consult, Action.END)
    assert await world.state(consult) is State.OPINION_PENDING


async def test_a_lost_link_suspends_and_a_rejoin_resumes(world: World) -> None:
    consult, expert = await in_session(world)
    await world.leave("village", consult)
    assert await world.state(consult) is State.IN_SESSION
    await world.advance(30)
    assert await world.state(consult) is State.SUSPENDED
    await world.enter("village", consult)
    assert await world.state(consult) is State.IN_SESSION
    await world.leave(expert, consult)
    await world.advance(30)
    await world.advance(60)
    assert _alarms(world)[-1]["alarm"] == "telephone"
    await world.advance(240)
    page = await world.see("desk", consult)
    assert page.expert is None
    assert (page.state, await ringing(world, consult)) == (
        State.OFFERED,
        ["cardio2" if expert == "cardio1" else "cardio1"],
    )


async def test_an_expert_who_does_not_come_is_replaced(world: World) -> None:
    consult, expert = await accepted(world)
    await world.enter("village", consult)
    await world.advance(120)
    assert expert not in await ringing(world, consult)
    assert await world.state(consult) is State.OFFERED


async def test_without_consent_nothing_is_recorded(world: World) -> None:
    consult, _ = await in_session(world, recording=False)
    assert world.rooms.open[f"c-{consult}"].record_allowed is False
    assert not [entry for entry in world.rooms.log if entry[0] == "record"]


async def test_withdrawn_consent_stops_the_recording(world: World) -> None:
    consult, expert = await in_session(world)
    assert world.rooms.open[f"c-{consult}"].recording_id is not None
    await world.act("village", consult, Action.WITHDRAW_RECORDING_CONSENT)
    await world.services.consults.settle()
    room = world.rooms.open[f"c-{consult}"]
    assert (room.recording_id, room.record_allowed) == (None, False)
    page = await world.see(expert, consult)
    assert page.consent.recording_withdrawn_at == world.now
    assert Action.WITHDRAW_RECORDING_CONSENT not in page.allowed
    await world.enter("village", consult)
    assert world.rooms.open[f"c-{consult}"].record_allowed is False


async def test_an_opinion_is_owed_with_a_limit(world: World) -> None:
    consult, expert = await in_session(world)
    await world.act(expert, consult, Action.END)
    await world.advance(30 * 60)
    reminded = world.gateway.to(f"prc-{expert}", "consultation")
    assert any(push.get("alarm") == "overdue" for push in reminded)
    assert await refused(world.sign(expert, consult)) == "incomplete"


async def test_a_critical_value_must_be_acknowledged_in_five_minutes(world: World) -> None:
    consult, expert = await in_session(world)
    await world.act(expert, consult, Action.END)
    await world.write_opinion(expert, consult, critical=True)
    await world.sign(expert, consult)
    await world.advance(300)
    assert _alarms(world)[-1]["alarm"] == "call"


async def test_strangers_and_administrators_see_nothing_and_it_is_noted(world: World) -> None:
    consult = await world.request()
    for stranger in ("neuro1", "village2", "admin", "regulator"):
        assert await refused(world.see(stranger, consult)) == "forbidden"
        assert (f"prc-{stranger}", "refused") in await world.trail(consult)
    assert await refused(world.see("desk", "con-nothing")) == "not_found"
    assert await refused(world.act("desk", consult, Action.ACCEPT)) == "forbidden"
    assert await refused(world.act("village", consult, Action.OFFER_AGAIN)) == "wrong_state"


async def test_who_connects_late_hears_what_rings(world: World) -> None:
    consult = await world.request()
    [expert] = await ringing(world, consult)
    [push] = await world.services.consults.snapshot_for(f"prc-{expert}")
    assert (push.event, push.payload["consultationId"]) == ("ring", consult)
    assert await world.services.consults.snapshot_for(ECG_DEVICE) == []
    await world.act(expert, consult, Action.ACCEPT)
    assert await world.services.consults.snapshot_for(f"prc-{expert}") == []
    [push] = await world.services.consults.snapshot_for(ECG_DEVICE)
    assert (push.event, push.payload["whipPath"]) == ("deviceAssigned", f"/whip/{ECG_DEVICE}")


async def test_a_token_that_outlived_its_consult_opens_nothing(world: World) -> None:
    consult, expert = await in_session(world)
    await world.act(expert, consult, Action.END)
    await world.services.consults.settle()
    world.rooms.open_room(f"c-{consult}", RoomSettings())
    await world.tell(PeerJoined(f"c-{consult}", VILLAGE, "requester", world.now))
    assert f"c-{consult}" not in world.rooms.open
    assert await refused(world.enter("village", consult)) == "room_not_open"


async def test_a_released_expert_is_sent_out_and_the_requester_may_wait(world: World) -> None:
    consult, expert = await accepted(world)
    await world.enter("village", consult)
    await world.act(expert, consult, Action.RELEASE, reason="急诊手术")
    await world.services.consults.settle()
    sent = ("remove", f"c-{consult}", f"prc-{expert}", "", "released")
    assert sent in world.rooms.log
    await world.tell(PeerJoined(f"c-{consult}", f"prc-{expert}", "expert", world.now))
    await world.tell(PeerJoined(f"c-{consult}", VILLAGE, "requester", world.now))
    assert world.rooms.log[-1] == ("remove", f"c-{consult}", f"prc-{expert}", "", "ended")
    [second] = await ringing(world, consult)
    await world.act(second, consult, Action.ACCEPT)
    assert await world.state(consult) is State.READY, "the requester is in the room already"


async def test_the_desk_gives_an_opinion_that_does_not_come_to_another(world: World) -> None:
    consult, expert = await in_session(world)
    await world.act(expert, consult, Action.END)
    assert await refused(world.act("desk", consult, Action.RELEASE)) == "incomplete"
    assert await refused(world.act("village", consult, Action.RELEASE, reason="催促")) == "forbidden"
    await world.act("desk", consult, Action.RELEASE, reason="医生突发疾病")
    [second] = await ringing(world, consult)
    assert second != expert
    assert await refused(world.write_opinion(expert, consult)) == "wrong_state"
    await world.act(second, consult, Action.ACCEPT)
    await world.enter("village", consult)
    await world.enter(second, consult)
    await world.act(second, consult, Action.END)
    await world.write_opinion(second, consult)
    await world.sign(second, consult)
    assert await world.state(consult) is State.RETURNED


async def test_what_waits_for_somebody_who_left_goes_to_others(world: World) -> None:
    waiting, expert = await accepted(world)
    running, same = await in_session(world)
    assert same == expert
    world.services.consults.expert_left(world.actor("desk"), f"prc-{expert}")
    await world.services.consults.settle()
    assert world.gateway.to(f"prc-{expert}", "signedOut") == [{}]
    assert expert not in await ringing(world, waiting)
    assert await world.state(waiting) in (State.OFFERED, State.UNFILLED)
    assert await world.state(running) is State.IN_SESSION
    page = await world.see("desk", waiting)
    [reason] = [event.reason or "" for event in page.events if event.action == "release"]
    assert "账户已停用" in reason


async def test_a_former_experts_draft_is_not_the_next_ones(world: World) -> None:
    consult, expert = await in_session(world)
    await world.write_opinion(expert, consult)
    await world.leave(expert, consult)
    await world.advance(30)
    await world.advance(300)
    [second] = await ringing(world, consult)
    await world.act(second, consult, Action.ACCEPT)
    await world.enter(second, consult)
    await world.act(second, consult, Action.END)
    page = await world.see(second, consult)
    assert page.opinion is None
    assert Action.SIGN not in page.allowed
    assert await refused(world.sign(second, consult)) == "incomplete"


async def test_lists_show_what_concerns_the_reader(world: World) -> None:
    first = await world.request()
    world.clock.advance(1)
    second = await world.request(kind=Kind.ROUTINE)
    world.clock.advance(1)
    drafts = [await world.request(submit=False) for _ in range(3)]
    [expert] = await ringing(world, first)

    async def ids(who: str, scope: Scope) -> list[str]:
        wanted = Wanted(scope, (), 50, None)
        pages, _ = await world.services.consults.reading.page(world.actor(who), wanted, world.now)
        return [page.id for page in pages]

    assert set(await ids("village", "mine")) == {first, second, *drafts}
    assert (await ids("village", "mine"))[-2:] == [second, first]
    assert await ids(expert, "ringing") == [first]
    assert await ids("neuro1", "all") == []
    assert set(await ids("desk", "open")) == {first, second, *drafts}

    seen: list[str] = []
    cursor: str | None = None
    for _ in range(3):
        wanted = Wanted("all", (), 2, cursor)
        pages, cursor = await world.services.consults.reading.page(world.actor("desk"), wanted, world.now)
        seen += [page.id for page in pages]
    assert cursor is None
    assert sorted(seen) == sorted([first, second, *drafts])


async def test_a_number_has_the_date_of_the_clinics_wall(world: World) -> None:
    """At half past five in Greenwich's afternoon it is tomorrow in Shanghai and today still in Ürümqi."""
    late = datetime(2031, 1, 1, 17, 30, tzinfo=UTC).timestamp()
    async with world.services.database.write() as session:
        east, west = [
            await next_number(session, late, ZoneInfo(zone)) for zone in ("Asia/Shanghai", "Asia/Urumqi")
        ]
    assert (east, west) == ("HZ20310102-0001", "HZ20310101-0001")
