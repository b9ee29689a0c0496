"""Only ordinary files of the run come back, and never more than allowed."""

from __future__ import annotations

import hashlib

from executors.contract import Outcome
from tests.executors.conftest import Runner

OUT = "import os, pathlib\nout = pathlib.Path(os.environ['EXECFABRIC_OUTPUT_DIR'])\n"


def test_links_pipes_and_sockets_are_left_out(run: Runner) -> None:
    result = run(
        OUT
        + "import socket\n"
        + "(out / 'fine.txt').write_text('fine')\n"
        + "os.symlink('/etc/passwd', out / 'link')\n"
        + "os.symlink('/etc', out / 'folder-link')\n"
        + "os.mkfifo(out / 'pipe')\n"
        + "socket.socket(socket.AF_UNIX).bind(str(out / 's'))\n"
    )

    assert [file.name for file in result.artifacts] == ["fine.txt"]
    assert result.artifacts[0].sha256 == hashlib.sha256(b"fine").hexdigest()
    makes_sockets = run.executor.level.name != "ll"
    assert len(result.skipped_artifacts) == (4 if makes_sockets else 3)
    assert "'link' is a link or another special file." in result.skipped_artifacts


def test_an_output_folder_that_was_replaced_by_a_link_gives_nothing(run: Runner) -> None:
    result = run(
        OUT
        + "try:\n    os.rename(out, str(out) + '-gone')\n    os.symlink('/etc', out)\n"
        + "except OSError:\n    pass\n"
    )

    assert result.outcome is Outcome.SUCCEEDED
    assert result.artifacts == []


def test_odd_names_are_left_out(run: Runner) -> None:
    result = run(
        OUT
        + "bad = [b'a\\nb', b'\\xff\\xfe', b'back\\\\slash', b'\\xe2\\x80\\xaex']\n"
        + "for name in [*bad, b'12:30.txt']:\n"
        + "    open(bytes(out) + b'/' + name, 'w').close()\n"
    )

    assert [file.name for file in result.artifacts] == ["12:30.txt"]
    assert len(result.skipped_artifacts) == 4
    assert all(sentence.isprintable() for sentence in result.skipped_artifacts)


def test_number_size_and_depth_are_limited(run: Runner) -> None:
    result = run(
        OUT
        + "(out / 'a').write_bytes(b'x' * 600)\n"
        + "(out / 'b').write_bytes(b'x' * 600)\n"
        + "for n in range(5): (out / f'c{n}').write_bytes(b'x')\n"
        + "deep = out.joinpath(*'d' * 20); deep.mkdir(parents=True); (deep / 'f').touch()\n",
        limits={"artifact_count": 3, "artifact_bytes": 1000},
    )

    assert [file.name for file in result.artifacts] == ["a", "c0", "c1"]
    assert "'b' is too large; all files together may have 1000 bytes." in result.skipped_artifacts
    assert any("one file too many" in sentence for sentence in result.skipped_artifacts)
    assert any("folders deep" in sentence for sentence in result.skipped_artifacts)


def test_a_sparse_giant_is_measured_by_what_it_claims(run: Runner) -> None:
    result = run(OUT + "os.truncate(os.open(out / 'big', os.O_CREAT | os.O_RDWR), 200_000_000)\n",
                 limits={"artifact_bytes": 1000})  # fmt: skip

    assert result.artifacts == []
    assert len(result.skipped_artifacts) == 1


def test_a_folder_thousands_of_levels_deep_is_removed(run: Runner) -> None:
    result = run(
        OUT
        + "os.chdir(out)\n"
        + "for n in range(3000):\n    os.mkdir('d'); os.chdir('d')\n"
        + "os.chdir('/')\nos.mkdir(out / 'closed'); (out / 'closed' / 'f').touch()\n"
        + "os.chmod(out / 'closed', 0)\n"
    )

    assert result.outcome is Outcome.SUCCEEDED
    assert list((run.executor._state / "runs").iterdir()) == []


def test_failed_runs_keep_their_artifacts(run: Runner) -> None:
    result = run(OUT + "(out / 'rejected.csv').write_text('1')\nraise SystemExit(2)\n")

    assert result.outcome is Outcome.FAILED
    assert [file.name for file in result.artifacts] == ["rejected.csv"]


def test_secrets_are_masked_in_what_comes_back_and_in_its_names(run: Runner) -> None:
    secret = "hunter22/+ä"
    result = run(
        OUT
        + "import base64, json, urllib.parse\n"
        + f"secret = {secret!r}\n"
        + "spelled = [secret, base64.b64encode(secret.encode()).decode(), json.dumps(secret),\n"
        + "           urllib.parse.quote(secret, safe='')]\n"
        + "(out / 'text.txt').write_text('\\n'.join(spelled))\n"
        + "(out / 'long.bin').write_bytes(b'\\0' * (256 * 1024 - 5) + secret.encode() + b'end')\n"
        + "(out / 'of-hunter33.txt').write_text('x')\n",
        secrets={"password": secret, "user": "hunter33"},
    )

    files = {file.name: file.path.read_bytes() for file in result.artifacts}
    assert files["text.txt"] == b'***\n***\n"***"\n***'
    assert files["long.bin"] == b"\0" * (256 * 1024 - 5) + b"*" * len(secret.encode()) + b"end"
    assert files["of-***.txt"] == b"x"
    for file in result.artifacts:
        assert (file.size_bytes, file.sha256) == (
            len(files[file.name]),
            hashlib.sha256(files[file.name]).hexdigest(),
        )


def test_a_secret_is_masked_before_a_summary_or_a_name_is_cut(run: Runner) -> None:
    secret, lines = "k" * 150, "first line\nsecond line"
    code = (
        OUT
        + f"os.mkfifo(out / ('x' * 60 + {secret!r}))\n"
        + "def main():\n    return {'value': %r}\n"
    )
    long = run(code % secret, secrets={"key": secret})
    several = run(code % lines, secrets={"key": lines})
    own = run(f"def main():\n    return {{'summary': {lines!r}}}\n", secrets={"key": lines})

    assert long.summary == "value: ***"
    assert long.skipped_artifacts == [f"'{'x' * 60}***' is a link or another special file."]
    assert several.summary == "value: ***"
    assert own.summary == "***"
