from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpRequest
from django.test import RequestFactory

from execfabric.web import menu

MakeRequest = Callable[..., HttpRequest]


class Somebody:
    """Stands for both the user and the actor of a request."""

    is_authenticated = True
    display_name = "Maria <Keller>"
    username = "maria"
    roles = ("owner",)


@pytest.fixture
def make_request() -> MakeRequest:
    """Return a function (path, method="get", logged_in=True, **headers) -> request."""

    def make(path: str, method: str = "get", *, logged_in: bool = True, **headers: str) -> Any:
        request: Any = getattr(RequestFactory(headers=headers), method)(path)
        if logged_in:
            request.user = request.actor = Somebody()
        return request

    return make


@pytest.fixture(autouse=True)
def plain_shell(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> None:
    """The shell without a tenant's menu, and files served uncollected: no database, no build."""
    for source in ("menu", "account", "brand"):
        monkeypatch.setattr(menu._Sources, source, None)
    settings.STORAGES = {
        "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    settings.ROOT_URLCONF = "tests.web.urls"
    settings.LOGIN_URL = "/login/"
    (tmp_path / "things.html").write_text(
        "{% extends 'web/shell.html' %}{% load web partials %}{% block title %}Things{% endblock %}"
        "{% block content %}{% partialdef list inline %}<i>part</i>{% endpartialdef %}"
        "{% if form %}<form>{% form_fields form %}</form>{% endif %}{% endblock %}"
    )
    (template,) = settings.TEMPLATES
    partials = "template_partials.loader.Loader"
    inner = ("filesystem.Loader", "app_directories.Loader")
    loaders = [(partials, [f"django.template.loaders.{name}" for name in inner])]
    options = {
        "context_processors": template["OPTIONS"]["context_processors"],
        "loaders": loaders,
    }
    settings.TEMPLATES = [{"BACKEND": template["BACKEND"], "DIRS": [tmp_path], "OPTIONS": options}]
