"""Signatures: made with the password only, and broken by any change."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Executable, delete, select, update
from typer.testing import CliRunner

from server.archive.database import Base
from server.archive.models import Account
from server.auth.actor import Actor
from server.cli import app
from server.consults.documents import addendum_document, addendum_stands, opinion_document, opinion_stands
from server.consults.models import Addendum, Consultation, Decision, Opinion, PractitionerKey
from server.consults.schema import OpinionIn
from server.consults.seal import SEALED, UNSEALED, record_hash
from server.consults.signed import Told, opinion_verified, signature_digest
from server.consults.signing import Cost, WrongPasswordError, canonical, new_key, open_key, sign, verify
from server.consults.vocabulary import Action, State
from signaling.personal import Personal
from tests.server.consults.flow import in_session, refused, signed
from tests.server.consults.world import PASSWORD, World

CHEAP = Cost(time_cost=1, memory_kib=8, parallelism=1)
STORED, PRIVATE = new_key("right", "prc-1", CHEAP)

documents = st.dictionaries(
    st.text(max_size=8), st.text(max_size=20) | st.booleans() | st.integers(), max_size=6
)


def test_a_key_opens_with_its_password_and_for_its_owner_only() -> None:
    document = {"a": "b"}
    opened = open_key(STORED, "right", "prc-1")
    assert verify(STORED.public_key, document, sign(opened, document))
    with pytest.raises(WrongPasswordError):
        open_key(STORED, "wrong", "prc-1")
    with pytest.raises(WrongPasswordError):
        open_key(STORED, "right", "prc-2")


@given(documents, documents)
def test_a_signature_stands_for_exactly_one_document(
    one: dict[str, str | bool | int], other: dict[str, str | bool | int]
) -> None:
    signature = sign(PRIVATE, one)
    assert verify(STORED.public_key, one, signature)
    assert verify(STORED.public_key, other, signature) is (canonical(one) == canonical(other))


@given(st.text(max_size=100), st.text(max_size=100))
def test_garbage_verifies_as_false(key: str, signature: str) -> None:
    assert verify(key, {"a": 1}, signature) is False
    assert verify(STORED.public_key, {"a": 1}, signature) is False


def test_the_canonical_form_is_fixed() -> None:
    assert canonical({"b": True, "a": "心电图", "c": 1}) == '{"a":"心电图","b":true,"c":1}'.encode()


def test_what_exactly_is_signed() -> None:
    """Golden: signatures of years stand on these bytes."""
    row = Consultation(id="con-1", patient_id="pat-1")
    words = {name: Personal(name) for name in ("findings", "conclusion", "advice", "follow_up")}
    opinion = Opinion(
        author_id="prc-1",
        critical=True,
        form=2,
        code="C",
        signature="S",
        contributions=Personal("[]"),
        **words,
    )
    assert canonical(opinion_document(row, opinion, 0.0)).decode() == (
        '{"advice":"advice","code":"C","conclusion":"conclusion","consultationId":"con-1","contributions":"[]",'
        '"critical":true,"findings":"findings","followUp":"follow_up","patientId":"pat-1",'
        '"signedAt":"1970-01-01T00:00:00.000Z","signer":"prc-1","type":"opinion","version":2}'
    )
    assert canonical(addendum_document(row, opinion, "prc-1", "more", 0.0)).decode() == (
        '{"consultationId":"con-1","opinion":"S","patientId":"pat-1","signedAt":"1970-01-01T00:00:00.000Z",'
        '"signer":"prc-1","text":"more","type":"addendum","version":1}'
    )
    opinion.form = 1
    assert opinion_document(row, opinion, 0.0).keys() == {
        *("type", "version", "consultationId", "patientId", "signer", "signedAt"),
        *("findings", "conclusion", "advice", "critical"),
    }


def test_a_colleagues_key_is_not_the_signers() -> None:
    """A sound signature over the signer's name, by a key that belongs to somebody else."""
    row = Consultation(id="con-1", patient_id="pat-1")
    words = {
        name: Personal("") for name in ("findings", "conclusion", "advice", "follow_up", "contributions")
    }
    opinion = Opinion(author_id="prc-2", critical=False, form=2, code="C", signed_at=0.0, **words)
    opinion.signature = sign(PRIVATE, opinion_document(row, opinion, 0.0))
    addendum = Addendum(author_id="prc-2", text=Personal("more"), signed_at=0.0)
    addendum.signature = sign(PRIVATE, addendum_document(row, opinion, "prc-2", "more", 0.0))
    for owner, stands in (("prc-2", True), ("prc-1", False)):
        key = PractitionerKey(practitioner_id=owner, public_key=STORED.public_key)
        assert opinion_stands(row, opinion, key) is stands
        assert addendum_stands(row, opinion, addendum, key) is stands


async def test_a_wrong_password_signs_nothing(world: World) -> None:
    consult, expert = await in_session(world)
    await world.act(expert, consult, Action.END)
    await world.write_opinion(expert, consult)
    assert await refused(world.sign(expert, consult, "guess")) == "wrong_password"
    assert await world.state(consult) is State.OPINION_PENDING
    assert (f"prc-{expert}", "refused") in await world.trail(consult)
    async with world.services.database.read() as session:
        assert await session.scalar(select(PractitionerKey)) is None
    await world.sign(expert, consult)
    assert await world.state(consult) is State.RETURNED


async def test_one_key_signs_again_and_a_new_password_gets_a_new_one(world: World) -> None:
    consult, expert = await signed(world)
    for password in (PASSWORD, "another-password"):
        if password != PASSWORD:
            await _change_password(world, expert, password)
        await world.act(expert, consult, Action.AMEND, text=f"补充 {password}", password=password)
    async with world.services.database.read() as session:
        assert len((await session.scalars(select(PractitionerKey))).all()) == 2
        assert await opinion_verified(session, consult) is True
    page = await world.see("village", consult)
    assert page.opinion is not None
    assert [addendum.signature.verified for addendum in page.opinion.addenda] == [True, True]


async def _change_password(world: World, expert: str, password: str) -> None:
    hashed = await world.services.auth.passwords.hash(password)
    async with world.services.database.write() as session:
        account = Account.practitioner_id == f"prc-{expert}"
        await session.execute(update(Account).where(account).values(password_hash=hashed))


@pytest.mark.parametrize(
    "change",
    [{"conclusion": "正常"}, {"critical": True}, {"signed_at": 1.0}, {"signature": "AAAA"}, {"key_id": None}],
)
async def test_a_tampered_opinion_does_not_verify(world: World, change: dict[str, object]) -> None:
    consult, _ = await signed(world)
    async with world.services.database.write() as session:
        await session.execute(update(Opinion).values(**change))
    page = await world.see("village", consult)
    assert page.opinion is not None
    assert page.opinion.signature is not None
    assert page.opinion.signature.verified is False
    async with world.services.database.read() as session:
        assert await opinion_verified(session, consult) is False


async def test_a_tampered_addendum_does_not_verify(world: World) -> None:
    consult, expert = await signed(world)
    await world.act(expert, consult, Action.AMEND, text="复查", password=PASSWORD)
    async with world.services.database.write() as session:
        await session.execute(update(Addendum).values(text="不必复查"))
    page = await world.see("village", consult)
    assert page.opinion is not None
    assert page.opinion.signature is not None
    assert page.opinion.signature.verified is True
    assert page.opinion.addenda[0].signature.verified is False
    assert await stands(world, consult) == (True, False, 1)  # to a stranger, and to `huizhen verify`


def verified(consult: str, data: Path, what: str = "opinion") -> tuple[int, str]:
    """What ``huizhen verify`` says."""
    done = CliRunner().invoke(app, ["verify", what, consult, "--data", str(data)])
    return done.exit_code, done.stdout


async def stands(world: World, consult: str) -> tuple[bool, bool, int]:
    """On the page, to a stranger with the code, and the status of ``huizhen verify opinion``."""
    page = await world.see("village", consult)
    assert page.opinion is not None
    assert page.opinion.signature is not None
    async with world.services.database.read() as session:
        checked = await opinion_verified(session, consult)
    status, _ = await asyncio.to_thread(verified, consult, world.services.config.data_directory)
    return page.opinion.signature.verified, checked is True, status


async def test_whoever_has_the_database_cannot_sign_for_a_doctor(world: World) -> None:
    """A key of one's own in the doctor's name, and a sound signature by it."""
    consult, expert = await signed(world)
    assert await stands(world, consult) == (True, True, 0)
    made, private = new_key("the forger's", f"prc-{expert}", CHEAP)
    async with world.services.database.write() as session:
        key = await session.scalar(select(PractitionerKey))
        columns = {one.key: getattr(key, one.key) for one in PractitionerKey.__table__.columns}
        columns |= {
            "id": "key-forged",
            "public_key": made.public_key,
            "sealed": made.sealed,
            "salt": made.salt,
        }
        session.add(PractitionerKey(**columns))
        row, opinion = await session.get_one(Consultation, consult), await session.get_one(Opinion, consult)
        opinion.conclusion, opinion.key_id = Personal("未见异常"), "key-forged"
        opinion.signature = sign(private, opinion_document(row, opinion, opinion.signed_at or 0.0))
    assert opinion_stands(row, opinion, PractitionerKey(**columns))
    assert await stands(world, consult) == (False, False, 1)


async def test_addenda_have_an_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.consults.opinions.ADDENDA_PER_OPINION", 1)
    consult, expert = await signed(world)
    await world.act(expert, consult, Action.AMEND, text="更正：左侧", password=PASSWORD)
    more = world.act(expert, consult, Action.AMEND, text="再更正", password=PASSWORD)
    assert await refused(more) == "too_many_addenda"


async def test_an_addendum_that_was_taken_away_is_missed(world: World) -> None:
    consult, expert = await signed(world)
    await world.act(expert, consult, Action.AMEND, text="更正：左侧", password=PASSWORD)
    assert await stands(world, consult) == (True, True, 0)
    async with world.services.database.write() as session:
        await session.execute(delete(Addendum))
    assert await stands(world, consult) == (False, False, 1)
    _, told = await asyncio.to_thread(verified, consult, world.services.config.data_directory)
    assert "1 of what was signed is MISSING" in told


def test_a_signature_of_before_the_trail_named_any() -> None:
    old, new = Told.by([{}]), Told.by([{"signature": signature_digest("S")}])
    assert (old.knows("any"), old.knows(None)) == (True, False)
    assert (new.knows("S"), new.knows("any")) == (True, False)
    assert not Told.by([]).knows("any")


async def test_a_signed_opinion_is_never_written_again(world: World) -> None:
    consult, expert = await signed(world)
    assert await refused(world.write_opinion(expert, consult)) == "opinion_signed"
    assert await refused(world.sign(expert, consult)) == "wrong_state"
    assert await refused(world.act(expert, consult, Action.AMEND, text="x")) == "password_required"


async def test_an_addendum_after_the_decision_goes_back_to_the_requester(world: World) -> None:
    consult, expert = await signed(world)
    await world.act("village", consult, Action.ACKNOWLEDGE, text="转院")
    await world.act(expert, consult, Action.AMEND, text="复查心肌酶", password=PASSWORD)
    assert await world.state(consult) is State.RETURNED
    await world.act("village", consult, Action.ACKNOWLEDGE, text="已复查")
    page = await world.see("village", consult)
    assert page.decision is not None
    assert page.decision.text == "已复查"


async def test_only_the_expert_of_the_consult_writes(world: World) -> None:
    consult, expert = await in_session(world)
    other: Actor = world.actor("cardio2" if expert == "cardio1" else "cardio1")
    body = OpinionIn(findings="x", conclusion="y")
    write = world.services.consults.opinions.write
    assert await refused(write(other, consult, body, world.now)) == "forbidden"
    assert await refused(write(world.actor("village"), consult, body, world.now)) == "forbidden"


async def record(world: World, consult: str) -> tuple[int, str]:
    return await asyncio.to_thread(verified, consult, world.services.config.data_directory, "record")


async def change(world: World, statement: Executable) -> None:
    async with world.services.database.write() as session:
        await session.execute(statement)


async def test_whatever_is_changed_in_an_archived_record_breaks_its_seal(world: World) -> None:
    consult, _ = await signed(world)
    await world.act("village", consult, Action.ACKNOWLEDGE, text="转院")
    assert await record(world, consult) == (1, "record: it is not sealed\n")
    await world.advance(72 * 3600)
    assert await world.state(consult) is State.ARCHIVED
    assert await record(world, consult) == (0, "record: whole\n")
    await change(world, update(Decision).values(text="留观"))
    assert await record(world, consult) == (1, "record: the record was changed after it was sealed\n")
    async with world.services.database.read() as session:
        forged = await record_hash(session, await session.get_one(Consultation, consult))
    await change(world, update(Consultation).values(seal=forged))
    assert await record(world, consult) == (1, "record: the audit trail names another seal\n")


@pytest.mark.parametrize("table", SEALED)
def test_every_column_is_sealed_by_name_or_left_out_by_name(table: type[Base]) -> None:
    """A new column of a later version goes among those left out: the seals of years stand."""
    columns = {one.key for one in table.__table__.columns}
    assert columns == {*SEALED[table]} | UNSEALED.get(table, frozenset())
    assert UNSEALED.get(table, frozenset()).isdisjoint(SEALED[table])
