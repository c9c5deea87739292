"""Figures for Prometheus, in a registry of the app's own. Counts and times only: nothing names a person.

Labels are route patterns and codes, whose number is fixed, never identifiers.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from media.clock import Clock

_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """The app's registry and what it counts itself."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "huizhen_http_requests_total",
            "HTTP requests answered",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "huizhen_http_request_seconds",
            "Time to answer, seconds",
            ("route",),
            buckets=_BUCKETS_S,
            registry=self.registry,
        )

        self.room_events = Counter(
            "huizhen_room_events_total",
            "What happened in rooms: people came and went, recordings, signals",
            ("event",),
            registry=self.registry,
        )

    def gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """A figure that is read when it is asked for."""
        Gauge(name, text, registry=self.registry).set_function(value)

    def render(self) -> bytes:
        """The text exposition format, version 0.0.4."""
        return generate_latest(self.registry)

    def middleware(self, clock: Clock) -> Middleware:
        """Counts and times every request."""

        @web.middleware
        async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
            started = clock.monotonic()
            response = await handler(request)
            resource = request.match_info.route.resource
            route = "none" if resource is None else resource.canonical
            self.requests.labels(request.method, route, str(response.status)).inc()
            self.seconds.labels(route).observe(clock.monotonic() - started)
            return response

        return measure
