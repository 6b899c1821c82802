"""Files that are whole or absent: written under another name first, then renamed."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

__all__ = ["atomic_write"]


def atomic_write(path: str | Path, content: str | bytes | Callable[[BinaryIO], object], *, sync: bool = False) -> None:
    """Write a file so that a reader sees the whole of it or none, and make the folders on the way.

    The temporary name is of this process and this call alone, so that two writers cannot mix; it is removed if
    writing fails, and ``path`` then holds what it held before.

    Args:
        path: of the file. content: text (UTF-8), bytes, or what writes to an open binary file, such as
            ``lambda file: torch.save(state, file)``.
        sync: wait until the disk has it, so that it outlives a power cut.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "new" / "a.txt"
        ...     atomic_write(path, "8 bit")
        ...     path.read_text(), [file.name for file in path.parent.iterdir()]
        ('8 bit', ['a.txt'])
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "wb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content.encode() if isinstance(content, str) else content)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
