"""What a task is: data, networks, a recipe and an augmentation, found by name."""

from __future__ import annotations

import importlib
import pkgutil
import re
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from physlayer.data.image_set import TaskData
from physlayer.tasks.loading import load_entry_point, load_file
from physlayer.training.recipe import Recipe

__all__ = ["Options", "Task", "get_task", "refuse", "register", "sendable_task", "task_names"]

GROUP = "physlayer.tasks"  # of the entry points that other packages declare
METHODS = ("load", "network", "default_network", "recipe", "augment")
FILE = re.compile(r"(?P<path>.+\.py)(:(?P<name>\w+))?")

_found: dict[str, Task] = {}  # tasks from outside this folder, by name
_words: dict[str, str] = {}  # the word by which another process finds such a task, unless it must be sent, by name


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
    """What a task has, here the ``TASK`` of each folder: a name and five methods.

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


def register(task: Task) -> None:
    """Let every sweep find a task of one's own by its name.

    Args:
        task: an object with the interface of :class:`Task`; ``--jobs`` sends it to other processes.

    Raises:
        ValueError: if it lacks a method, or another task has its name.

    Example:
        >>> register(get_task("digits"))  # already there: nothing to do
        >>> register(Options())
        Traceback (most recent call last):
        ...
        ValueError: Expected a task to have a method load, but got Options, which has none; see physlayer.tasks.Task.
    """
    require_task(task)
    if task.name in task_names() and get_task(task.name) is not task:
        raise ValueError(
            f"Expected a task to have a name of its own, but got {task.name!r}, which is taken; change its name."
        )
    if task.name not in _shipped():
        _found[task.name] = task


def require_task(task: object) -> None:
    """Refuse an object that is no task.

    Raises:
        ValueError: naming the method that it lacks, or if its name is no word.
    """
    if isinstance(task, type):
        raise ValueError(f"Expected a task, but got the class {task.__name__}; make one, {task.__name__}().")
    for method in METHODS:
        if not callable(getattr(task, method, None)):
            raise ValueError(
                f"Expected a task to have a method {method}, but got {type(task).__name__}, which has none; see "
                "physlayer.tasks.Task."
            )
    name = getattr(task, "name", None)
    if not isinstance(name, str) or not re.fullmatch(r"[\w-]+", name):
        raise ValueError(f"Expected a task to have a name of letters, digits, _ and -, but got {name!r}.")


def task_names() -> tuple[str, ...]:
    """Names of the tasks in this folder, of those that are registered, and of installed packages' entry points.

    Example:
        >>> "blood_cells" in task_names()
        True
    """
    return tuple(sorted({*_shipped(), *_found, *_entry_points()}))


def get_task(task: str | Task) -> Task:
    """The task of a name, or of ``path/to/file.py:NAME`` (``TASK`` unless named), which is then known by its name, too.

    What :func:`sendable_task` gave in another process is the task again.

    Raises:
        ValueError: if there is none, with the names that exist, or the file or package gives none.

    Example:
        >>> get_task("digits").name
        'digits'
    """
    if not isinstance(task, str):  # registered in the process that sent it
        return _found.setdefault(task.name, task)
    if place := FILE.fullmatch(task):
        return _task_of_file(Path(place["path"]), place["name"] or "TASK")
    if task in _shipped():
        return importlib.import_module(f"physlayer.tasks.{task}").TASK
    if task not in _found and (point := _entry_points().get(task)):
        loaded = load_entry_point(point)
        require_task(loaded)
        if loaded.name != task:
            raise ValueError(
                f"Expected the entry point {task} ({point.value}) to give a task of that name, but got "
                f"{loaded.name!r}; name both alike."
            )
        _found[task], _words[task] = loaded, task
    if task not in _found:
        raise ValueError(
            f"Expected task to be one of {', '.join(task_names())}, or a file such as path/to/file.py:TASK, but got "
            f"{task!r}."
        )
    return _found[task]


def sendable_task(name: str) -> str | Task:
    """What another process is sent to find a task with :func:`get_task`: a word if there is one, else the task."""
    return _words.get(name, _found.get(name, name))


def _task_of_file(path: Path, name: str) -> Task:
    path = path.expanduser().resolve()
    word = f"{path}:{name}"
    for known, other in _words.items():
        if other == word:  # a file is run once
            return _found[known]
    task = load_file(path, name)
    register(task)
    _words[task.name] = word
    return task


def _shipped() -> list[str]:
    return [module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]) if module.ispkg]


def _entry_points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}
