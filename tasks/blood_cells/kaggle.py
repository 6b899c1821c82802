"""Read the blood-cell images of Kaggle's ``paultimothymooney/blood-cells``, with the source of every copy.

The files are augmented copies of a few hundred originals. A random split would put copies of one original on
both sides, so the loader knows the source of every file, or refuses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from physlayer.data.image_set import ImageSet
from physlayer.tasks.blood_cells.content_groups import group_by_content
from physlayer.tasks.blood_cells.decoding import cached_images
from physlayer.tasks.blood_cells.file_sources import given_sources, shipped_sources

SPLITS = ("TRAIN", "TEST")
SUFFIXES = (".jpeg", ".jpg", ".png")
ROOTS = (".", "images", "dataset2-master/images", "dataset2-master/dataset2-master/images")


def load_folder(
    folder: str | Path,
    *,
    height: int = 60,
    width: int = 80,
    cache: str | Path | None = None,
    groups: str | Path | None = None,
    skip_unreadable: bool = False,
    drop_straddling: bool = False,
    jobs: int = 2,
    progress: bool = True,
) -> tuple[ImageSet, ImageSet, tuple[str, ...], tuple[str, ...]]:
    r"""Load ``TRAIN`` and ``TEST``, each image decoded once and reduced by averaging light over area.

    .. math:: V = E\Bigl(\frac{1}{|A|} \sum_{p \in A} E^{-1}(V_p)\Bigr)

    :math:`V` are sRGB values, :math:`E` the sRGB encoding: a larger pixel of area :math:`A` integrates linear
    light. Other aspect ratios are stretched. The result is rounded to 8-bit codes and kept in a cache.

    Args:
        folder: the one with ``TRAIN`` and ``TEST``, or one that holds ``images`` or ``dataset2-master``.
        height, width: of the result. Unit: pixel.
        cache: folder of decoded images; ``None``: ``physlayer`` in ``$XDG_CACHE_HOME`` or ``~/.cache``.
        groups: ``None``: the shipped table, which knows Kaggle's files by class, name and size; a CSV with
            the columns ``file,group`` (``file``: path below ``images``, or a unique name; ``split,class``
            may complete it); ``"content"``: :func:`group_by_content`.
        skip_unreadable: leave unreadable files out with a warning and a note; nothing is cached then.
        drop_straddling: leave out ``TEST`` images of sources that are also in ``TRAIN``.
        jobs: threads that decode.
        progress: show a progress bar while decoding.

    Returns:
        ``(pool, test, class_names, notes)``: sRGB-encoded uint8 sets ``(N, 3, height, width)``, and what a
        report must say about the data.

    Raises:
        FileNotFoundError: if the folder, or ``TRAIN`` and ``TEST`` in it, are missing.
        ValueError: if a class lacks images, a file is unreadable, or the source of an image is unknown.
    """
    if min(height, width, jobs) < 1:
        raise ValueError(f"Expected height, width, jobs to be 1 or more, but got {height}, {width}, {jobs}.")
    root = find_images(Path(folder))
    files, class_names = list_images(root)
    names = [file.relative_to(root).as_posix() for file in files]
    if groups is None:
        sources = shipped_sources(files, names)
    elif groups == "content":
        sources = None
    else:
        sources = given_sources(Path(groups), names)

    images, unreadable = cached_images(
        files, names, height=height, width=width, cache=cache, skip_unreadable=skip_unreadable, jobs=jobs,
        progress=progress,
    )  # fmt: skip
    kept = np.array([name not in unreadable for name in names])
    names = [name for name, keep in zip(names, kept, strict=True) if keep]
    sources = group_by_content(images) if sources is None else sources[kept]
    targets = torch.tensor([class_names.index(name.split("/")[1]) for name in names])
    in_test = torch.tensor([name.startswith("TEST/") for name in names])
    _require_classes([tuple(name.split("/")[:2]) for name in names], class_names, "readable images")

    everything = ImageSet(images, targets, sources, "srgb")
    pool, test = (everything.subset(side.nonzero().flatten()) for side in (~in_test, in_test))
    straddling = straddling_groups(pool, test)
    leaked = torch.from_numpy(np.isin(test.groups, straddling))
    if drop_straddling and straddling:
        if set(test.targets[~leaked].tolist()) != set(range(len(class_names))):
            raise ValueError(
                "Expected every class to keep TEST images, but got a class with none; load without drop_straddling."
            )
        test = test.subset((~leaked).nonzero().flatten())
    notes = _notes(pool, test, straddling, int(leaked.sum()), drop_straddling, groups, sorted(unreadable))
    return pool, test, class_names, notes


def straddling_groups(pool: ImageSet, test: ImageSet) -> tuple[str, ...]:
    """Names of the sources with images in both sets; ``np.isin(test.groups, …)`` marks their test images."""
    return tuple(np.intersect1d(pool.groups, test.groups).tolist())


def find_images(folder: Path) -> Path:
    """The folder with ``TRAIN`` and ``TEST``, at or below ``folder``.

    Raises:
        FileNotFoundError: if ``folder`` does not exist or holds no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"Expected a folder of blood-cell images, but got {folder}, which is missing.")
    for root in ROOTS:
        if all((folder / root / split).is_dir() for split in SPLITS):
            return folder / root
    raise FileNotFoundError(
        f"Expected {folder} to hold images/TRAIN and images/TEST (upper case), but got neither; give the folder "
        "dataset2-master of the download, or put your own images into images/TRAIN/CLASS and images/TEST/CLASS."
    )


def list_images(root: Path) -> tuple[list[Path], tuple[str, ...]]:
    """All image files below ``root`` in sorted order, and the class names; hidden files are ignored.

    Raises:
        ValueError: if there are no images, or a class has none in ``TRAIN`` or ``TEST``.
    """
    folders = [path for split in SPLITS for path in sorted((root / split).iterdir())]
    folders = [path for path in folders if path.is_dir() and not path.name.startswith(".")]
    class_names = tuple(sorted({path.name for path in folders}))
    files = [
        file
        for path in folders
        for file in sorted(path.iterdir())
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()
    ]
    if not files:
        raise ValueError(f"Expected images in {root}/TRAIN/<CLASS>, but got none ending in {', '.join(SUFFIXES)}.")
    _require_classes([(file.parent.parent.name, file.parent.name) for file in files], class_names, "images")
    return files, class_names


def _require_classes(present: Iterable[tuple[str, ...]], class_names: tuple[str, ...], what: str) -> None:
    counts = Counter(present)
    for name in class_names:
        for split in SPLITS:
            if not counts[split, name]:
                raise ValueError(
                    f"Expected class {name} to have {what} in TRAIN and TEST, but got none in {split}; "
                    "complete the folder or remove the class from both."
                )


def _notes(
    pool: ImageSet,
    test: ImageSet,
    straddling: tuple[str, ...],
    leaked: int,
    dropped: bool,
    groups: str | Path | None,
    unreadable: list[str],
) -> tuple[str, ...]:
    notes = [
        f"{len(pool)} training images come from {len(set(pool.groups))} sources, "
        f"{len(test)} test images from {len(set(test.groups))}; count sources, not images.",
        f"{len(straddling)} sources have images in both TRAIN and TEST ({leaked} TEST images, "
        f"{'left out' if dropped else 'kept'}).",
        "Images were resized by averaging linear light over area and stored as 8-bit sRGB codes.",
    ]
    if groups is None:  # the files that the shipped table knows
        notes.append("They are augmented copies, with black fill at the border that belongs to no sensor and no cell.")
    if groups == "content":
        notes.append("Sources were guessed by colour; copies of one original may be on both sides of a split.")
    if unreadable:
        notes.append(f"{len(unreadable)} unreadable files were left out: {', '.join(unreadable)}.")
    return tuple(notes)
