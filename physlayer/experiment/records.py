"""Records on disk: one file per run, complete or absent."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path

__all__ = ["read_record", "read_records", "record_path", "writable_folder", "write_json"]


def record_path(folder: Path, key: str) -> Path:
    """Where the record of a run stands in an output folder."""
    return folder / "records" / f"{key}.json"


def write_json(path: Path, content: dict) -> None:
    """Write to a temporary name and rename, so that a reader sees the whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(content, file, separators=(",", ":"), allow_nan=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read_record(path: Path) -> dict | None:
    """The record, or ``None`` with a warning if the file is damaged (it is then computed again)."""
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["key"] != path.stem:
            raise ValueError(f"it holds the key {record['key']}")
        if not record["metrics"]["test"]:  # the last thing a run writes
            raise ValueError("it holds no metrics of the test set")
    except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
        warnings.warn(
            f"Expected {path.name} to hold a whole record, but got {error}; it is computed again.",
            stacklevel=2,
        )
        return None
    return record


def read_records(folder: Path) -> list[dict]:
    """All whole records of an output folder, in the order of their names."""
    found = (read_record(path) for path in sorted((folder / "records").glob("*.json")))
    return [record for record in found if record is not None]


def writable_folder(folder: str | Path) -> Path:
    """Create ``folder`` and make sure a file can be written there, before anything is computed.

    Raises:
        ValueError: if it cannot, saying why.
    """
    path = Path(folder)
    probe = path / f".probe.{os.getpid()}"
    try:
        (path / "records").mkdir(parents=True, exist_ok=True)
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise ValueError(
            f"Expected --out to be a folder that can be written, but got {path}: {error.strerror}."
        ) from error
    return path
