"""The command line: `sfumato demo | fit | release | train | bench | report`."""

from __future__ import annotations

import sys

_NEEDED = {"jsonargparse", "rich", "yaml"}


def main(argv: list[str] | None = None) -> int:
    """Run a command and return its exit code.

    Args:
        argv: The arguments; those of the process by default.

    Returns:
        0, or 2 after an error that has been explained in one line on stderr, or 130 after Ctrl-C.
    """
    try:
        from sfumato.cli.app import run

        return run(sys.argv[1:] if argv is None else argv)
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _NEEDED:
            raise
        print(
            f"error: the command line needs {missing}, which is not installed: "
            'pip install "sfumato[all]"',
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        return 130
