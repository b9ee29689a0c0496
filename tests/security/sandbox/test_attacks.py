"""Nothing a hostile script tries at the level ``ns`` reaches anything. See attacks/README.md."""

from __future__ import annotations

import ast
import os
import socket
import stat
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from executors.contract import MEBIBYTE, Outcome, StopReason
from tests.executors.conftest import processes_with
from tests.security.sandbox.conftest import ATTACKS, Attack, Attempt


def attacks_of(module: str) -> list[str]:
    tree = ast.parse((ATTACKS / f"{module}.py").read_text())
    return [f"{module}.{node.name}" for node in tree.body if isinstance(node, ast.FunctionDef)]


JUDGED_BY_THE_HOST = {
    "files.follow_links_of_its_own",
    "network.listen_for_the_platform",
    "network.send_datagrams",
    "processes.burn_all_processors",
    "processes.ignore_all_signals",
    "processes.leave_daemons",
    "processes.signal_everybody",
    "processes.stop_everything",
    "resources.fill_the_buffers_of_sockets",
    "resources.fork_in_the_shell",
    "resources.print_without_end",
    "resources.use_all_memory",
    "resources.use_all_memory_in_children",
}
OTHERS = [
    name
    for module in ("files", "processes", "kernel", "network", "resources")
    for name in attacks_of(module)
    if name not in JUDGED_BY_THE_HOST
]


def assert_reached_nothing(attempt: Attempt) -> None:
    assert attempt.result.stop_reason is StopReason.EXITED, (attempt.result, attempt.log)
    assert attempt.output == [], attempt.log


@pytest.mark.parametrize("name", OTHERS)
def test_it_reaches_nothing(attack: Attack, name: str) -> None:
    assert_reached_nothing(attack(name))


@pytest.mark.parametrize(
    "name",
    [
        "files.climb_out_with_dots",
        "files.list_folders_of_others",
        "files.read_another_tenants_file",
        "files.read_the_platforms_settings_and_code",
        "files.watch_what_others_do",
        "files.write_outside",
        "network.connect_from_the_shell",
        "network.connect_to_abstract_sockets",
        "network.connect_to_services",
        "network.connect_to_sockets_with_paths",
        "processes.read_command_lines_of_others",
        "resources.enlarge_buffers",
        "resources.fill_the_disk",
        "resources.use_memory_of_nobody",
    ],
)
def test_without_the_sandbox_it_would(attack: Attack, name: str) -> None:
    """An attack that never works would prove nothing."""
    reached = attack(name, level="process").output

    assert reached


@pytest.mark.parametrize("name", [name for name in attacks_of("network") if name in OTHERS])
def test_a_run_with_the_network_reaches_nothing_here(attack: Attack, name: str) -> None:
    assert_reached_nothing(attack(name, network=True))


def test_the_gate_refuses_the_machine(attack: Attack) -> None:
    attempt = attack("network.ask_the_gate_for_services", network=True)

    assert_reached_nothing(attempt)
    assert attempt.log.count("HTTP/1.1 403 Refused: ") > 40
    assert "[network] 169.254.169.254:5432 was refused: " in attempt.log


def test_links_it_makes_lead_nowhere(attack: Attack) -> None:
    attempt = attack("files.follow_links_of_its_own")

    assert_reached_nothing(attempt)
    assert attempt.result.artifacts == []


def test_datagrams_do_not_arrive(attack: Attack, lab: dict[str, Any]) -> None:
    assert_reached_nothing(attack("network.send_datagrams"))

    with pytest.raises(BlockingIOError):
        lab["udp_socket"].recv(100)


def test_nothing_on_the_host_listens_because_of_it(attack: Attack, lab: dict[str, Any]) -> None:
    answers: list[int] = []

    def knock() -> None:
        for _ in range(60):
            with socket.socket() as caller:
                answers.append(caller.connect_ex(("127.0.0.1", lab["listen_port"])))
            time.sleep(0.05)

    thread = threading.Thread(target=knock)
    thread.start()
    attempt = attack("network.listen_for_the_platform")
    thread.join()

    assert_reached_nothing(attempt)
    assert "listening" in attempt.log
    assert 0 not in answers


def test_signals_to_everybody_reach_nobody(attack: Attack, lab: dict[str, Any]) -> None:
    attack("processes.signal_everybody")

    assert lab["victim"].poll() is None


def test_daemons_die_with_the_script(attack: Attack, lab: dict[str, Any]) -> None:
    attempt = attack("processes.leave_daemons")

    assert attempt.result.outcome is Outcome.SUCCEEDED
    assert processes_with(lab["daemon_mark"]) == []


@pytest.mark.parametrize(
    "name", ["ignore_all_signals", "stop_everything", "burn_all_processors"]
)  # fmt: skip
def test_the_time_limit_ends_everything(attack: Attack, lab: dict[str, Any], name: str) -> None:
    started = time.monotonic()
    attempt = attack(f"processes.{name}", timeout_s=2)

    assert attempt.result.stop_reason is StopReason.TIME_LIMIT
    assert time.monotonic() - started < 10
    assert processes_with(lab["daemon_mark"]) == []


def test_a_fork_bomb_in_the_shell_ends_with_its_time(attack: Attack, lab: dict[str, Any]) -> None:
    started = time.monotonic()
    attempt = attack("resources.fork_in_the_shell", timeout_s=2)

    assert attempt.result.stop_reason in (StopReason.TIME_LIMIT, StopReason.EXITED)
    assert time.monotonic() - started < 10
    assert processes_with(lab["daemon_mark"]) == []


@pytest.mark.parametrize("name", ["use_all_memory", "use_all_memory_in_children"])
def test_memory_of_the_whole_tree_is_bounded(attack: Attack, name: str) -> None:
    attempt = attack(f"resources.{name}", memory_bytes=256 * MEBIBYTE)

    assert attempt.result.outcome is Outcome.FAILED
    assert (
        attempt.result.stop_reason is StopReason.MEMORY_LIMIT
        or "MemoryError" in attempt.result.error
    )
    assert attempt.result.usage.peak_memory_bytes < 700 * MEBIBYTE


def test_memory_in_buffers_of_sockets_counts(attack: Attack) -> None:
    attempt = attack("resources.fill_the_buffers_of_sockets", memory_bytes=512 * MEBIBYTE)

    assert attempt.result.stop_reason is StopReason.MEMORY_LIMIT
    assert attempt.result.usage.wall_s < 15


def test_a_flood_of_output_is_cut_and_stopped(attack: Attack) -> None:
    attempt = attack("resources.print_without_end")

    assert attempt.result.stop_reason is StopReason.OUTPUT_LIMIT
    assert len(attempt.log) <= 11 * MEBIBYTE


def test_control_characters_are_not_shown(attack: Attack) -> None:
    log = attack("output.print_control_characters").log

    assert not any((ord(c) < 32 and c not in "\n\t") or 0x7F <= ord(c) <= 0x9F for c in log)


def test_links_do_not_become_artifacts(attack: Attack, lab: dict[str, Any]) -> None:
    result = attack("output.leave_links").result

    assert [file.name for file in result.artifacts] == ["good/a.txt"]
    assert len(result.skipped_artifacts) == 4
    assert lab["secret"] not in result.model_dump_json()


def test_pipes_and_sockets_do_not_hold_up_the_end(attack: Attack) -> None:
    started = time.monotonic()
    result = attack("output.leave_pipes_and_sockets").result

    assert [file.name for file in result.artifacts] == ["real.txt"]
    assert time.monotonic() - started < 10


def test_no_artifact_is_setuid_or_can_be_started(attack: Attack) -> None:
    result = attack("output.leave_a_setuid_program").result

    assert [file.name for file in result.artifacts] == ["sleep"]
    assert stat.S_IMODE(result.artifacts[0].path.stat().st_mode) == 0o600


def test_folders_without_end_are_left_behind(attack: Attack, open_folder: Path) -> None:
    result = attack("output.leave_folders_without_end", disk_files=3000).result

    assert result.artifacts == []
    assert any("folders deep" in sentence for sentence in result.skipped_artifacts)
    assert [run for state in open_folder.glob("state-*/runs") for run in state.iterdir()] == []


def test_a_result_that_is_a_link_is_not_read(attack: Attack, lab: dict[str, Any]) -> None:
    result = attack("output.replace_the_result_by_a_link").result

    assert result.stop_reason is StopReason.BAD_RESULT
    assert lab["secret"] not in result.model_dump_json()


def test_a_progress_file_that_is_a_link_is_not_read(attack: Attack) -> None:
    attempt = attack("output.replace_the_progress_by_a_link")

    assert attempt.result.outcome is Outcome.SUCCEEDED
    assert attempt.progress == []


def test_folders_it_closes_do_not_stop_the_platform(attack: Attack) -> None:
    result = attack("output.close_its_folders").result

    # What a worker of the same user cannot read any more is named as such.
    assert result.stop_reason in (StopReason.EXITED, StopReason.BAD_RESULT)
    assert len(result.artifacts) + len(result.skipped_artifacts) <= 1


def test_it_sees_neither_its_guard_nor_the_worker(attack: Attack, lab: dict[str, Any]) -> None:
    """The platform's secret stands in the worker's environment while the run goes on."""
    assert os.environ["PLATFORM_SECRET"] == lab["secret"]

    assert_reached_nothing(attack("processes.read_environments_of_others"))
