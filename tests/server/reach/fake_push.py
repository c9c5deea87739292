"""A push service and a telephone gateway on loopback. The first decrypts as a browser does (RFC 8291)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
from dataclasses import dataclass, field
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from server.reach.webpush import b64, unb64


def _expand(key: bytes, info: bytes, length: int) -> bytes:
    """HKDF-Expand of one block (RFC 5869 section 2.3), written out: not the code that is tested."""
    return hmac.new(key, info + b"\x01", hashlib.sha256).digest()[:length]


@dataclass
class Browser:
    """A subscribed browser: its private key never leaves it."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    auth: bytes = field(default_factory=lambda: os.urandom(16))

    @property
    def point(self) -> bytes:
        return self.key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )

    def keys(self) -> dict[str, str]:
        return {"p256dh": b64(self.point), "auth": b64(self.auth)}

    def decrypt(self, body: bytes) -> bytes:
        salt, length = body[:16], body[20]
        sender, sealed = body[21 : 21 + length], body[21 + length :]
        theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender)
        shared = self.key.exchange(ec.ECDH(), theirs)
        first = hmac.new(self.auth, shared, hashlib.sha256).digest()
        secret = _expand(first, b"WebPush: info\x00" + self.point + sender, 32)
        second = hmac.new(salt, secret, hashlib.sha256).digest()
        key = _expand(second, b"Content-Encoding: aes128gcm\x00", 16)
        nonce = _expand(second, b"Content-Encoding: nonce\x00", 12)
        plain = AESGCM(key).decrypt(nonce, sealed, None)
        assert plain.endswith(b"\x02")
        return plain[:-1]


class FakeServices:
    """Answers ``/push`` and ``/hook`` with the statuses that it was told, then with 201."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.pushes: list[tuple[dict[str, Any], dict[str, str]]] = []
        self.hooks: list[tuple[bytes, dict[str, str]]] = []
        self.answers: list[int] = []
        self.came = asyncio.Condition()
        self._free = asyncio.Event()
        self._free.set()
        self._runner: web.AppRunner | None = None
        self.origin = ""

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/push", self._push)
        app.router.add_post("/hook", self._hook)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        assert self._runner.addresses
        self.origin = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def hold(self) -> None:
        """Take requests and answer none of them."""
        self._free.clear()

    def let_go(self) -> None:
        self._free.set()

    async def wait_for(self, pushes: int = 0, hooks: int = 0) -> None:
        async with self.came:
            await self.came.wait_for(lambda: len(self.pushes) >= pushes and len(self.hooks) >= hooks)

    async def _push(self, request: web.Request) -> web.Response:
        assert request.headers["Content-Encoding"] == "aes128gcm"
        _check_vapid(request.headers["Authorization"], self.origin)
        body = json.loads(self.browser.decrypt(await request.read()))
        return await self._answer(self.pushes, (body, dict(request.headers)))

    async def _hook(self, request: web.Request) -> web.Response:
        return await self._answer(self.hooks, (await request.read(), dict(request.headers)))

    async def _answer(self, kept: list[Any], what: Any) -> web.Response:
        async with self.came:
            kept.append(what)
            self.came.notify_all()
        await self._free.wait()
        return web.Response(status=self.answers.pop(0) if self.answers else 201)


def _check_vapid(header: str, origin: str) -> None:
    scheme, _, rest = header.partition(" ")
    fields = dict(part.strip().split("=", 1) for part in rest.split(","))
    point = unb64(fields["k"])
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    claims = jwt.decode(fields["t"], key, algorithms=["ES256"], audience=origin)
    assert (scheme, claims["aud"]) == ("vapid", origin)


def check_signature(body: bytes, headers: dict[str, str], secret: str) -> dict[str, Any]:
    """As the receiver of a webhook does (Standard Webhooks); the message."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{wanted}"
    message: dict[str, Any] = json.loads(body)
    assert message["id"] == headers["webhook-id"]
    return message
