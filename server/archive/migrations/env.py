"""Alembic's entry:

every table of the application, on the connection that server/archive/migrate.py opened.
"""

from __future__ import annotations

from alembic import context

import server.archive.models
import server.consults.models
import server.nodes.models
import server.oncall.models
import server.reach.models  # noqa: F401 - imported for their tables
from server.archive.database import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    compare_server_default=True,
)

with context.begin_transaction():
    context.run_migrations()
