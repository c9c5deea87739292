"""Whatever one sender sends, a consult that runs goes on: one clear error for the sender, that is all.

A village doctor and an expert sit in a room in real Chromium, with the clinic's ECG and ultrasound. Around
each mistake it is looked whether their pictures, sound and ECG went on without loss; at the end, whether all
is in the record and nobody in the log.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import socket
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from clients.sdk.errors import RequestRefused
from clients.sdk.media_source import OpusSource, tone
from clients.sdk.room import RoomSession
from clients.sdk.room_events import Removed
from clients.sdk.signaling_socket import SignalingSocket
from clients.sdk.signals import SignalPublisher
from loadtest.browser import PASSWORD, Rest
from loadtest.server_process import ServerProcess
from media.signals import Frame, Lead, StreamDescriptor, encode, wire
from server import demo_county as county
from server.keys import Keys
from signaling.access import Identity, RoomGrant, mint_room_token
from signaling.personal import Personal
from tests.browser.people import PATIENCE_MS, Person

pytestmark = pytest.mark.browser
expect.set_options(timeout=PATIENCE_MS)

T = TypeVar("T")

WAIT_S = 20.0
HUGE = 10_000_000
GARBAGE, BATCH = 2_000, 200
PURPOSE, SUMMARY, SAID = "胸痛两小时请看", "大汗淋漓血压低", "患者张桂英的电话"
GUEST = "家属张伟"
NOBODY = "nobody-of-the-county"


@dataclass
class Consult:
    """A running session, and what is needed to make mistakes beside it."""

    server: ServerProcess
    village: Person
    expert: Person
    rest: Rest
    id: str
    media_port: int

    @property
    def room_id(self) -> str:
        return f"c-{self.id}"

    def path(self, rest: str = "") -> str:
        return f"/consultations/{self.id}{rest}"

    def token(
        self,
        *,
        secret: str | None = None,
        room: str | None = None,
        issued: float | None = None,
        **grant: Any,
    ) -> str:
        """A room token as the application would sign it, or nearly so."""
        return mint_room_token(
            secret or Keys.load_or_create(self.server.data).room_secret,
            Identity(f"dev-{secrets.token_hex(4)}", Personal(NOBODY), "device"),
            RoomGrant(room_id=room or self.room_id, **grant),
            issued or time.time(),
            3600,
        )

    def sits(self) -> list[Person]:
        return [self.village, self.expert]


@pytest.fixture(scope="module")
def server(county: Path) -> Iterator[ServerProcess]:
    """A demo that writes all there is into its log."""
    process = ServerProcess(county, settings={"HUIZHEN_LOG_LEVEL": "debug"})
    yield process
    assert process.stop() == 0, process.log_text()[-4000:]


@pytest.fixture(scope="module")
def session(server: ServerProcess, browser: Browser) -> Iterator[Consult]:
    village = Person.at(browser, server.url)
    rest = Rest(village.context, "village")
    made = rest.call("POST", "/consultations", _request(rest))
    rung = made["offers"][0]["practitioner"]["id"].removeprefix("prc-")
    expert = Person.at(browser, server.url)
    Rest(expert.context, rung).call("POST", f"/consultations/{made['id']}/actions", {"action": "accept"})
    port = json.loads(village.context.request.get("/readyz").text())["mediaPort"]
    one = Consult(server, village, expert, rest, made["id"], port)
    for who in one.sits():
        who.page.goto(f"/room/{one.id}")
    for who in one.sits():
        for source in ("camera", "microphone", "ultrasound"):
            who.wait_for_media(source)
        who.wait_for("() => window.__huizhen.ecg().samplesDrawn > 0")
    yield one
    for who in one.sits():
        who.context.close()


def _request(rest: Rest) -> dict[str, Any]:
    return {
        "kind": "urgent",
        "specialty": "cardiology",
        "patientId": rest.call("GET", "/patients")[0]["id"],
        "purpose": PURPOSE,
        "summary": SUMMARY,
        "consent": {"consult": True, "recording": True, "by": "patient"},
        "deviceIds": [county.ECG_DEVICE, county.ULTRASOUND_DEVICE],
        "submit": True,
    }


@pytest.fixture
def consult(session: Consult) -> Iterator[Consult]:
    """The session, in which a mistake disturbs nobody: pictures, sound and ECG of both go on without loss."""
    before = [(who.media(), _ecg(who)) for who in session.sits()]
    yield session
    for who, (media, ecg) in zip(session.sits(), before, strict=True):
        who.wait_for(
            """async (before) => {
                const now = (await window.__huizhen.stats()).consumers;
                return before.every((was) => {
                    const is = now[was.consumerId];
                    if (!is || is.packetsLost > was.packetsLost) return false;
                    return was.kind === 'video'
                        ? is.framesDecoded >= was.framesDecoded + 5
                        : is.audioEnergy > was.audioEnergy;
                });
            }""",
            media,
        )
        who.wait_for("(drawn) => window.__huizhen.ecg().samplesDrawn > drawn", ecg["samplesDrawn"])
        assert _ecg(who)["gaps"] == 0
        assert who.complaints == []


def _ecg(who: Person) -> dict[str, Any]:
    found: dict[str, Any] = who.page.evaluate("() => window.__huizhen.ecg()")
    return found


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` on a loop of its own: the browsers' driver holds this thread's."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def refusal(call: Callable[[], object]) -> tuple[int, dict[str, Any]]:
    """Status and problem document of a refused REST call."""
    with pytest.raises(RuntimeError) as caught:
        call()
    _, _, rest = str(caught.value).partition(": ")
    status, _, text = rest.partition(" ")
    problem = json.loads(text)
    assert problem["message"]["zh"]
    assert problem["message"]["en"]
    return int(status), problem


async def connect_code(url: str, token: str, namespace: str = "/room") -> str:
    """With which code a Socket.IO connection is refused."""
    one = SignalingSocket(namespace, lambda *_: None, lambda: None)
    with pytest.raises(RequestRefused) as caught:
        await one.connect(url, {"token": token})
    assert caught.value.zh
    assert caught.value.en
    return caught.value.code


# -- who one is


def test_a_wrong_password(consult: Consult, browser: Browser) -> None:
    who = Person.at(browser, consult.server.url, locale="en-GB")
    who.page.goto("/login")
    who.get("login-username").fill("village")
    who.get("login-password").fill(f"{PASSWORD}x")
    who.get("login-submit").click()
    expect(who.get("error")).to_have_count(1)
    expect(who.get("error")).to_be_visible()
    assert who.page.url.endswith("/login")
    body = {"username": "village", "password": f"{PASSWORD}x"}
    status, problem = refusal(lambda: consult.rest.call("POST", "/auth/login", body))
    assert (status, problem["code"]) == (401, "invalid_credentials")
    who.context.close()


def test_a_token_that_is_ended_while_its_guest_is_in_the_room(consult: Consult) -> None:
    link = consult.rest.call("POST", consult.path("/guest-links"), {})
    secret = link["url"].rsplit("/", 1)[-1]
    body = {"displayName": GUEST}
    token = consult.rest.call("POST", f"/guest/{secret}/token", body)["token"]

    async def be_sent_out() -> tuple[str, str]:
        guest = await RoomSession.join(consult.server.url, token)
        await guest.publish(OpusSource(tone()), "microphone")
        await guest.wait_for_sink(lambda sink: sink.source == "camera", WAIT_S)
        ended = asyncio.to_thread(_delete, consult, link["id"])
        (removed, _) = await asyncio.gather(guest.wait_for(Removed, timeout_s=WAIT_S), ended)
        await guest.close()
        return removed.reason, await connect_code_of_join(consult.server.url, token)

    assert run(be_sent_out()) == ("link_ended", "token_revoked")
    status, problem = refusal(lambda: consult.rest.call("POST", f"/guest/{secret}/token", body))
    assert (status, problem["code"]) == (410, "guest_link_ended")


def _delete(consult: Consult, link_id: str) -> None:
    async def delete() -> None:
        from clients.sdk.api import ApiClient

        async with ApiClient(consult.server.url) as api:
            await api.login("village", PASSWORD)
            await api.end_guest_link(consult.id, link_id)

    asyncio.run(delete())


async def connect_code_of_join(url: str, token: str) -> str:
    with pytest.raises(RequestRefused) as caught:
        await RoomSession.join(url, token)
    return caught.value.code


@pytest.mark.parametrize("kind", ["expired", "forged", "no token", "an account's"])
def test_tokens_that_are_no_good(consult: Consult, kind: str) -> None:
    url = consult.server.url
    grant: dict[str, Any] = {"signals": frozenset({"watch", "publish"}), "publish": frozenset({"ultrasound"})}
    account = consult.rest.call("POST", "/auth/login", {"username": "village", "password": PASSWORD})
    token, code = {
        "expired": (consult.token(issued=time.time() - 7200, **grant), "token_expired"),
        "forged": (consult.token(secret="s" * 64, **grant), "token_invalid"),
        "no token": ("not.a.token", "token_invalid"),
        "an account's": (account["accessToken"], "token_invalid"),
    }[kind]

    async def try_all() -> set[str]:
        codes = {await connect_code(url, token), await whip_code(url, token, b"v=0\r\n")}
        for path, hello in (("view", watch(token)), ("publish", wire.announce(token, ecg(2)))):
            code, closed = await signal_answer(url, path, hello)
            assert closed == 4400
            codes.add(code)
        return codes

    assert run(try_all()) == {code}


def watch(token: str) -> str:
    return json.dumps({"type": "watch", "token": token})


async def signal_answer(url: str, path: str, message: str | bytes) -> tuple[str, int | None]:
    """The error's code and the closing code that a message to a signal socket brings."""
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{url}/signals/{path}") as ws:
        await (ws.send_str(message) if isinstance(message, str) else ws.send_bytes(message))
        error = json.loads(await ws.receive_str(timeout=WAIT_S))
        assert error["type"] == "error"
        assert error["message"]["zh"]
        assert (await ws.receive(timeout=WAIT_S)).type is aiohttp.WSMsgType.CLOSE
        return str(error["code"]), ws.close_code


async def whip_code(url: str, token: str, offer: bytes) -> str:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
    async with aiohttp.ClientSession() as http, http.post(f"{url}/whip/x", data=offer, headers=headers) as r:
        assert r.content_type == "application/problem+json"
        return str((await r.json())["code"])


def test_a_room_token_opens_no_account(consult: Consult) -> None:
    token = consult.token(subscribe=True)
    reply = consult.village.context.request.get(
        "/api/v1/patients", headers={"Authorization": f"Bearer {token}"}
    )
    assert (reply.status, reply.json()["code"]) == (401, "token_invalid")
    assert run(connect_code(consult.server.url, token, "/events")) == "token_invalid"


def test_a_room_one_has_no_grant_for(consult: Consult, browser: Browser) -> None:
    stranger = Person.at(browser, consult.server.url)
    rest = Rest(stranger.context, "village2")
    status, problem = refusal(lambda: rest.call("POST", consult.path("/room-token")))
    assert (status, problem["code"]) == (403, "forbidden")
    stranger.page.goto(f"/room/{consult.id}")
    expect(stranger.get("error")).to_be_visible()
    expect(stranger.get("tile")).to_have_count(0)
    stranger.context.close()


def test_what_the_token_does_not_allow(consult: Consult) -> None:
    async def try_all() -> dict[str, str]:
        guest = await RoomSession.join(consult.server.url, consult.token(subscribe=True, chat=True))
        asked = {
            "mutePeer": {"peerId": next(iter(guest.peers)), "source": "camera"},
            "removePeer": {"peerId": next(iter(guest.peers))},
            "startRecording": {},
            "stopRecording": {},
        }
        codes = {event: await code_of(guest, event, data) for event, data in asked.items()}
        with pytest.raises(RequestRefused) as caught:
            await guest.publish(OpusSource(tone()), "microphone")
        codes["produce"] = caught.value.code
        await guest.leave()
        watching = await signal_answer(consult.server.url, "view", watch(consult.token(subscribe=True)))
        return {**codes, "watch": watching[0]}

    codes = run(try_all())
    assert set(codes.values()) == {"not_granted"}, codes


async def code_of(session: RoomSession, event: str, data: Mapping[str, Any]) -> str:
    with pytest.raises(RequestRefused) as caught:
        await session._socket.request(event, data)
    return caught.value.code


# -- what one says


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"username": "vill', 400, "malformed"),
        (b"\xff\xfe\x00", 400, "malformed"),
        (b"[" * 100_000, 400, "malformed"),
        (b'{"username": 5}', 422, "validation_failed"),
        (b'{"username": "' + b"x" * HUGE + b'"}', 413, "too_large"),
    ],
    ids=["cut", "no text", "deep", "wrong types", "10 MB"],
)
def test_a_bad_body(consult: Consult, body: bytes, status: int, code: str) -> None:
    async def post() -> tuple[int, str]:
        """By hand: the answer to a body that is too large comes while most of it is still to be sent."""
        address = urlsplit(consult.server.url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        head = (
            f"POST /api/v1/auth/login HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: {len(body)}\r\n"
        )
        writer.write(f"{head}Content-Type: application/json\r\nConnection: close\r\n\r\n".encode() + body)
        try:
            answer = await reader.readuntil(b"\r\n\r\n")
            assert b"application/problem+json" in answer
            length = re.search(rb"Content-Length: (\d+)", answer)
            said = json.loads(await reader.readexactly(int(length[1]) if length else 0))
        finally:
            writer.transport.abort()
            with suppress(ConnectionError):
                await writer.wait_closed()
        return int(answer.split()[1]), str(said["code"])

    assert run(post()) == (status, code)


def test_bad_messages_to_the_room(consult: Consult) -> None:
    """Each is answered with one error; the socket lives and is good for a proper request afterwards."""

    async def try_all() -> list[str]:
        url = f"{consult.server.url}/socket.io/?EIO=4&transport=websocket"
        token = consult.token(subscribe=True, chat=True)
        async with aiohttp.ClientSession() as http, http.ws_connect(url, max_msg_size=0) as ws:
            await ws.receive_str()
            await ws.send_str(f'40/room,{{"token":"{token}"}}')
            assert (await ws.receive_str()).startswith("40/room")
            said = [
                f'42/room,1["chat",{{"text":"{SAID}',
                f'42/room,2["{SAID}",{{}}]',
                f'42/room,3["chat",{{"text":["{SAID}"]}}]',
                f'42/room,4["chat",{{"text":"{SAID * (HUGE // len(SAID) // 3)}"}}]',
                '42/room,5["stats",{}]',
            ]
            codes = []
            for number, text in enumerate(said, 1):
                await ws.send_str(text)
                codes.append(_code(await _acknowledgement(ws, number)))
            return codes

    assert run(try_all()) == ["malformed", "unknown_event", "malformed", "too_large", "not_joined"]


async def _acknowledgement(ws: aiohttp.ClientWebSocketResponse, number: int) -> dict[str, Any]:
    start = f"43/room,{number}"
    async with asyncio.timeout(WAIT_S):
        while not (text := await ws.receive_str()).startswith(start):
            assert not text.startswith("43/room")
    (reply,) = json.loads(text.removeprefix(start))
    return dict(reply)


def _code(reply: Mapping[str, Any]) -> str:
    assert reply["ok"] is False
    assert set(reply["error"]) == {"code", "blame", "message", "detail"}
    assert SAID not in json.dumps(reply, ensure_ascii=False)
    return str(reply["error"]["code"])


def test_bad_events_of_a_member(consult: Consult) -> None:
    async def try_all() -> list[str]:
        member = await RoomSession.join(consult.server.url, consult.token(subscribe=True, chat=True))
        asked: list[tuple[str, dict[str, Any]]] = [
            ("launch", {}),
            ("chat", {"text": 5}),
            ("chat", {"text": "x" * HUGE}),
            ("requestKeyFrame", {"consumerId": "nobody's"}),
            ("produce", {"transportId": "x", "kind": "smell"}),
        ]
        codes = [await code_of(member, event, data) for event, data in asked]
        await member.chat("still here")
        await member.leave()
        return codes

    assert run(try_all()) == ["unknown_event", "malformed", "too_large", "not_found", "malformed"]


# -- what comes over the wire


def test_garbage_on_the_media_port(consult: Consult) -> None:
    dice = np.random.default_rng(20260101)
    starts = (
        b"",
        b"\x00\x01\x00\x00\x21\x12\xa4\x42",
        b"\x16\xfe\xff\x00\x00",
        b"\x80\x60",
        b"\x81\xc8",
        b"\x40",
    )
    begun = _refused(consult)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(1, GARBAGE + 1):
            rubbish = starts[number % len(starts)] + dice.bytes(int(dice.integers(0, 1400)))
            sender.sendto(rubbish, ("127.0.0.1", consult.media_port))
            if number % BATCH == 0:
                _wait_refused(consult, begun + number)
        sender.setblocking(False)
        with pytest.raises(BlockingIOError):
            sender.recv(2048)


def _wait_refused(consult: Consult, count: float) -> None:
    """Until the server has counted so many datagrams of nobody; more at once would overflow the socket."""
    deadline = time.monotonic() + WAIT_S
    while (refused := _refused(consult)) < count:
        assert time.monotonic() < deadline, f"{refused} of {count}"


def _refused(consult: Consult) -> float:
    return _metric(consult, "huizhen_media_garbage") + _metric(consult, "huizhen_media_unknown")


def _metric(consult: Consult, name: str) -> float:
    text = consult.village.context.request.get("/metrics").text()
    return float(next(line for line in text.splitlines() if line.startswith(f"{name} ")).split()[1])


def ecg(leads: int, stream_id: str = "6f1c2b5e-3c0f-4d0c-9a2f-6f1f3a2b4c5d") -> StreamDescriptor:
    """A device's announcement of so many leads."""
    names = ("I", "II", "III")[:leads]
    return StreamDescriptor(stream_id, "ecg", "ECG", 500.0, tuple(Lead(n, n, 1.25, 0) for n in names))


def test_a_device_that_sends_another_lead_set_than_it_announced(consult: Consult) -> None:
    token = consult.token(signals=frozenset({"publish"}))
    two, three = ecg(2), ecg(3)

    async def try_it() -> tuple[str, str, int]:
        url = consult.server.url
        device = await SignalPublisher.connect(url, token, two)
        for sequence in range(3):
            await device.send(_frame(two, sequence))
        await device.wait_acknowledged(2)
        await device.send(_frame(three, 3))
        with pytest.raises(RequestRefused) as caught:
            await device.wait_acknowledged(3)
        await device.close()
        # Announcing the other set under the same stream is refused as well; what was acknowledged is kept.
        with pytest.raises(RequestRefused) as second:
            await SignalPublisher.connect(url, token, replace(three, stream_id=two.stream_id))
        again = await SignalPublisher.connect(url, token, two)
        kept = again.durable_sequence
        await again.close()
        return caught.value.code, second.value.code, kept

    assert run(try_it()) == ("signal_lead_set_changed", "signal_lead_set_changed", 2)


def _frame(descriptor: StreamDescriptor, sequence: int) -> bytes:
    samples = np.zeros((50, len(descriptor.leads)), dtype=np.int16)
    start = time.time_ns() - 10**9 + sequence * 10**8
    return encode(Frame.of(descriptor, sequence, start, samples))


def test_bad_signals(consult: Consult) -> None:
    token = consult.token(signals=frozenset({"publish"}))
    announce = {"type": "announce", "token": token, "stream": {}}
    first: dict[str, str | bytes] = {
        "no JSON": '{"type": "ann',
        "no stream": json.dumps(announce),
        "no announcement": json.dumps({"type": "end"}),
        "a frame at once": b"HZ" + bytes(60),
    }

    async def try_all() -> dict[str, tuple[str, int | None]]:
        return {
            name: await signal_answer(consult.server.url, "publish", message)
            for name, message in first.items()
        }

    answers = run(try_all())
    assert answers == {
        "no JSON": ("signal_malformed", 4400),
        "no stream": ("signal_malformed", 4400),
        "no announcement": ("signal_unexpected_message", 4400),
        "a frame at once": ("signal_unexpected_message", 4400),
    }


# -- afterwards


def test_nothing_kept_is_lost(session: Consult) -> None:
    session.expert.get("end-consult").click()
    session.expert.page.wait_for_url(f"**/c/{session.id}")
    recording = _finished(session)
    sources = {track["source"] for track in recording["tracks"]}
    assert {"camera", "microphone", "ultrasound"} <= sources
    assert [track["lostPackets"] for track in recording["tracks"]] == [0] * len(recording["tracks"])
    assert [signal["missing"] for signal in recording["signals"]] == [[], []]
    assert sorted(len(signal["leads"]) for signal in recording["signals"]) == [2, 12]


def _finished(consult: Consult) -> dict[str, Any]:
    """The recording's description, when its files are closed: the record page waits for that."""
    consult.village.page.goto(f"/record/{consult.id}")
    expect(consult.village.get("record-duration")).to_be_visible()
    (listed,) = consult.rest.call("GET", consult.path("/recordings"))
    found: dict[str, Any] = consult.rest.call("GET", f"/recordings/{listed['id']}")
    return found


def test_the_log_names_nobody(session: Consult) -> None:
    log = session.server.log_text().split("READY", 1)[-1]
    assert "joined as" in log, "the log does not show what happened"
    private = {PURPOSE, SUMMARY, SAID, GUEST, NOBODY, PASSWORD, *county.DEVICE_TOKENS.values(), "eyJ"}
    for person in county.PEOPLE[:6]:
        private |= {person.zh, person.en}
    for patient in county.PATIENTS:
        private |= {patient.zh, patient.en, patient.birth_date, patient.identifier}
    assert [text for text in private if text in log] == []
    assert "Traceback" not in log, log[-4000:]
