"""Runs a reviewed script folder: kind ``script``, runtimes Python and Shell."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from pydantic import JsonValue

from executors.contract import (
    ExecutionRequest,
    ExecutionResult,
    Executor,
    ExecutorError,
    Sink,
    StopReason,
)
from executors.masking import Masker
from executors.registry import EXECUTORS
from executors.script.bundle_use import hold_bundle
from executors.script.command import build_command, build_environment_variables
from executors.script.follow import FollowedRun
from executors.script.identity import (
    FIRST_UID,
    UID_COUNT,
    Identities,
    Identity,
    check_user_ids,
    folder_of_locks,
)
from executors.script.interpreter import NoInterpreter
from executors.script.interpreters import Interpreter
from executors.script.level import Job, MachineProblem, Places
from executors.script.levels import level_named
from executors.script.memory_group import MemoryGroup, make_memory_group
from executors.script.network.keeper import GateProcess, gate_for, proxy_variables
from executors.script.outcome import could_not_start
from executors.script.process import Ending, StageLost
from executors.script.pythons import Pythons
from executors.script.resource import ScriptResource, parse_resource
from executors.script.run_folder import (
    Room,
    RunFolder,
    can_be_shown,
    fill_run_folder,
    make_run_folder,
    remove_stale,
)
from executors.script.sandbox.probe import Layer
from executors.script.start import ColdStart, Launch, Starter, as_numbers
from executors.script.state_folder import StateFolder
from executors.script.warm.fitness import base_of, shadows_library
from executors.script.warm.pool import Recycling, Wanted, WarmStart, Zygotes, as_told
from executors.script.warm.preloaded import FOR_PACKAGES, PLAIN
from executors.script.warm.process import NoZygote
from executors.script.warm.series import (
    LASTS_S,
    SeriesSandbox,
    SeriesSandboxes,
    series_of,
)

SWEEP_EVERY_S = 600

logger = logging.getLogger(__name__)


@EXECUTORS.register("script")
class ScriptExecutor(Executor):
    """Runs scripts at one isolation level.

    state_folder holds the folders of runs, the locks of user ids and, if need be, a copy of the
    interpreter. As root it must lie where every user may enter, since the run's user has to.
    """

    def __init__(
        self,
        *,
        state_folder: Path | None = None,
        level: str = "ns",
        first_uid: int = FIRST_UID,
        uid_count: int = UID_COUNT,
        warm: bool = True,
        zygotes: bool = True,
        shared: bool = True,
        recycling: Recycling | None = None,
        pythons: Sequence[str | Path] = (),
        network_allowed: tuple[str, ...] = (),
        memory_groups: bool = True,
    ) -> None:
        """warm: whether an interpreter may be forked for a run; else each starts afresh. zygotes:
        whether there are any where the level allows it; else each run has a stage. shared: whether
        runs of a series may have one sandbox, one after another.

        pythons: where to look for interpreters beside the usual places, see ``find_interpreters``.
        network_allowed: what runs may reach beyond public addresses. memory_groups: see
        ``memory_group.py``."""
        self.level = level_named(level)
        # Any id of the range will do to try out what runs may reach.
        self._uid = first_uid if os.geteuid() == 0 else None
        self._folder = StateFolder(
            state_folder,
            is_entered=self._uid is not None,
            is_seen=not self.level.hides_machine,
        )
        self._state = self._folder.path
        self._last_uid = first_uid + uid_count - 1
        self._identities = Identities(folder_of_locks(self._state), first_uid, uid_count)
        self._swept_at = 0.0
        self._sweep_lock = threading.Lock()
        self._pythons = Pythons(self.level, self._uid, self._folder.python, pythons)
        self._forks = warm
        self.has_zygotes = zygotes and self.level.can_start_warm
        self._zygotes = Zygotes(recycling, compiled=self._folder.compiled)
        may_share = shared and warm and self.has_zygotes and not memory_groups
        self._series = SeriesSandboxes(is_open=may_share)
        self._network_allowed = network_allowed
        self._memory_groups = memory_groups

    def zygotes(self) -> list[int]:
        """Return the process ids of the zygotes that take runs."""
        return self._zygotes.processes()

    def close(self) -> None:
        """End the zygotes; they end with the process as well."""
        self._series.close()
        self._zygotes.close()

    def check(self) -> None:
        """Raise MachineProblem when no script could run here; a worker calls it as it starts."""
        self.level.check()
        self._folder.make()
        if self._uid is not None:
            check_user_ids(self._state, self._uid, self._last_uid)
        self._pythons.bare()

    def layers(self) -> list[Layer]:
        """Return what the isolation is made of, and what of it this machine gives."""
        return self.level.layers()

    def base_python(self) -> Path:
        """Return the interpreter that environments are built on. Raises ExecutorError."""
        self._folder.make()
        return self._pythons.bare()

    def interpreters(self) -> list[Interpreter]:
        """Return the Pythons a script may ask for, the platform's own first. They are looked for
        once: another one is found after a restart. Raises ExecutorError."""
        self._folder.make_if_gone()
        return self._pythons.all()

    def validate(self, spec: dict[str, Any]) -> None:
        parse_resource(spec)

    def dry_run(self, request: ExecutionRequest) -> dict[str, JsonValue]:
        resource = parse_resource(request.resource)
        masker = Masker(request.secrets.values())
        files: dict[str, JsonValue] = {
            name: [path.name for path in given] if isinstance(given, list) else given.name
            for name, given in request.input_files.items()
        }
        return {
            "runtime": resource.runtime,
            "entry": resource.entry,
            "isolation": self.level.name,
            "inputs": masker.mask_json({**request.inputs, **files}),
            "secrets": cast("list[JsonValue]", sorted(request.secrets)),
            "limits": request.limits.model_dump(),
        }

    def execute(self, request: ExecutionRequest, sink: Sink, *, workdir: Path) -> ExecutionResult:
        try:
            resource = parse_resource(request.resource)
            self.level.check()
            self._folder.make_if_gone()
            self._sweep()
            python = (
                self._pythons.for_run(resource.python) if resource.runtime == "python" else None
            )
            series = series_of(request, resource)
            if python is not None and self._series.is_worth(series, request.others_follow):
                try:
                    return self._execute_row(series, resource, python, request, sink, workdir)
                except (NoZygote, StageLost, NoInterpreter) as error:
                    logger.info("Execution %s starts by itself: %s.", request.execution_id, error)
            identity = self._identities.take() if self._uid is not None else nullcontext(None)
            script = Path(resource.folder)
            with identity as who:
                show = can_be_shown(script, who, self.level)
                needed = not show or bool(request.input_files)
                bundle = hold_bundle(script) if show else nullcontext(None)
                with (
                    bundle as in_use,
                    make_run_folder(self._folder.runs, who, self.level, needed=needed) as folder,
                ):
                    job = fill_run_folder(
                        folder,
                        script=script,
                        inputs=request.inputs,
                        input_files=request.input_files,
                        identity=who,
                        level=self.level,
                        show_script=show,
                    )
                    if request.network:
                        job = replace(job, network=True)
                    ids = self._identities if self._uid is not None else None
                    with (
                        gate_for(request, self.level, self._network_allowed, ids) as gate,
                        make_memory_group(request.limits, wanted=self._memory_groups) as group,
                    ):
                        return self._execute_in(
                            folder, job, who, in_use, resource, python, request, sink, workdir,
                            gate, group,
                        )  # fmt: skip
        except MachineProblem as error:
            # Folders and users of the machine are its operator's business, not the tenant's.
            logger.error("Execution %s could not start: %s", request.execution_id, error)
            return could_not_start("This worker cannot run scripts. Its log says why.")
        except ExecutorError as error:
            return could_not_start(str(error))

    def _execute_in(
        self,
        folder: RunFolder,
        job: Job,
        identity: Identity | None,
        in_use: int | None,
        resource: ScriptResource,
        python: Path | None,
        request: ExecutionRequest,
        sink: Sink,
        workdir: Path,
        gate: GateProcess | None,
        group: MemoryGroup | None,
    ) -> ExecutionResult:
        plan = self.level.plan(
            job, self._state, python, request.limits, identity.uid if identity else None
        )
        if plan is not None and group is not None:
            plan["memory_group"] = str(group.path)
        launch = self._launch(
            plan, folder.places, identity, (folder.lock, in_use), resource, python, request,
            marker=None if self.level.hides_machine else f"EXECFABRIC_RESULT={folder.path}",
            env=build_environment_variables(folder.places, request, job.inputs, python)
            | (proxy_variables() if gate else {}),
        )  # fmt: skip
        run = FollowedRun(request, sink, folder.room, gate)
        ending = self._start(launch, resource, python, request, run.to_its_end)
        if ending.stop_reason is StopReason.KILLED and group is not None and group.ran_out():
            ending = replace(ending, stop_reason=StopReason.MEMORY_LIMIT)
        if identity is not None and ending.left:
            self._identities.keep(identity)
        if identity is not None and not self.level.hides_machine:
            identity.sweep()
        return run.result(ending, workdir, identity.uid if identity else None)

    def _launch(
        self,
        plan: dict[str, Any] | None,
        places: Places,
        identity: Identity | None,
        locks: tuple[int | None, ...],
        resource: ScriptResource,
        python: Path | None,
        request: ExecutionRequest,
        *,
        marker: str | None,
        env: dict[str, str],
    ) -> Launch:
        script, is_bare = Path(resource.folder), resource.python is None
        locks = (*locks, identity.lock if identity else None)
        return Launch(
            argv=build_command(script, resource.entry, places, python, is_bare),
            env=env,
            cwd=str(places.own / "work"),
            sandbox=plan,
            limits=as_numbers(request.limits),
            uid=identity.uid if identity else None,
            gid=identity.gid if identity else None,
            marker=marker,
            held=tuple(lock for lock in locks if lock is not None),
        )

    def _execute_row(
        self,
        series: Hashable,
        resource: ScriptResource,
        python: Path,
        request: ExecutionRequest,
        sink: Sink,
        workdir: Path,
    ) -> ExecutionResult:
        """Run it in a sandbox of its series. Raises NoZygote, StageLost and NoInterpreter where it
        has to start by itself."""
        places = self.level.places(self._state)
        room = Room()
        try:
            with self._series.use(
                series,
                lambda how: self._make_series_sandbox(resource, python, request, places, how),
            ) as sandbox:
                env = build_environment_variables(places, request, request.inputs, python)
                run = FollowedRun(request, sink, room)
                ending = run.to_its_end(sandbox.row(env, request.inputs))
                if sandbox.identity is not None and ending.left:
                    self._identities.keep(sandbox.identity)
                return run.result(sandbox.heard_of(ending), workdir, sandbox.launch.uid)
        finally:
            room.close()

    def _make_series_sandbox(
        self,
        resource: ScriptResource,
        python: Path,
        request: ExecutionRequest,
        places: Places,
        how: str,
    ) -> SeriesSandbox:
        with ExitStack() as resources:
            identity = None
            if self._uid is not None:
                identity = resources.enter_context(self._identities.take())
            script = Path(resource.folder)
            wanted = self._zygote_for(resource, python, request)
            if wanted.preloaded is None or not can_be_shown(script, identity, self.level):
                raise NoZygote("there is none to fork rows from, or their files are to be copied")
            in_use = resources.enter_context(hold_bundle(script))
            uid = identity.uid if identity else None
            job = Job({}, [(script, "script")], {})
            plan = self.level.plan(job, self._state, python, request.limits, uid)
            # What differs from row to row is in the row's own order.
            any_row = request.model_copy(update={"execution_id": "", "secrets": {}})
            env = build_environment_variables(places, any_row, {}, python)
            launch = self._launch(
                plan, places, identity, (in_use,), resource, python, request, marker=None, env=env
            )
            told = as_told(python, has_environment=resource.python is not None)
            zygote = resources.enter_context(
                self._zygotes.use(wanted, launch.frame(), self._series.end_oldest)
            )
            start = WarmStart(launch, told, self._zygotes, zygote, rows=how, rows_for_s=LASTS_S)
            resources.callback(start.forget)
            return SeriesSandbox(launch, start, resources.pop_all(), identity)

    def _start(
        self,
        launch: Launch,
        resource: ScriptResource,
        python: Path | None,
        request: ExecutionRequest,
        follow: Callable[[Starter], Ending],
    ) -> Ending:
        """Let a zygote make the run if that can be, else a stage, and follow it to its end."""
        if self.has_zygotes:
            try:
                wanted = self._zygote_for(resource, python, request)
                forked = python if wanted.preloaded is not None else None
                told = as_told(forked, has_environment=resource.python is not None)
                use = self._zygotes.use(wanted, launch.frame(), self._series.end_oldest)
                with use as zygote:
                    return follow(WarmStart(launch, told, self._zygotes, zygote))
            except (NoZygote, StageLost, NoInterpreter) as error:
                logger.warning("Execution %s starts cold: %s.", request.execution_id, error)
        command = self.level.stage_command(self._folder.compiled)
        return follow(ColdStart(launch, command))

    def _zygote_for(
        self, resource: ScriptResource, python: Path | None, request: ExecutionRequest
    ) -> Wanted:
        """Return the zygote to fork the run from, or one that starts its program afresh."""
        own = self._pythons.bare()
        if python is not None and self._forks:
            is_bare = resource.python is None
            base = python if is_bare else base_of(python, own, self.interpreters)
            # A run keeps a way to the zygote's program, past its read-only view (/proc/self/exe).
            is_ours = self._uid is None and base and base.resolve().stat().st_uid == os.geteuid()
            if base and not is_ours and not shadows_library(Path(resource.folder)):
                preloaded = PLAIN if is_bare else FOR_PACKAGES
                return Wanted(request.tenant, base, python, preloaded, request.network)
        return Wanted("", own, python, None, has_network=True)

    def _sweep(self) -> None:
        with self._sweep_lock:
            now = time.monotonic()
            if self._swept_at and now - self._swept_at <= SWEEP_EVERY_S:
                return
            self._swept_at = now
        remove_stale(self._folder.runs)
        self._identities.release_dead()
