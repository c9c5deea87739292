"""Typed handlers: one decorated coroutine is a route, its validation and its page of the OpenAPI document.

::

    @endpoint("GET", "/api/v1/patients/{patient_id}", summary="One patient", roles=REQUESTERS)
    async def get_patient(ctx: RequestContext, patient_id: str) -> PatientOut: ...

``body`` and ``query`` are parameters with those names, each an `ApiModel`; parameters that stand in the path
are taken from it. The returned value is written as its annotation says; ``None`` gives 204, a
``web.StreamResponse`` passes as it is. Why not aiohttp-pydantic: see server/DESIGN.md.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar, get_origin, get_type_hints

from aiohttp import web
from pydantic import BaseModel, TypeAdapter

from media.errors import MALFORMED, RemoteProtocolError
from server.api.context import SERVICES, RequestContext
from server.auth.actor import Actor, Role, system_actor
from server.errors import FORBIDDEN, UNAUTHENTICATED
from server.services import Services

HandlerT = TypeVar("HandlerT", bound=Callable[..., Awaitable[Any]])

_MARK = "__operation__"


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path.

    :param roles: who may call it; None = every signed-in account.
    :param public: no sign-in at all.
    :param writes: whether ``ctx.session`` is a transaction that is committed.
    :param path_types: type of each parameter of the path.
    :param response: adapter of the returned value; None for 204 and for raw responses.
    """

    method: str
    path: str
    handler: Callable[..., Awaitable[Any]]
    summary: str
    description: str
    tag: str
    roles: frozenset[Role] | None
    public: bool
    writes: bool
    status: int
    path_types: Mapping[str, TypeAdapter[Any]]
    body: type[BaseModel] | None
    query: type[BaseModel] | None
    response: TypeAdapter[Any] | None
    media_type: str


def endpoint(
    method: str,
    path: str,
    *,
    summary: str,
    roles: Collection[Role] | None = None,
    public: bool = False,
    writes: bool | None = None,
    status: int = 200,
    media_type: str = "application/json",
) -> Callable[[HandlerT], HandlerT]:
    """Declare a handler.

    ``writes`` is assumed for every method but GET; a GET that leaves an audit entry says so.
    ``media_type`` of a raw response may name several, with ", " between them.
    """

    def decorate(handler: HandlerT) -> HandlerT:
        hints = get_type_hints(handler, include_extras=True)
        names = list(inspect.signature(handler).parameters)[1:]
        path_names = [name for name in names if name not in ("body", "query")]
        _check_path(path, path_names)
        result = hints.pop("return", None)
        operation = Operation(
            method=method,
            path=path,
            handler=handler,
            summary=summary,
            description=inspect.getdoc(handler) or "",
            tag=_tag(path),
            roles=None if roles is None else frozenset(roles),
            public=public,
            writes=method != "GET" if writes is None else writes,
            status=204 if result is type(None) else status,
            path_types={name: TypeAdapter(hints[name]) for name in path_names},
            body=hints.get("body"),
            query=hints.get("query"),
            response=_response_adapter(result),
            media_type=media_type,
        )
        setattr(handler, _MARK, operation)
        return handler

    return decorate


def operations_of(modules: Iterable[ModuleType]) -> list[Operation]:
    """The operations declared in ``modules``, in the order in which they are written."""
    found: list[Operation] = []
    for module in modules:
        for value in vars(module).values():
            operation = getattr(value, _MARK, None)
            if isinstance(operation, Operation) and value.__module__ == module.__name__:
                found.append(operation)
    return found


def add_operations(app: web.Application, operations: Iterable[Operation]) -> None:
    """Mount ``operations``; the app must hold `SERVICES` before the first request."""
    for operation in operations:
        app.router.add_route(operation.method, operation.path, _aiohttp_handler(operation))


def _check_path(path: str, names: list[str]) -> None:
    wanted = {part[1:-1] for part in path.split("/") if part.startswith("{")}
    if wanted != set(names):
        raise TypeError(f"{path} has {sorted(wanted)}, its handler takes {sorted(names)}")


def _tag(path: str) -> str:
    parts = path.strip("/").split("/")
    return parts[2] if parts[:2] == ["api", "v1"] else "service"


def _response_adapter(annotation: Any) -> TypeAdapter[Any] | None:
    if annotation is None or annotation is type(None):
        return None
    plain = get_origin(annotation) or annotation
    if isinstance(plain, type) and issubclass(plain, web.StreamResponse):
        return None
    return TypeAdapter(annotation)


def _aiohttp_handler(operation: Operation) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        services = request.app[SERVICES]
        now = services.clock.wall()
        # Signed in first, body second, database last: a slow upload must hold no transaction.
        actor = await _signed_in(operation, services, request, now)
        try:
            return await _answer(operation, services, request, actor, now)
        except RemoteProtocolError as refusal:
            # A consult's own refusals (ActionRefused) are noted where they are made, with what was wanted.
            if type(refusal) is RemoteProtocolError and refusal.code is FORBIDDEN:
                await _note_refusal(operation, services, actor, now)
            raise

    return handle


async def _answer(
    operation: Operation, services: Services, request: web.Request, actor: Actor, now: float
) -> web.StreamResponse:
    if operation.roles is not None and not operation.public and not actor.has(operation.roles):
        raise RemoteProtocolError(FORBIDDEN, f"needs one of {sorted(operation.roles)}")
    arguments = await _arguments(operation, request)
    opened = services.database.write() if operation.writes else services.database.read()
    async with opened as session:
        ctx = RequestContext(actor, services, session, now, request)
        result = await operation.handler(ctx, **arguments)
    await ctx.committed()
    return _reply(operation, ctx, result)


async def _signed_in(operation: Operation, services: Services, request: web.Request, now: float) -> Actor:
    if operation.public:
        return system_actor()
    token = bearer_token(request)
    async with services.database.read() as session:
        actor: Actor = await services.auth.actor(session, token, now)
    return actor


async def _note_refusal(operation: Operation, services: Services, actor: Actor, now: float) -> None:
    """A refused access stands in the trail: once for each person and operation within a while."""
    key = f"{actor.id} {operation.method} {operation.path}"
    if services.refusals.wait_s(key, now) > 0:
        return
    services.refusals.failed(key, now)
    detail = {"operation": f"{operation.method} {operation.path}"}
    async with services.database.write() as session:
        await services.audit.record(session, actor, "access.refused", "operation", operation.tag, detail)


def bearer_token(request: web.Request) -> str:
    """The token of ``Authorization: Bearer`` (RFC 6750 section 2.1); RemoteProtocolError without one."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise RemoteProtocolError(UNAUTHENTICATED)
    return token.strip()


async def _arguments(operation: Operation, request: web.Request) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        name: adapter.validate_strings(request.match_info[name])
        for name, adapter in operation.path_types.items()
    }
    if operation.query is not None:
        arguments["query"] = operation.query.model_validate(dict(request.query))
    if operation.body is not None:
        arguments["body"] = operation.body.model_validate(await _json_body(request))
    return arguments


async def _json_body(request: web.Request) -> Any:
    """The parsed body; RemoteProtocolError(malformed) when it is no JSON in UTF-8 (RFC 8259)."""
    raw = await request.read()
    try:
        return json.loads(raw, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise RemoteProtocolError(MALFORMED, "the body is no JSON") from None


def _refuse_constant(name: str) -> None:
    # RFC 8259 has no NaN and no infinities; Python's parser would take them.
    raise ValueError(name)


def _reply(operation: Operation, ctx: RequestContext, result: Any) -> web.StreamResponse:
    if isinstance(result, web.StreamResponse):
        return result
    response = web.Response(status=operation.status)
    if operation.response is not None:
        response.body = operation.response.dump_json(
            operation.response.validate_python(result), by_alias=True
        )
        response.content_type = operation.media_type
        response.charset = "utf-8"
    for name, value in ctx.response_headers:
        response.headers.add(name, value)
    # What stands in an answer belongs to its reader: no shared cache, no disk copy.
    response.headers.setdefault("Cache-Control", "no-store")
    return response
