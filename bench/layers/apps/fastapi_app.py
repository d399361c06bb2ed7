"""FastAPI, its models declared as its documentation does."""

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


@plain.get("/api/users/{id}")
async def get_user(id: int) -> User:
    if id not in USERS:
        raise HTTPException(404)
    return User.model_validate(USERS[id])


@plain.post("/api/users", status_code=201)
async def create_user(new: NewUser) -> User:
    return User.model_validate(created(new.name))


application = duties(plain)
