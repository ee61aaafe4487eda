"""What Alembic runs: the migrations as a script of SQL, which the drivers execute in one transaction."""

from alembic import context

context.configure(dialect_name=context.config.attributes["dialect"], as_sql=True, literal_binds=True)
context.run_migrations()
