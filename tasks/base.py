"""What a task is: data, networks, a recipe and an augmentation, found by name."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from physlayer.data.image_set import TaskData
from physlayer.training.recipe import Recipe

__all__ = ["Options", "Task", "get_task", "refuse", "task_names"]


@dataclass(frozen=True)
class Options:
    """What a user may say about a task's data; each task states which it understands.

    Args:
        data: folder of the real data; ``None`` for the embedded set.
        fast: smoke size.
        groups: CSV with the source of every file, or ``"content"``; the folder task also takes a column or a pattern.
        skip_unreadable: leave unreadable files out, with a warning.
        drop_straddling: leave out test images whose source is also in the pool.
        width: of the images, unit pixel; ``None`` for the task's own.
        development: let some training sources stand in for the test set (the sweep engine does it for all tasks).
    """

    data: str | None = None
    fast: bool = False
    groups: str | None = None
    skip_unreadable: bool = False
    drop_straddling: bool = False
    width: int | None = None
    development: bool = False


class Task(Protocol):
    """Interface of ``tasks/<name>/__init__.py``'s ``TASK``: a name and five methods.

    A task whose scenes are no pictures names the only sweeps that understand them in ``sweeps``, a tuple.
    """

    name: str

    def load(self, options: Options) -> TaskData:
        """Data, embedded or real."""

    def network(self, name: str, shape: tuple[int, int, int], outputs: int) -> nn.Module:
        """A fresh network for readings ``(C, H, W)``."""

    def default_network(self, options: Options) -> str:
        """Name of the network that a sweep uses unless told otherwise."""

    def recipe(self, options: Options) -> Recipe:
        """Settings that train the task's first network to convergence."""

    def augment(self, images: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Random changes of the scene, before any physical layer, and of a mask with it."""


def refuse(options: Options, task: str, **reasons: str) -> None:
    """Refuse options that a task does not understand: ``refuse(options, "digits", groups="…")``.

    Raises:
        ValueError: naming the option and the reason.

    Example:
        >>> refuse(Options(width=5), "mine", width="the files have their own size")
        Traceback (most recent call last):
        ...
        ValueError: Expected no --width for mine, but got 5; the files have their own size.
    """
    for name, reason in reasons.items():
        value = getattr(options, name)
        if value is not None and value is not False:
            raise ValueError(f"Expected no --{name.replace('_', '-')} for {task}, but got {value!r}; {reason}.")


def require_pictures(task: Task, sweep: str) -> None:
    """Refuse a task whose scenes the sweep does not understand.

    Raises:
        ValueError: naming the sweeps that do.
    """
    understood = getattr(task, "sweeps", (sweep,))
    if sweep not in understood:
        raise ValueError(
            f"Expected --task to have pictures as scenes for {sweep}, but got {task.name}, which only "
            f"{' and '.join(understood)} understands; use another task."
        )


def task_names() -> tuple[str, ...]:
    """Names of the tasks in this folder.

    Example:
        >>> "blood_cells" in task_names()
        True
    """
    folder = Path(__file__).parent
    return tuple(sorted(module.name for module in pkgutil.iter_modules([str(folder)]) if module.ispkg))


def get_task(name: str) -> Task:
    """The task of that name.

    Raises:
        ValueError: if there is none, with the names that exist.
    """
    if name not in task_names():
        raise ValueError(f"Expected task to be one of {', '.join(task_names())}, but got {name!r}.")
    return importlib.import_module(f"physlayer.tasks.{name}").TASK
