"""The room of ``huizhen check``: two people, media both ways, an ultrasound, an ECG, and nothing lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress

from clients.sdk.api import ApiClient
from clients.sdk.errors import RequestRefused
from clients.sdk.media_sink import MediaSink
from clients.sdk.media_source import OpusSource, Vp8Source, moving_picture, tone
from clients.sdk.room import RoomSession
from clients.sdk.room_events import ChatReceived
from clients.sdk.signals import SignalViewer
from server.check_report import CheckFailedError, CheckSkippedError, Report, Step, percentile
from server.demo_county import ECG_DEVICE, ULTRASOUND_DEVICE

_MEDIA_S = 20.0  # ICE, DTLS and the first key frame
_SILENCE = 0.01  # root mean square below which a tone of 0.25 peak did not arrive

FOREIGN_ROOM: Step = ("a room is closed to a foreign token", "伪造凭证不能进入会诊室")
JOIN: Step = ("both are in the room", "双方进入会诊室")
PROTECTED: Step = ("media is encrypted (DTLS-SRTP)", "媒体已加密")
MEDIA: Step = ("sound and picture both ways", "双向音视频")
ULTRASOUND: Step = ("the ultrasound arrives", "超声影像到达")
ECG: Step = ("the ECG arrives live", "心电信号到达")
CHAT: Step = ("a chat message arrives", "文字消息到达")
LOSS: Step = ("no packet is lost", "无丢包")
ROOM_STEPS: tuple[Step, ...] = (FOREIGN_ROOM, JOIN, PROTECTED, MEDIA, ULTRASOUND, ECG, CHAT, LOSS)


class CheckedSession(RoomSession):
    """A participant that also tells how its media is protected."""

    @property
    def srtp_profile(self) -> str:
        """The negotiated SRTP profile (RFC 5764, RFC 7714); CheckFailedError without one."""
        profile = None if self._send is None else self._send.transport.srtp_profile
        if profile is None:
            raise CheckFailedError("no SRTP profile was negotiated")
        return profile


class RoomCheck:
    """What happens while both sides are in the room.

    :param seconds: how long media flows before it is judged.
    """

    def __init__(self, report: Report, url: str, consultation: str, seconds: float, tls_verify: bool) -> None:
        self._report = report
        self._url = url
        self._consultation = consultation
        self._seconds = seconds
        self._tls_verify = tls_verify
        self._sessions: list[CheckedSession] = []

    async def run(self, sides: Mapping[str, ApiClient], devices: Mapping[str, bool]) -> None:
        """Join both ``sides`` (requester first), look at everything, leave.

        :param devices: online by device id.
        """
        async with AsyncExitStack() as stack:
            with suppress(CheckSkippedError):
                async with self._report.step(*FOREIGN_ROOM) as notes:
                    notes.append(await self._foreign_room())
            tokens = await self._join(sides, stack)
            for look in (
                self._media(),
                self._ultrasound(devices.get(ULTRASOUND_DEVICE, False)),
                self._ecg(tokens[-1], devices.get(ECG_DEVICE, False), stack),
                self._chat(),
                self._loss(),
            ):
                # One failure does not end the rest.
                with suppress(CheckSkippedError):
                    await look

    async def _join(self, sides: Mapping[str, ApiClient], stack: AsyncExitStack) -> list[str]:
        tokens: list[str] = []
        async with self._report.step(*JOIN):
            started = self._report.clock.monotonic()
            for api in sides.values():
                tokens.append(str((await api.room_token(self._consultation))["token"]))
                session = await CheckedSession.join(
                    self._url, tokens[-1], clock=self._report.clock, ssl_verify=self._tls_verify
                )
                assert isinstance(session, CheckedSession)
                stack.push_async_callback(session.close)
                self._sessions.append(session)
            self._report.time("join_both_ms", started)
        return tokens

    async def _foreign_room(self) -> str:
        try:
            session = await RoomSession.join(self._url, "not.a.token", ssl_verify=self._tls_verify)
        except RequestRefused as refusal:
            return refusal.code
        await session.close()
        raise CheckFailedError("it was let in")

    async def _media(self) -> None:
        async with self._report.step(*MEDIA) as notes:
            started = self._report.clock.monotonic()
            for session in self._sessions:
                await session.publish(OpusSource(tone()), "microphone")
                await session.publish(Vp8Source(moving_picture()), "camera")
            for session in self._sessions:
                for source in ("microphone", "camera"):
                    await session.wait_for_sink(_from(source), _MEDIA_S)
            self._report.time("first_frame_ms", started)
            await asyncio.sleep(self._seconds)
            notes += [_judged(session) for session in self._sessions]
        async with self._report.step(*PROTECTED) as notes:
            notes += sorted({session.srtp_profile for session in self._sessions})

    async def _ultrasound(self, online: bool) -> None:
        async with self._report.step(*ULTRASOUND, needs=online) as notes:
            sink = await self._sessions[-1].wait_for_sink(_from("ultrasound"), _MEDIA_S)
            picture = sink.decode_pictures()[-1]
            notes.append(f"{picture.shape[1]} x {picture.shape[0]}, {sink.mime_type}")

    async def _ecg(self, token: str, online: bool, stack: AsyncExitStack) -> None:
        async with self._report.step(*ECG, needs=online) as notes:
            viewer = await SignalViewer.connect(self._url, token, self._tls_verify)
            stack.push_async_callback(viewer.close)
            delays, last = await self._watch(viewer)
            self._report.figures["ecg_device_to_viewer_p99_ms"] = round(percentile(delays, 0.99), 1)
            notes.append(f"{len(delays)} frames up to {last}")

    async def _watch(self, viewer: SignalViewer) -> tuple[list[float], int]:
        """Delays in ms from the last sample of each live frame to its arrival, and the last sequence."""
        delays: list[float] = []
        last = -1
        began = self._report.clock.wall()
        async with asyncio.timeout(_MEDIA_S + self._seconds):
            while self._report.clock.wall() - began < self._seconds or len(delays) < 10:
                frame = await viewer.next_frame()
                if last >= 0 and frame.sequence != last + 1:
                    raise CheckFailedError(f"frame {frame.sequence} follows {last}")
                last = frame.sequence
                length_s = frame.samples.shape[0] * 1000 / frame.sampling_rate_mhz
                measured = frame.device_time_ns / 1e9 + length_s
                if measured >= began:
                    delays.append((self._report.clock.wall() - measured) * 1000)
        return delays, last

    async def _chat(self) -> None:
        async with self._report.step(*CHAT):
            await self._sessions[0].chat("self-test")
            await self._sessions[-1].wait_for(ChatReceived, timeout_s=_MEDIA_S)

    async def _loss(self) -> None:
        async with self._report.step(*LOSS, needs=bool(self._sinks())) as notes:
            lost = sum(sink.stats.lost for sink in self._sinks())
            received = sum(sink.stats.packets for sink in self._sinks())
            self._report.figures["lost_packets"] = lost
            notes.append(f"{received} received")
            if lost:
                raise CheckFailedError(f"{lost} of {lost + received}")

    def _sinks(self) -> list[MediaSink]:
        return [sink for session in self._sessions for sink in session.sinks.values()]


def _from(source: str) -> Callable[[MediaSink], bool]:
    def matches(sink: MediaSink) -> bool:
        return sink.source == source

    return matches


def _judged(session: RoomSession) -> str:
    """What a session sees and hears of the other; CheckFailedError for silence or a still picture."""
    sinks = {sink.source: sink for sink in session.sinks.values()}
    level = sinks["microphone"].decode_level()
    pictures = sinks["camera"].decode_pictures()
    if level < _SILENCE:
        raise CheckFailedError("silence arrives")
    if len(pictures) < 2 or (pictures[0] == pictures[-1]).all():
        raise CheckFailedError("the picture does not move")
    return f"{session.role}: {len(pictures)} pictures, level {level:.2f}"
