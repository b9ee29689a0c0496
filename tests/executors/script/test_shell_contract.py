"""What the author of a shell script can rely on."""

from __future__ import annotations

from executors.contract import Outcome, StopReason
from tests.executors.conftest import Runner


def test_scalar_inputs_are_variables(run: Runner) -> None:
    result = run(
        """
        #!/bin/sh
        printf '{"city": "%s", "n": %s, "on": %s}' "$INPUT_CITY" "$INPUT_N" "$INPUT_ON" \\
            > "$EXECFABRIC_RESULT"
        echo "list: ${INPUT_LIST-unset}"
        cat "$EXECFABRIC_INPUT"
        """,
        shell=True,
        inputs={"city": "Köln", "n": 2, "on": True, "list": [1]},
    )

    assert result.output == {"city": "Köln", "n": 2, "on": True}
    assert "list: unset" in run.sink.text("stdout")
    assert '"list": [1]' in run.sink.text("stdout")


def test_the_shebang_chooses_shell_and_flags(run: Runner) -> None:
    strict = run("#!/usr/bin/env -S bash -e\nfalse\necho reached\n", shell=True)
    lenient = run("false\necho $BASH_VERSION\n", shell=True)

    assert strict.exit_code == 1
    assert "reached" not in run.sink.text()
    assert lenient.outcome is Outcome.SUCCEEDED
    assert run.sink.text().strip()


def test_input_cannot_become_code(run: Runner) -> None:
    run('printf "%s" "$INPUT_X"', shell=True, inputs={"x": "$(touch pwned); `id`"})

    assert run.sink.text() == "$(touch pwned); `id`"


def test_the_last_words_are_the_error(run: Runner) -> None:
    result = run("echo fine; echo 'disk is full' >&2; exit 9\n", shell=True)

    assert (result.exit_code, result.summary, result.error) == (9, "disk is full", "disk is full")


def test_a_value_no_environment_can_hold_is_refused(run: Runner) -> None:
    result = run("true\n", shell=True, inputs={"x": "y" * 200_000})

    assert result.stop_reason is StopReason.COULD_NOT_START
    assert "INPUT_X" in result.summary
