"""FastAPI, with models as in its documentation."""

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from .data import USERS, created, page
from .toolkit import duties


class NewUser(BaseModel):
    name: str


class User(BaseModel):
    id: int
    name: str
    created_at: str


class Page(BaseModel):
    users: list[User]
    next: int | None


plain = FastAPI()


@plain.get("/api/users")
async def list_users() -> Page:
    return Page.model_validate(page())


@plain.get("/api/users/{user_id}")
async def get_user(user_id: int) -> User:
    if user_id not in USERS:
        raise HTTPException(404)
    return User.model_validate(USERS[user_id])


@plain.post("/api/users", status_code=201)
async def create_user(new: NewUser) -> User:
    return User.model_validate(created(new.name))


application = duties(plain)
