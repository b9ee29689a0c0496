"""Why a call ended without an answer."""

from __future__ import annotations

from executors.contract import ExecutorError, StopReason


class CallFailed(ExecutorError):
    """The call has no usable answer. detail is for the platform, never for a tenant."""

    stop_reason = StopReason.EXITED
    is_transient = False
    """Whether trying again may help."""

    def __init__(self, message: str, *, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class Refused(CallFailed):
    """The call must not go out: nothing of it was sent to where it would have gone."""

    stop_reason = StopReason.COULD_NOT_START


class NotReached(CallFailed):
    """No connection, or it broke."""

    is_transient = True


class OutOfTime(CallFailed):
    """The whole call took too long."""

    stop_reason = StopReason.TIME_LIMIT


class TooLarge(CallFailed):
    """The answer is over the size limit, packed or unpacked."""

    stop_reason = StopReason.OUTPUT_LIMIT


class Cancelled(CallFailed):
    """Somebody asked to stop."""

    stop_reason = StopReason.CANCEL_REQUESTED


class BadAnswer(CallFailed):
    """The answer cannot be turned into the declared output."""

    stop_reason = StopReason.BAD_RESULT


def without_tls(hosts: str) -> str:
    """Return why a secret does not go to hosts."""
    return (
        f"The credential would go to {hosts} without TLS, for anybody on the way to read. Use "
        "https, or have the platform approve that host for this resource."
    )
