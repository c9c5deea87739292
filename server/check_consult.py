"""The consult of ``huizhen check``:

a village doctor and an expert, an ECG, an ultrasound, from call to record.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any

from clients.sdk.api import ApiClient
from clients.sdk.events import EventStream
from server.check_report import CheckFailedError, CheckSkippedError, Report, Step
from server.check_room import ROOM_STEPS, RoomCheck
from server.demo_county import ECG_DEVICE, ULTRASOUND_DEVICE

REQUESTER = "village"
EXPERTS = ("cardio1", "cardio2")
OVERSEER = "desk"

_RING_S = 20.0  # the dispatcher rings at once; the rest is a slow machine
_RECORDING_S = 30.0  # finalising files

SIGN_IN: Step = ("doctors sign in", "医生登录")
DEVICES: Step = ("ECG and ultrasound gateways are online", "心电与超声网关在线")
REQUEST: Step = ("an urgent consult is requested", "发起紧急会诊")
RING: Step = ("the expert on call is rung", "呼叫值班专家")
ACCEPT: Step = ("the expert accepts", "专家接诊")
END: Step = ("the expert ends the consult", "专家结束会诊")
RECORDING: Step = ("the recording has tracks, duration and files", "录像完整")
DURABLE: Step = ("the ECG is kept without a gap", "心电完整保存")
OPINION: Step = ("the opinion is signed and verified", "意见已签名并验证")
DECISION: Step = ("the decision is recorded", "处置已记录")
AUDIT: Step = ("every step stands in the audit trail", "审计记录完整")
CONSULT_STEPS: tuple[Step, ...] = (
    *(SIGN_IN, DEVICES, REQUEST, RING, ACCEPT),
    *ROOM_STEPS,
    *(END, RECORDING, DURABLE, OPINION, DECISION, AUDIT),
)

_OPINION = {
    "findings": "窦性心律。",
    "conclusion": "自检会诊，无临床意义。Self-test.",
    "advice": "无。",
    "critical": False,
}
_AUDITED = frozenset(
    {f"consultation.{step}" for step in ("create", "accept", "join", "end", "sign", "acknowledge")}
    | {"recording.start", "recording.stop"}
)


class ConsultCheck:
    """One run of the consult. Everything opened stands on the stack of `run`."""

    def __init__(self, report: Report, url: str, password: str, seconds: float, tls_verify: bool) -> None:
        self._report = report
        self._url = url
        self._password = password
        self._seconds = seconds
        self._tls_verify = tls_verify
        self._apis: dict[str, ApiClient] = {}
        self._consultation = ""
        self._expert = ""
        self._devices: dict[str, bool] = {}

    async def run(self) -> None:
        """All steps in order; raises CheckSkippedError when it cannot go on."""
        async with AsyncExitStack() as stack:
            streams = await self._sign_in(stack)
            await self._look_at_devices()
            await self._request()
            await self._ring(streams)
            await self._accept()
            sides = {username: self._apis[username] for username in (REQUESTER, self._expert)}
            room = RoomCheck(self._report, self._url, self._consultation, self._seconds, self._tls_verify)
            await room.run(sides, self._devices)
            await self._end()
            await self._record()
            await self._opinion()

    # -- before the room -----------------------------------------------------------------------------------

    async def _sign_in(self, stack: AsyncExitStack) -> dict[str, EventStream]:
        streams: dict[str, EventStream] = {}
        async with self._report.step(*SIGN_IN) as notes:
            started = self._report.clock.monotonic()
            for username in (REQUESTER, *EXPERTS, OVERSEER):
                api = await stack.enter_async_context(ApiClient(self._url, ssl_verify=self._tls_verify))
                await api.login(username, self._password)
                self._apis[username] = api
            self._report.figures["login_ms"] = round(
                (self._report.clock.monotonic() - started) * 1000 / len(self._apis), 1
            )
            for username in EXPERTS:
                token = self._apis[username].access_token
                streams[username] = await EventStream.connect(self._url, token, self._tls_verify)
                stack.push_async_callback(streams[username].close)
            notes.append(", ".join(self._apis))
        return streams

    async def _look_at_devices(self) -> None:
        with suppress(CheckSkippedError):
            async with self._report.step(*DEVICES):
                found = await self._apis[REQUESTER].devices()
                self._devices = {str(device["id"]): bool(device["online"]) for device in found}
                missing = [one for one in (ECG_DEVICE, ULTRASOUND_DEVICE) if not self._devices.get(one)]
                if missing:
                    raise CheckFailedError(f"offline: {', '.join(missing)}")

    async def _request(self) -> None:
        async with self._report.step(*REQUEST) as notes:
            api = self._apis[REQUESTER]
            patient = (await api.patients())[0]
            draft = {
                "kind": "urgent",
                "specialty": "cardiology",
                "patientId": patient["id"],
                "purpose": "自检 self-test",
                "summary": "huizhen check",
                "consent": {"consult": True, "recording": True, "by": "patient"},
                "deviceIds": [one for one, online in self._devices.items() if online],
                "submit": True,
            }
            self._requested = self._report.clock.monotonic()
            consultation = await api.create_consultation(draft)
            self._consultation = str(consultation["id"])
            notes.append(str(consultation["number"]))

    async def _ring(self, streams: Mapping[str, EventStream]) -> None:
        async with self._report.step(*RING) as notes:
            self._expert = await self._first_rung(streams)
            self._report.time("request_to_ring_ms", self._requested)
            notes.append(self._expert)

    async def _first_rung(self, streams: Mapping[str, EventStream]) -> str:
        def ours(payload: Mapping[str, Any]) -> bool:
            return payload.get("consultationId") == self._consultation

        waiting = {
            asyncio.create_task(stream.wait_for("ring", ours, _RING_S), name=username)
            for username, stream in streams.items()
        }
        try:
            done, _ = await asyncio.wait(waiting, timeout=_RING_S, return_when=asyncio.FIRST_COMPLETED)
            rung = [task.get_name() for task in done if task.exception() is None]
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        if not rung:
            raise CheckFailedError("nobody was rung")
        return rung[0]

    async def _accept(self) -> None:
        async with self._report.step(*ACCEPT):
            started = self._report.clock.monotonic()
            await self._apis[self._expert].act(self._consultation, "accept")
            self._report.time("accept_ms", started)

    # -- after the room ------------------------------------------------------------------------------------

    async def _end(self) -> None:
        async with self._report.step(*END):
            self._ended = self._report.clock.monotonic()
            await self._apis[self._expert].act(self._consultation, "end")

    async def _record(self) -> None:
        shown: dict[str, Any] = {}
        with suppress(CheckSkippedError):
            async with self._report.step(*RECORDING) as notes:
                shown = await self._finished_recording()
                self._report.time("recording_ready_ms", self._ended)
                notes.append(await self._judge_recording(shown))
        with suppress(CheckSkippedError):
            reachable = bool(shown) and self._devices.get(ECG_DEVICE, False)
            async with self._report.step(*DURABLE, needs=reachable) as notes:
                notes.append(await self._judge_signals(shown["signals"]))

    async def _finished_recording(self) -> dict[str, Any]:
        api = self._apis[REQUESTER]
        token = api.access_token
        changes = await EventStream.connect(self._url, token, self._tls_verify)
        try:
            async with asyncio.timeout(_RECORDING_S):
                while True:
                    found = await api.recordings(self._consultation)
                    if found and found[-1]["durationMs"]:
                        return await api.recording(found[-1]["id"])
                    # The server tells of the consult when its recording is finished.
                    await changes.wait_for("consultation", timeout_s=_RECORDING_S)
        finally:
            await changes.close()

    async def _judge_recording(self, shown: Mapping[str, Any]) -> str:
        tracks: Sequence[Mapping[str, Any]] = shown["tracks"]
        wanted = {"microphone", "camera"}
        if self._devices.get(ULTRASOUND_DEVICE):
            wanted.add("ultrasound")
        missing = wanted - {track["source"] for track in tracks}
        if missing:
            raise CheckFailedError(f"no track of {', '.join(sorted(missing))}")
        total = 0
        for track in tracks:
            total += len(await self._apis[REQUESTER].fetch("GET", track["url"]) or b"")
        if total < len(tracks) * 1000:
            raise CheckFailedError(f"{len(tracks)} tracks hold {total} bytes")
        return f"{len(tracks)} tracks, {shown['durationMs'] / 1000:.1f} s, {total // 1024} KiB"

    async def _judge_signals(self, signals: Sequence[Mapping[str, Any]]) -> str:
        if not signals:
            raise CheckFailedError("nothing is kept")
        frames = 0
        for signal in signals:
            if signal["missing"]:
                raise CheckFailedError(f"frames {signal['missing']} are missing")
            raw = await self._apis[REQUESTER].fetch("GET", signal["url"]) or b""
            frames += _count_frames(raw)
        return f"{frames} frames"

    async def _opinion(self) -> None:
        expert, requester = self._apis[self._expert], self._apis[REQUESTER]
        async with self._report.step(*OPINION) as notes:
            started = self._report.clock.monotonic()
            await expert.put_opinion(self._consultation, _OPINION)
            await expert.sign_opinion(self._consultation, self._password)
            self._report.time("sign_ms", started)
            opinion = (await requester.consultation(self._consultation))["opinion"]
            signature = opinion and opinion["signature"]
            if not signature or not signature["verified"]:
                raise CheckFailedError("the signature does not stand")
            notes.append(str(signature["algorithm"]))
        with suppress(CheckSkippedError):
            async with self._report.step(*DECISION):
                decision = {"decision": "自检完成 self-test done"}
                after = await requester.act(self._consultation, "acknowledge", data=decision)
                if not after["decision"]:
                    raise CheckFailedError(f"the state is {after['state']}")
        async with self._report.step(*AUDIT) as notes:
            actions = {entry["action"] for entry in await self._apis[OVERSEER].audit(self._consultation)}
            if not actions >= _AUDITED:
                raise CheckFailedError(f"missing: {', '.join(sorted(_AUDITED - actions))}")
            notes.append(f"{len(actions)} kinds of entries")


def _count_frames(raw: bytes) -> int:
    """Frames in a reply of length-prefixed ones."""
    count = position = 0
    while position < len(raw):
        (length,) = struct.unpack_from("<I", raw, position)
        position += 4 + length
        count += 1
    return count
