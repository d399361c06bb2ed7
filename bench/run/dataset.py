"""The database of all arms: created once with one user, so that every arm reads the same row and none migrates."""

import os
import subprocess
import sys
from pathlib import Path

from app.config import Settings
from app.handlers.bench import first_user_response
from app.services import users
from app.services.database import sync_engine
from app.services.users import BlockingUsers
from slipway.ops.settings import ROOT

NAME = "Ada Lovelace"


def prepare(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Create the database if missing; return the environment of the arms and the expected response.

    A database given by `DATABASE_URL` is migrated, and the row is added if it has no user.
    """
    url = os.environ.get("DATABASE_URL", "")
    env = {"DATA_DIR": str(folder), **({"DATABASE_URL": url} if url else {})}
    subprocess.run([sys.executable, "-m", "app.migrate"], env={**os.environ, **env}, cwd=ROOT, check=True)
    engine = sync_engine(Settings.from_environment({**os.environ, **env}).database_url)
    found = _first(BlockingUsers(engine))
    engine.dispose()
    return {**env, "PRESTARTED": "1", "PRESTART": "none"}, {"database": first_user_response(found).body.decode()}


def _first(stored: BlockingUsers) -> list[users.User]:
    found = stored.read(users.page, 1, 0)
    return found or [stored.write(users.create, NAME)]
