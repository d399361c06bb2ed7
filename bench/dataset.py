"""The database of all arms: made once, with one user, so that every arm reads the same row and none migrates."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from bench.stack import PROJECT, ROOT
from slipway.serving.prestart import command

NAME = "Ada Lovelace"


def prepare(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Make the database if it is not there; return the environment that leads the arms to it, and what it answers.

    A `DATABASE_URL` in the environment is used as it is: migrated, and given our row if it has none.
    """
    url = os.environ.get("DATABASE_URL", "")
    env = {"DATA_DIR": str(folder), **({"DATABASE_URL": url} if url else {})}
    if PROJECT.prestart:
        subprocess.run(command(PROJECT.prestart), env={**os.environ, **env}, cwd=ROOT, check=True)
    try:
        answer = _first_row({**os.environ, **env})
    except ImportError as error:
        raise RuntimeError(
            f"bench/dataset.py makes the row that GET /db answers; make your app's there ({error})"
        ) from None
    return {**env, "PRESTARTED": "1", "PRESTART": "none"}, {"database": answer}


def _first_row(variables: Mapping[str, str]) -> str:
    """What the shipped app answers with the first user, who is made if there is none."""
    from app.config import Settings
    from app.handlers.bench import first_user_response
    from app.services import users
    from app.services.database import sync_engine
    from app.services.users import BlockingUsers

    engine = sync_engine(Settings.from_environment(variables).database_url)
    stored = BlockingUsers(engine)
    found = stored.read(users.page, 1, 0) or [stored.write(users.create, NAME)]
    engine.dispose()
    return first_user_response(found).body.decode()
