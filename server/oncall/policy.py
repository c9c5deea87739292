"""Escalation policies as data: how long each ring lasts, how many ring at once, when everyone does.

Sans-I/O. Stored with a rota as JSON (`as_json`, `policies_of`); a rota without one of its own has `DEFAULTS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from media.errors import RemoteProtocolError
from server.consults.vocabulary import Kind
from server.oncall.limits import POLICY_STEPS, RING_LEAST_S, RING_LONGEST_S, RINGING_AT_ONCE
from server.oncall.rota_errors import POLICY_INVALID

EVERYONE_BY_S = 300.0
"""Urgent: all backups and the desk by five minutes; a policy may be quicker, never slower."""


@dataclass(frozen=True, slots=True)
class Step:
    """One ring of a round.

    :param seconds: how long it lasts; None: as long as the class of the request says.
    :param together: how many who can answer are rung at once; None: everyone who is left.
    :param desk: the desk is told as well.
    """

    seconds: float | None = None
    together: int | None = 1
    desk: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """How to escalate.

    :param everyone_by_s: so many seconds after an urgent request was made, everyone left is being rung
        and the desk is alarmed.
    :param steps: the first ring, the second, ...; the last one repeats.
    """

    everyone_by_s: float = EVERYONE_BY_S
    steps: tuple[Step, ...] = (Step(),)

    def step(self, rings: int) -> Step:
        """The step after so many rings of the round."""
        return self.steps[min(max(rings, 0), len(self.steps) - 1)]


_ONE, _TWO, _ALL = Step(), Step(together=2), Step(together=None, desk=True)

DEFAULTS: Mapping[Kind, Policy] = MappingProxyType(
    {Kind.URGENT: Policy(steps=(_ONE, _ONE, _TWO, _TWO, _ALL)), Kind.DIAGNOSTIC: Policy(steps=(_ONE, _TWO))}
)
"""By class; a class that is not here rings one at a time. An urgent ring lasts 60 s, so the fifth, which is
everyone's, begins at four minutes."""


def default_policy(kind: Kind) -> Policy:
    return DEFAULTS.get(kind, Policy())


def policies_of(document: Mapping[str, Any] | None) -> dict[Kind, Policy]:
    """The policies that a rota keeps: ``{"urgent": {"everyoneByS": 300, "steps": [...]}, ...}``.

    :raises RemoteProtocolError: policy_invalid, with the field that is wrong.
    """
    found: dict[Kind, Policy] = {}
    for name, one in (document or {}).items():
        if name not in set(Kind):
            raise RemoteProtocolError(POLICY_INVALID, name)
        steps = tuple(
            Step(each.get("seconds"), each.get("together"), bool(each.get("desk", False)))
            for each in one["steps"]
        )
        found[Kind(name)] = check_policy(Policy(float(one.get("everyoneByS", EVERYONE_BY_S)), steps))
    return found


def as_json(policies: Mapping[Kind, Policy]) -> dict[str, Any]:
    return {
        kind.value: {
            "everyoneByS": policy.everyone_by_s,
            "steps": [
                {"seconds": each.seconds, "together": each.together, "desk": each.desk}
                for each in policy.steps
            ],
        }
        for kind, policy in policies.items()
    }


def check_policy(policy: Policy) -> Policy:
    """:raises RemoteProtocolError: policy_invalid."""
    if not 0 < len(policy.steps) <= POLICY_STEPS:
        raise RemoteProtocolError(POLICY_INVALID, "steps")
    if not 0 <= policy.everyone_by_s <= EVERYONE_BY_S:
        raise RemoteProtocolError(POLICY_INVALID, "everyoneByS")
    for each in policy.steps:
        if each.seconds is not None and not RING_LEAST_S <= each.seconds <= RING_LONGEST_S:
            raise RemoteProtocolError(POLICY_INVALID, "seconds")
        if each.together is not None and not 1 <= each.together <= RINGING_AT_ONCE:
            raise RemoteProtocolError(POLICY_INVALID, "together")
    return policy
