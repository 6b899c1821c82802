"""The output folder of a sweep: one record per run, complete or absent, and the test set beside them."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from physlayer.core.files import atomic_write
from physlayer.experiment.problem_info import read_problem
from physlayer.experiment.record import SHARED, CameraExport, Record, TestSet, as_json
from physlayer.experiment.run import FORMAT

__all__ = [
    "camera_export",
    "parse_record",
    "read_record",
    "read_records",
    "read_test_set",
    "record_path",
    "writable_folder",
    "write_record",
    "write_test_set",
]


def record_path(folder: str | Path, key: str) -> Path:
    """Where the record of a run stands in an output folder."""
    return Path(folder) / "records" / f"{key}.json"


def write_record(folder: str | Path, record: Record) -> None:
    """Write the record of a run; it outlives a power cut.

    Raises:
        ValueError: if it holds a number that is not finite.
    """
    _write(record_path(folder, record.key), record)


def write_test_set(folder: str | Path, test_set: TestSet) -> None:
    """Write what the runs of a folder are judged on."""
    _write(Path(folder) / "test_set.json", test_set)


def _write(path: Path, content: Record | TestSet) -> None:
    text = json.dumps(as_json(content), separators=(",", ":"), allow_nan=False)
    atomic_write(path, f"{text}\n", sync=True)


def parse_record(stored: Any) -> Record:
    """A record from the JSON content of its file.

    Raises:
        ValueError: if it is no whole record of this version, or not that of its settings, saying why.
    """
    import msgspec

    if isinstance(stored, dict) and stored.get("format", FORMAT) != FORMAT:
        raise ValueError(f"it is of format {stored['format']}, and this version reads {FORMAT}")
    try:
        record = msgspec.convert(stored, Record)
    except msgspec.ValidationError as error:
        raise ValueError(f"another content ({error})") from error
    if not record.metrics.get("test"):  # the last thing a run finds
        raise ValueError("it holds no metrics of the test set")
    if record.key != record.config.key:
        raise ValueError(f"it holds the key {record.key}, and its settings have {record.config.key}")
    for name in SHARED:
        if getattr(record, name) != getattr(record.config, name):
            raise ValueError(f"its {name} is {getattr(record, name)}, and {getattr(record.config, name)} in config")
    return record


def read_record(path: Path) -> Record | None:
    """The record of a file, or ``None``: without a word if there is no file, with a warning if it is no whole record.

    A run without a whole record is computed again.
    """
    if not path.exists():
        return None
    try:
        record = parse_record(json.loads(path.read_text(encoding="utf-8")))
        if record.key != path.stem:
            raise ValueError(f"it holds the key {record.key}")
    except ValueError as error:  # JSON and UTF-8 that cannot be decoded are ValueErrors too
        warnings.warn(
            f"Expected {path.name} to hold a whole record, but got {error}; it is computed again.",
            stacklevel=2,
        )
        return None
    return record


def read_records(folder: str | Path) -> list[Record]:
    """All whole records of an output folder, in the order of their names."""
    return list(_records(sorted((Path(folder) / "records").glob("*.json"))))


def _records(paths: list[Path]) -> Iterator[Record]:
    for path in paths:
        if (record := read_record(path)) is not None:
            yield record


def read_test_set(folder: str | Path) -> TestSet:
    """What the runs of an output folder were judged on.

    Raises:
        ValueError: if ``test_set.json`` does not say it, naming what is wrong.
        OSError: if there is none.
    """
    import msgspec

    path = Path(folder) / "test_set.json"
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return msgspec.convert(stored | {"problem": read_problem(stored["problem"])}, TestSet)
    except (ValueError, TypeError, KeyError, msgspec.ValidationError) as error:
        raise ValueError(f"Expected {path} to describe a test set, but got {error}; run the sweep again.") from error


def camera_export(exported: dict[str, Any]) -> CameraExport:
    """What :func:`.export_camera` says of a camera, as a record holds it.

    Example:
        >>> from physlayer import BitDepth, export_camera
        >>> camera_export(export_camera(BitDepth(2), (3, 4, 5))).layers[0].settings["bits"]
        2
    """
    import msgspec

    return msgspec.convert(exported, CameraExport)


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
