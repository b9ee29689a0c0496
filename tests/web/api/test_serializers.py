from __future__ import annotations

from rest_framework import serializers

from execfabric.web.api.serializers import KeptFieldsSerializer


class Form(KeptFieldsSerializer):
    name = serializers.CharField(max_length=5)
    tags = serializers.JSONField(default=list)


def test_fields_are_shared_and_what_was_sent_is_not():
    right, wrong = Form(data={"name": "anna"}), Form(data={"name": "too long"})

    assert right.fields["name"] is wrong.fields["name"]
    assert (right.is_valid(), wrong.is_valid()) == (True, False)
    assert right.validated_data == {"name": "anna", "tags": []}
    assert right.errors == {}
    assert list(wrong.errors) == ["name"]


def test_a_default_is_made_for_each():
    first, second = Form(data={"name": "a"}), Form(data={"name": "b"})
    assert first.is_valid()
    assert second.is_valid()

    assert first.validated_data["tags"] is not second.validated_data["tags"]
