"""The ICE-lite agent (RFC 8445 section 2.5) as a state machine: datagram and time in, datagram out.

::

    new ── a valid check ──> connected ── nobody heard for the consent time ──> failed
                                 ^                                                │
                                 └──────────────── a valid check ─────────────────┘

The agent never sends a check of its own. It owns which address its peer is reached at: the pair that the
controlling end nominated last, or, before any nomination, the first that sent a valid check. A peer that
changes network sends a check with the same credentials from its new address and is followed at once.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Literal

from media.limits import MAX_ADDRESSES_PER_TRANSPORT
from media.transport.parameters import IceParameters
from media.transport.stun import (
    MessageType,
    PeerAddress,
    StunMessage,
    build,
    error_code,
    xor_mapped_address,
)

IceState = Literal["new", "connected", "failed"]


def new_ice_parameters(ice_lite: bool) -> IceParameters:
    """Fresh random credentials: ufrag of 64 bits, password of 128 (RFC 8445 section 5.3)."""
    return IceParameters(secrets.token_hex(8), secrets.token_hex(16), ice_lite)


@dataclass(slots=True)
class IceLiteAgent:
    """The controlled, answering end.

    :param parameters: current credentials.
    :param consent_timeout_s: silence after which the peer is given up.
    """

    parameters: IceParameters
    consent_timeout_s: float
    state: IceState = "new"
    selected: PeerAddress | None = None
    """Where to send; kept while failed, so that a late peer finds its way back."""
    addresses: list[PeerAddress] = field(default_factory=list)
    """Where valid checks came from, newest last; at most `MAX_ADDRESSES_PER_TRANSPORT`."""
    previous: IceParameters | None = None
    """Credentials before a restart; good until the new ones are used (RFC 8445 section 9)."""
    _nominated: bool = False
    _heard_at: float = 0.0

    @property
    def consent(self) -> IceParameters | None:
        """Credentials by which a check from where the peer is reached says that it is still there, no more.

        None while a check can change anything: not connected, or new credentials wait for their first use.
        """
        return self.parameters if self.state == "connected" and self.previous is None else None

    @property
    def nominated(self) -> bool:
        """The peer has said which pair it uses."""
        return self._nominated

    def receive(self, message: StunMessage, source: PeerAddress, now: float) -> bytes | None:
        """Handle one STUN message; returns the answer to send back to ``source``, or None.

        A request must carry USERNAME ``ours:theirs``, and MESSAGE-INTEGRITY made with our password.
        """
        if message.kind is not MessageType.BINDING_REQUEST:
            return None
        if message.username is None or message.integrity_offset is None:
            return _refuse(message, 400, "Bad Request")
        password = self._password_for(message)
        if password is None:
            return _refuse(message, 401, "Unauthenticated")
        if message.controlled:
            return build(
                MessageType.BINDING_ERROR,
                message.transaction_id,
                [error_code(487, "Role Conflict")],
                password,
            )
        self._accept(message, source, now)
        answer = [xor_mapped_address(source, message.transaction_id)]
        return build(MessageType.BINDING_RESPONSE, message.transaction_id, answer, password)

    def heard(self, now: float) -> None:
        """Something only the peer can have made arrived, such as an authentic media packet.

        It counts as a sign of life beside checks, since some clients send none once they are connected.
        """
        self._heard_at = now

    def heard_at_least(self, at: float) -> None:
        """As `heard`, of what may be older than what is known."""
        self._heard_at = max(self._heard_at, at)

    def forget(self, address: PeerAddress) -> None:
        """The connection of a TCP address has ended: go on over another known address, if there is one.

        The next check from anywhere is then followed, nominated or not.
        """
        if address in self.addresses:
            self.addresses.remove(address)
        if self.selected == address:
            self.selected = self.addresses[-1] if self.addresses else None
            self._nominated = False

    def tick(self, now: float) -> None:
        """Let time pass: give up a peer that was silent for too long."""
        if self.state == "connected" and now - self._heard_at >= self.consent_timeout_s:
            self.state = "failed"

    def restart(self) -> IceParameters:
        """New credentials (RFC 8445 section 9); media goes on over the old pair until the peer uses them.

        The pair in use is kept, however many restarts nobody has made use of: a client may hold credentials
        in reserve for the moment when its path is lost.
        """
        if self.previous is None:
            self.previous = self.parameters
        self.parameters = new_ice_parameters(ice_lite=True)
        return self.parameters

    def _password_for(self, message: StunMessage) -> str | None:
        """The password this request was rightly signed with; using the new one retires the old."""
        ufrag = (message.username or "").partition(":")[0]
        if ufrag == self.parameters.username_fragment and message.has_integrity(self.parameters.password):
            if self.previous is not None:
                # A restart asks for another path (RFC 8445 section 9): what was nominated before binds
                # nobody, and media follows the first check as at the beginning, then what is nominated anew.
                self.previous = None
                self._nominated = False
            return self.parameters.password
        old = self.previous
        if old and ufrag == old.username_fragment and message.has_integrity(old.password):
            return old.password
        return None

    def _accept(self, message: StunMessage, source: PeerAddress, now: float) -> None:
        self._heard_at = now
        if source in self.addresses:
            self.addresses.remove(source)
        self.addresses.append(source)
        # A lite agent uses what the controlling end nominated last: browsers nominate only the pair in use
        # when they face a lite agent, so the newest nomination is where the peer is now.
        if message.use_candidate or not self._nominated:
            self._nominated = self._nominated or message.use_candidate
            self.selected = source
        if len(self.addresses) > MAX_ADDRESSES_PER_TRANSPORT:
            self.addresses.remove(next(a for a in self.addresses if a != self.selected))
        self.state = "connected"


def _refuse(message: StunMessage, code: int, reason: str) -> bytes:
    """An error answer without integrity: there is no shared key to make it with (RFC 8489 section 9.1.3)."""
    return build(MessageType.BINDING_ERROR, message.transaction_id, [error_code(code, reason)])
