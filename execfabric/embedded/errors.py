"""What can go wrong while starting; the message is what the operator reads."""

import errno
from pathlib import Path


class EmbeddedError(Exception):
    """A start that cannot go on. The text says why and what to do, without a traceback."""


class FolderInUseError(EmbeddedError):
    """Another process holds the data folder."""


class StartFailedError(EmbeddedError):
    """A server or a process of the platform did not come up."""


def explain_os_error(error: OSError, folder: Path) -> EmbeddedError:
    """Turn an error of the file system under folder into a line for the operator."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return EmbeddedError(f"The disk that holds {folder} is full. Free some space, then retry.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        place = error.filename or folder
        return EmbeddedError(
            f"No right to use {place}. Start as the user who owns it, or choose another folder "
            "with EXECFABRIC_DATA_DIR."
        )
    return EmbeddedError(f"Cannot use {folder}: {error}")
