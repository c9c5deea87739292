"""Looks at lists of consults in the audit trail: who saw which county's, narrowed how, and how many."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from server.api.context import RequestContext
from server.consults.access import root_of


def note_look(ctx: RequestContext, what: str, narrowed: Mapping[str, Any], consults: int) -> None:
    """Note that the reader saw a list, before it is sent; without the consults, whose patients are not told.

    One entry for a reader, a list and its filters within `LIST_AUDIT_S`, for each node: a screen that renews
    itself is one look. What was noted lately costs nothing but a look into memory.

    :param what: the list: ``desk``, ``now``, ``responses``, ``consultations``.
    :param narrowed: the filters as they hold; what is empty is left out.
    """
    held = {name: value for name, value in narrowed.items() if value not in (None, "", False, [])}
    looks, key = ctx.services.looks, f"{ctx.actor.id} {what} {json.dumps(held, sort_keys=True)}"
    if looks.wait_s(key, ctx.now) > 0:
        return

    async def note() -> None:
        if looks.wait_s(key, ctx.now) > 0:
            return  # noted by another of the reader's requests meanwhile
        looks.failed(key, ctx.now)
        try:
            async with ctx.services.database.write() as session:
                county = await root_of(session, ctx.actor.organization_id)
                told = {"county": county, **held, "consults": consults}
                audit = ctx.services.audit
                await audit.record(session, ctx.actor, "oversight.view", "oversight", what, told)
        except BaseException:
            looks.succeeded(key)  # it does not stand in the trail: the next look is noted
            raise

    ctx.after_commit(note)
