"""What a sweep refuses before the first run: data, networks and cameras of which nothing can come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from physlayer.data.image_set import TaskData
from physlayer.experiment.build import chosen_candidate, handed_over, point_of, scene_shape
from physlayer.experiment.run import Run
from physlayer.experiment.spec import Sweep, Variant
from physlayer.tasks.base import Task, require_pictures

__all__ = ["require_answers", "require_cameras", "require_judgement", "require_scenes"]


def require_scenes(sweep: Sweep, task: Task) -> None:
    """Refuse a task whose scenes the sweep's cameras do not understand.

    Raises:
        ValueError: naming the tasks, or the sweeps, that go together.
    """
    require_pictures(task, sweep.name)
    if sweep.tasks and task.name not in sweep.tasks:
        raise ValueError(
            f"Expected --task to be {' or '.join(sweep.tasks)}, whose scenes {sweep.name} understands, but got "
            f"{task.name}."
        )


def require_judgement(data: TaskData) -> None:
    """Refuse a test set from which no interval follows, or on which every network is right, before hours are spent.

    Raises:
        ValueError: for a test set of one source, or a single class in training or test.
    """
    n_groups = len(set(data.test.groups.tolist()))
    if n_groups < 2:
        raise ValueError(
            f"Expected a test set of at least 2 sources, but got {n_groups} ({len(data.test)} images): an interval "
            "over sources needs more; add images of other sources."
        )
    if data.problem.kind != "classification":
        return
    for name, part in (("training", data.pool), ("test", data.test)):
        if len(found := set(part.targets.tolist())) < 2:
            only = data.problem.describe()["class_names"][found.pop()]
            raise ValueError(
                f"Expected at least 2 classes in the {name} set, but got {only} alone ({len(part)} images); "
                f"add images of another class."
            )


def require_answers(task: Task, network: str, data: TaskData, *, default: str) -> None:
    """Refuse a network that answers another question, before hours are spent.

    Raises:
        ValueError: if its outputs for two dark scenes have another shape than the problem asks for.
    """
    shape, problem = scene_shape(data), data.problem
    with torch.no_grad():
        found = tuple(task.network(network, shape, problem.outputs).eval()(torch.zeros(2, *shape)).shape)
    axes = 4 if problem.kind == "segmentation" else 2
    if len(found) != axes or found[:2] != (2, problem.outputs):
        wanted = f"(B, {problem.outputs}, H, W)" if axes == 4 else f"(B, {problem.outputs})"
        raise ValueError(
            f"Expected network {network} to give {wanted} for a {problem.kind}, but got outputs of shape {found}; "
            f"use --network {default}."
        )


def require_cameras(variants: Sequence[Variant], runs: Sequence[Run], data: TaskData) -> None:
    """Build each camera of the grid once and show it a dark scene, before hours are spent on the first.

    Args:
        variants: all arms. runs: those that are still to be computed.

    Raises:
        ValueError: as the arm or its layers put it, if a value and these images do not go together.
    """
    named = {
        variant.name: variant for variant in variants if variant.camera_from is None
    }  # others have the same cameras
    wanted = dict.fromkeys(run.point for run in runs)
    if not runs:
        return
    shared = point_of(runs[0], data)  # the training scenes are split and measured once
    for name, value in wanted:
        if name in named:
            point, variant = replace(shared, value=value), named[name]  # type: ignore[arg-type]  # as in point_of
            setting = chosen_candidate(variant, point, (), data.problem)
            handed_over(nn.Sequential(*variant.camera(point, **setting)), point.shape)
