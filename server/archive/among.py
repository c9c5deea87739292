"""``column IN (...)`` of any number of values: one parameter however many there are.

A list of parameters has an end: 32,767 on PostgreSQL's wire, 32,766 or 250,000 in SQLite, as it was built; a
nation has more village clinics. Here the values travel as one JSON text, which the database takes apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Text, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class _Among(FunctionElement[bool]):
    """Of the column and of the JSON array."""

    name = "among"
    type = Boolean()
    inherit_cache = True


def among(column: Any, values: Iterable[str]) -> ColumnElement[bool]:
    """Whether a text column has one of ``values``; of none, nothing is."""
    return _Among(column, literal(json.dumps(sorted(values)), Text))


@compiles(_Among, "sqlite")
def _sqlite(element: _Among, compiler: SQLCompiler, **kw: Any) -> str:
    column, values = (compiler.process(one, **kw) for one in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({values}))"  # noqa: S608 - both are the compiler's own


@compiles(_Among, "postgresql")
def _postgresql(element: _Among, compiler: SQLCompiler, **kw: Any) -> str:
    column, values = (compiler.process(one, **kw) for one in element.clauses)
    return f"{column} IN (SELECT json_array_elements_text(CAST({values} AS JSON)))"
