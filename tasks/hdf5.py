"""HDF5 files with clear errors; the package that reads them is optional."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import h5py

__all__ = ["dataset", "group_names", "names_of", "open_hdf5", "read_rows"]

BLOCK = 1024  # rows read at a time


@contextmanager
def open_hdf5(path: str | Path) -> Iterator[h5py.File]:
    """Open an HDF5 file to read it.

    Raises:
        ImportError: if h5py is not installed. FileNotFoundError: if there is no such file.
        ValueError: if it is no HDF5 file or damaged, which may show only when an array is read.
    """
    path = Path(path)
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            f"Expected h5py to be installed, to read {path.name}, but got none; use pip install h5py."
        ) from error
    if not path.is_file():
        packed = path.with_name(f"{path.name}.gz")
        fix = f"; unpack {packed.name} first" if packed.is_file() else ""
        raise FileNotFoundError(f"Expected an HDF5 file {path}, but got none{fix}.")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except FileNotFoundError:  # another file, opened meanwhile
        raise
    except OSError as error:
        raise ValueError(
            f"Expected {path.name} to be a whole HDF5 file, but got: {error}; download it again, and unpack it if it "
            "is compressed."
        ) from error


def dataset(file: h5py.File, name: str) -> h5py.Dataset:
    """The array of that name.

    Raises:
        ValueError: if there is none, with the names that exist.
    """
    import h5py

    if not isinstance(file.get(name), h5py.Dataset):
        names: list[str] = []
        file.visititems(lambda found, item: names.append(found) if isinstance(item, h5py.Dataset) else None)
        raise ValueError(
            f"Expected {Path(file.filename).name} to hold an array {name}, but got "
            f"{', '.join(sorted(names)) or 'no arrays'}."
        )
    return file[name]


def names_of(array: np.ndarray) -> np.ndarray:
    """Names as text, ``(N,)``, from texts, bytes or numbers.

    Example:
        >>> names_of(np.array([b"one", b"two"])).tolist(), names_of(np.array([[3], [4]])).tolist()
        (['one', 'two'], ['3', '4'])
    """
    return np.array([name.decode() if isinstance(name, bytes) else str(name) for name in array.reshape(-1)], dtype=str)


def group_names(file: h5py.File) -> np.ndarray | None:
    """Sources of the images, ``(N,)``, from the array ``/groups``; ``None`` where the file has none."""
    return names_of(np.asarray(dataset(file, "groups"))) if "groups" in file else None


def read_rows(array: h5py.Dataset, index: np.ndarray) -> np.ndarray:
    """Some rows of an array by ascending index, read in blocks: far faster than row by row, and in little memory."""
    rows = np.empty((len(index), *array.shape[1:]), array.dtype)
    for start in range(0, len(array), BLOCK):
        chosen = (index >= start) & (index < start + BLOCK)
        if chosen.any():
            rows[chosen] = array[start : start + BLOCK][index[chosen] - start]
    return rows
