"""Pages say what is true: links lead somewhere, tables are filled, the figures exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_of_a_page_leads_to_a_file(page):
    prose = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(encoding="utf-8"), flags=re.S)
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", prose)
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_generated_table_of_a_page_is_empty(page):
    text = page.read_text(encoding="utf-8")
    parts = re.findall(r"<!-- begin: ([\w ]+) -->\n(.*?)<!-- end: ([\w ]+) -->", text, flags=re.S)
    assert all(begin == end for begin, _, end in parts)
    assert not [name for name, body, _ in parts if not body.strip() or "Not yet computed" in body]
    assert text.count("<!-- begin:") == len(parts)


def test_readme_holds_the_two_commands_on_one_line_each():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, part in (("run", "sweeps/bit_depth.py --bits 1..8"), ("test", "-m pytest")):
        found = re.search(rf"<!-- command: {name} -->\n```sh\n(.+)\n```", text)
        assert found and part in found[1] and "-c constraints.txt" in found[1]
    assert f"```sh\n{found[1]}\n" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_pythons_that_the_package_names_are_the_tested_ones():
    named = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    workflow = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    tested = re.search(r"^ +python: \[(.+)\]$", workflow, flags=re.M)
    assert tested and named == [version.strip(' "') for version in tested[1].split(",")]


def test_python_blocks_of_the_guide_run_in_order(tmp_path, monkeypatch):
    import torch
    from torch import nn

    from physlayer.tasks import base

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(base, "_found", {})  # the guide registers its task
    cnn = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    for page in (ROOT / "README.md", ROOT / "docs" / "your_own_data.md"):
        names = {"my_cnn": cnn}
        for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.S):
            exec(compile(block, str(page), "exec"), names)
            model = names["model"]
            assert model.eval()(torch.rand(2, 3, 60, 80)).shape == (2, 2)


def test_task_and_sweep_of_the_guide_run(tmp_path, monkeypatch):
    import math

    import numpy as np
    import torch
    from torch import nn

    from physlayer.experiment import main
    from physlayer.tasks import Options, base

    page = (ROOT / "docs" / "your_own_data.md").read_text(encoding="utf-8")
    own = page[page.index("## A task of your own") :]
    blocks = re.findall(r"```python\n(.*?)```", own, flags=re.S)
    assert "# mine.py" in blocks[0] and "register(TASK)" in blocks[1] and "SWEEP = " in blocks[2]
    targets = torch.arange(40) % 2
    names = {
        "my_images": lambda folder: (
            torch.zeros(40, 3, 8, 8, dtype=torch.uint8),
            targets,
            np.array([f"tree_{i // 4}_{i % 2}" for i in range(40)]),
        ),
        "my_network": lambda shape, classes: nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), classes)),
    }
    monkeypatch.setattr(base, "_found", {})
    for block in blocks:
        exec(compile(block, "guide", "exec"), names)
    task = names["TASK"]
    data = task.load(Options(data="folder"))
    assert not set(data.pool.groups) & set(data.test.groups) and len(data.pool) + len(data.test) == 40
    assert task.network(task.default_network(Options()), (3, 8, 8), 2)(torch.zeros(1, 3, 8, 8)).shape == (1, 2)
    assert task.network("small", (3, 8, 8), 2) is not None and task.recipe(Options(fast=True)).epochs == 2
    assert (
        data.split(0)["validation"].images.shape[1:]
        == task.augment(data.test.images, data.test.targets, None)[0].shape[1:]
    )
    command = [
        "--task",
        "mine",
        "--bits",
        "1",
        "--seeds",
        "1",
        "--epochs",
        "1",
        "--jobs",
        "1",
        "--no-report",
        "--out",
        str(tmp_path),
    ]
    assert main(names["SWEEP"], "manual", command) == 0
    assert len(list(tmp_path.glob("records/*.json"))) == 3


def test_the_packages_of_the_page_are_those_of_the_tree(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "build"))
    from make_architecture import package_table

    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- begin: packages -->\n(.*)\n<!-- end: packages -->", page, flags=re.S)[1]
    assert shown == package_table(ROOT), "run python docs/build/make_architecture.py"
    assert shown.count("\n") < 40, "one row per package: the page stays one page"


def test_class_projects_of_the_page_are_the_tested_lines_and_at_most_fifteen(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "build"))
    from make_class_projects import blocks

    page = (ROOT / "docs" / "class_projects.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"<!-- begin: (card_\d+) -->\n(.*?)\n<!-- end: card_\d+ -->", page, flags=re.S))
    tested = blocks()
    assert {"card_13", "card_16", "card_18", "card_23"} <= set(shown)
    for card, block in shown.items():
        assert block == tested[card], "run python docs/build/make_class_projects.py"
        lines, before = re.findall(r"```python\n(.*?)```", block, flags=re.S)
        assert len(lines.splitlines()) <= 15
        exec(compile(before + lines, card, "exec"), {"__name__": card})  # runs as it stands
