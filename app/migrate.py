"""Brings the database's schema up to date: `python -m app.migrate`, once before the workers start.

Two machines may run it at once: it is one transaction; the second run waits for it and then finds nothing to do.
"""

import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, text

from app.config import AppSettings
from app.services.database import is_pooled, sync_engine, translated
from app.services.errors import Unavailable
from slipway.environment import SettingError

ADVISORY_LOCK = 7_391_446  # any number, the same on every machine
PROTOCOL_VIOLATION = "08P01"  # from a pooler, for a statement that it does not allow
AWAY = "does not answer", "start it or correct the address"
REFUSED = "can't be used", "let the pooler pool transactions or sessions (pool_mode of PgBouncer)"
CONNECTIONS = "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"


def migrate(url: URL) -> None:
    """Upgrade to the newest revision; raises Unavailable while the database is away."""
    config = Config()
    migrations = str(Path(__file__).with_name("migrations"))
    config.set_main_option("script_location", migrations.replace("%", "%%"))  # % starts a reference there
    engine = sync_engine(url, 1, patient=True)
    try:
        with translated(), engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()


def check_connections(url: URL, connections: int) -> None:
    """Raise SettingError if all workers together may open more connections than the server allows."""
    if url.get_backend_name() != "postgresql":
        return
    engine = sync_engine(url, 1)
    try:
        with translated(), engine.connect() as connection:
            most = connection.execute(text(CONNECTIONS)).scalar_one()
            pooled = is_pooled(connection)  # then the pooler's own limit counts, which can't be queried
    finally:
        engine.dispose()
    if connections > most and not pooled:
        raise SettingError("DATABASE_CONNECTIONS", str(connections), f"at most {most}, which is what the server has")


def main() -> None:
    """Migrate the settings' database; if it is unavailable, exit with its address and the reason."""
    settings = AppSettings.from_environment()
    url = settings.database_url
    try:
        check_connections(url, settings.most_database_connections)
        migrate(url)
    except Unavailable as error:
        reason, *_ = str(error.__cause__).splitlines()
        state = getattr(getattr(error.__cause__, "orig", None), "sqlstate", None)
        does, advice = REFUSED if state == PROTOCOL_VIOLATION else AWAY
        sys.exit(f"DATABASE_URL: {url.render_as_string()} {does} ({reason}); {advice}")


if __name__ == "__main__":
    main()
