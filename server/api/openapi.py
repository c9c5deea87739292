"""The OpenAPI 3.1 document, made from the operations.

3.1 is JSON Schema 2020-12, which is what pydantic writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import TypeAdapter

from server.api.problem import CONTENT_TYPE, Problem
from server.api.routing import Operation

_REF = "#/components/schemas/{model}"

_Key = tuple[str, str, str]
_Schemas = dict[tuple[_Key, Literal["validation", "serialization"]], dict[str, Any]]


def openapi_document(operations: Sequence[Operation], version: str) -> dict[str, Any]:
    """OpenAPI 3.1.0 as JSON: every operation with its parameters, bodies, replies and problem documents."""
    schemas, components = _all_schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Huizhen",
            "version": version,
            "description": "Teleconsultation: requests, on-call experts, rooms, records.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"account": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _key(operation: Operation, part: str) -> _Key:
    return operation.method, operation.path, part


def _all_schemas(operations: Sequence[Operation]) -> tuple[_Schemas, dict[str, Any]]:
    inputs: list[tuple[Any, Literal["validation", "serialization"], TypeAdapter[Any]]] = [
        (("", "", "problem"), "serialization", TypeAdapter(Problem))
    ]
    for operation in operations:
        if operation.body is not None:
            inputs.append((_key(operation, "body"), "validation", TypeAdapter(operation.body)))
        if operation.response is not None:
            inputs.append((_key(operation, "response"), "serialization", operation.response))
    schemas, shared = TypeAdapter.json_schemas(inputs, ref_template=_REF)
    return dict(schemas), shared.get("$defs", {})


def _operation(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    page: dict[str, Any] = {
        "operationId": operation.handler.__name__,
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": [*_path_parameters(operation), *_query_parameters(operation)],
        "responses": {str(operation.status): _success(operation, schemas), "default": _failure(schemas)},
    }
    if operation.description:
        page["description"] = operation.description
    if not operation.public:
        page["security"] = [{"account": []}]
    if operation.body is not None:
        schema = schemas[_key(operation, "body"), "validation"]
        page["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    if operation.roles is not None:
        page["x-roles"] = sorted(operation.roles)
    return page


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": adapter.json_schema()}
        for name, adapter in operation.path_types.items()
    ]


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    # A query has no nested models: every field is a scalar, so nothing needs a shared definition.
    schema = operation.query.model_json_schema(by_alias=True)
    required = set(schema.get("required", []))
    return [
        {"name": name, "in": "query", "required": name in required, "schema": field}
        for name, field in schema.get("properties", {}).items()
    ]


def _success(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    if operation.status == 204:
        return {"description": "Done; nothing to say."}
    if operation.response is None:
        content: dict[str, Any] = {name: {} for name in operation.media_type.split(", ")}
        return {"description": operation.summary, "content": content}
    schema = schemas[_key(operation, "response"), "serialization"]
    return {"description": operation.summary, "content": {operation.media_type: {"schema": schema}}}


def _failure(schemas: _Schemas) -> dict[str, Any]:
    schema = schemas[("", "", "problem"), "serialization"]
    return {"description": "Refused, with a stable code.", "content": {CONTENT_TYPE: {"schema": schema}}}
