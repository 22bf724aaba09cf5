"""Optional packages: a clear error instead of a bare `ImportError`."""

from __future__ import annotations

from types import TracebackType
from typing import final

from sfumato.errors import MissingDependency


@final
class needs:  # noqa: N801 - it reads as a statement: `with needs("data"): import datasets`
    """Import optional packages inside of this block.

    Example:
        >>> with needs("data"):
        ...     import json
    """

    def __init__(self, extra: str) -> None:
        self._extra = extra

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Raise `MissingDependency`, naming the extra, where an import failed."""
        if isinstance(error, ImportError):
            raise MissingDependency(
                f"{error.name or error} is not installed: "
                f'run  pip install "sfumato[{self._extra}]"  and try again'
            ) from error
