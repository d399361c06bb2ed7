"""The site, called with Django's own test clients."""

import asyncio

from django.test import AsyncClient, Client


def test_item_is_made() -> None:
    """The answer to a new item has its address, which leads to the item."""

    async def make() -> tuple[int, str]:
        client = AsyncClient()
        made = await client.post("/items", '{"name": "boat"}', content_type="application/json")
        found = await client.get(made.headers["location"].removeprefix("http://testserver"))
        return made.status_code, found.json()["name"]

    assert asyncio.run(make()) == (201, "boat")


def test_admin_asks_who_is_there() -> None:
    """Without a login, the admin site redirects to the login page."""
    answer = Client().get("/admin/")

    assert (answer.status_code, answer.headers["location"]) == (302, "/admin/login/?next=/admin/")
