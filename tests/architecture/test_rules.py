"""The rules of the house, proved on the code itself."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver

from execfabric.core.actions import ACTIONS
from execfabric.core.permissions import PERMISSIONS
from execfabric.core.roles import Role
from execfabric.web.api.views import PublicApiView
from tenants.accounts import views as account_views

ROOT = Path(__file__).parents[2]
PACKAGES = ["execfabric", "tenants", "skills", "governance"]
WRITES = {"save", "create", "bulk_create", "bulk_update", "update", "delete", "get_or_create",
          "update_or_create"}  # fmt: skip
WRITERS = {
    "services", "files", "lifecycle", "moves", "retention", "retries", "actions", "audit", "states",
    "migrating",
    "seals",
    "storage",
}  # fmt: skip
"""Modules that may write rows: services, and the parts of core they are made of."""

OPEN_TO_ANYBODY = {
    "execfabric.home.TenantHome",
    "execfabric.urls_shared.robots",
    "execfabric.web.api.views.not_found",
    "execfabric.web.health.healthz",
    "drf_spectacular.views.SpectacularAPIView",
    "drf_spectacular.views.SpectacularSwaggerSplitView",
    "governance.admins.views.Front",
    "skills.executions.file_views.LinkedDownload",
    "tenants.accounts.api.LoginView",
    "tenants.accounts.views.Login",
    "tenants.accounts.views.LoginCode",
    "tenants.accounts.views.Logout",
    "tenants.accounts.views.SetPassword",
}
SHARED_DOORS = {
    "", "healthz", "robots.txt", "api/v1/auth/login", "api/v1/auth/logout", "api/v1/auth/prove",
    "api/v1/me", "api/v1/sessions", "api/v1/sessions/<str:handle>",
    "api/v1/tokens", "api/v1/tokens/<str:handle>",
    "api/v1/audit/archives", "api/v1/audit/archives/<uuid:archive_id>/content",
    "api/v1/audit/events", "api/v1/audit/export", "api/v1/audit/retention",
    "api/v1/audit/seals", "api/v1/audit/seals.jsonl",
    "api/v1/schema/", "api/v1/docs/", "^api/(?P<path>.*)$",
}  # fmt: skip
"""The only addresses both kinds of host answer: about the own account, and the own trail."""
OF_EACH_HOST = {
    "api/v1/http-resources", "api/v1/submissions", "api/v1/submissions/<uuid:submission_id>",
}  # fmt: skip
"""Addresses with a view of its own on each kind of host: a tenant submits, the platform reviews; a
tenant reads its ledger, the platform governs."""


def urls_of(urlconf: str) -> dict[str, object]:
    found: dict[str, object] = {}

    def walk(patterns, prefix=""):
        for pattern in patterns:
            route = prefix + str(pattern.pattern)
            if isinstance(pattern, URLResolver):
                walk(pattern.url_patterns, route)
            elif isinstance(pattern, URLPattern):
                found[route] = pattern.callback

    walk(get_resolver(urlconf).url_patterns)
    return found


TENANT = urls_of("execfabric.urls_tenant")
PLATFORM = urls_of("execfabric.urls_public")
ALL_VIEWS = {
    **{("tenant", route): view for route, view in TENANT.items()},
    **{("platform", route): view for route, view in PLATFORM.items()},
}


def name_of(view) -> str:
    cls = getattr(view, "view_class", getattr(view, "cls", None))
    target = cls or view
    return f"{target.__module__}.{target.__qualname__}"


def test_tenant_and_platform_addresses_are_disjoint():
    shared = set(TENANT) & set(PLATFORM)

    assert shared == SHARED_DOORS | OF_EACH_HOST
    assert not [
        route for route in OF_EACH_HOST if name_of(TENANT[route]) == name_of(PLATFORM[route])
    ]


@pytest.mark.parametrize(("host", "route"), sorted(ALL_VIEWS))
def test_every_address_needs_a_login_or_is_listed_as_open(host, route):
    view = ALL_VIEWS[host, route]
    cls = getattr(view, "view_class", getattr(view, "cls", None))
    if name_of(view) in OPEN_TO_ANYBODY:
        return
    assert cls is not None, f"{name_of(view)} is not a class-based view"
    if hasattr(cls, "permission_classes"):
        assert cls.permission_classes, f"{name_of(view)} is open"
        assert not issubclass(cls, PublicApiView)
    else:
        assert getattr(cls, "login_required", False), f"{name_of(view)} is open"


def test_the_list_of_open_addresses_holds_nothing_that_is_gone():
    assert {name_of(view) for view in ALL_VIEWS.values()} >= OPEN_TO_ANYBODY
    assert account_views.Login.home == "/"


def modules():
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path


@pytest.mark.parametrize("path", list(modules()), ids=lambda path: str(path.relative_to(ROOT)))
def test_rows_are_written_in_services_only(path):
    if path.stem in WRITERS:
        return
    writes = [
        f"{path.name}:{node.lineno} {ast.unparse(node.func)}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in WRITES
        and ("objects" in ast.unparse(node.func) or node.func.attr in {"save", "bulk_create"})
    ]
    assert writes == []


def test_every_act_is_granted_to_somebody_or_open_on_purpose():
    open_to_all = {
        "accounts.password.change",
        "accounts.password.set",
        "accounts.recovery_codes.renew",
        "accounts.second_factor.begin",
        "accounts.second_factor.confirm",
        "accounts.second_factor.remove",
        "accounts.session.begin",
        "accounts.session.close",
        "accounts.session.open",
        "accounts.session.prove",
        "accounts.session.revoke",
        "accounts.session.revoke_others",
        "accounts.token.issue",
        "accounts.token.revoke",
        "accounts.token.revoke_all",
        "accounts.token.revoke_one",
    }

    ungranted = {code for code in ACTIONS if not PERMISSIONS[code].roles}

    assert ungranted == open_to_all


def test_permission_codes_and_titles_are_well_formed():
    for code, permission in PERMISSIONS.items():
        assert code == code.lower()
        assert code.count(".") == 2
        assert permission.title[0].isupper()
        assert not permission.title.endswith(".")


def test_no_role_of_a_tenant_may_govern_and_no_governor_run_business():
    for code, permission in PERMISSIONS.items():
        if code.startswith("registry."):
            assert permission.roles <= {Role.PLATFORM_ADMIN, Role.SYSTEM}, code
        if code.startswith("executions.execution.") and "read" not in code:
            assert Role.PLATFORM_ADMIN not in permission.roles, code


def test_files_stay_readable_in_length():
    long = {
        str(path.relative_to(ROOT)): lines
        for path in [*modules(), *(ROOT / "executors").rglob("*.py"), *(ROOT / "cli").rglob("*.py")]
        if (lines := len(path.read_text().splitlines())) > 400
    }
    assert long == {}


def test_imports_only_go_down():
    # A process of its own: the linter turns off the loggers of whoever calls it.
    linter = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout


def test_debug_is_off():
    assert settings.DEBUG is False
