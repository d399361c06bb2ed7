"""What is kept."""

from django.db import models


class Item(models.Model):
    """A thing with a name."""

    name = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.name
