"""From what was found and read to a task's data: sources, training and test set, and the question."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from physlayer.data.image_set import ImageSet, TaskData, fingerprint
from physlayer.data.splits import group_split
from physlayer.problems.base import Problem
from physlayer.problems.classification import Classification
from physlayer.problems.regression import Regression
from physlayer.problems.segmentation import Segmentation
from physlayer.tasks.folder.answers import common_unit
from physlayer.tasks.folder.kinds import CLASSES, MASKS, Found
from physlayer.tasks.folder.reading import Images
from physlayer.tasks.folder.sources import join_copies
from physlayer.tasks.tables import some

__all__ = ["task_data"]

TEST_FRACTION, SPLIT_SEED = 0.25, 4  # of the sources, the same for everybody
UNEVEN = 1.5  # how much more frequent than in equal shares a class must be to be told
TOLERANCE = 0.25  # deviations of the training numbers: an error below counts as right


def task_data(found: Found, seen: Images, *, drop_straddling: bool = False) -> TaskData:
    """The data of a folder, split by source.

    The test set is the official one, or else a quarter of the sources by a fixed seed.

    Args:
        found: what the folder asks. seen: its images, the same in the same order. drop_straddling: leave out test
            images whose source is also in the pool.

    Raises:
        ValueError: if a class, or the whole set, has too few sources to train, validate and test; or masks hold no
            object, or nothing else.
    """
    sources, notes = _sources(found, seen)
    targets = _targets(found, seen)
    whole = ImageSet(seen.images, targets, sources, seen.encoding)
    strata = found.names if found.kind == CLASSES else ("of all images",)
    in_test = found.parts == "test"
    official = bool(in_test.any() and not in_test.all())
    _require_sources(whole, strata, in_test if official else None)
    if official:
        pool, test = (whole.subset(torch.from_numpy(side.nonzero()[0])) for side in (~in_test, in_test))
        test, told = _straddling(pool, test, drop_straddling)
        _require_sources(test, strata, np.ones(len(test), bool))
    else:
        split = group_split(whole.strata, whole.group_codes, TEST_FRACTION, SPLIT_SEED, class_names=strata)
        pool, test = (whole.subset(part) for part in split)
        told = []
    kind = "the official one" if official else "a fixed quarter of the sources, the same for everybody"
    notes.append(f"Test set: {kind}, {_counted(test)}; to train and validate there are {_counted(pool)}.")
    problem, asked = _problem(found, pool, test)
    mark = fingerprint(pool, test, found.kind, ",".join(found.names))
    return TaskData("folder", problem, pool, test, mark, (*found.notes, *asked, *notes, *told, *seen.notes))


def _sources(found: Found, seen: Images) -> tuple[np.ndarray, list[str]]:
    """The source of every image, and what to say of it; images of equal pixels are one source where none are known."""
    marks = seen.marks
    copies = len(marks) - len(np.unique(marks))
    notes = []
    if found.sources is not None:
        sources = found.sources
        notes.append(f"Sources: {len(set(sources.tolist()))}, by {found.by}; count sources, not images.")
        split_up = len({*zip(marks.tolist(), sources.tolist(), strict=True)}) - len(np.unique(marks))
        if split_up:
            notes.append(f"{split_up} images are equal, pixel by pixel, to one of another source: check the sources.")
    else:
        sources, copies = join_copies(found.images, marks)
        notes.append(
            "NO SOURCES ARE KNOWN: every image counts as a source of its own, which is right for independent "
            "photographs only. Where a patient, a slide or an object has several images, scores are too good; name the "
            "sources with --groups (a CSV file with file,group, or a pattern of the file names)."
        )
        if copies:
            notes.append(f"{copies} images are copies of another, pixel by pixel, and count as one source with it.")
    if found.kind == CLASSES and copies:
        pairs = {*zip(marks.tolist(), found.targets.tolist(), strict=True)}
        if len(pairs) > len(np.unique(marks)):
            notes.append(f"{len(pairs) - len(np.unique(marks))} equal images are of different classes: one is wrong.")
    return sources, notes


def _targets(found: Found, seen: Images) -> Tensor:
    if found.kind != MASKS:
        return torch.from_numpy(found.targets)
    share = float(seen.masks.float().mean())
    if share in (0.0, 1.0):
        raise ValueError(
            f"Expected masks to hold object and background, but got {'object' if share else 'background'} in all "
            f"pixels of all {len(seen.masks)}; are they the right files?"
        )
    return seen.masks


def _require_sources(whole: ImageSet, strata: tuple[str, ...], in_test: np.ndarray | None) -> None:
    """Refuse too few sources: two to train and validate, and one to test; of an official split on either side."""
    sides = [("", 3, np.ones(len(whole), bool))]
    if in_test is not None:
        sides = [(" to train and validate", 2, ~in_test), (" in the test set", 1, in_test)]
        sides = sides[1:] if in_test.all() else sides
    wanted = {3: "one each to train, to validate and to test", 2: "one each", 1: "as in training"}
    for number, name in enumerate(strata):
        for where, least, side in sides:
            holds = side & (whole.strata.numpy() == number)
            count = len(set(whole.groups[holds].tolist()))
            if count < least:
                what = f"class {name}" if len(strata) > 1 else "the images"
                raise ValueError(
                    f"Expected {what} to have at least {least} source{'s' * (least > 1)}{where} ({wanted[least]}), but "
                    f"got {count} ({int(holds.sum())} images); add images of other sources"
                    f"{', or leave the class out' if len(strata) > 1 else ''}."
                )


def _straddling(pool: ImageSet, test: ImageSet, drop: bool) -> tuple[ImageSet, list[str]]:
    """The test set, without images whose source is in the pool if they are to be dropped, and what to say of them."""
    leaked = np.isin(test.groups, pool.groups)
    if not leaked.any():
        return test, []
    told = f"{len(set(test.groups[leaked].tolist()))} sources have images in both training and test"
    if not drop:
        return test, [f"{told} ({leaked.sum()} test images, kept; --drop-straddling leaves them out)."]
    if leaked.all():
        raise ValueError(
            f"Expected test images of sources that training never sees, but got none among {len(test)}; load without "
            "--drop-straddling, or check the sources."
        )
    return test.subset(torch.from_numpy((~leaked).nonzero()[0])), [f"{told} ({leaked.sum()} test images, left out)."]


def _problem(found: Found, pool: ImageSet, test: ImageSet) -> tuple[Problem, list[str]]:
    if found.kind == MASKS:
        shares = [100 * float(part.targets.float().mean()) for part in (pool, test)]
        return Segmentation(found.names), [
            f"Object: {shares[0]:.0f} % of the pixels to train, {shares[1]:.0f} % to test."
        ]
    if found.kind == CLASSES:
        counts = np.bincount(test.targets.numpy(), minlength=len(found.names))
        largest = counts.max() / counts.sum()
        if largest * len(found.names) < UNEVEN:
            return Classification(found.names), []
        return Classification(found.names), [
            f"Classes are uneven: {found.names[int(counts.argmax())]} for every test image would be right in "
            f"{100 * largest:.0f} %; compare with that, not with chance."
        ]
    unit = common_unit(found.names)
    deviations = pool.targets.double().std(0)
    same = [name for name, deviation in zip(found.names, deviations.tolist(), strict=True) if not deviation > 0]
    if same:
        raise ValueError(
            f"Expected numbers that differ among the training images, but got the same {some(same)} for all; remove "
            "the column, or add images."
        )
    tolerance = float(f"{TOLERANCE * float(deviations.mean()):.2g}")
    problem = Regression.of(pool.targets, found.names, unit, tolerance=tolerance)
    low, high = (part.tolist() for part in torch.cat([pool.targets, test.targets]).aminmax(dim=0))
    ranges = "; ".join(f"{name} {a:g} to {b:g}" for name, a, b in zip(found.names, low, high, strict=True))
    told = [
        f"Numbers: {ranges}, in {unit}. An error below {tolerance:g}, a quarter of their deviation, counts as right."
    ]
    if unit == "units" and len(found.names) > 1:
        told.append("The score averages the errors of all columns as if of one unit: keep others out of the table.")
    return problem, told


def _counted(part: ImageSet) -> str:
    return f"{len(part)} images of {len(set(part.groups.tolist()))} sources"
