"""Who has a page open at another node: kept by what the nodes tell, without I/O.

Each node numbers its changes. Whoever missed one (a bus that was away) finds a number that does not fit, and
asks for the whole; who is not heard for `NODE_SILENT_S` is not counted any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from signaling.limits import NODE_SILENT_S, NODES_MAX, SOCKETS_MAX


@dataclass(slots=True)
class _Node:
    users: set[str]
    sequence: int
    heard_at: float


class OnlineElsewhere:
    """``now``: seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._nodes: dict[str, _Node] = {}

    def __contains__(self, user_id: str) -> bool:
        return any(user_id in node.users for node in self._nodes.values())

    @property
    def nodes(self) -> frozenset[str]:
        return frozenset(self._nodes)

    def whole(self, node_id: str, sequence: int, users: Iterable[str], now: float) -> None:
        """Everybody who is there, at a node's change number ``sequence``."""
        if node_id not in self._nodes and len(self._nodes) >= NODES_MAX:
            return
        self._nodes[node_id] = _Node(set(list(users)[:SOCKETS_MAX]), sequence, now)

    def change(self, node_id: str, sequence: int, user_id: str, online: bool, now: float) -> bool:
        """Somebody came or went; False when a change before it was missed."""
        node = self._nodes.get(node_id)
        if node is None or sequence != node.sequence + 1:
            return False
        node.sequence, node.heard_at = sequence, now
        if not online:
            node.users.discard(user_id)
        elif len(node.users) < SOCKETS_MAX:
            node.users.add(user_id)
        return True

    def alive(self, node_id: str, sequence: int, now: float) -> bool:
        """It lives; False when a change was missed."""
        node = self._nodes.get(node_id)
        if node is None:
            return False
        node.heard_at = now
        return node.sequence == sequence

    def gone(self, node_id: str) -> None:
        """It stopped. Idempotent."""
        self._nodes.pop(node_id, None)

    def forget_silent(self, now: float) -> None:
        """Drop those that were not heard for too long."""
        for node_id, node in list(self._nodes.items()):
            if now - node.heard_at > NODE_SILENT_S:
                del self._nodes[node_id]
