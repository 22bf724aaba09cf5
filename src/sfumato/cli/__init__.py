"""The command line: `sfumato demo | fit | release | train | audit | prune | defend | ...`."""

from __future__ import annotations

import os
import sys

_NEEDED = {"jsonargparse", "rich", "yaml"}


def main(argv: list[str] | None = None) -> int:
    """Run a command and return its exit code.

    Args:
        argv: The arguments; those of the process by default.

    Returns:
        0, or 2 after an error that has been explained in one line on stderr, or 130 after Ctrl-C.
    """
    # OpenMP threads that wait by spinning stall each other on busy cores: a product of 64 x 64
    # numbers then takes 38 ms instead of 0.04. torch reads this when it is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
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
