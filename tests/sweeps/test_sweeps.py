"""Every sweep script runs, resumes and reports; noise and smaller readings go through the whole engine."""

import re

import numpy as np
import pytest

from physlayer.experiment import main
from physlayer.experiment.records import read_records
from physlayer.sweeps import (
    blur,
    cameras,
    color_filters,
    deconvolution,
    defocus,
    fluorophores,
    hdr,
    illumination,
    kspace,
    microscope,
    overview,
    photons,
    pixel_layout,
    quanta,
    resolution,
    sensor_placement,
    shift_variant_blur,
)

SAMPLES = {
    resolution: 3 * 8 * 8,
    cameras: 3 * 16 * 16,
    kspace: 3 * 32 * 8,
    pixel_layout: 3 * 64,
    sensor_placement: 12,
    blur: 3 * 8 * 8,
    shift_variant_blur: 3 * 16 * 16,
}  # of every arm: the constraint
NOISY = (photons, quanta, hdr, microscope, illumination, defocus)
SMALL = ["--seeds", "1", "--fast", "--jobs", "1"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        (resolution, ["--factors", "4", "--variants", "fixed,random,learned", "--epochs", "1"]),
        (photons, ["--photons", "300", "--variants", "fixed,learned", "--epochs", "3"]),
        (quanta, ["--frames", "3", "--variants", "learned,conventional", "--epochs", "2"]),
        (hdr, ["--decibels", "60", "--variants", "fixed,four,learned", "--epochs", "2"]),
        (cameras, ["--cameras", "4", "--variants", "fixed,learned", "--epochs", "1"]),
        (pixel_layout, ["--pixels", "64", "--variants", "fixed,log_polar,learned", "--epochs", "1"]),
        (kspace, ["--keep", "1/4", "--variants", "fixed,low_pass,random,learned", "--epochs", "1"]),
        (color_filters, ["--photons", "300", "--variants", "mono,learned", "--epochs", "8"]),
        (sensor_placement, ["--task", "digits", "--keep", "1/64"]),
        (blur, ["--sigma", "1", "--variants", "fixed,random,learned,learned_width,sharp", "--epochs", "1"]),
        (shift_variant_blur, ["--defocus", "2", "--variants", "uniform,learned", "--epochs", "1"]),
        (fluorophores, ["--filters", "1,3", "--variants", "learned,crlb,rgb", "--epochs", "1"]),
        (deconvolution, ["--photons", "300", "--variants", "full,learned", "--epochs", "1"]),
        (microscope, ["--task", "digits", "--radius", "19", "--variants", "fixed,learned", "--epochs", "4"]),
        (illumination, ["--photons", "300", "--variants", "fixed,learned,learned_signed", "--epochs", "2"]),
        (defocus, ["--waves", "4", "--variants", "fixed,learned,rings", "--epochs", "2"]),
        (overview, ["--severity", "3", "--variants", "bits,pixels,blur,noise,photons,grey", "--epochs", "1"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_sweep_runs_resumes_and_reports(module, arguments, tmp_path, capsys):
    command = [*SMALL, *arguments, "--out", str(tmp_path)]
    assert main(module.SWEEP, module.__doc__, command) == 0
    printed = capsys.readouterr().out
    assert "incomplete" not in printed
    if module is overview:  # compared with an arm that has no severity, and so is an arm without one
        differences = [line for line in printed.splitlines() if line.count("[") == 2]
        assert [line.split()[0] for line in differences] == ["bits", "pixels", "blur", "noise", "photons", "grey"]
    assert not re.findall(r'class="missing">[^<]*', (tmp_path / "report.html").read_text())
    summary = (tmp_path / "summary.csv").read_bytes()
    assert main(module.SWEEP, module.__doc__, [*command, "--no-report"]) == 0
    assert "0 runs computed" in capsys.readouterr().out
    assert (tmp_path / "summary.csv").read_bytes() == summary
    graded: set[float] = set()
    for record in read_records(tmp_path):
        moved = record.audit.moved.values()
        assert record.variant != "learned" or all(entry.moved for entry in moved)
        if module in NOISY and record.variant != "none":
            scores = np.array(record.scores["test"]) * 5  # five exposures of every image
            assert np.allclose(scores, scores.round())
            graded |= set(scores.round())
            assert module is microscope or record.camera.cost["photons"] > 0
        if module is deconvolution:  # of the picture: recorded with the scores, none where nothing is changed
            assert ("psnr_db" in record.metrics["test"]) == (record.variant != "none")
            assert b"ssim" in summary
        if module in SAMPLES and record.variant != "none":
            assert record.camera.cost["n_samples"] == SAMPLES[module]
    assert module not in (photons, quanta) or len(graded) > 2  # some images are right in some exposures only
