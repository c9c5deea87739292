"""Carries one stream from the outbox to the server, over as many connections as it takes."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable

import aiohttp

from clients.device import faults
from clients.device.faults import DeviceFault
from clients.device.outbox import Outbox
from clients.device.policy import Verdict, judge, reconnect_delay
from clients.device.supervisor import refused
from clients.device.uplink import State, Uplink
from clients.sdk.trust import Trust, is_untrusted
from media.errors import RemoteProtocolError
from media.limits import SIGNAL_MAX_TEXT_BYTES

logger = logging.getLogger(__name__)

HEARTBEAT_S = 5.0  # a dead line is found in half of it more, and the outbox bridges it
CONNECT_TIMEOUT_S = 10.0  # a server that does not answer by then is asked again later
# A first packet that a cut line swallowed is sent again after 1, 3, 7 s: better a new one, soon after the
# line is back. No line that carries an ECG takes longer for one round.
TCP_CONNECT_S = 3.5

# Closing does not wait for a line that may be dead.
_CLOSING = aiohttp.ClientWSTimeout(ws_close=1.0)


class EcgStream:
    """One stream's way. `run` owns the connection; the measuring side appends to the outbox and calls `wake`.

    :param can_wait: whether somebody will bring a new token when this one is refused.
    :param trust: which certificates are taken for the server's.
    :param changed: told when the state or a count changed.
    """

    def __init__(
        self,
        url: str,
        token: str,
        outbox: Outbox,
        can_wait: bool,
        trust: Trust,
        changed: Callable[[State], None],
    ) -> None:
        self.uplink = Uplink(outbox.descriptor, outbox)
        self.untrusted = False
        """Whether the last try failed because of the server's certificate."""
        self._url = url
        self._token = token
        self._can_wait = can_wait
        self._trust = trust
        self._changed = changed
        self._awake = asyncio.Event()
        self._renewed = asyncio.Event()

    def wake(self) -> None:
        """Something new is in the outbox."""
        self._awake.set()

    def renew(self, token: str) -> None:
        """Use ``token`` from the next connection on."""
        self._token = token
        self._renewed.set()

    def end(self) -> None:
        """Nothing more will be measured."""
        self.uplink.end()
        self.wake()

    async def run(self) -> None:
        """Until everything is confirmed and the server ended the stream, or the room is closed.

        :raises DeviceFault: the server refused in a way that trying again does not mend.
        """
        attempt = 0
        connector = aiohttp.TCPConnector(ssl=self._trust)
        timeout = aiohttp.ClientTimeout(sock_connect=TCP_CONNECT_S)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
            while True:
                self._renewed.clear()
                if await self._connect(http) and self.uplink.refusal is None:
                    attempt = 0  # a server that takes a stream and then cannot keep it is left in peace
                self.uplink.disconnected()
                self._changed(self.uplink.state)
                if self.uplink.state is State.ENDED or self._is_over():
                    return
                if not await self._mend():
                    await asyncio.sleep(reconnect_delay(attempt, random.random()))
                    attempt += 1

    async def _connect(self, http: aiohttp.ClientSession) -> bool:
        """One connection, until it ends; whether the server had accepted the stream on it."""
        self.untrusted = False
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                socket = await http.ws_connect(
                    self._url, heartbeat=HEARTBEAT_S, max_msg_size=SIGNAL_MAX_TEXT_BYTES, timeout=_CLOSING
                )
            async with socket:
                return await self._converse(socket)
        except (aiohttp.ClientError, OSError, TimeoutError, RemoteProtocolError) as problem:
            logger.debug("signal connection: %s", type(problem).__name__)
            self.untrusted = is_untrusted(problem)
            return False

    async def _converse(self, socket: aiohttp.ClientWebSocketResponse) -> bool:
        await socket.send_str(self.uplink.connected(self._token))
        sending = asyncio.create_task(self._send_on(socket))
        accepted = False
        try:
            async for message in socket:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    break
                self.uplink.receive(message.data)
                self._changed(self.uplink.state)
                self.wake()
                accepted = accepted or self.uplink.state is State.STREAMING
                if self.uplink.state in (State.ENDED, State.REFUSED) or self.uplink.broken:
                    break
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        return accepted

    async def _send_on(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            await self._awake.wait()
            self._awake.clear()
            for message in self.uplink.to_send():
                if isinstance(message, str):
                    await socket.send_str(message)
                else:
                    await socket.send_bytes(message)

    def _is_over(self) -> bool:
        refusal = self.uplink.refusal
        return refusal is not None and judge(refusal.code, refusal.blame) is Verdict.OVER

    async def _mend(self) -> bool:
        """After a refusal: wait for a new token (True), or say that trying again later may help (False)."""
        if self.uplink.broken:
            raise DeviceFault(faults.EXIT_REFUSED, faults.STREAM_BROKEN)
        refusal = self.uplink.refusal
        if refusal is None:
            return False
        verdict = judge(refusal.code, refusal.blame)
        if verdict is Verdict.STOP or (verdict is Verdict.AWAIT_ASSIGNMENT and not self._can_wait):
            raise refused(refusal.code, refusal.zh, refusal.en)
        if verdict is Verdict.RETRY:
            return False
        await self._renewed.wait()
        return True
