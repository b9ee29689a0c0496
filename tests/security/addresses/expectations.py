"""What every address answers to somebody who has no business there. One line per route.

A new route fails test_table.py until it has its line here, and an id in it until fillings.py knows
whose object it names.
"""

from __future__ import annotations

from dataclasses import dataclass

ANYTHING = frozenset({200, 201, 204, *range(300, 309), *range(400, 430)})
"""Whatever is no failure of ours; what must not stand in it is looked for elsewhere."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """The statuses a route may answer with; for one with ids, to ids of another tenant."""

    member: frozenset[int]
    """To somebody of this host, whatever the role."""
    needs_login: bool = True
    """Everybody else is sent to log in: a redirect by a page, 401 by the API."""
    empty_body: frozenset[int] = frozenset()
    """Besides, where what was sent is looked at before the id is."""
    owner_gets: int = 200
    """To the owner of this host (super-admin of the admin host), with ids of the own tenant."""


OPEN = Expectation(ANYTHING, needs_login=False)
HOME = Expectation(ANYTHING, needs_login=False, owner_gets=302)
OWN = Expectation(ANYTHING)
FOREIGN = Expectation(frozenset({404}))
FOREIGN_AFTER_BODY = Expectation(frozenset({404}), empty_body=frozenset({400}))
FOREIGN_LINK = Expectation(frozenset({404}), needs_login=False)
LINK = Expectation(frozenset({400}), needs_login=False)
NOTHING = Expectation(frozenset({404}), needs_login=False, owner_gets=404)
MANAGED = Expectation(ANYTHING)  # 404 to members who do not manage.
GOVERNED = Expectation(frozenset({404}))  # Pages of tenants: not there without the right.
GOVERNED_FORM = Expectation(frozenset({404}), owner_gets=302)  # To the page with the form.
GOVERNED_API = Expectation(frozenset({403}))

TENANT_HOST: dict[str, Expectation] = {
    "": HOME,
    "api/v1/approval-rules": MANAGED,
    "api/v1/artifacts/<uuid:artifact_id>/content": FOREIGN,
    "api/v1/artifacts/<uuid:artifact_id>/link": FOREIGN,
    "api/v1/auth/login": OPEN,
    "api/v1/auth/logout": OWN,
    "api/v1/delegations": OWN,
    "api/v1/delegations/<int:delegation_id>/end": FOREIGN,
    "api/v1/batches": OWN,
    "api/v1/batches/<uuid:batch_id>": FOREIGN,
    "api/v1/batches/<uuid:batch_id>/approve": FOREIGN,
    "api/v1/batches/<uuid:batch_id>/artifacts.zip": FOREIGN,
    "api/v1/batches/<uuid:batch_id>/cancel": FOREIGN,
    "api/v1/batches/<uuid:batch_id>/confirm": FOREIGN,
    "api/v1/batches/<uuid:batch_id>/mapping": FOREIGN,
    "api/v1/batches/<uuid:batch_id>/pause": FOREIGN,
    "api/v1/batches/<uuid:batch_id>/reject": FOREIGN_AFTER_BODY,
    "api/v1/batches/<uuid:batch_id>/result.csv": FOREIGN,
    "api/v1/batches/<uuid:batch_id>/result.xlsx": FOREIGN,
    "api/v1/batches/<uuid:batch_id>/resume": FOREIGN,
    "api/v1/batches/<uuid:batch_id>/retry": FOREIGN,
    "api/v1/batches/<uuid:batch_id>/rows": FOREIGN,
    "api/v1/batches/<uuid:batch_id>/start": FOREIGN,
    "api/v1/docs/": OPEN,
    "api/v1/executions": OWN,
    "api/v1/executions/<uuid:execution_id>": FOREIGN,
    "api/v1/executions/<uuid:execution_id>/approve": FOREIGN,
    "api/v1/executions/<uuid:execution_id>/artifacts": FOREIGN,
    "api/v1/executions/<uuid:execution_id>/artifacts.zip": FOREIGN,
    "api/v1/executions/<uuid:execution_id>/cancel": FOREIGN,
    "api/v1/executions/<uuid:execution_id>/confirm": FOREIGN,
    "api/v1/executions/<uuid:execution_id>/log": FOREIGN,
    "api/v1/executions/<uuid:execution_id>/reject": FOREIGN_AFTER_BODY,
    "api/v1/executions/<uuid:execution_id>/retry": FOREIGN,
    "api/v1/files": OWN,
    "api/v1/groups": OWN,
    "api/v1/groups/<int:group_id>": FOREIGN,
    "api/v1/groups/<int:group_id>/members/<str:username>": FOREIGN,
    "api/v1/inbox": OWN,
    "api/v1/me": OWN,
    "api/v1/schema/": OPEN,
    "api/v1/skills": OWN,
    "api/v1/skills/<slug:name>": FOREIGN,
    "api/v1/skills/<slug:name>/bind": FOREIGN,
    "api/v1/skills/<slug:name>/changes": FOREIGN,
    "api/v1/skills/<slug:name>/disable": FOREIGN,
    "api/v1/skills/<slug:name>/edit": FOREIGN,
    "api/v1/skills/<slug:name>/enable": FOREIGN,
    "api/v1/skills/<slug:name>/grants": FOREIGN,
    "api/v1/skills/<slug:name>/rollback": FOREIGN,
    "api/v1/skills/<slug:name>/versions": FOREIGN,
    "approvals/": OWN,
    "approvals/delegations/": OWN,
    "approvals/delegations/<int:delegation_id>/end/": FOREIGN,
    "approvals/rules/": MANAGED,
    "api/v1/submissions": OWN,
    "api/v1/submissions/<uuid:submission_id>": FOREIGN,
    "api/v1/submissions/<uuid:submission_id>/recheck": FOREIGN,
    "api/v1/submissions/<uuid:submission_id>/remarks": FOREIGN,
    "api/v1/submissions/<uuid:submission_id>/revisions": FOREIGN,
    "api/v1/submissions/<uuid:submission_id>/withdraw": FOREIGN,
    "audit/": OWN,
    "audit/export/": MANAGED,
    "batches/": OWN,
    "batches/<uuid:batch_id>/": FOREIGN,
    "batches/<uuid:batch_id>/approve/": FOREIGN,
    "batches/<uuid:batch_id>/artifacts.zip": FOREIGN,
    "batches/<uuid:batch_id>/cancel/": FOREIGN,
    "batches/<uuid:batch_id>/columns/": FOREIGN,
    "batches/<uuid:batch_id>/confirm/": FOREIGN,
    "batches/<uuid:batch_id>/live/": FOREIGN,
    "batches/<uuid:batch_id>/pause/": FOREIGN,
    "batches/<uuid:batch_id>/reject/": FOREIGN,
    "batches/<uuid:batch_id>/result.csv": FOREIGN,
    "batches/<uuid:batch_id>/result.xlsx": FOREIGN,
    "batches/<uuid:batch_id>/resume/": FOREIGN,
    "batches/<uuid:batch_id>/retry/": FOREIGN,
    "batches/<uuid:batch_id>/start/": FOREIGN,
    "batches/new/<slug:name>/": FOREIGN,
    "batches/new/<slug:name>/template.csv": FOREIGN,
    "executions/": OWN,
    "executions/<uuid:execution_id>/": FOREIGN,
    "executions/<uuid:execution_id>/approve/": FOREIGN,
    "executions/<uuid:execution_id>/cancel/": FOREIGN,
    "executions/<uuid:execution_id>/evidence.json": FOREIGN,
    "executions/<uuid:execution_id>/evidence/": FOREIGN,
    "executions/<uuid:execution_id>/confirm/": FOREIGN,
    "executions/<uuid:execution_id>/files.zip": FOREIGN,
    "executions/<uuid:execution_id>/files/": FOREIGN,
    "executions/<uuid:execution_id>/inputs/<uuid:file_id>/": FOREIGN,
    "executions/<uuid:execution_id>/inputs/<uuid:file_id>/image/": FOREIGN,
    "executions/<uuid:execution_id>/inputs/<uuid:file_id>/pdf/": FOREIGN,
    "executions/<uuid:execution_id>/inputs/<uuid:file_id>/preview/": FOREIGN,
    "executions/<uuid:execution_id>/live/": FOREIGN,
    "executions/<uuid:execution_id>/log.txt": FOREIGN,
    "executions/<uuid:execution_id>/reject/": FOREIGN,
    "executions/<uuid:execution_id>/result.json": FOREIGN,
    "executions/<uuid:execution_id>/retry/": FOREIGN,
    "executions/artifacts/<uuid:artifact_id>/": FOREIGN,
    "executions/artifacts/<uuid:artifact_id>/image/": FOREIGN,
    "executions/artifacts/<uuid:artifact_id>/link/": FOREIGN,
    "executions/artifacts/<uuid:artifact_id>/linked/<str:signed>": FOREIGN_LINK,
    "executions/artifacts/<uuid:artifact_id>/pdf/": FOREIGN,
    "executions/artifacts/<uuid:artifact_id>/preview/": FOREIGN,
    "executions/retention/": OWN,
    "groups/": MANAGED,
    "groups/<int:group_id>/": FOREIGN,
    "groups/<int:group_id>/delete/": FOREIGN,
    "groups/<int:group_id>/members/": FOREIGN,
    "groups/<int:group_id>/members/<str:username>/remove/": FOREIGN,
    "healthz": OPEN,
    "login/": HOME,
    "logout/": OPEN,
    "robots.txt": OPEN,
    "set-password/<str:key>/<str:token>/": LINK,
    "skills/": OWN,
    "skills/<slug:name>/": FOREIGN,
    "skills/<slug:name>/bind/": FOREIGN,
    "skills/<slug:name>/changes/": FOREIGN,
    "skills/<slug:name>/disable/": FOREIGN,
    "skills/<slug:name>/edit/": FOREIGN,
    "skills/<slug:name>/enable/": FOREIGN,
    "skills/<slug:name>/grants/": FOREIGN,
    "skills/<slug:name>/rollback/": FOREIGN,
    "skills/<slug:name>/samples/<path:path>": FOREIGN,
    "skills/<slug:name>/source/": FOREIGN,
    "skills/<slug:name>/versions/": FOREIGN,
    "submissions/": OWN,
    "submissions/<uuid:submission_id>/": FOREIGN,
    "submissions/<uuid:submission_id>/answer/": FOREIGN,
    "submissions/<uuid:submission_id>/recheck/": FOREIGN,
    "submissions/<uuid:submission_id>/revise/": FOREIGN,
    "submissions/<uuid:submission_id>/rewrite/": FOREIGN,
    "submissions/<uuid:submission_id>/withdraw/": FOREIGN,
    "submissions/new/": OWN,
    "submissions/new/<str:draft>/": FOREIGN,
    "submissions/new/<str:draft>/preview/": FOREIGN,
    "submissions/revisions/<uuid:revision_id>/": FOREIGN,
    "^api/(?P<path>.*)$": NOTHING,
}

ADMIN_HOST: dict[str, Expectation] = {
    "": HOME,
    "api/v1/auth/login": OPEN,
    "api/v1/auth/logout": OWN,
    "api/v1/docs/": OPEN,
    "api/v1/me": OWN,
    "api/v1/schema/": OPEN,
    "api/v1/submissions": GOVERNED_API,
    "api/v1/submissions/<uuid:submission_id>": GOVERNED_API,
    "api/v1/submissions/<uuid:submission_id>/approve": GOVERNED_API,
    "api/v1/submissions/<uuid:submission_id>/reject": GOVERNED_API,
    "api/v1/submissions/<uuid:submission_id>/remark": GOVERNED_API,
    "api/v1/submissions/<uuid:submission_id>/resume": GOVERNED_API,
    "api/v1/tenants": GOVERNED_API,
    "api/v1/tenants/<slug:name>": GOVERNED_API,
    "api/v1/tenants/<slug:name>/limits": GOVERNED_API,
    "api/v1/tenants/<slug:name>/resume": GOVERNED_API,
    "api/v1/tenants/<slug:name>/suspend": GOVERNED_API,
    "api/v1/tenants/<slug:name>/withdraw-version": GOVERNED_API,
    "healthz": OPEN,
    "platform/": GOVERNED,
    "platform/audit/": GOVERNED,
    "platform/audit/export/": GOVERNED_FORM,
    "platform/login/": HOME,
    "platform/logout/": OPEN,
    "platform/reviews/": GOVERNED,
    "platform/reviews/<uuid:submission_id>/": GOVERNED,
    "platform/reviews/<uuid:submission_id>/approve/": GOVERNED_FORM,
    "platform/reviews/<uuid:submission_id>/bundle/": GOVERNED,
    "platform/reviews/<uuid:submission_id>/files/": GOVERNED,
    "platform/reviews/<uuid:submission_id>/reject/": GOVERNED,
    "platform/reviews/<uuid:submission_id>/remark/": GOVERNED,
    "platform/reviews/<uuid:submission_id>/resume/": GOVERNED,
    "platform/reviews/<uuid:submission_id>/withdraw/": GOVERNED,
    "platform/tenants/": GOVERNED,
    "platform/tenants/<slug:name>/": GOVERNED,
    "platform/tenants/<slug:name>/limits/": GOVERNED,
    "platform/tenants/<slug:name>/resume/": GOVERNED,
    "platform/tenants/<slug:name>/suspend/": GOVERNED,
    "platform/tenants/open/": GOVERNED,
    "robots.txt": OPEN,
    "^api/(?P<path>.*)$": NOTHING,
}
