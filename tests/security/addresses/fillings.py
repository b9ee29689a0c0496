"""What is filled into the addresses and sent to them: ids by parameter, bodies by route."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from tests.factories.skills import bundle_of


@dataclass(frozen=True, slots=True)
class Ids:
    """The ids of one tenant's objects, or ids of the same form that nobody has."""

    tenant: str
    skill: str
    sample: str
    execution: str
    file: str
    input_picture: str
    artifact: str
    picture: str
    submission: str
    revision: str
    draft: str
    batch: str
    table: str
    link_key: str
    link_token: str
    group: str
    member: str
    delegation: str
    document: str
    input_document: str
    signed_link: str
    http_resource: str
    http_credential: str
    http_write: str
    http_grant: str
    http_trial: str
    session: str
    api_token: str
    admin: str
    export: str
    deletion: str
    customer: str
    contact: str
    audit_archive: str
    trail_view: str

    @cache  # noqa: B019 - of few worlds, and asked for with every header of every answer
    def texts(self) -> tuple[str, ...]:
        """Return every id, the longer ones first."""
        each = (getattr(self, name) for name in self.__slots__)
        return tuple(sorted(each, key=len, reverse=True))


NOBODYS = Ids(
    tenant="nowhere",
    skill="nobodys-skill",
    sample="nobodys.csv",
    execution="01980000-0000-7000-8000-000000000001",
    file="01980000-0000-7000-8000-000000000002",
    input_picture="01980000-0000-7000-8000-000000000003",
    artifact="01980000-0000-7000-8000-000000000004",
    picture="01980000-0000-7000-8000-000000000005",
    submission="01980000-0000-7000-8000-000000000008",
    revision="01980000-0000-7000-8000-000000000009",
    draft="WyJub2JvZHkiXQ~1tXXXX~0123456789abcdefghijklmnopqrstuvwxyzABCDEFG",
    batch="01980000-0000-7000-8000-000000000006",
    table="01980000-0000-7000-8000-000000000007",
    link_key="OTk5OTk5OTk",
    link_token="dnobod-0123456789abcdef0123456789abcdef",
    group="99999901",
    member="nobody-in-any-group",
    delegation="99999903",
    document="01980000-0000-7000-8000-000000000006",
    input_document="01980000-0000-7000-8000-000000000007",
    signed_link=f"99999999.4102444800.{'0' * 64}",
    http_resource="nobodys-resource",
    http_credential="nobodys-credential",
    http_write="01980000-0000-7000-8000-000000000010",
    http_grant="01980000-0000-7000-8000-000000000011",
    http_trial="01980000-0000-7000-8000-000000000012",
    session="0123456789abcdef0123",
    api_token="0123456789abcdef4567",
    admin="99999905",
    export="01980000-0000-7000-8000-000000000013",
    deletion="01980000-0000-7000-8000-000000000014",
    customer="01980000-0000-7000-8000-000000000015",
    contact="99999906",
    audit_archive="01980000-0000-7000-8000-000000000016",
    trail_view="99999904",
)

PARAMETERS: dict[str | tuple[str, str], str] = {
    "archive_id": "audit_archive",
    "artifact_id": "artifact",
    "batch_id": "batch",
    "execution_id": "execution",
    "draft": "draft",
    "file_id": "file",
    "group_id": "group",
    "username": "member",
    "delegation_id": "delegation",
    "key": "link_key",
    "revision_id": "revision",
    "submission_id": "submission",
    "contact_id": "contact",
    "customer_id": "customer",
    "deletion_id": "deletion",
    "export_id": "export",
    "grant_id": "http_grant",
    "trial_id": "http_trial",
    "view_id": "trail_view",
    "write_id": "http_write",
    "signed": "signed_link",
    "token": "link_token",
    "account_id": "admin",
    ("platform/administrators/<int:account_id>/sessions/<str:handle>/end/", "handle"): "session",
    ("api/v1/sessions/<str:handle>", "handle"): "session",
    ("api/v1/tokens/<str:handle>", "handle"): "api_token",
    ("security/sessions/<str:handle>/revoke/", "handle"): "session",
    ("security/tokens/<str:handle>/revoke/", "handle"): "api_token",
    ("platform/security/sessions/<str:handle>/revoke/", "handle"): "session",
    ("platform/security/tokens/<str:handle>/revoke/", "handle"): "api_token",
    ("^api/(?P<path>.*)$", "path"): "skill",
    ("api/v1/skills/<slug:name>", "name"): "skill",
    ("api/v1/skills/<slug:name>/bind", "name"): "skill",
    ("api/v1/skills/<slug:name>/changes", "name"): "skill",
    ("api/v1/skills/<slug:name>/disable", "name"): "skill",
    ("api/v1/skills/<slug:name>/edit", "name"): "skill",
    ("api/v1/skills/<slug:name>/enable", "name"): "skill",
    ("api/v1/skills/<slug:name>/grants", "name"): "skill",
    ("api/v1/skills/<slug:name>/rollback", "name"): "skill",
    ("api/v1/skills/<slug:name>/versions", "name"): "skill",
    ("batches/new/<slug:name>/", "name"): "skill",
    ("batches/new/<slug:name>/template.csv", "name"): "skill",
    ("api/v1/tenants/<slug:name>/activate", "name"): "tenant",
    ("api/v1/tenants/<slug:name>/close", "name"): "tenant",
    ("api/v1/tenants/<slug:name>/term", "name"): "tenant",
    ("api/v1/tenants/<slug:name>/exports", "name"): "tenant",
    ("api/v1/tenants/<slug:name>/deletion", "name"): "tenant",
    ("api/v1/customers/<uuid:customer_id>/tenants/<slug:name>", "name"): "tenant",
    ("platform/tenants/<slug:name>/activate/", "name"): "tenant",
    ("platform/tenants/<slug:name>/close/", "name"): "tenant",
    ("platform/tenants/<slug:name>/term/", "name"): "tenant",
    ("platform/tenants/<slug:name>/export/", "name"): "tenant",
    ("platform/tenants/<slug:name>/delete/", "name"): "tenant",
    ("platform/customers/<uuid:customer_id>/tenants/<slug:name>/unlink/", "name"): "tenant",
    ("api/v1/tenants/<slug:name>", "name"): "tenant",
    ("api/v1/tenants/<slug:name>/limits", "name"): "tenant",
    ("api/v1/tenants/<slug:name>/resume", "name"): "tenant",
    ("api/v1/tenants/<slug:name>/withdraw-version", "name"): "tenant",
    ("api/v1/tenants/<slug:name>/suspend", "name"): "tenant",
    ("executions/<uuid:execution_id>/inputs/<uuid:file_id>/image/", "file_id"): "input_picture",
    ("executions/<uuid:execution_id>/inputs/<uuid:file_id>/pdf/", "file_id"): "input_document",
    ("executions/artifacts/<uuid:artifact_id>/image/", "artifact_id"): "picture",
    ("executions/artifacts/<uuid:artifact_id>/pdf/", "artifact_id"): "document",
    ("api/v1/credentials/<slug:name>", "name"): "http_credential",
    ("api/v1/credentials/<slug:name>/replace", "name"): "http_credential",
    ("api/v1/credentials/<slug:name>/revoke", "name"): "http_credential",
    ("platform/credentials/<slug:name>/", "name"): "http_credential",
    ("platform/credentials/<slug:name>/replace/", "name"): "http_credential",
    ("platform/credentials/<slug:name>/revoke/", "name"): "http_credential",
    ("api/v1/http-resources/<slug:name>", "name"): "http_resource",
    ("api/v1/http-resources/<slug:name>/addresses", "name"): "http_resource",
    ("api/v1/http-resources/<slug:name>/disable", "name"): "http_resource",
    ("api/v1/http-resources/<slug:name>/dry-run", "name"): "http_resource",
    ("api/v1/http-resources/<slug:name>/enable", "name"): "http_resource",
    ("api/v1/http-resources/<slug:name>/grants", "name"): "http_resource",
    ("api/v1/http-resources/<slug:name>/grants/<uuid:grant_id>/revoke", "name"): "http_resource",
    ("api/v1/http-resources/<slug:name>/trials", "name"): "http_resource",
    ("api/v1/http-resources/<slug:name>/trials/<uuid:trial_id>", "name"): "http_resource",
    ("api/v1/http-resources/<slug:name>/versions", "name"): "http_resource",
    ("api/v1/http-resources/<slug:name>/writes", "name"): "http_resource",
    ("api/v1/http-resources/<slug:name>/writes/<uuid:write_id>/revoke", "name"): "http_resource",
    ("platform/http-resources/<slug:name>/", "name"): "http_resource",
    ("platform/http-resources/<slug:name>/disable/", "name"): "http_resource",
    ("platform/http-resources/<slug:name>/enable/", "name"): "http_resource",
    ("platform/http-resources/<slug:name>/grants/<uuid:grant_id>/revoke/", "name"): "http_resource",
    ("platform/http-resources/<slug:name>/revise/", "name"): "http_resource",
    ("platform/http-resources/<slug:name>/trials/<uuid:trial_id>/", "name"): "http_resource",
    ("platform/http-resources/<slug:name>/try/", "name"): "http_resource",
    ("platform/http-resources/<slug:name>/writes/<uuid:write_id>/revoke/", "name"): "http_resource",
    ("platform/http-resources/<slug:name>/addresses/", "name"): "http_resource",
    ("platform/http-resources/<slug:name>/grants/", "name"): "http_resource",
    ("platform/http-resources/<slug:name>/writes/", "name"): "http_resource",
    ("platform/tenants/<slug:name>/", "name"): "tenant",
    ("platform/tenants/<slug:name>/limits/", "name"): "tenant",
    ("platform/tenants/<slug:name>/resume/", "name"): "tenant",
    ("platform/tenants/<slug:name>/suspend/", "name"): "tenant",
    ("skills/<slug:name>/", "name"): "skill",
    ("skills/<slug:name>/bind/", "name"): "skill",
    ("skills/<slug:name>/changes/", "name"): "skill",
    ("skills/<slug:name>/disable/", "name"): "skill",
    ("skills/<slug:name>/edit/", "name"): "skill",
    ("skills/<slug:name>/enable/", "name"): "skill",
    ("skills/<slug:name>/grants/", "name"): "skill",
    ("skills/<slug:name>/rollback/", "name"): "skill",
    ("skills/<slug:name>/samples/<path:path>", "name"): "skill",
    ("skills/<slug:name>/samples/<path:path>", "path"): "sample",
    ("skills/<slug:name>/source/", "name"): "skill",
    ("skills/<slug:name>/versions/", "name"): "skill",
}
"""Parameter of any route, or (route, parameter): which of the Ids it is."""

Body = Callable[[Ids], dict[str, Any]]


def nothing(_ids: Ids) -> dict[str, Any]:
    return {}


def export_form(_ids: Ids) -> dict[str, Any]:
    return {"form": "bundle"}


def days_form(_ids: Ids) -> dict[str, Any]:
    return {"days": 365}


def trail_view(_ids: Ids) -> dict[str, Any]:
    return {"name": "Refused", "outcome": "refused"}


def credentials(_ids: Ids) -> dict[str, Any]:
    return {"username": "nobody-at-all", "password": "correct horse battery"}


def code(_ids: Ids) -> dict[str, Any]:
    return {"code": "123456"}


def reason(_ids: Ids) -> dict[str, Any]:
    return {"reason": "It is not wanted."}


def verdict(ids: Ids) -> dict[str, Any]:
    return {"revision": ids.revision, "digest": "0" * 64, "reason": "It is not wanted."}


def withdrawal(ids: Ids) -> dict[str, Any]:
    return {"skill": ids.skill, "version": 1, "reason": "It is not wanted."}


def limits(_ids: Ids) -> dict[str, Any]:
    return {"concurrency": 5}


def new_password(_ids: Ids) -> dict[str, Any]:
    return {"password": "a quite long secret", "repeated": "a quite long secret"}


def run(ids: Ids) -> dict[str, Any]:
    return {"skill": ids.skill, "inputs": inputs(ids)}


def inputs(ids: Ids) -> dict[str, Any]:
    return {
        "who": "you",
        "orders": ids.file,
        "picture": ids.input_picture,
        "document": ids.input_document,
    }


def batch(ids: Ids) -> dict[str, Any]:
    return {"skill": ids.skill, "file": ids.table}


def rows_form(_ids: Ids) -> dict[str, Any]:
    return {"from": "rows", "rows": SimpleUploadedFile("rows.csv", b"who\nyou\n")}


def run_form(ids: Ids) -> dict[str, Any]:
    return {
        "input-who": "you",
        "kept-orders": ids.file,
        "kept-picture": ids.input_picture,
        "kept-document": ids.input_document,
    }


def upload(_ids: Ids) -> dict[str, Any]:
    return {"file": SimpleUploadedFile("orders.csv", b"a;b\n")}


def submission(_ids: Ids) -> dict[str, Any]:
    return {"bundle": script(), "scenario": "It greets."}


def files(_ids: Ids) -> dict[str, Any]:
    return {"bundle": script()}


def script() -> SimpleUploadedFile:
    packed = bundle_of({"main.py": "def main():\n    return 1\n"}).pack()
    return SimpleUploadedFile("script.tar.gz", packed)


def remark(_ids: Ids) -> dict[str, Any]:
    return {"text": "It is needed."}


def description(_ids: Ids) -> dict[str, Any]:
    return {"name": "greet", "title": "Greet", "risk": "low", "approval": "none",
            "visibility": "tenant", "timeout_s": 9,
            "memory_mb": 99, "scenario": "It greets.", "manual": "on"}  # fmt: skip


def retention(_ids: Ids) -> dict[str, Any]:
    return {"days": 30}


def tenant_form(_ids: Ids) -> dict[str, Any]:
    return {"name": "initech", "title": "Initech", "username": "owner"}


def tenant(_ids: Ids) -> dict[str, Any]:
    return {"name": "initech", "title": "Initech", "owner": {"username": "owner"}}


def group(_ids: Ids) -> dict[str, Any]:
    return {"name": "Night shift", "description": "Works at night."}


def delegation(ids: Ids) -> dict[str, Any]:
    return {"to_account": "oscar", "ends_at": "2100-01-01T00:00:00Z"}


def delegation_form(ids: Ids) -> dict[str, Any]:
    return {"to": f"group:{ids.group}", "until": "2100-01-01"}


def rules_form(_ids: Ids) -> dict[str, Any]:
    risks = {f"{risk}_approvals": "0" for risk in ("low", "medium", "high")}
    return {"expires_after_h": "24", "remind_after_h": "4", **risks}


def member(ids: Ids) -> dict[str, Any]:
    return {"account": ids.member}


def version_in_use(_ids: Ids) -> dict[str, Any]:
    return {"version": 1, "pin": True, "reason": "It is the good one."}


def edit(_ids: Ids) -> dict[str, Any]:
    return {"changes": {"title": "Another title"}, "reason": "Clearer words."}


def edit_form(_ids: Ids) -> dict[str, Any]:
    return {"title": "Another title", "reason": "Clearer words.", "expected": 1}


def grants(_ids: Ids) -> dict[str, Any]:
    row = {"kind": "role", "who": "viewer", "right": "see"}
    return {"give": [row], "reason": "They may look."}


def grants_form(_ids: Ids) -> dict[str, Any]:
    return {"grant": "role:see:viewer", "seen": "0" * 32, "reason": "They may look."}


def http_resource(_ids: Ids) -> dict[str, Any]:
    return {"name": "another", "title": "Another", "spec": {"base_url": "http://api.example.com"}}


def http_form(_ids: Ids) -> dict[str, Any]:
    return {"name": "another", "title": "Another", "base_url": "http://api.example.com",
            "method": "GET", "path": "/", "body_kind": "none", "timeout_s": 9, "retries": 0,
            "response_bytes": 1000, "redirects": 0}  # fmt: skip


def http_write(_ids: Ids) -> dict[str, Any]:
    return {"method": "POST", "path": "/x", "confirmation": "confirm", "reason": "Agreed."}


def http_addresses(_ids: Ids) -> dict[str, Any]:
    return {"addresses": ["10.0.0.0/8"], "reason": "It lies there."}


def http_grant(ids: Ids) -> dict[str, Any]:
    return {"tenant": ids.tenant, "level": "view"}


def http_document(_ids: Ids) -> dict[str, Any]:
    return {"document": '{"openapi": "3.1.0", "paths": {}}'}


def http_secrets(_ids: Ids) -> dict[str, Any]:
    return {"secrets": {"value": "a secret"}}


def http_credential(_ids: Ids) -> dict[str, Any]:
    return {"name": "another", "style": "api_key", "secrets": {"value": "a secret"}}


def http_credential_form(_ids: Ids) -> dict[str, Any]:
    return {"slug": "another", "name": "X-Key", "place": "header", "value": "a secret"}


def term(_ids: Ids) -> dict[str, Any]:
    return {"expires_on": "2100-01-01"}


def deletion(ids: Ids) -> dict[str, Any]:
    return {"confirmation": ids.tenant, "reason": "They left."}


def customer(_ids: Ids) -> dict[str, Any]:
    return {"name": "Initech", "status": "active"}


def contact(_ids: Ids) -> dict[str, Any]:
    return {"name": "Peter", "email": "peter@example.com"}


def link(ids: Ids) -> dict[str, Any]:
    return {"tenant": ids.tenant}


def administrator(ids: Ids) -> dict[str, Any]:
    return {"kind": "tenant_admin", "username": "another", "tenants": [ids.tenant]}


BODIES: dict[str, Body] = {
    "api/v1/administrators": administrator,
    "api/v1/administrators/<int:account_id>/disable": reason,
    "api/v1/administrators/<int:account_id>/enable": nothing,
    "api/v1/administrators/<int:account_id>/link": nothing,
    "api/v1/administrators/<int:account_id>/second-factor/reset": reason,
    "api/v1/audit/archives": days_form,
    "api/v1/audit/archives/<uuid:archive_id>/content": nothing,
    "api/v1/audit/export": export_form,
    "api/v1/artifacts/<uuid:artifact_id>/link": nothing,
    "api/v1/auth/login": credentials,
    "api/v1/auth/logout": nothing,
    "api/v1/auth/prove": credentials,
    "api/v1/delegations": delegation,
    "api/v1/delegations/<int:delegation_id>/end": nothing,
    "api/v1/batches": batch,
    "api/v1/batches/<uuid:batch_id>/approve": nothing,
    "api/v1/batches/<uuid:batch_id>/cancel": nothing,
    "api/v1/batches/<uuid:batch_id>/confirm": nothing,
    "api/v1/batches/<uuid:batch_id>/mapping": nothing,
    "api/v1/batches/<uuid:batch_id>/pause": nothing,
    "api/v1/batches/<uuid:batch_id>/reject": reason,
    "api/v1/batches/<uuid:batch_id>/resume": nothing,
    "api/v1/batches/<uuid:batch_id>/retry": nothing,
    "api/v1/batches/<uuid:batch_id>/start": nothing,
    "api/v1/executions": run,
    "api/v1/executions/<uuid:execution_id>/approve": nothing,
    "api/v1/executions/<uuid:execution_id>/cancel": nothing,
    "api/v1/executions/<uuid:execution_id>/confirm": nothing,
    "api/v1/executions/<uuid:execution_id>/reject": reason,
    "api/v1/executions/<uuid:execution_id>/retry": nothing,
    "api/v1/files": upload,
    "api/v1/groups": group,
    "api/v1/credentials": http_credential,
    "api/v1/credentials/<slug:name>/replace": http_secrets,
    "api/v1/credentials/<slug:name>/revoke": reason,
    "api/v1/http-resources": http_resource,
    "api/v1/http-resources/<slug:name>/addresses": http_addresses,
    "api/v1/http-resources/<slug:name>/disable": reason,
    "api/v1/http-resources/<slug:name>/dry-run": nothing,
    "api/v1/http-resources/<slug:name>/enable": nothing,
    "api/v1/http-resources/<slug:name>/grants": http_grant,
    "api/v1/http-resources/<slug:name>/grants/<uuid:grant_id>/revoke": reason,
    "api/v1/http-resources/<slug:name>/trials": nothing,
    "api/v1/http-resources/<slug:name>/versions": http_resource,
    "api/v1/http-resources/<slug:name>/writes": http_write,
    "api/v1/http-resources/<slug:name>/writes/<uuid:write_id>/revoke": nothing,
    "api/v1/http-resources/import": http_document,
    "platform/credentials/<slug:name>/replace/": http_credential_form,
    "platform/credentials/<slug:name>/revoke/": reason,
    "platform/credentials/new/": http_credential_form,
    "platform/http-resources/<slug:name>/disable/": reason,
    "platform/http-resources/<slug:name>/enable/": nothing,
    "platform/http-resources/<slug:name>/grants/<uuid:grant_id>/revoke/": reason,
    "platform/http-resources/<slug:name>/revise/": http_form,
    "platform/http-resources/<slug:name>/try/": nothing,
    "platform/http-resources/<slug:name>/writes/<uuid:write_id>/revoke/": nothing,
    "platform/http-resources/import/": http_document,
    "platform/http-resources/new/": http_form,
    "platform/http-resources/<slug:name>/addresses/": reason,
    "platform/http-resources/<slug:name>/grants/": http_grant,
    "platform/http-resources/<slug:name>/writes/": http_write,
    "api/v1/skills/<slug:name>/bind": version_in_use,
    "api/v1/skills/<slug:name>/disable": reason,
    "api/v1/skills/<slug:name>/edit": edit,
    "api/v1/skills/<slug:name>/enable": reason,
    "api/v1/skills/<slug:name>/grants": grants,
    "api/v1/skills/<slug:name>/rollback": reason,
    "api/v1/submissions/<uuid:submission_id>/approve": verdict,
    "api/v1/submissions/<uuid:submission_id>/reject": verdict,
    "api/v1/submissions/<uuid:submission_id>/remark": remark,
    "api/v1/submissions/<uuid:submission_id>/resume": nothing,
    "api/v1/submissions": submission,
    "api/v1/submissions/<uuid:submission_id>/recheck": nothing,
    "api/v1/submissions/<uuid:submission_id>/remarks": remark,
    "api/v1/submissions/<uuid:submission_id>/revisions": submission,
    "api/v1/submissions/<uuid:submission_id>/withdraw": nothing,
    "api/v1/tenants/<slug:name>/activate": nothing,
    "api/v1/tenants/<slug:name>/close": reason,
    "api/v1/tenants/<slug:name>/term": term,
    "api/v1/tenants/<slug:name>/exports": reason,
    "api/v1/tenants/<slug:name>/deletion": deletion,
    "api/v1/tenant-exports/<uuid:export_id>/content": nothing,
    "api/v1/tenant-exports/<uuid:export_id>/remove": nothing,
    "api/v1/tenant-exports/<uuid:export_id>/retry": nothing,
    "api/v1/tenant-deletions/<uuid:deletion_id>/cancel": nothing,
    "api/v1/tenant-deletions/<uuid:deletion_id>/retry": nothing,
    "api/v1/customers": customer,
    "api/v1/customers/<uuid:customer_id>/contacts": contact,
    "platform/tenants/<slug:name>/activate/": reason,
    "platform/tenants/<slug:name>/close/": reason,
    "platform/tenants/<slug:name>/term/": term,
    "platform/tenants/<slug:name>/export/": reason,
    "platform/tenants/<slug:name>/delete/": deletion,
    "platform/exports/<uuid:export_id>/retry/": nothing,
    "platform/exports/<uuid:export_id>/remove/": nothing,
    "platform/exports/<uuid:export_id>/download/": nothing,
    "platform/deletions/<uuid:deletion_id>/cancel/": nothing,
    "platform/deletions/<uuid:deletion_id>/retry/": nothing,
    "platform/customers/new/": customer,
    "platform/customers/<uuid:customer_id>/change/": customer,
    "platform/customers/<uuid:customer_id>/contacts/": contact,
    "platform/customers/<uuid:customer_id>/contacts/<int:contact_id>/remove/": nothing,
    "platform/customers/<uuid:customer_id>/tenants/": link,
    "platform/customers/<uuid:customer_id>/tenants/<slug:name>/unlink/": nothing,
    "api/v1/tenants": tenant,
    "api/v1/tenants/<slug:name>/limits": limits,
    "api/v1/tenants/<slug:name>/resume": nothing,
    "api/v1/tenants/<slug:name>/withdraw-version": withdrawal,
    "api/v1/tenants/<slug:name>/suspend": reason,
    "approvals/delegations/": delegation_form,
    "audit/archives/<uuid:archive_id>/file/": nothing,
    "audit/archives/keep/": days_form,
    "audit/archives/request/": days_form,
    "audit/export/": export_form,
    "audit/views/": trail_view,
    "audit/views/<int:view_id>/delete/": nothing,
    "platform/audit/archives/<uuid:archive_id>/file/": nothing,
    "platform/audit/archives/keep/": days_form,
    "platform/audit/archives/request/": days_form,
    "platform/audit/export/": export_form,
    "platform/audit/views/": trail_view,
    "platform/audit/views/<int:view_id>/delete/": nothing,
    "approvals/delegations/<int:delegation_id>/end/": nothing,
    "approvals/rules/": rules_form,
    "batches/<uuid:batch_id>/approve/": nothing,
    "batches/<uuid:batch_id>/cancel/": nothing,
    "batches/<uuid:batch_id>/columns/": nothing,
    "batches/<uuid:batch_id>/confirm/": nothing,
    "batches/<uuid:batch_id>/pause/": nothing,
    "batches/<uuid:batch_id>/reject/": reason,
    "batches/<uuid:batch_id>/resume/": nothing,
    "batches/<uuid:batch_id>/retry/": nothing,
    "batches/<uuid:batch_id>/start/": nothing,
    "batches/new/<slug:name>/": rows_form,
    "executions/<uuid:execution_id>/approve/": nothing,
    "executions/<uuid:execution_id>/cancel/": nothing,
    "executions/<uuid:execution_id>/confirm/": nothing,
    "executions/<uuid:execution_id>/reject/": reason,
    "executions/<uuid:execution_id>/retry/": nothing,
    "groups/": group,
    "groups/<int:group_id>/": group,
    "groups/<int:group_id>/delete/": nothing,
    "groups/<int:group_id>/members/": member,
    "groups/<int:group_id>/members/<str:username>/remove/": nothing,
    "executions/artifacts/<uuid:artifact_id>/link/": nothing,
    "executions/retention/": retention,
    "healthz": nothing,
    "login/": credentials,
    "login/code/": code,
    "logout/": nothing,
    "platform/login/": credentials,
    "platform/login/code/": code,
    "platform/logout/": nothing,
    "platform/reviews/<uuid:submission_id>/approve/": verdict,
    "platform/reviews/<uuid:submission_id>/reject/": verdict,
    "platform/reviews/<uuid:submission_id>/remark/": remark,
    "platform/reviews/<uuid:submission_id>/resume/": nothing,
    "platform/reviews/<uuid:submission_id>/withdraw/": reason,
    **{
        f"{host}security/{page}": code if page == "second-factor/" else nothing
        for host in ("", "platform/")
        for page in (
            "password/",
            "prove/",
            "recovery-codes/renew/",
            "second-factor/",
            "second-factor/begin/",
            "second-factor/remove/",
            "sessions/<str:handle>/revoke/",
            "sessions/revoke-others/",
            "tokens/<str:handle>/revoke/",
            "tokens/revoke-all/",
        )
    },
    "platform/administrators/<int:account_id>/disable/": reason,
    "platform/administrators/<int:account_id>/enable/": nothing,
    "platform/administrators/<int:account_id>/link/": nothing,
    "platform/administrators/<int:account_id>/second-factor/reset/": reason,
    "platform/administrators/<int:account_id>/sessions/<str:handle>/end/": nothing,
    "platform/administrators/<int:account_id>/sessions/end/": nothing,
    "platform/administrators/<int:account_id>/tenants/": nothing,
    "platform/administrators/invite/": credentials,
    "platform/administrators/whitelist/": credentials,
    "platform/set-password/<str:key>/<str:token>/": new_password,
    "platform/tenants/<slug:name>/limits/": limits,
    "platform/tenants/<slug:name>/resume/": nothing,
    "platform/tenants/<slug:name>/suspend/": reason,
    "platform/tenants/open/": tenant_form,
    "robots.txt": nothing,
    "set-password/<str:key>/<str:token>/": new_password,
    "skills/<slug:name>/": run_form,
    "skills/<slug:name>/bind/": version_in_use,
    "skills/<slug:name>/disable/": reason,
    "skills/<slug:name>/edit/": edit_form,
    "skills/<slug:name>/enable/": reason,
    "skills/<slug:name>/grants/": grants_form,
    "skills/<slug:name>/rollback/": reason,
    "submissions/<uuid:submission_id>/answer/": remark,
    "submissions/<uuid:submission_id>/recheck/": nothing,
    "submissions/<uuid:submission_id>/revise/": files,
    "submissions/<uuid:submission_id>/rewrite/": nothing,
    "submissions/<uuid:submission_id>/withdraw/": nothing,
    "submissions/new/": files,
    "submissions/new/<str:draft>/": description,
    "submissions/new/<str:draft>/preview/": description,
    "^api/(?P<path>.*)$": nothing,
}
"""Route that takes a POST: a well-formed body for it."""
