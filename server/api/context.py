"""What a handler is given beside its body, path and query."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date, datetime

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from server.auth.actor import Actor
from server.services import Services

SERVICES = web.AppKey("services", Services)
"""Where the app keeps its object graph."""


@dataclass(slots=True)
class RequestContext:
    """One request.

    :param actor: who asks. On a public operation: the system's own actor, which has no roles.
    :param services: the app's object graph.
    :param session: for an operation that writes, one transaction, committed when the handler returns;
        otherwise a session for reading only.
    :param now: Unix seconds at which the request began.
    :param request: the HTTP request, for cookies and addresses.
    :param response_headers: headers to add to a successful reply.
    """

    actor: Actor
    services: Services
    session: AsyncSession
    now: float
    request: web.Request
    response_headers: list[tuple[str, str]] = field(default_factory=list)
    _after_commit: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    @property
    def today(self) -> date:
        """The day on the clinics' wall."""
        return datetime.fromtimestamp(self.now, self.services.config.zone).date()

    def after_commit(self, action: Callable[[], Awaitable[None]]) -> None:
        """Run ``action`` once the transaction stands: pushes must not tell of what may still be undone."""
        self._after_commit.append(action)

    async def committed(self) -> None:
        for action in self._after_commit:
            await action()
