"""The database of all arms: created once with one user, so that every arm reads the same row and none migrates."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from slipway.ops.settings import ROOT
from slipway.project import served
from slipway.serving.prestart import command

NAME = "Ada Lovelace"


def prepare(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Create the database if missing; return the environment of the arms and the expected response.

    A database given by `DATABASE_URL` is migrated, and the row is added if it has no user.
    """
    url = os.environ.get("DATABASE_URL", "")
    env = {"DATA_DIR": str(folder), **({"DATABASE_URL": url} if url else {})}
    project = served()
    if project.prestart:
        subprocess.run(command(project.prestart), env={**os.environ, **env}, cwd=ROOT, check=True)
    if not project.baseline:  # an app without the benchmark's endpoints
        return {**env, "PRESTARTED": "1", "PRESTART": "none"}, {}
    try:
        answer = _first_row({**os.environ, **env})
    except ImportError as error:
        raise RuntimeError(
            f"bench/run/dataset.py makes the row that GET /db answers; make your app's there ({error})"
        ) from None
    return {**env, "PRESTARTED": "1", "PRESTART": "none"}, {"database": answer}


def _first_row(variables: Mapping[str, str]) -> str:
    """Return the shipped app's response for the first user, which is created if missing."""
    from app.config import AppSettings
    from app.handlers.bench import first_user_response
    from app.services import users
    from app.services.database import sync_engine
    from app.services.users import BlockingUsers

    engine = sync_engine(AppSettings.from_environment(variables).database_url)
    stored = BlockingUsers(engine)
    found = stored.read(users.page, 1, 0) or [stored.write(users.create, NAME)]
    engine.dispose()
    return first_user_response(found).body.decode()
