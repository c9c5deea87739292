"""The bus over Redis publish/subscribe (the only importer of ``redis``).

Messages hold what stands on a ringing screen, so they are sealed (AES-256-GCM) under a key of the nodes'
common secret: Redis sees nothing of it, nobody else can ring, and a node with another secret is noticed.
Redis keeps nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
from collections.abc import Callable
from typing import Any, Final

import redis.asyncio
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from media.clock import Clock
from media.errors import ErrorCode
from signaling.bus import BUS_AWAY, BUS_FOREIGN, Message
from signaling.limits import BUS_MESSAGE_BYTES_MAX, BUS_OUTGOING_MAX, BUS_RETRY_S, BUS_SILENT_S, BUS_WAIT_S

logger = logging.getLogger(__name__)

CHANNEL: Final = "huizhen"
_NONCE: Final = 12  # bytes (NIST SP 800-38D section 8.2.2: random ones of 96 bits)
_FOREIGN_SHOWN_S: Final = 60.0


class RedisBus:
    """Owns one task and, while Redis is there, two connections.

    :param url: ``redis://`` or ``rediss://`` (TLS), ``unix://``.
    :param key: 32 bytes, the same at every node.
    """

    def __init__(self, url: str, key: bytes, clock: Clock) -> None:
        self._url = url
        self._cipher = AESGCM(key)
        self._clock = clock
        self._outgoing: asyncio.Queue[bytes] = asyncio.Queue(BUS_OUTGOING_MAX)
        self._hear: Callable[[Message], None] = lambda _message: None
        self._changed: Callable[[bool], None] = lambda _up: None
        self._up = False
        self._foreign_at: float | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def trouble(self) -> ErrorCode | None:
        if not self._up:
            return BUS_AWAY
        foreign = (
            self._foreign_at is not None and self._clock.monotonic() - self._foreign_at < _FOREIGN_SHOWN_S
        )
        return BUS_FOREIGN if foreign else None

    async def start(self, hear: Callable[[Message], None], changed: Callable[[bool], None]) -> None:
        self._hear, self._changed = hear, changed
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="redis bus")

    async def close(self) -> None:
        """Send what waits, for a moment; then end. Idempotent."""
        task, self._task = self._task, None
        if task is None:
            return
        if self._up:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._outgoing.join(), BUS_WAIT_S)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    def publish(self, message: Message) -> None:
        if not self._up:
            return
        text = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
        nonce = secrets.token_bytes(_NONCE)
        try:
            self._outgoing.put_nowait(nonce + self._cipher.encrypt(nonce, text, None))
        except asyncio.QueueFull:
            # Whoever misses something asks for all of it; a ring is found in the database.
            logger.warning("the bus takes too little: a message was dropped")

    # -- the connection ------------------------------------------------------------------------------------

    async def _run(self) -> None:
        told = False
        while True:
            try:
                await self._session()
            except (RedisError, OSError, TimeoutError) as error:
                if self._up or not told:
                    logger.warning("the bus is away: %s", type(error).__name__)
                told = True
            finally:
                self._set(False)
            await asyncio.sleep(BUS_RETRY_S)

    async def _session(self) -> None:
        """From connecting to the loss, which it raises."""
        client: Any = redis.asyncio.Redis.from_url(
            self._url,
            socket_connect_timeout=BUS_WAIT_S,
            socket_timeout=BUS_WAIT_S,
            retry=Retry(NoBackoff(), 0),
        )
        pubsub: Any = client.pubsub(ignore_subscribe_messages=True)
        writer: asyncio.Task[None] | None = None
        try:
            await pubsub.subscribe(CHANNEL)
            self._empty()
            self._set(True)
            writer = asyncio.create_task(self._write(client), name="redis bus writer")
            await self._read(pubsub, writer)
        finally:
            if writer is not None:
                writer.cancel()
                await asyncio.wait({writer})
            with contextlib.suppress(RedisError, OSError):
                await pubsub.aclose()
            await client.aclose()

    async def _read(self, pubsub: Any, writer: asyncio.Task[None]) -> None:
        """Our own beats come back to us: silence means that the connection is dead."""
        heard = self._clock.monotonic()
        while True:
            message = await pubsub.get_message(timeout=BUS_WAIT_S)
            if writer.done():
                writer.result()
            now = self._clock.monotonic()
            if message is not None:
                heard = now
                self._take(message["data"])
            elif now - heard > BUS_SILENT_S:
                raise TimeoutError

    async def _write(self, client: Any) -> None:
        while True:
            sealed = await self._outgoing.get()
            try:
                await client.publish(CHANNEL, sealed)
            finally:
                self._outgoing.task_done()

    def _take(self, sealed: bytes) -> None:
        if len(sealed) > BUS_MESSAGE_BYTES_MAX:
            return
        try:
            text = self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], None)
        except (InvalidTag, ValueError):
            if self._foreign_at is None:
                logger.error("%s: %s", BUS_FOREIGN.code, BUS_FOREIGN.en)
            self._foreign_at = self._clock.monotonic()
            return
        message = json.loads(text)
        if isinstance(message, dict):
            self._hear(message)

    def _empty(self) -> None:
        while not self._outgoing.empty():
            self._outgoing.get_nowait()
            self._outgoing.task_done()

    def _set(self, up: bool) -> None:
        if up != self._up:
            self._up = up
            logger.info("the bus between nodes is %s", "there" if up else "away")
            self._changed(up)
