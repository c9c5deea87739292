"""``huizhen device ultrasound``: publishes the machine's picture by WHIP (RFC 9725)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from dataclasses import dataclass

from clients.device import faults
from clients.device.assignment import Assignment
from clients.device.cine import Cine, read_cine, sample_cine
from clients.device.policy import Verdict, judge, reconnect_delay
from clients.device.runner import GatewayOptions, load, serve_rooms
from clients.device.status import StatusLine
from clients.device.supervisor import refused, until_stopped
from clients.sdk.errors import ConnectionLost, RequestRefused
from clients.sdk.media_source import Vp8Source
from clients.sdk.trust import Trust, is_untrusted
from clients.sdk.whip import WhipPublisher

logger = logging.getLogger(__name__)

BITS_PER_PIXEL = 0.21  # telesonography was judged reliable from 1.6 Mbit/s of 640 x 480 at 25/s on
MOST_BITRATE = 2_000_000  # what a clinic's uplink has left beside the camera
DEFAULT_WHIP_PATH = "/whip/ultrasound"


@dataclass(frozen=True, slots=True)
class UltrasoundOptions(GatewayOptions):
    """Those of every gateway, and:

    :param whip_path: endpoint, relative to the server; the assignment's, when None.
    """

    whip_path: str | None = None


async def run(options: UltrasoundOptions) -> int:
    """Run the gateway until its cine is over or SIGTERM comes; the exit status of `clients.device.faults`."""
    status = StatusLine(faults.ULTRASOUND, options.lang)
    return await until_stopped(_run(options, status), status)


async def _run(options: UltrasoundOptions, status: StatusLine) -> None:
    cine = load(options.file or sample_cine(), lambda file: read_cine(file.read_bytes()))

    def session(assignment: Assignment, trust: Trust) -> UltrasoundSession:
        return UltrasoundSession(options, trust, assignment, cine, status)

    await serve_rooms(options, session, status)


def bitrate_of(cine: Cine) -> int:
    """What a cine's pictures are worth, bits per second: by their size and how many come."""
    height, width = cine.picture(0).shape[:2]
    worth = BITS_PER_PIXEL * float(width * height) / cine.frame_s
    return round(min(MOST_BITRATE, worth))


class UltrasoundSession:
    """Publishes into one room, again after every cut. A live picture needs no outbox."""

    def __init__(
        self,
        options: UltrasoundOptions,
        trust: Trust,
        assignment: Assignment,
        cine: Cine,
        status: StatusLine,
    ) -> None:
        path = options.whip_path or assignment.whip_path or DEFAULT_WHIP_PATH
        self._url = options.server.rstrip("/") + path
        self._token = assignment.token
        self._trust = trust
        self._can_wait = options.room_token is None
        self._loop = options.loop
        self._cine = cine
        self._status = status
        self._stop = asyncio.Event()
        self._renewed = asyncio.Event()

    async def run(self) -> None:
        """See `clients.device.supervisor.Session`."""
        attempt = 0
        while not self._stop.is_set():
            self._renewed.clear()
            self._status.show(faults.CONNECTING)
            offline = faults.OFFLINE
            try:
                if await self._publish():
                    break
                attempt = 0
            except ConnectionLost as problem:
                logger.debug("not published: %s", problem)
                offline = faults.UNTRUSTED if is_untrusted(problem) else faults.OFFLINE
            except RequestRefused as refusal:
                if judge(refusal.code, refusal.blame) is Verdict.OVER:
                    break
                await self._bear(refusal)
            self._status.show(offline)
            await self._pause(reconnect_delay(attempt, random.random()))
            attempt += 1
        self._status.show(faults.ENDED)

    def renew(self, token: str) -> None:
        self._token = token
        self._renewed.set()

    def release(self) -> None:
        self._stop.set()

    async def _publish(self) -> bool:
        """One publication; True when it ended as it should, False when the line was lost."""
        source = Vp8Source(self._cine.picture, 1 / self._cine.frame_s, bitrate_of(self._cine))
        publisher = await WhipPublisher.publish(self._url, self._token, [source], ssl_verify=self._trust)
        try:
            self._status.show(faults.SENDING)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if self._loop else self._cine.duration_s):
                    await self._until_any(publisher.lost)
            return not publisher.lost.is_set()
        finally:
            await publisher.close()

    async def _bear(self, refusal: RequestRefused) -> None:
        """Wait for a new token where one may come; give up where trying again mends nothing."""
        verdict = judge(refusal.code, refusal.blame)
        if verdict is Verdict.STOP or (verdict is Verdict.AWAIT_ASSIGNMENT and not self._can_wait):
            raise refused(refusal.code, refusal.zh, refusal.en) from refusal
        if verdict is Verdict.AWAIT_ASSIGNMENT:
            await self._until_any(self._renewed)

    async def _pause(self, seconds: float) -> None:
        """Sleep, but wake when told to stop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()

    async def _until_any(self, event: asyncio.Event) -> None:
        """Until ``event``, or told to stop."""
        waiting = [asyncio.create_task(one.wait()) for one in (self._stop, event)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
