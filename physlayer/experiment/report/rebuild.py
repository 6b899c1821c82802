"""Back from a record and its files to the trained camera and network, and to the data it was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from physlayer.data.image_set import TaskData
from physlayer.experiment import runner
from physlayer.experiment.build import assemble, chosen_candidate, point_of
from physlayer.experiment.record import Record
from physlayer.experiment.spec import Sweep, Variant
from physlayer.tasks import base as tasks

__all__ = ["NOT_REBUILT", "camera_at_start", "data_of", "rebuild_model"]

# What stops a run from being rebuilt: other data or another arm, a file or a package that is gone, weights of another
# camera.
NOT_REBUILT = (ValueError, OSError, ImportError, RuntimeError)


def rebuild_model(sweep: Sweep, variant: Variant, record: Record, out: Path, settings: dict[str, Any]) -> nn.Sequential:
    """The trained camera and network of a record, on the CPU, in ``eval()``.

    Args:
        sweep: the sweep of the record. variant: the arm of the record. record: a whole record.
        out: output folder, with ``models/``. settings: ``{"options": …}`` of the task, as in the runner.

    Raises:
        ValueError: if the data is no longer that of the record, or the record is of another sweep or arm.
        OSError: if the file of the model is missing.
    """
    run = record.config
    if (run.sweep, run.variant) != (sweep.name, variant.name):
        found = f"{run.variant} of {run.sweep}"
        raise ValueError(f"Expected record to be of {variant.name} of {sweep.name}, but got {found}.")
    state = torch.load(out / "models" / f"{record.key}.pt", weights_only=True, map_location="cpu")
    data = data_of(record, settings)
    model = assemble(tasks.get_task(run.task), run, camera_at_start(variant, record, data), data)
    model.load_state_dict(state)
    return model.eval()


def camera_at_start(variant: Variant, record: Record, data: TaskData) -> list[nn.Module]:
    """The physical layers of a run as they were before training."""
    point = point_of(record.config, data)
    searched = variant.candidates is not None and variant.camera_from is None
    chosen = chosen_candidate(variant, point, record.search, data.problem) if searched else {}
    layers = variant.camera(point, **chosen)
    return layers if variant.change is None else variant.change(layers, point.generator)


def data_of(record: Record, settings: dict[str, Any]) -> TaskData:
    """Data of the task, refused if it is not what the record was trained on."""
    data = runner.task_data(record.config.task, settings["options"])
    if data.fingerprint != record.provenance.data:
        raise ValueError(
            f"Expected data to have the record's fingerprint {record.provenance.data[:12]}, "
            f"but got {data.fingerprint[:12]}; run the sweep again."
        )
    return data
