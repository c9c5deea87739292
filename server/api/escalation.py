"""Escalation policies of a rota: whom the dispatcher rings how long and how many at once, by class."""

from __future__ import annotations

from pydantic import Field

from server.api.context import RequestContext
from server.api.models import ApiModel
from server.api.rota_shapes import Reason
from server.api.routing import endpoint
from server.auth.actor import Role
from server.consults.states import RING, with_ring
from server.consults.vocabulary import Kind
from server.oncall.changing import edit_policies
from server.oncall.history import Deed
from server.oncall.policy import EVERYONE_BY_S, Policy, Step, default_policy, policies_of
from server.oncall.schedules import schedule_row


class StepShape(ApiModel):
    """One ring. ``seconds`` null: as the class of the request says; ``together`` null: everyone left."""

    seconds: float | None = None
    together: int | None = 1
    desk: bool = False


class PolicyShape(ApiModel):
    """``steps``: the first ring, the second, ...; the last repeats. ``everyoneByS``: for urgent ones."""

    everyone_by_s: float = EVERYONE_BY_S
    steps: list[StepShape] = Field(min_length=1)


class PoliciesIn(ApiModel):
    """Classes that are left out have the defaults. ``version``: the rota that was seen."""

    version: int
    policies: dict[Kind, PolicyShape]
    reason: Reason = ""


class PoliciesOut(ApiModel):
    """``own``: what the rota keeps itself; ``policies``: what counts, for every class.

    ``defaults``: what counts for a class that is left out; ``ringS``: seconds of a ring that names none.
    """

    version: int
    own: list[Kind]
    policies: dict[Kind, PolicyShape]
    defaults: dict[Kind, PolicyShape]
    ring_s: dict[Kind, float]


@endpoint("GET", "/api/v1/schedules/{schedule_id}/escalation", summary="A rota's escalation policies")
async def get_escalation(ctx: RequestContext, schedule_id: str) -> PoliciesOut:
    row = await schedule_row(ctx.session, schedule_id)
    own = policies_of(row.policy)
    shown = {kind: _shape(own.get(kind, default_policy(kind))) for kind in Kind}
    durations = with_ring(ctx.services.config.oncall.ring_seconds)
    return PoliciesOut(
        version=row.version,
        own=sorted(own),
        policies=shown,
        defaults={kind: _shape(default_policy(kind)) for kind in Kind},
        ring_s={kind: durations[RING].of(kind) for kind in Kind},
    )


@endpoint(
    "PUT",
    "/api/v1/schedules/{schedule_id}/escalation",
    summary="Change a rota's escalation policies",
    roles={Role.DESK},
)
async def put_escalation(ctx: RequestContext, schedule_id: str, body: PoliciesIn) -> PoliciesOut:
    """Rings that run already go on as they began."""
    policies = {kind: _policy(shape) for kind, shape in body.policies.items()}
    deed = Deed(ctx.actor, ctx.now, body.reason)
    await edit_policies(ctx.session, ctx.services.audit, deed, schedule_id, policies, body.version)
    return await get_escalation(ctx, schedule_id)


def _shape(policy: Policy) -> PolicyShape:
    steps = [StepShape(seconds=one.seconds, together=one.together, desk=one.desk) for one in policy.steps]
    return PolicyShape(everyone_by_s=policy.everyone_by_s, steps=steps)


def _policy(shape: PolicyShape) -> Policy:
    steps = tuple(Step(one.seconds, one.together, one.desk) for one in shape.steps)
    return Policy(shape.everyone_by_s, steps)
