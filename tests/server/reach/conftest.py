"""A running server for every test here that asks for one."""

from __future__ import annotations

from tests.server.running import caller, server

__all__ = ["caller", "server"]
