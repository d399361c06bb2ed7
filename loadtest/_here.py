"""Puts the project's folder on sys.path, wherever locust is started: locust adds only the file's own folder."""

import sys
from pathlib import Path

ROOT = str(Path(__file__).resolve().parents[1])

if ROOT not in sys.path:
    sys.path.insert(0, ROOT)
