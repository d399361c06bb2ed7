"""Async views; a view written with `def` runs in a thread."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator

from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse, StreamingHttpResponse
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from .models import Item


class TemporaryRedirect(HttpResponseRedirect):
    """A redirect that keeps the method."""

    status_code = 307


def address(request: HttpRequest, number: int) -> str:
    """Return an item's URL as the client sees it."""
    return request.build_absolute_uri(reverse("item", args=[number]))


@require_GET
async def home(request: HttpRequest) -> HttpResponse:
    return HttpResponse("Hello from django\n", content_type="text/plain")


@require_GET
async def item(request: HttpRequest, number: int) -> HttpResponse:
    found = await Item.objects.filter(id=number).afirst()
    return JsonResponse({"id": number, "name": found.name if found else f"item {number}"})


@csrf_exempt  # an API without cookies
@require_POST
async def create(request: HttpRequest) -> HttpResponse:
    try:
        name = json.loads(request.body)["name"]
    except (ValueError, TypeError, LookupError):
        return JsonResponse({"detail": "a JSON object with a name"}, status=422)
    made = await Item.objects.acreate(name=name)
    return JsonResponse({"id": made.id, "name": name}, status=201, headers={"location": address(request, made.id)})


@csrf_exempt
@require_POST
async def upload(request: HttpRequest) -> HttpResponse:
    digest, size = hashlib.sha256(), 0
    while piece := request.read(65_536):  # Django has spooled the whole body before it calls the view
        digest.update(piece)
        size += len(piece)
    return JsonResponse({"bytes": size, "sha256": digest.hexdigest()})


@require_GET
async def old(request: HttpRequest) -> HttpResponse:
    return TemporaryRedirect(address(request, 7))


@require_GET
async def client(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"client": request.META["REMOTE_ADDR"], "url": address(request, 7)})


@require_GET
def ready(request: HttpRequest) -> HttpResponse:
    """Answer 200 if the database answers."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse("ready\n", content_type="text/plain")


@require_GET
async def events(request: HttpRequest) -> StreamingHttpResponse:
    draining = request.scope["state"]["draining"]  # type: ignore[attr-defined]
    return StreamingHttpResponse(count(draining), content_type="text/event-stream")


async def count(draining: asyncio.Event) -> AsyncIterator[str]:
    """Yield numbers until the worker drains; a client that leaves cancels it."""
    number = 0
    while not draining.is_set():
        number += 1
        yield f"data: {number}\n\n"
        try:
            async with asyncio.timeout(0.2):
                await draining.wait()
        except TimeoutError:
            pass
    yield "event: bye\ndata:\n\n"
