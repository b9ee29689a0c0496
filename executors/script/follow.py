"""One run as a worker follows it, from its start to what is read back of it."""

from __future__ import annotations

from pathlib import Path

from executors.contract import ExecutionRequest, ExecutionResult, Sink, StopReason, Stream
from executors.masking import Masker
from executors.script.artifacts import Collector
from executors.script.log import RunLog
from executors.script.network.keeper import GateProcess
from executors.script.outcome import Output, build_result, read_output
from executors.script.process import Ending, RunProcess
from executors.script.progress import ProgressFile
from executors.script.run_folder import Room
from executors.script.start import Starter


class FollowedRun:
    """Its log and progress on their way to a sink, and its result in the end."""

    def __init__(
        self, request: ExecutionRequest, sink: Sink, room: Room, gate: GateProcess | None = None
    ) -> None:
        self._request = request
        self._sink = sink
        self._room = room
        self._gate = gate
        self._masker = Masker(request.secrets.values())

        def write(stream: Stream, text: str) -> None:
            sink.log(stream, text)

        self._log = RunLog(
            write, self._masker, keep_bytes=request.limits.log_bytes, left_out=sink.left_out
        )
        self._progress = ProgressFile(room, self._masker)

    def to_its_end(self, starter: Starter) -> Ending:
        """Start it and return how it ended. Raises as ``RunProcess.run`` does."""
        limits = self._request.limits
        return RunProcess(
            starter, limits, self._room, self._log, self._progress, self._sink, self._gate
        ).run()

    def result(self, ending: Ending, workdir: Path, uid: int | None) -> ExecutionResult:
        """Read back what it left; by now nothing of it is alive. uid: whose its files are."""
        limits, room = self._request.limits, self._room
        collector = Collector(workdir / "artifacts", limits, uid, self._masker)
        output = Output()
        if room.report is not None:
            output = read_output(room.report, limits.result_bytes, self._masker)
        if room.output is not None and ending.stop_reason is not StopReason.COULD_NOT_START:
            collector.collect(room.output)
        return build_result(ending, output, collector, self._log, self._masker)
