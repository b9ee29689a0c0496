from __future__ import annotations

from django.db import models
from django.db.models import Q


class EntryKind(models.TextChoices):
    PAGE = "page", "Page of the console"
    LINK = "link", "External link"


class MenuRow(models.Model):
    """One entry of this schema's sidebar. Points to a formal page or an address, never to code."""

    kind = models.CharField(max_length=10, choices=EntryKind)
    route = models.CharField(max_length=100, blank=True)
    url = models.URLField(blank=True)
    label = models.CharField(max_length=60, blank=True)
    """Empty for a page: its own, translated label."""
    icon = models.CharField(max_length=40, blank=True)
    position = models.PositiveIntegerField(default=100)
    is_visible = models.BooleanField(default=True)

    class Meta:
        ordering = ["position", "pk"]
        constraints = [
            models.CheckConstraint(
                name="menu_row_has_one_target",
                condition=(
                    Q(kind=EntryKind.PAGE, url="") & ~Q(route="")
                    | Q(kind=EntryKind.LINK, route="") & ~Q(url="")
                ),
            ),
            models.UniqueConstraint(
                name="menu_page_once", fields=["route"], condition=Q(kind=EntryKind.PAGE)
            ),
        ]

    def __str__(self) -> str:
        return self.label or self.route or self.url
