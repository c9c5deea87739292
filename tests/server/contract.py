"""Holds every reply that a test sees against the OpenAPI document of the server that gave it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator


class Contract:
    """The document of one server, ready to judge replies."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._components = document["components"]
        # Concrete paths are matched before templated ones (OpenAPI 3.1, Paths Object).
        paths = sorted(document["paths"].items(), key=lambda item: item[0].count("{"))
        self._paths = [(_pattern(path), operations) for path, operations in paths]

    def check(self, method: str, path: str, status: int, content_type: str, body: Any) -> None:
        """Raise AssertionError when an operation of the document may not answer so."""
        operation = self._operation(method, path)
        if operation is None:
            return
        responses = operation["responses"]
        declared = responses.get(str(status), responses["default"])
        if status < 400:
            assert str(status) in responses, f"{method} {path} answered an undeclared {status}"
        content = declared.get("content", {})
        if status == 204:
            assert not body
        if content_type not in content:
            assert status == 204 or not content_type.endswith("json"), f"{method} {path}: {content_type}"
            return
        schema = {**content[content_type].get("schema", {}), "components": self._components}
        errors = [
            f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(body)
        ]
        assert not errors, f"{method} {path} {status}: {errors}"

    def _operation(self, method: str, path: str) -> Any:
        bare = path.partition("?")[0]
        for pattern, operations in self._paths:
            if pattern.fullmatch(bare) and method.lower() in operations:
                return operations[method.lower()]
        return None


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{\w+\}", "[^/]+", path))
