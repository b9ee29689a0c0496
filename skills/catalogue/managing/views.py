from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar

from django.contrib import messages
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _

from execfabric.core.errors import DomainError, InvalidInput
from execfabric.core.permissions import can
from execfabric.web.requests import ConsoleRequest
from execfabric.web.views import ConsoleView
from executors.script.bundle import Bundle, BundleError, BundleFile
from skills.catalogue.bundles import bundle_of
from skills.catalogue.models import Right, Skill, SkillVersion

from . import grants, selectors, services
from .forms import BindForm, EditForm, InUseForm, ReasonForm

VERSIONS_SHOWN = 50
BINDINGS_SHOWN = 20
LARGEST_SHOWN_BYTES = 200_000


class HistoryView(ConsoleView):
    """Base of what developers and administrators see of one skill; 404 for everybody else."""

    tab: ClassVar[str] = "versions"
    """Which of the skill's pages this belongs to."""

    def skill(self, name: str) -> Skill:
        return get_object_or_404(selectors.skills_with_history(self.request.actor), name=name)

    def version(self, skill: Skill, number: str | None) -> SkillVersion:
        """Return the version of that number; without one the version in use."""
        wanted = number or (str(skill.version.number) if skill.version else "")
        if not wanted.isascii() or not wanted.isdecimal() or len(wanted) > 9:
            raise Http404
        return get_object_or_404(selectors.versions_of(skill), number=int(wanted))

    def get_context(self, **context: Any) -> dict[str, Any]:
        actor = self.request.actor
        manages = can(actor, "catalogue.skill.manage")
        return super().get_context(manages=manages, tab=self.tab, **context)


class ManagedView(HistoryView):
    """Base of what administrators do with one skill."""

    def skill(self, name: str) -> Skill:
        return get_object_or_404(selectors.skills_managed_by(self.request.actor), name=name)


class VersionList(HistoryView):
    """The versions of a skill, which one is in use, and since when."""

    template_name = "catalogue/version_list.html"

    def get(self, request: ConsoleRequest, name: str) -> HttpResponse:
        skill = self.skill(name)
        before = request.GET.get("before", "")
        is_number = before.isascii() and before.isdecimal() and len(before) < 10
        rows = selectors.history_of(
            skill, before=int(before) if is_number else None, limit=VERSIONS_SHOWN + 1
        )
        shown = rows[:VERSIONS_SHOWN]
        return self.render(
            skill=skill,
            rows=shown,
            older_than=shown[-1].version.number if len(rows) > len(shown) else None,
            bindings=selectors.bindings_of(skill)[:BINDINGS_SHOWN],
            back_to=selectors.version_before(skill),
        )


class VersionChanges(HistoryView):
    """What differs between two versions; by default between one and the version in use."""

    template_name = "catalogue/version_changes.html"

    def get(self, request: ConsoleRequest, name: str) -> HttpResponse:
        skill = self.skill(name)
        new = self.version(skill, request.GET.get("new"))
        old_number = request.GET.get("old")
        if old_number:
            old: SkillVersion | None = self.version(skill, old_number)
        else:
            old = selectors.versions_of(skill).filter(number__lt=new.number).first()
        change = selectors.difference(request.actor, old, new, skill) if old else None
        return self.render(
            skill=skill,
            old=old,
            new=new,
            change=change,
            numbers=list(skill.versions.values_list("number", flat=True)),
            shows_code=selectors.may_see_code(request.actor, skill),
        )


class VersionSource(HistoryView):
    """The files of a version, for those who may read the code of this workspace."""

    template_name = "catalogue/version_source.html"

    def get(self, request: ConsoleRequest, name: str) -> HttpResponse:
        skill = self.skill(name)
        if not selectors.may_see_code(request.actor, skill):
            raise Http404
        version = self.version(skill, request.GET.get("version"))
        bundle = self._bundle(version)
        wanted = request.GET.get("file", "")
        chosen = next((file for file in bundle.files if file.path == wanted), None)
        if wanted and chosen is None:
            raise Http404
        script = version.script_version
        entry = script.entry if script else ""
        chosen = chosen or next((file for file in bundle.files if file.path == entry), None)
        return self.render(
            skill=skill,
            version=version,
            files=[(file.path, len(file.content)) for file in bundle.files],
            chosen=chosen,
            text=_text_of(chosen) if chosen else None,
        )

    def _bundle(self, version: SkillVersion) -> Bundle:
        if version.script_version is None:
            raise Http404
        try:
            return bundle_of(version.script_version)
        except BundleError:
            raise Http404 from None


class SkillBind(ManagedView):
    def post(self, request: ConsoleRequest, name: str) -> HttpResponse:
        skill = self.skill(name)
        form = _checked(BindForm(request.POST))
        given = form.cleaned_data
        version = get_object_or_404(selectors.versions_of(skill), number=given["version"])
        services.bind_version(
            actor=request.actor,
            skill=skill,
            version=version,
            reason=given["reason"],
            pin=given["pin"],
            expected=given["expected"],
        )
        messages.success(request, _("Version %(number)s is in use.") % {"number": version.number})
        return redirect("catalogue:version-list", name)


class SkillRollBack(ManagedView):
    def post(self, request: ConsoleRequest, name: str) -> HttpResponse:
        skill = self.skill(name)
        given = _checked(InUseForm(request.POST)).cleaned_data
        services.roll_back(actor=request.actor, skill=skill, **given)
        messages.success(request, _("Rolled back. New runs use the earlier version."))
        return redirect("catalogue:version-list", name)


class SkillDisable(ManagedView):
    def post(self, request: ConsoleRequest, name: str) -> HttpResponse:
        skill = self.skill(name)
        given = _checked(ReasonForm(request.POST)).cleaned_data
        services.disable_skill(actor=request.actor, skill=skill, **given)
        messages.success(request, _("Disabled. What is queued does not start."))
        return redirect("catalogue:version-list", name)


class SkillEnable(ManagedView):
    def post(self, request: ConsoleRequest, name: str) -> HttpResponse:
        skill = self.skill(name)
        given = _checked(ReasonForm(request.POST)).cleaned_data
        services.enable_skill(actor=request.actor, skill=skill, **given)
        messages.success(request, _("Enabled for everybody it is granted to."))
        return redirect("catalogue:version-list", name)


class SkillEdit(ManagedView):
    """The texts of a skill, as a new version on the same script."""

    template_name = "catalogue/skill_edit.html"
    tab = "edit"

    def get(self, request: ConsoleRequest, name: str) -> HttpResponse:
        skill, version = self._bound(name)
        return self._page(skill, EditForm(version))

    def post(self, request: ConsoleRequest, name: str) -> HttpResponse:
        skill, version = self._bound(name)
        form = EditForm(version, request.POST)
        if not form.is_valid():
            return self._page(skill, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
        try:
            made = services.edit_skill(
                actor=request.actor,
                skill=skill,
                changes=form.changes(),
                reason=form.cleaned_data["reason"],
                expected=form.cleaned_data["expected"],
            )
        except services.ChangedMeanwhile as error:
            return self._again(name, request.POST, error)
        except DomainError as error:
            form.add_refusal(error.fields, error.message)
            return self._page(skill, form, status=error.status)
        messages.success(request, _("Version %(number)s is in use.") % {"number": made.number})
        return redirect("catalogue:version-list", name)

    def _again(self, name: str, posted: QueryDict, error: DomainError) -> HttpResponse:
        """Show what was typed on top of the version that is in use by now, to be sent once more."""
        skill, version = self._bound(name)
        data = posted.copy()
        earlier, data["expected"] = str(data["expected"]), str(version.number)
        form = EditForm(version, data)
        form.add_error(None, error.message)
        return self._page(skill, form, status=error.status, earlier=earlier)

    def _bound(self, name: str) -> tuple[Skill, SkillVersion]:
        skill = self.skill(name)
        if skill.version is None:
            raise Http404
        services.require_own(skill)
        return skill, skill.version

    def _page(
        self, skill: Skill, form: EditForm, *, status: int = 200, earlier: str = ""
    ) -> HttpResponse:
        return self.render(
            status=status,
            skill=skill,
            form=form,
            texts=[form[name] for name in ("title", "description", "tags", "examples")],
            inputs=[(name, [form[field] for field in fields]) for name, fields in form.inputs],
            stricter=[form[name] for name in form.stricter],
            earlier=earlier,
        )


class SkillGrants(ManagedView):
    """Who may see, run and approve a skill, as one matrix."""

    template_name = "catalogue/skill_grants.html"
    tab = "grants"

    def get(self, request: ConsoleRequest, name: str) -> HttpResponse:
        skill = self.skill(name)
        held = grants.entitlements_of(skill)
        return self._page(skill, held, grants.fingerprint(held))

    def post(self, request: ConsoleRequest, name: str) -> HttpResponse:
        skill = self.skill(name)
        held = grants.entitlements_of(skill)
        wanted = _wanted(request.POST)
        reason = request.POST.get("reason", "")
        try:
            services.change_grants(
                actor=request.actor,
                skill=skill,
                give=sorted(wanted - held),
                take=sorted(held - wanted),
                reason=reason,
                seen=request.POST.get("seen", "")[:100] or "unseen",
            )
        except (services.ChangedMeanwhile, InvalidInput) as error:
            return self._page(skill, wanted, grants.fingerprint(held), error=error, reason=reason)
        messages.success(request, _("Saved. It holds at once."))
        return redirect("catalogue:skill-grants", name)

    def _page(
        self,
        skill: Skill,
        chosen: frozenset[grants.Entitlement],
        seen: str,
        *,
        error: DomainError | None = None,
        reason: str = "",
    ) -> HttpResponse:
        rows = [
            (
                holder,
                [
                    (
                        right,
                        f"{holder.kind}:{right.value}:{holder.who}",
                        grants.Entitlement(holder.kind, holder.who, right.value) in chosen,
                        grants.can_have(holder.kind, holder.who, right.value),
                    )
                    for right in Right
                ],
            )
            for holder in grants.holders_shown(skill)
        ]
        return self.render(
            status=error.status if error else 200,
            skill=skill,
            rows=rows,
            rights=list(Right),
            seen=seen,
            error=error,
            reason=reason,
            added=self.request.POST.get("username", ""),
            added_rights=self.request.POST.getlist("user-right"),
        )


def _wanted(posted: QueryDict) -> frozenset[grants.Entitlement]:
    """Return the rights that are ticked, those of the account that was named among them."""
    wanted = set()
    for value in posted.getlist("grant"):
        kind, _first, rest = value[:300].partition(":")
        right, _second, who = rest.partition(":")
        wanted.add(grants.Entitlement(kind, who, right))
    username = posted.get("username", "").strip()[:150]
    if username:
        kind = grants.Kind.ACCOUNT.value
        wanted |= {
            grants.Entitlement(kind, username, right) for right in posted.getlist("user-right")
        }
    return frozenset(wanted)


def _checked(form: ReasonForm) -> ReasonForm:
    """Return a form that is valid. Raises InvalidInput, which leads back with a message."""
    if not form.is_valid():
        fields = {name: " ".join(map(str, said)) for name, said in form.errors.items()}
        raise InvalidInput(_("This is not complete."), fields=fields)
    return form


def _text_of(file: BundleFile) -> str | None:
    """Return the content to be shown; None where it is no text, or too long."""
    if len(file.content) > LARGEST_SHOWN_BYTES or b"\0" in file.content:
        return None
    try:
        return file.content.decode()
    except UnicodeDecodeError:
        return None
