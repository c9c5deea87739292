"""The judge of replies must be able to say no."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.contract import Contract

DOCUMENT: dict[str, Any] = {
    "paths": {
        "/things/{id}": {
            "get": {
                "responses": {
                    "200": {
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}
                    },
                    "default": {"content": {"application/problem+json": {"schema": {"type": "object"}}}},
                }
            }
        }
    },
    "components": {
        "schemas": {"Thing": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}}
    },
}


def test_a_reply_as_described_passes() -> None:
    Contract(DOCUMENT).check("GET", "/things/1?x=y", 200, "application/json", {"id": "1"})
    Contract(DOCUMENT).check("GET", "/things/1", 404, "application/problem+json", {})


@pytest.mark.parametrize(
    ("status", "content_type", "body"),
    [
        (200, "application/json", {"id": 1}),
        (200, "application/json", {}),
        (201, "application/json", {"id": "1"}),
        (404, "application/json", {}),
        (404, "application/problem+json", []),
    ],
)
def test_anything_else_does_not(status: int, content_type: str, body: Any) -> None:
    with pytest.raises(AssertionError):
        Contract(DOCUMENT).check("GET", "/things/1", status, content_type, body)
