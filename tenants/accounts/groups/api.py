from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from execfabric.web.api.errors import error_responses
from execfabric.web.api.views import ApiView
from execfabric.web.requests import ApiRequest
from tenants.accounts.models import Account, Group

from . import services
from .selectors import groups_visible_to, members_of


class GroupIn(serializers.Serializer):
    name = serializers.CharField(max_length=services.LONGEST_NAME)
    description = serializers.CharField(
        max_length=services.LONGEST_DESCRIPTION, required=False, allow_blank=True
    )


class GroupOut(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()
    description = serializers.CharField()
    members = serializers.SerializerMethodField()

    def get_members(self, group: Group) -> list[str]:
        return [one.account.username for one in members_of(group)]


class _GroupView(ApiView):
    def group(self, request: ApiRequest, group_id: int) -> Group:
        found: Group = self.find(groups_visible_to(request.actor), pk=group_id)
        return found


class GroupListView(ApiView):
    @extend_schema(
        operation_id="groups_list",
        tags=["groups"],
        responses={200: GroupOut(many=True), **error_responses(401)},
    )
    def get(self, request: ApiRequest) -> Response:
        """List the groups you may see, by name."""
        return self.page(groups_visible_to(request.actor), GroupOut, ordering="name")

    @extend_schema(
        operation_id="groups_create",
        tags=["groups"],
        request=GroupIn,
        responses={201: GroupOut, **error_responses(400, 401, 403, 409)},
    )
    def post(self, request: ApiRequest) -> Response:
        """Create an empty group."""
        body = GroupIn(data=request.data)
        body.is_valid(raise_exception=True)
        group = services.create_group(actor=request.actor, **body.validated_data)
        return Response(GroupOut(group).data, status=201)


class GroupDetailView(_GroupView):
    @extend_schema(
        operation_id="groups_retrieve",
        tags=["groups"],
        responses={200: GroupOut, **error_responses(401, 404)},
    )
    def get(self, request: ApiRequest, group_id: int) -> Response:
        """Return one group with its members."""
        return Response(GroupOut(self.group(request, group_id)).data)

    @extend_schema(
        operation_id="groups_change",
        tags=["groups"],
        request=GroupIn,
        responses={200: GroupOut, **error_responses(400, 401, 403, 404, 409)},
    )
    def put(self, request: ApiRequest, group_id: int) -> Response:
        """Give a group another name and description."""
        group = self.group(request, group_id)
        body = GroupIn(data=request.data)
        body.is_valid(raise_exception=True)
        changed = services.change_group(actor=request.actor, group=group, **body.validated_data)
        return Response(GroupOut(changed).data)

    @extend_schema(
        operation_id="groups_delete",
        tags=["groups"],
        responses={204: None, **error_responses(401, 403, 404)},
    )
    def delete(self, request: ApiRequest, group_id: int) -> Response:
        """Delete a group; what was granted to it ends."""
        services.delete_group(actor=request.actor, group=self.group(request, group_id))
        return Response(status=204)


class MemberView(_GroupView):
    @extend_schema(
        operation_id="groups_add_member",
        tags=["groups"],
        request=None,
        responses={200: GroupOut, **error_responses(401, 403, 404, 409)},
    )
    def put(self, request: ApiRequest, group_id: int, username: str) -> Response:
        """Put an account into a group."""
        group = self.group(request, group_id)
        account = self.find(Account.objects.all(), username__iexact=username)
        changed = services.add_member(actor=request.actor, group=group, account=account)
        return Response(GroupOut(changed).data)

    @extend_schema(
        operation_id="groups_remove_member",
        tags=["groups"],
        responses={200: GroupOut, **error_responses(401, 403, 404, 409)},
    )
    def delete(self, request: ApiRequest, group_id: int, username: str) -> Response:
        """Take an account out of a group."""
        group = self.group(request, group_id)
        account = self.find(
            Account.objects.filter(memberships__group=group), username__iexact=username
        )
        changed = services.remove_member(actor=request.actor, group=group, account=account)
        return Response(GroupOut(changed).data)
