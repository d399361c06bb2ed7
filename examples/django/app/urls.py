"""The URLs of the views."""

from django.contrib import admin
from django.urls import path

from . import views

urlpatterns = [
    path("", views.home),
    path("items/<int:number>", views.item, name="item"),
    path("items", views.create),
    path("files", views.upload),
    path("old", views.old),
    path("client", views.client),
    path("ready", views.ready),
    path("events", views.events),
    path("admin/", admin.site.urls),
]
