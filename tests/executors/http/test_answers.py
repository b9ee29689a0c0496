"""Answers within bounds, and what becomes of them."""

from __future__ import annotations

import datetime
import gzip
import ssl
import time
import zlib
from pathlib import Path
from typing import Any

import pytest

from executors.contract import Outcome, StopReason
from tests.executors.http.conftest import Api, Call, answer


def test_outputs_are_taken_from_the_answer(call: Call, api: Api) -> None:
    api.reply = lambda handler, asked: answer(
        handler, {"data": {"name": "Ada", "orders": [{"n": 1}, {"n": 2}]}}
    )
    result = call(
        {
            "outputs": {"name": "data.name", "numbers": "data.orders[].n"},
            "output_schema": {"properties": {"name": {"type": "string"}}},
        }
    )

    assert result.output == {"name": "Ada", "numbers": [1, 2]}
    assert result.outcome is Outcome.SUCCEEDED


def test_an_answer_that_does_not_fit_the_declared_output_is_a_failure(call: Call, api: Api) -> None:
    api.reply = lambda handler, asked: answer(handler, {"total": "many"})

    result = call(
        {"outputs": {"total": "total"},
         "output_schema": {"properties": {"total": {"type": "integer"}}}}
    )  # fmt: skip

    assert result.stop_reason is StopReason.BAD_RESULT
    assert "total" in result.summary


@pytest.mark.parametrize("body", [b"{", b"NaN", b"[" * 100_000, b'"\\u0000"', b'{"a": 1e999}'])
def test_an_answer_that_is_no_usable_json_is_a_failure(call: Call, api: Api, body: bytes) -> None:
    api.reply = lambda handler, asked: answer(handler, body)

    assert call().stop_reason is StopReason.BAD_RESULT


def test_texts_are_values_and_other_things_files(call: Call, api: Api) -> None:
    api.reply = lambda handler, asked: answer(handler, b"a,b\n", content_type="text/csv")
    assert call().output == "a,b\n"
    api.reply = lambda handler, asked: answer(handler, b"%PDF\0", content_type="application/pdf")

    [file] = call().artifacts

    assert (file.name, file.size_bytes) == ("answer.pdf", 5)
    assert file.path.read_bytes() == b"%PDF\0"


def test_a_status_that_is_no_success_is_a_failure_with_what_was_said(call: Call, api: Api) -> None:
    api.reply = lambda handler, asked: answer(handler, {"error": "no such customer"}, status=404)

    result = call()

    assert (result.outcome, result.exit_code) == (Outcome.FAILED, 404)
    assert result.summary == "The API answered 404."
    assert "no such customer" in result.error


@pytest.mark.parametrize("announced", [True, False])
def test_a_large_answer_is_given_up(call: Call, api: Api, announced: bool) -> None:
    sent = 0

    def pour(handler: Any, asked: Any) -> None:
        nonlocal sent
        handler.send_response(200)
        if announced:
            handler.send_header("Content-Length", "100000000")
        handler.end_headers()
        for _ in range(1000):
            handler.wfile.write(b"x" * 100_000)
            sent += 100_000

    api.reply = pour

    assert call({"response_bytes": 50_000}).stop_reason is StopReason.OUTPUT_LIMIT
    assert sent < 50_000_000


def test_a_bomb_does_not_go_off(call: Call, api: Api) -> None:
    packer = zlib.compressobj(wbits=31)
    bomb = b"".join(packer.compress(b"\0" * 1_000_000) for _ in range(200)) + packer.flush()
    api.reply = lambda handler, asked: answer(handler, bomb, Content_Encoding="gzip")
    began = time.monotonic()

    assert call({"response_bytes": 1_000_000}).stop_reason is StopReason.OUTPUT_LIMIT
    assert time.monotonic() - began < 2


def test_packed_answers_are_unpacked(call: Call, api: Api) -> None:
    api.reply = lambda handler, asked: answer(
        handler, gzip.compress(b'{"a": 1}'), Content_Encoding="gzip"
    )

    assert call().output == {"a": 1}


@pytest.mark.parametrize("coding", ["br", "gzip, gzip", "zstd", "deflate"])
def test_packings_that_were_not_asked_for_are_refused(call: Call, api: Api, coding: str) -> None:
    api.reply = lambda handler, asked: answer(handler, b"x", Content_Encoding=coding)

    assert call().stop_reason is StopReason.BAD_RESULT


def test_half_a_packed_answer_is_none(call: Call, api: Api) -> None:
    half = gzip.compress(b'{"a": 1}' * 100)[:-12]
    api.reply = lambda handler, asked: answer(handler, half, Content_Encoding="gzip")

    assert call().stop_reason is StopReason.BAD_RESULT


def test_an_answer_that_drips_runs_out_of_time(call: Call, api: Api) -> None:
    def drip(handler: Any, asked: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b"x")
            time.sleep(0.1)

    api.reply = drip
    began = time.monotonic()

    result = call({"timeout_s": 1})

    assert result.outcome is Outcome.TIMED_OUT
    assert time.monotonic() - began < 3


def test_a_call_can_be_cancelled_while_it_waits(call: Call, api: Api) -> None:
    call.sink.cancel_after = 1
    api.reply = lambda handler, asked: time.sleep(5)
    began = time.monotonic()

    assert call().outcome is Outcome.CANCELLED
    assert time.monotonic() - began < 4


def test_a_name_server_that_does_not_answer_is_not_waited_for(call: Call) -> None:
    def wait(host: str, port: int) -> list[str]:
        time.sleep(3)
        return []

    call.executor._resolve = wait
    began = time.monotonic()

    assert call({"timeout_s": 1}).outcome is Outcome.TIMED_OUT
    assert time.monotonic() - began < 3


def test_safe_methods_are_tried_again_and_writes_never(call: Call, api: Api) -> None:
    statuses = iter([503, 429, 200, 503])
    api.reply = lambda handler, asked: answer(handler, {}, status=next(statuses))

    assert call({"retries": 2}).outcome is Outcome.SUCCEEDED
    assert len(api.asked) == 3
    write = {"method": "POST", "path": "/x", "writes": [{"method": "POST", "path": "/x"}]}
    assert call({**write, "retries": 2}).exit_code == 503
    assert len(api.asked) == 4


def test_limits_of_the_run_hold_as_well(call: Call, api: Api) -> None:
    api.reply = lambda handler, asked: answer(handler, {"a": "x" * 5000})

    assert call(result_bytes=1000).stop_reason is StopReason.OUTPUT_LIMIT


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA, and certificates of api.example.com and of a client that it signed."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    folder = tmp_path_factory.mktemp("certificates")
    now = datetime.datetime.now(datetime.UTC)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Test CA")])

    def sign(name: str, key: Any, *, is_ca: bool) -> None:
        subject = ca_name if is_ca else x509.Name(
            [x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]
        )  # fmt: skip
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(is_ca, None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(ca_key, hashes.SHA256())
        )
        (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
        (folder / f"{name}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )

    sign("ca", ca_key, is_ca=True)
    for name in ("api.example.com", "client"):
        sign(name, ec.generate_private_key(ec.SECP256R1()), is_ca=False)
    return folder


@pytest.fixture
def secure(api: Api, certificates: Path) -> dict[str, str]:
    """The server speaks TLS and wants a client certificate; return the texts of the files."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pem = certificates / "api.example.com.pem"
    context.load_cert_chain(pem, pem.with_suffix(".key"))
    context.load_verify_locations(certificates / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    api.server.socket = context.wrap_socket(api.server.socket, server_side=True)
    return {path.name: path.read_text() for path in certificates.iterdir()}


def test_own_authorities_and_client_certificates_are_used(
    call: Call, api: Api, secure: dict[str, str], tmp_path: Path
) -> None:
    spec: dict[str, Any] = {"base_url": "https://api.example.com"}
    own = {**spec, "tls": {"ca": secure["ca.pem"]}}
    both = {**spec, "tls": {"ca": secure["ca.pem"], "client_certificate": True}}
    secrets = {"client_certificate": secure["client.pem"], "client_key": secure["client.key"]}

    assert "not trusted" in call(spec).summary
    assert call(own).outcome is Outcome.FAILED
    assert api.asked == []
    assert call(both, secrets=secrets).outcome is Outcome.SUCCEEDED
    assert list(tmp_path.iterdir()) == []


def test_a_certificate_of_another_name_is_refused(
    call: Call, api: Api, secure: dict[str, str]
) -> None:
    call.names["other.example.com"] = ["93.184.215.14"]

    result = call({"base_url": "https://other.example.com", "tls": {"ca": secure["ca.pem"]}})

    assert "not trusted" in result.summary
    assert api.asked == []
