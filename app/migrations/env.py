"""Runs the revisions on the connection that `app.migrate` opened."""

from alembic import context

from app.services.users import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite can't alter a table in place
)
context.run_migrations()
