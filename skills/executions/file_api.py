"""The API's part about files: what a run left, what it is given."""

from __future__ import annotations

from django.http.response import HttpResponseBase
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.response import Response

from execfabric.web.api.errors import error_responses
from execfabric.web.api.views import ApiView
from execfabric.web.requests import ApiRequest

from .downloads import download, download_all
from .files import upload_file
from .links import make_link
from .selectors import artifacts_visible_to, executions_visible_to
from .serializers import ArtifactOut, FileIn, FileOut


class LinkOut(serializers.Serializer):
    url = serializers.CharField(help_text="Downloads the file without a token, on this host only.")
    expires_at = serializers.DateTimeField()


class ArtifactListView(ApiView):
    @extend_schema(
        operation_id="executions_artifacts",
        tags=["executions"],
        responses={200: ArtifactOut(many=True), **error_responses(401, 404)},
    )
    def get(self, request: ApiRequest, execution_id: str) -> Response:
        """List the files a run left, by name; after ``files_removed_at`` that is all there is."""
        execution = self.find(executions_visible_to(request.actor), pk=execution_id)
        return self.page(execution.artifacts.all(), ArtifactOut, ordering="name")


class ArtifactArchiveView(ApiView):
    @extend_schema(
        operation_id="executions_artifacts_zip",
        tags=["executions"],
        responses={(200, "application/zip"): OpenApiTypes.BINARY, **error_responses(401, 404, 410)},
    )
    def get(self, request: ApiRequest, execution_id: str) -> HttpResponseBase:
        """Download all files a run left as one ZIP file."""
        return download_all(self.find(executions_visible_to(request.actor), pk=execution_id))


class ArtifactContentView(ApiView):
    @extend_schema(
        operation_id="artifacts_content",
        tags=["executions"],
        responses={
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            **error_responses(401, 404, 410),
        },
    )
    def get(self, request: ApiRequest, artifact_id: str) -> HttpResponseBase:
        """Download one file, always as an attachment."""
        return download(self.find(artifacts_visible_to(request.actor), pk=artifact_id))


class ArtifactLinkView(ApiView):
    @extend_schema(
        operation_id="artifacts_link",
        tags=["executions"],
        request=None,
        responses={201: LinkOut, **error_responses(401, 403, 404)},
    )
    def post(self, request: ApiRequest, artifact_id: str) -> Response:
        """Make a link that downloads the file without a token, for a few minutes.

        It works for whoever has it, on this host, as long as you may read the file yourself.
        """
        artifact = self.find(artifacts_visible_to(request.actor), pk=artifact_id)
        link = make_link(actor=request.actor, artifact=artifact, host=request.get_host())
        path = reverse("executions:artifact-linked", args=[artifact.pk, link.signed])
        url = request.build_absolute_uri(path)
        return Response(LinkOut({"url": url, "expires_at": link.expires_at}).data, status=201)


class FileView(ApiView):
    parser_classes = [MultiPartParser]

    @extend_schema(
        operation_id="files_create",
        tags=["files"],
        request={"multipart/form-data": FileIn},
        responses={201: FileOut, **error_responses(400, 401, 403, 413)},
    )
    def post(self, request: ApiRequest) -> Response:
        """Upload a file; its id is then the value of a file input.

        Each upload is a file of its own, with an id of its own; the same content is stored once. A
        file that no execution is given expires. A sample of the skill needs no upload: the input's
        value is ``sample:<its path>``.
        """
        body = FileIn(data=request.data)
        body.is_valid(raise_exception=True)
        received = body.validated_data["file"]
        stored = upload_file(actor=request.actor, name=received.name, content=received)
        return Response(FileOut(stored).data, status=201)
