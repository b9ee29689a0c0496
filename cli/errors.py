"""The one exception a command ends with."""

from __future__ import annotations

from collections.abc import Mapping

from cli.exit_codes import ExitCode


class CliError(Exception):
    """A command cannot go on. ``cli.main`` prints it and exits with exit_code.

    code is the server's error code, or "" when the problem is on this side.
    fields holds one message per input that is wrong; hint says what to do next.
    """

    def __init__(
        self,
        message: str,
        exit_code: ExitCode,
        *,
        code: str = "",
        fields: Mapping[str, str] | None = None,
        hint: str = "",
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code
        self.code = code
        self.fields = dict(fields or {})
        self.hint = hint
        self.request_id = request_id


def usage_error(message: str, *, hint: str = "") -> CliError:
    return CliError(message, ExitCode.USAGE, hint=hint)
