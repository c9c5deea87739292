"""Errors on HTTP:

RFC 9457 problem documents with our stable code. The one place where faults become replies.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import ValidationError

from media.errors import MALFORMED, NOT_FOUND, TOO_LARGE, ErrorCode, Fault
from server.api.models import ApiModel, Bilingual
from server.errors import FORBIDDEN, INTERNAL, METHOD_NOT_ALLOWED, UNAUTHENTICATED, VALIDATION_FAILED

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"

_COMMON = frozenset({"code", "blame", "message", "detail"})


class FieldProblem(ApiModel):
    """What is wrong with one field; never the value itself."""

    field: str
    rule: str
    message: str


class Problem(ApiModel):
    """RFC 9457 section 3.1, plus ``code`` for programs and ``message`` for people."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    message: Bilingual
    errors: list[FieldProblem] | None = None


def problem_of(code: ErrorCode, detail: str = "", errors: Sequence[FieldProblem] | None = None) -> Problem:
    return Problem(
        type=f"urn:huizhen:problem:{code.code}",
        title=code.en,
        status=code.status,
        code=code.code,
        detail=detail,
        message=Bilingual(zh=code.zh, en=code.en),
        errors=list(errors) if errors is not None else None,
    )


def problem_response(
    code: ErrorCode,
    detail: str = "",
    errors: Sequence[FieldProblem] | None = None,
    extensions: Mapping[str, Any] | None = None,
) -> web.Response:
    body = problem_of(code, detail, errors).model_dump(by_alias=True, exclude_none=True)
    body.update(extensions or {})
    headers = {"WWW-Authenticate": "Bearer"} if code.status == 401 else None
    return web.Response(
        text=json.dumps(body, ensure_ascii=False),
        status=code.status,
        content_type=CONTENT_TYPE,
        headers=headers,
    )


def fault_response(fault: Fault) -> web.Response:
    """The reply to a fault.

    What its JSON has beyond the common members becomes an extension (section 3.2).
    """
    extra = {name: value for name, value in fault.as_json().items() if name not in _COMMON}
    return problem_response(fault.code, fault.detail, extensions=extra)


def validation_response(error: ValidationError) -> web.Response:
    """422 with one line per field. The input is left out: it may be a patient's."""
    errors = [_field_problem(entry) for entry in error.errors(include_input=False, include_url=False)]
    return problem_response(VALIDATION_FAILED, "; ".join(e.field for e in errors), errors)


def _field_problem(entry: Any) -> FieldProblem:
    return FieldProblem(
        field=".".join(str(part) for part in entry["loc"]), rule=entry["type"], message=entry["msg"]
    )


_BY_STATUS = {
    400: MALFORMED,
    401: UNAUTHENTICATED,
    403: FORBIDDEN,
    404: NOT_FOUND,
    405: METHOD_NOT_ALLOWED,
    413: TOO_LARGE,
}


@web.middleware
async def problem_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn faults, failed validation and aiohttp's own refusals into problem documents.

    What nobody expected is our fault: the log has all of it, the reply nothing of the inside.
    """
    try:
        return await handler(request)
    except Fault as fault:
        return fault_response(fault)
    except ValidationError as error:
        return validation_response(error)
    except web.HTTPException as refusal:
        code = _BY_STATUS.get(refusal.status)
        if code is None:
            raise
        response = problem_response(code)
        if "Allow" in refusal.headers:
            response.headers["Allow"] = refusal.headers["Allow"]
        return response
    except Exception:
        resource = request.match_info.route.resource
        # The route's pattern, not the path: an address may name somebody.
        logger.exception("%s %s failed", request.method, resource.canonical if resource else "unknown path")
        if request.writer.output_size:
            raise  # half a reply is on its way; aiohttp ends the connection
        return problem_response(INTERNAL)
