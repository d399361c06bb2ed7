"""The life of a user: created, read, found in the list, deleted, gone."""

from random import getrandbits

from locust import task

import _here  # noqa: F401
from loadtest._user import ScheduledUser, body_is, json_has


class CrudUser(ScheduledUser):
    """One scheduled start has five requests: each of the later ones follows the answer before it."""

    rate = 1.0
    weight = 4
    probe = "/api/users"

    @task
    def life(self) -> None:
        name = f"load {getrandbits(96):024x}"
        created = self.ask("POST", "/api/users", json_has(201, name=name), json={"name": name})
        if created is None:
            return
        user = created.json()
        path = f"/api/users/{user['id']}"
        self.ask("GET", path, json_has(200, **user), name="/api/users/{id}", follows=True)
        page = f"/api/users?limit=1&after={user['id'] - 1}"
        self.ask("GET", page, json_has(200, users=[user]), name="/api/users?after", follows=True)
        self.ask("DELETE", path, body_is(b"", 204), name="/api/users/{id}", follows=True)
        self.ask("GET", path, json_has(404, title="Not Found"), name="/api/users/{id} gone", follows=True)


class BrowseUser(ScheduledUser):
    """Reads the first page of users."""

    rate = 2.0
    weight = 10
    probe = "/api/users"

    @task
    def page(self) -> None:
        answer = self.ask("GET", "/api/users?limit=20", json_has(200))
        if answer is not None and len(answer.json()["users"]) > 20:
            raise AssertionError("the page is longer than its limit")
