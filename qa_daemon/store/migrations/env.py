"""Runs the migrations, all of them in one transaction."""

from alembic import context
from sqlalchemy import create_engine

from qa_daemon.store.schema import metadata


def run() -> None:
    """Upgrade the database that the caller's configuration names."""
    url = context.config.get_main_option("sqlalchemy.url")
    engine = create_engine(str(url))
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=metadata,
            transaction_per_migration=False,
            transactional_ddl=True,
        )
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run()
