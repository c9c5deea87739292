"""Live feeds of text messages: standard input, TCP, MQTT. Each connects again by itself, marking the seam."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing

from clients.device import faults
from clients.device.policy import reconnect_delay
from clients.device.sources.source import FrameLength, Gatherer, Piece, Signal, Sleep, Tell
from clients.device.sources.text_feed import MESSAGE_BYTES, FeedError, Measured, parse
from media.clock import Clock

Messages = Callable[[], AsyncIterator[bytes]]
"""One connection's messages, until it ends. Raises `OSError` when there is none."""


class TextFeed:
    """Messages of `text_feed`, wherever they come from.

    :param messages: called again after each loss; once only for a feed that ends, such as standard input.
    :param again: whether to connect again when messages end.
    """

    def __init__(
        self, messages: Messages, again: bool, clock: Clock, sleep: Sleep, tell: Tell, length: FrameLength
    ) -> None:
        self._messages = messages
        self._again = again
        self._clock = clock
        self._sleep = sleep
        self._tell = tell
        self._length = length
        self._gatherers: dict[tuple[str, ...], Gatherer] = {}
        self._complained = ""

    @property
    def signals(self) -> tuple[Signal, ...]:
        """None: they stand in the messages."""
        return ()

    async def pieces(self) -> AsyncIterator[Piece]:
        """See `Source`."""
        attempt = 0
        while True:
            try:
                async with aclosing(self._messages()) as messages:  # type: ignore[type-var]
                    async for message in messages:
                        attempt = 0
                        for piece in self._pieces_of(message):
                            yield piece
            except OSError as problem:
                self._complain(faults.SOURCE_LOST, str(problem))
            for gatherer in self._gatherers.values():
                gatherer.break_off()
            if not self._again:
                return
            await self._sleep(reconnect_delay(attempt, random.random()))
            attempt += 1

    def _pieces_of(self, message: bytes) -> Iterator[Piece]:
        if not message.strip():
            return
        try:
            measured = parse(message)
        except FeedError as problem:
            # Which signal it was of is not known: all of them may miss samples now.
            for gatherer in self._gatherers.values():
                gatherer.break_off()
            self._complain(faults.FEED_MALFORMED, str(problem))
            return
        self._complained = ""
        yield from self._gatherer_of(measured).add(measured.samples)

    def _gatherer_of(self, measured: Measured) -> Gatherer:
        place = measured.signal.place
        known = self._gatherers.get(place)
        if known is not None and known.signal == measured.signal:
            return known
        if known is not None:
            self._tell(faults.SIGNAL_CHANGED, measured.signal.label)
        # How many there may be is bounded where their streams are opened.
        gatherer = self._gatherers[place] = Gatherer(measured.signal, self._clock, self._length)
        return gatherer

    def _complain(self, text: faults.Text, detail: str) -> None:
        """Say a trouble once, not with every message."""
        if self._complained != detail:
            self._complained = detail
            self._tell(text, detail)


async def stdin_lines() -> AsyncIterator[bytes]:
    """Lines of standard input."""
    reader = asyncio.StreamReader(limit=MESSAGE_BYTES)
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    try:
        async for line in _lines(reader):
            yield line
    finally:
        transport.close()


def tcp_lines(host: str, port: int) -> Messages:
    """Lines that a monitor or a terminal server sends to whoever connects."""

    async def messages() -> AsyncIterator[bytes]:
        reader, writer = await asyncio.open_connection(host, port, limit=MESSAGE_BYTES)
        try:
            async for line in _lines(reader):
                yield line
        finally:
            writer.close()

    return messages


async def _lines(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Each line; one beyond `MESSAGE_BYTES` ends the connection, for where the next begins is not known
    soon.
    """
    while True:
        try:
            line = await reader.readline()
        except ValueError:
            raise OSError(f"a line is longer than {MESSAGE_BYTES} bytes") from None
        if not line:
            return
        yield line
