"""What somebody hostile tries who may fill in the inputs, or owns the API that is called."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from executors.contract import InvalidResource, Outcome, StopReason
from executors.http.resource import parse_resource
from tests.executors.http.conftest import PUBLIC, Api, Call, answer

ANY_WRITE = [{"method": "POST", "path": "/orders/*"}]


def write(body: Any, *, limits: Any = None, content_type: str = "") -> dict[str, Any]:
    return {
        "method": "POST",
        "path": "/orders/{id}",
        "body": {"kind": "text", "content": body, "content_type": content_type},
        "writes": [{"method": "POST", "path": "/orders/*", "limits": limits or {}}],
    }


class TestPath:
    @pytest.mark.parametrize(
        "text",
        [
            "%2e%2e",
            "%2E.",
            "..%2fadmin",
            "a%2Fb",
            "a%5cb",
            "%252e%252e",
            "x%252f..%252fy",
            "%00",
            "%0d",
        ],
    )
    def test_what_a_second_unescaping_would_turn_into_another_path_is_refused(
        self, call: Call, api: Api, text: str
    ) -> None:
        result = call({"path": "/find/{name}"}, {"name": text})

        assert result.stop_reason is StopReason.COULD_NOT_START
        assert api.asked == []

    def test_a_plain_percent_is_no_attack(self, call: Call, api: Api) -> None:
        call({"path": "/find/{name}"}, {"name": "100%"})

        assert api.asked[0].path == "/find/100%25"

    def test_two_inputs_make_no_dots_together(self, call: Call, api: Api) -> None:
        result = call({"path": "/find/{a}{b}/x"}, {"a": ".", "b": "."})

        assert result.stop_reason is StopReason.COULD_NOT_START

    @pytest.mark.parametrize("value", [["../x"], {"a": "/"}, "..;/x", "\u2025/x"])
    def test_no_value_of_any_kind_leaves_its_part(self, call: Call, api: Api, value: Any) -> None:
        result = call(
            {"path": "/orders/{id}", "method": "POST", "writes": ANY_WRITE}, {"id": value}
        )

        assert result.stop_reason is StopReason.COULD_NOT_START
        assert api.asked == []

    @pytest.mark.parametrize(
        "header",
        [
            "X-HTTP-Method-Override",
            "x-http-method",
            "X-Method-Override",
            "X-Original-URL",
            "X-Rewrite-Url",
        ],
    )
    def test_no_header_says_another_method_or_path_than_was_compared(self, header: str) -> None:
        with pytest.raises(InvalidResource, match="cannot be set here"):
            parse_resource({"base_url": "http://api.example.com", "headers": {header: "DELETE"}})

    def test_no_parameter_says_another_method(self) -> None:
        with pytest.raises(InvalidResource, match="say the method"):
            parse_resource({"base_url": "http://api.example.com", "query": {"_method": "DELETE"}})


class TestLimits:
    @pytest.mark.parametrize("amount", ["999999", True, ["1"], {"a": 1}, "1e9"])
    def test_a_number_is_not_escaped_by_being_none(self, call: Call, api: Api, amount: Any) -> None:
        spec = {
            **write("x"),
            "body": {"kind": "json", "content": {"amount": "{amount}"}},
            "writes": [{**ANY_WRITE[0], "limits": {"amount": {"maximum": 100}}}],
        }

        result = call(spec, {"id": 1, "amount": amount})

        assert result.stop_reason is StopReason.COULD_NOT_START
        assert api.asked == []
        assert call(spec, {"id": 1, "amount": 100}).outcome is Outcome.SUCCEEDED

    @pytest.mark.parametrize(
        ("limit", "value"),
        [({"maxLength": 3}, 99999), ({"pattern": "^a"}, ["b"]), ({"maxItems": 1}, "ab"),
         ({"properties": {"a": {"const": 1}}}, "x"), ({"format": "email"}, 7)],
    )  # fmt: skip
    def test_a_limit_says_no_to_what_it_is_not_about(
        self, call: Call, api: Api, limit: Any, value: Any
    ) -> None:
        result = call(write("{v} {id}", limits={"v": limit}), {"id": 1, "v": value})

        assert "its limit says nothing about" in result.summary
        assert api.asked == []

    @pytest.mark.parametrize(
        ("content_type", "template", "note", "sent"),
        [
            (
                "application/json",
                '{{"note": "{note}", "amount": {amount}}}',
                'x", "amount": 999, "y": "',
                {"note": 'x", "amount": 999, "y": "', "amount": 5},
            ),
            (
                "application/problem+json; charset=utf-8",
                '{{"note": "{note}", "amount": {amount}}}',
                "\\",
                {"note": "\\", "amount": 5},
            ),
        ],
    )
    def test_no_input_breaks_out_of_its_place_in_json(
        self, call: Call, api: Api, content_type: str, template: str, note: str, sent: Any
    ) -> None:
        spec = write(template, limits={"amount": {"maximum": 9}}, content_type=content_type)

        call(spec, {"id": 1, "note": note, "amount": 5})

        assert json.loads(api.asked[0].body) == sent

    def test_no_input_breaks_out_of_its_place_in_xml_and_forms(self, call: Call, api: Api) -> None:
        note = '</note><amount>9</amount><note a="'
        call(write("<note>{note}</note>", content_type="text/xml"), {"id": 1, "note": note})
        form = "application/x-www-form-urlencoded"
        call(write("note={note}&a=1", content_type=form), {"id": 1, "note": "x&a=2"})

        assert b"<amount>" not in api.asked[0].body
        assert api.asked[0].body.count(b"<note>") == 1
        assert api.asked[1].body == b"note=x%26a%3D2&a=1"

    def test_a_body_that_is_one_input_is_that_input(self, call: Call, api: Api) -> None:
        call(write("{xml}", content_type="text/xml"), {"id": 1, "xml": "<a/>"})

        assert api.asked[0].body == b"<a/>"


class TestAnswers:
    @pytest.mark.parametrize(
        "charset",
        ["punycode", "idna", "unicode_escape", "undefined", "rot13", "zip", "bz2", "utf-7"],
    )
    def test_no_charset_of_python_alone_is_used(self, call: Call, api: Api, charset: str) -> None:
        body = b"a" * 200_000 + b"-" + b"b" * 200_000
        api.reply = lambda handler, asked: answer(
            handler, body, content_type=f"text/plain; charset={charset}"
        )
        began = time.monotonic()

        result = call(result_bytes=2**20)

        assert result.output == body.decode()
        assert time.monotonic() - began < 5

    @pytest.mark.parametrize(("charset", "raw"), [("latin-1", b"\xe9"), ("utf-16-le", b"\xe9\0")])
    def test_charsets_of_the_web_are_read(
        self, call: Call, api: Api, charset: str, raw: bytes
    ) -> None:
        api.reply = lambda handler, asked: answer(
            handler, raw, content_type=f"text/plain; charset={charset}"
        )

        assert call().output == "é"

    @pytest.mark.parametrize(
        "expression", ["items[::0]", "to_number(a)", "sort_by(items, &x)", "max(items)", "a.b[0].c"]
    )
    def test_no_answer_makes_an_expression_fail_in_a_way_of_its_own(
        self, call: Call, api: Api, expression: str
    ) -> None:
        api.reply = lambda handler, asked: answer(
            handler, {"a": "9" * 5_000, "items": [{"x": 1}, {"x": "b"}, None]}
        )

        result = call({"outputs": {"x": expression}})

        assert result.stop_reason in (StopReason.BAD_RESULT, StopReason.EXITED)

    def test_a_server_that_tells_a_refused_token_again_tells_nobody(
        self, call: Call, api: Api
    ) -> None:
        tokens = iter(["first-token-of-all", "second-token-of-all"])

        def reply(handler: Any, asked: Any) -> None:
            if asked.path == "/token":
                answer(handler, {"access_token": next(tokens), "expires_in": 600})
            elif "first" in asked.headers["authorization"]:
                answer(handler, {}, status=401)
            else:
                answer(handler, {"echo": ["first-token-of-all", "second-token-of-all"]})

        api.reply = reply
        spec = {
            "authentication": {"style": "oauth2", "token_url": "http://api.example.com/token"},
            "traced": True,
        }

        result = call(spec, secrets={"client_id": "client-one", "client_secret": "s3cret-s3cret"})

        assert result.output == {"echo": ["***", "***"]}
        assert "token-of-all" not in call.log

    @pytest.mark.parametrize("token", ["a\r\nX-Evil: 1", "a\0b", "ü" * 10, 7, ["x"]])
    def test_no_token_endpoint_adds_a_header(self, call: Call, api: Api, token: Any) -> None:
        api.reply = lambda handler, asked: answer(handler, {"access_token": token})
        spec = {"authentication": {"style": "oauth2", "token_url": "http://api.example.com/token"}}

        call(spec, secrets={"client_id": "client-one", "client_secret": "s3cret-s3cret"})

        assert all("x-evil" not in asked.headers for asked in api.asked)

    @pytest.mark.parametrize(
        "location",
        [
            *("http://127.0.0.1/", "http://[::ffff:10.0.0.1]/", "http://[::127.0.0.1]/"),
            *("//169.254.169.254/", "http://[64:ff9b::a00:1]/", "http://[2002:a00:1::1]/"),
            *("http://2130706433/", "http://0x7f.1/", "http://api.example.com@10.0.0.1/"),
            *("http://api.example.com:80#@10.0.0.1/", "file:///etc/passwd", "gopher://10.0.0.1/"),
            *("http://10.0.0.1%2f@api.example.com/", "http://[::1%25lo]/", "\\\\10.0.0.1/"),
        ],
    )
    def test_no_redirect_leads_inside(self, call: Call, api: Api, location: str) -> None:
        api.reply = lambda handler, asked: answer(handler, {}, status=302, Location=location)

        call({"redirects": 3, "allowed_hosts": ["*.example.com", "0.0.0.0/0", "::/0"]})

        assert {address for address, _port in call.connected} <= {PUBLIC}

    def test_a_name_that_changes_its_mind_is_judged_each_time(self, call: Call, api: Api) -> None:
        def reply(handler: Any, asked: Any) -> None:
            call.names["api.example.com"] = ["127.0.0.1"]
            answer(handler, {}, status=503, Connection="close")
            handler.close_connection = True

        api.reply = reply

        result = call({"retries": 2})

        assert result.stop_reason is StopReason.COULD_NOT_START
        assert {address for address, _port in call.connected} == {PUBLIC}
        assert "127.0.0.1" not in result.error
