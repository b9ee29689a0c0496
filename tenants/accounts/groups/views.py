from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _

from execfabric.core.errors import DomainError
from execfabric.core.permissions import can
from execfabric.web.requests import ConsoleRequest
from execfabric.web.views import ConsoleView
from tenants.accounts.models import Account, Group

from . import selectors, services
from .forms import GroupForm, MemberForm


class GroupView(ConsoleView):
    """A page for those who manage groups; not there for anybody else."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        actor = self.request.actor
        if actor.is_authenticated and not can(actor, "accounts.group.read_all"):
            raise Http404
        return super().dispatch(request, *args, **kwargs)

    def group(self, group_id: int) -> Group:
        return get_object_or_404(selectors.groups_visible_to(self.request.actor), pk=group_id)


class GroupList(GroupView):
    template_name = "accounts/group_list.html"

    def get(self, request: ConsoleRequest) -> HttpResponse:
        return self.page(GroupForm())

    def post(self, request: ConsoleRequest) -> HttpResponse:
        form = GroupForm(request.POST)
        if not form.is_valid():
            return self.page(form, status=422)
        try:
            group = services.create_group(actor=request.actor, **form.cleaned_data)
        except DomainError as error:
            form.add_error("name", error.message)
            return self.page(form, status=422)
        return redirect("groups:group-detail", group.pk)

    def page(self, form: GroupForm, status: int = 200) -> HttpResponse:
        groups = selectors.groups_visible_to(self.request.actor)
        return self.render(form=form, groups=groups, status=status)


class GroupPage(GroupView):
    """The page of one group, and what shows it again when something was wrong."""

    template_name = "accounts/group_detail.html"

    def filled(self, group: Group) -> GroupForm:
        return GroupForm(initial={"name": group.name, "description": group.description})

    def page(
        self,
        group: Group,
        form: GroupForm,
        *,
        member_form: MemberForm | None = None,
        status: int = 200,
    ) -> HttpResponse:
        accounts = selectors.accounts_to_add(group)
        return self.render(
            group=group,
            form=form,
            members=selectors.members_of(group),
            member_form=member_form or MemberForm(accounts=accounts),
            status=status,
        )


class GroupDetail(GroupPage):
    def get(self, request: ConsoleRequest, group_id: int) -> HttpResponse:
        group = self.group(group_id)
        return self.page(group, self.filled(group))

    def post(self, request: ConsoleRequest, group_id: int) -> HttpResponse:
        group = self.group(group_id)
        form = GroupForm(request.POST)
        if not form.is_valid():
            return self.page(group, form, status=422)
        try:
            services.change_group(actor=request.actor, group=group, **form.cleaned_data)
        except DomainError as error:
            form.add_error("name", error.message)
            return self.page(self.group(group_id), form, status=422)
        messages.success(request, _("Saved."))
        return redirect("groups:group-detail", group_id)


class GroupDelete(GroupView):
    def post(self, request: ConsoleRequest, group_id: int) -> HttpResponse:
        services.delete_group(actor=request.actor, group=self.group(group_id))
        messages.success(request, _("Deleted. What was granted to the group ended with it."))
        return redirect("groups:group-list")


class MemberAdd(GroupPage):
    def post(self, request: ConsoleRequest, group_id: int) -> HttpResponse:
        group = self.group(group_id)
        form = MemberForm(request.POST, accounts=selectors.accounts_to_add(group))
        if not form.is_valid():
            return self.page(group, self.filled(group), member_form=form, status=422)
        account = form.cleaned_data["account"]
        services.add_member(actor=request.actor, group=group, account=account)
        return redirect("groups:group-detail", group_id)


class MemberRemove(GroupView):
    def post(self, request: ConsoleRequest, group_id: int, username: str) -> HttpResponse:
        group = self.group(group_id)
        account = get_object_or_404(Account, username=username, memberships__group=group)
        services.remove_member(actor=request.actor, group=group, account=account)
        return redirect("groups:group-detail", group_id)
