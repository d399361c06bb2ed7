"""The data that every app returns."""

from typing import Any

USERS: dict[int, dict[str, Any]] = {
    1: {"id": 1, "name": "Ada", "created_at": "2026-01-01T00:00:00Z"},
    2: {"id": 2, "name": "Grace", "created_at": "2026-01-01T00:00:00Z"},
}
CREATED_AT = "2026-01-01T00:00:00Z"


def page() -> dict[str, Any]:
    return {"users": list(USERS.values()), "next": None}


def created(name: str) -> dict[str, Any]:
    return {"id": 3, "name": name, "created_at": CREATED_AT}
