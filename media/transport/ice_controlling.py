"""The controlling end of ICE against a lite server: checks, nomination, consent (RFC 8445, RFC 7675).

The server is lite and tells all of its addresses, so there are no check lists to order and nothing to freeze:
every candidate is checked at once, each check nominates, the first answer selects.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from media.limits import ICE_CHECK_TIMEOUT_S, ICE_CONSENT_TIMEOUT_MAX_S
from media.transport.ice import IceState
from media.transport.parameters import IceParameters
from media.transport.stun import (
    Address,
    Attribute,
    MessageType,
    PeerAddress,
    StunMessage,
    build,
    candidate_priority,
)

FIRST_RETRY_S = 0.05
"""Wait before a check is repeated; doubles up to `LAST_RETRY_S` (RFC 8445 appendix B.1: Ta is 50 ms)."""
LAST_RETRY_S = 0.8
TCP_LATER_S = 0.5
"""TCP waits so long for UDP to answer first: past most round trips, short for who has nothing else."""
CONSENT_INTERVAL_S = 5.0
"""Between checks once connected, made longer or shorter by up to a fifth (RFC 7675 section 5.1)."""

_PRIORITY = (Attribute.PRIORITY, candidate_priority(110, 65535).to_bytes(4, "big"))


@dataclass(slots=True)
class _Check:
    """The repeated check of one candidate."""

    address: PeerAddress
    due_at: float
    retry_s: float = FIRST_RETRY_S
    transactions: list[bytes] = field(default_factory=list)


class IceControllingAgent:
    """Checks the server's candidates and keeps its consent.

    :param local: our credentials, which the server may ignore.
    :param remote: the server's credentials.
    :param addresses: the server's candidates, best first.
    :param new_transaction: makes 12 random bytes; replaced in tests.
    """

    def __init__(
        self,
        local: IceParameters,
        remote: IceParameters,
        addresses: Sequence[PeerAddress],
        now: float,
        new_transaction: Callable[[], bytes] = lambda: secrets.token_bytes(12),
    ) -> None:
        self.state: IceState = "new"
        self.selected: PeerAddress | None = None
        self.mapped: Address | None = None
        """Our own address as the server sees it."""
        self._remote = remote
        self._username = f"{remote.username_fragment}:{local.username_fragment}".encode()
        self._checks = _begin(addresses, now)
        self._new_transaction = new_transaction
        self._tie_breaker = new_transaction()[:8]
        self._deadline = now + ICE_CHECK_TIMEOUT_S

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, PeerAddress]]:
        """The checks that are due."""
        if self.state == "failed":
            return []
        return [(self._request(check, now), check.address) for check in self._active() if check.due_at <= now]

    def receive(self, message: StunMessage, source: PeerAddress, now: float) -> None:
        """Handle an answer; what matches no check of ours, or is not signed, changes nothing."""
        check = self._checks.get(source)
        if check is None or message.transaction_id not in check.transactions:
            return
        if message.kind is not MessageType.BINDING_RESPONSE:
            return
        if not message.has_integrity(self._remote.password):
            return
        self.mapped = message.mapped_address
        if self.selected is None or self.state == "failed":
            self.selected = source
        if source == self.selected:
            self.state = "connected"
            self._deadline = now + ICE_CONSENT_TIMEOUT_MAX_S
            check.retry_s = FIRST_RETRY_S
            check.due_at = now + CONSENT_INTERVAL_S * (0.8 + 0.4 * message.transaction_id[-1] / 255)
            check.transactions.clear()

    def tick(self, now: float) -> None:
        """Let time pass: nobody answered before the deadline, or consent ran out."""
        if now >= self._deadline:
            self.state = "failed"

    def next_timer(self) -> float | None:
        """When `tick` and `datagrams_to_send` are to be called next, or None when this agent is done."""
        if self.state == "failed":
            return None
        return min(self._deadline, *(check.due_at for check in self._active()))

    def restart(self, remote: IceParameters, now: float) -> None:
        """The server has new credentials: check every candidate again with them."""
        local = self._username.decode().partition(":")[2]
        self._remote = remote
        self._username = f"{remote.username_fragment}:{local}".encode()
        self._checks = _begin(list(self._checks), now)
        self._deadline = now + ICE_CHECK_TIMEOUT_S
        self.state, self.selected = "new", None

    def check_now(self, now: float) -> None:
        """Our own address changed: let the server see it from ``now`` on."""
        for check in self._active():
            check.due_at, check.retry_s = now, FIRST_RETRY_S

    def _active(self) -> list[_Check]:
        """All candidates until one answered, then that one."""
        if self.selected is not None:
            return [self._checks[self.selected]]
        return list(self._checks.values())

    def _request(self, check: _Check, now: float) -> bytes:
        transaction_id = self._new_transaction()
        # An answer to any of the last few repetitions is good.
        check.transactions = [*check.transactions[-7:], transaction_id]
        check.due_at = now + check.retry_s
        check.retry_s = min(check.retry_s * 2, LAST_RETRY_S)
        attributes = [
            (Attribute.USERNAME, self._username),
            (Attribute.ICE_CONTROLLING, self._tie_breaker),
            _PRIORITY,
            (Attribute.USE_CANDIDATE, b""),
        ]
        return build(MessageType.BINDING_REQUEST, transaction_id, attributes, self._remote.password)


def _begin(addresses: Sequence[PeerAddress], now: float) -> dict[PeerAddress, _Check]:
    """A check for each address; TCP ones begin later when there are others."""
    later = now + TCP_LATER_S if any(len(address) == 2 for address in addresses) else now
    return {address: _Check(address, now if len(address) == 2 else later) for address in addresses}
