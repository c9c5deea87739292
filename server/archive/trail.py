"""Reading the audit trail: what an entry tells of, and which entries are meant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, or_

from server.archive.models import AuditEntry


class What(StrEnum):
    """What an entry tells of. Everything that is none of the others is a change."""

    VIEW = "view"
    CHANGE = "change"
    EXPORT = "export"
    REFUSED = "refused"
    BREAK_GLASS = "break_glass"
    SIGN_IN = "sign_in"


ACTIONS: Mapping[What, frozenset[str]] = {
    What.VIEW: frozenset(
        {"consultation.view", "material.view", "oversight.view", "patient.view", "recording.view"}
    ),
    What.EXPORT: frozenset(
        {
            "audit.export",
            "consultation.report",
            "oversight.export",
            "register.export",
            "signal.export",
        }
    ),
    What.REFUSED: frozenset({"access.refused", "consultation.refused"}),
    What.BREAK_GLASS: frozenset({"consultation.break_glass", "consultation.break_glass_review"}),
    What.SIGN_IN: frozenset({"auth.login", "auth.logout", "auth.change_password"}),
}
"""Spelled out, so that the index on the action finds the rare ones among millions."""

_TOLD = frozenset().union(*ACTIONS.values())


def what_of(action: str) -> What:
    return next((what for what, actions in ACTIONS.items() if action in actions), What.CHANGE)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are meant; None and empty ask for nothing.

    :param actors: ids of who did it; an empty set is nobody.
    :param start: Unix seconds, ``[start, end)``.
    """

    consultation_id: str | None = None
    actors: frozenset[str] | None = None
    what: What | None = None
    action: str = ""
    start: float | None = None
    end: float | None = None


def conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    """Of a statement over `AuditEntry`."""
    found: list[ColumnElement[bool]] = []
    if wanted.consultation_id is not None:
        of_it = AuditEntry.detail["consultationId"].as_string() == wanted.consultation_id
        found.append(or_(AuditEntry.subject_id == wanted.consultation_id, of_it))
    if wanted.actors is not None:
        found.append(AuditEntry.actor_id.in_(wanted.actors))
    if wanted.what is What.CHANGE:
        found.append(AuditEntry.action.not_in(_TOLD))
    elif wanted.what is not None:
        found.append(AuditEntry.action.in_(ACTIONS[wanted.what]))
    if wanted.action:
        found.append(AuditEntry.action == wanted.action)
    if wanted.start is not None:
        found.append(AuditEntry.at >= wanted.start)
    if wanted.end is not None:
        found.append(AuditEntry.at < wanted.end)
    return found
