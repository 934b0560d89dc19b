"""Run by alembic for every upgrade: the scripts work on the caller's connection and version table."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table=context.config.attributes["version_table"],
)
context.run_migrations()
