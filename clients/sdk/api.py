"""The REST API as a client sees it: one method a noun, JSON objects in and out."""

from __future__ import annotations

import json as json_text
from collections.abc import Mapping
from typing import Any, cast

import aiohttp

from clients.sdk.errors import ConnectionLost, RequestRefused
from clients.sdk.limits import REPLY_BYTES, REQUEST_TIMEOUT_S
from clients.sdk.trust import Trust

Json = dict[str, Any]


class ApiClient:
    """One account's use of ``/api/v1``. Use as an async context manager, or `close` it.

    Every method raises `RequestRefused` with the problem document's code, or `ConnectionLost`.

    :param base_url: ``https://host:port`` of the server, without a path.
    :param ssl_verify: here and in all of this package: `clients.sdk.trust.Trust`.
    """

    def __init__(self, base_url: str, access_token: str = "", ssl_verify: Trust = True) -> None:
        self.base_url = base_url.rstrip("/")
        self.access_token = access_token
        self.practitioner: Json = {}
        """Who is logged in, as the server told it."""
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        self._http = aiohttp.ClientSession(
            timeout=timeout,
            connector=aiohttp.TCPConnector(ssl=ssl_verify),
            # The refresh cookie must also come back from a server that is addressed by its number.
            cookie_jar=aiohttp.CookieJar(unsafe=True),
        )

    async def __aenter__(self) -> ApiClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; idempotent."""
        await self._http.close()

    # any request

    async def request(
        self,
        method: str,
        path: str,
        json: object = None,
        query: Mapping[str, str] | None = None,
    ) -> Any:
        """One request below ``/api/v1``; the reply's JSON, or None for an empty one."""
        reply = await self.fetch(method, f"/api/v1{path}", json, query)
        return reply if reply is None else _json(reply)

    async def fetch(
        self, method: str, path: str, json: object = None, query: Mapping[str, str] | None = None
    ) -> bytes | None:
        """One request of any path; the reply's body, or None for an empty one."""
        headers = {"Authorization": f"Bearer {self.access_token}"} if self.access_token else {}
        try:
            async with self._http.request(
                method, self.base_url + path, json=json, params=query, headers=headers
            ) as response:
                body = await _read(response)
                if response.status >= 400:
                    raise RequestRefused.from_json(_json(body, {}), response.status)
                return body or None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ConnectionLost(f"{method} {path}: {type(error).__name__}") from error

    # accounts

    async def login(self, username: str, password: str) -> Json:
        """Log in; later requests are this account's. Returns the practitioner."""
        reply = await self.request("POST", "/auth/login", {"username": username, "password": password})
        self.access_token = str(reply["accessToken"])
        self.practitioner = dict(reply.get("practitioner") or {})
        return self.practitioner

    async def refresh(self) -> None:
        """A new access token by the cookie that login left."""
        self.access_token = str((await self.request("POST", "/auth/refresh"))["accessToken"])

    async def logout(self) -> None:
        await self.request("POST", "/auth/logout")
        self.access_token = ""

    async def me(self) -> Json:
        return cast(Json, await self.request("GET", "/auth/me"))

    # people and things

    async def organizations(self) -> list[Json]:
        return _items(await self.request("GET", "/organizations"))

    async def practitioners(self, specialty: str = "", q: str = "") -> list[Json]:
        return _items(await self.request("GET", "/practitioners", query=_given(specialty=specialty, q=q)))

    async def patients(self, q: str = "") -> list[Json]:
        return _items(await self.request("GET", "/patients", query=_given(q=q)))

    async def devices(self) -> list[Json]:
        return _items(await self.request("GET", "/devices"))

    async def specialties(self) -> list[Json]:
        return _items(await self.request("GET", "/specialties"))

    async def on_call(self, specialty: str) -> list[Json]:
        """Who is on call now."""
        return _items(await self.request("GET", "/schedules/on-call", query={"specialty": specialty}))

    # consultations

    async def create_consultation(self, draft: Mapping[str, Any]) -> Json:
        """``draft``: kind, specialty, patientId, purpose, summary, consent, deviceIds, submit."""
        return cast(Json, await self.request("POST", "/consultations", dict(draft)))

    async def consultations(self, scope: str = "mine", state: str = "") -> list[Json]:
        return _items(await self.request("GET", "/consultations", query=_given(scope=scope, state=state)))

    async def consultation(self, consultation_id: str) -> Json:
        return cast(Json, await self.request("GET", f"/consultations/{consultation_id}"))

    async def act(self, consultation_id: str, action: str, **fields: Any) -> Json:
        """One step of the state table: submit, accept, decline, end, acknowledge ...

        :param fields: version, reason, data, as the action asks.
        """
        body = {"action": action, **fields}
        return cast(Json, await self.request("POST", f"/consultations/{consultation_id}/actions", body))

    async def put_opinion(self, consultation_id: str, opinion: Mapping[str, Any]) -> Json:
        """``opinion``: findings, conclusion, advice, critical."""
        path = f"/consultations/{consultation_id}/opinion"
        return cast(Json, await self.request("PUT", path, dict(opinion)))

    async def sign_opinion(self, consultation_id: str, password: str) -> Json:
        path = f"/consultations/{consultation_id}/opinion/sign"
        return cast(Json, await self.request("POST", path, {"password": password}))

    async def room_token(self, consultation_id: str) -> Json:
        """``token, roomId, role, expiresAt, routerRtpCapabilities, consultation``."""
        return cast(Json, await self.request("POST", f"/consultations/{consultation_id}/room-token"))

    async def create_guest_link(self, consultation_id: str, label: str = "") -> Json:
        """``id, url, expiresAt``."""
        path = f"/consultations/{consultation_id}/guest-links"
        return cast(Json, await self.request("POST", path, _given(label=label)))

    async def end_guest_link(self, consultation_id: str, link_id: str) -> None:
        await self.request("DELETE", f"/consultations/{consultation_id}/guest-links/{link_id}")

    async def guest_token(self, secret: str, display_name: str) -> Json:
        """A guest's room token; ``secret`` is the last part of the link's url. Needs no login."""
        path = f"/guest/{secret}/token"
        return cast(Json, await self.request("POST", path, {"displayName": display_name}))

    # the record

    async def recordings(self, consultation_id: str) -> list[Json]:
        return _items(await self.request("GET", f"/consultations/{consultation_id}/recordings"))

    async def recording(self, recording_id: str) -> Json:
        """The manifest with urls; each url can be given to `fetch`."""
        return cast(Json, await self.request("GET", f"/recordings/{recording_id}"))

    async def audit(self, consultation_id: str) -> list[Json]:
        return _items(await self.request("GET", "/audit", query={"consultationId": consultation_id}))


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = await response.content.read(REPLY_BYTES)
    # StreamReader.read gives what is there; the rest follows until the end.
    while len(body) < REPLY_BYTES and (more := await response.content.read(REPLY_BYTES - len(body))):
        body += more
    return body


def _json(body: bytes, default: object = None) -> Any:
    try:
        return json_text.loads(body)
    except ValueError:
        if default is not None:
            return default
        raise ConnectionLost("the reply is no JSON") from None


def _items(reply: Any) -> list[Json]:
    """Lists come bare or as a page with ``items``."""
    return list(reply["items"] if isinstance(reply, Mapping) else reply or ())


def _given(**values: str) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}
