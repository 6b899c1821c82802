"""Tasks from outside the folder: of a file, registered, or of another package."""

import copy
import sys
import threading

import pytest

from physlayer.experiment import scheduler
from physlayer.experiment.cli import main
from physlayer.tasks import Options, base, get_task, register, task_names
from physlayer.tasks.base import sendable_task


@pytest.fixture(autouse=True)
def nothing_found_yet(monkeypatch):
    """What a test finds is forgotten after it."""
    monkeypatch.setattr(base, "_found", {})
    monkeypatch.setattr(base, "_words", {})
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture
def file(tmp_path, own_task_code):
    path = tmp_path / "tasks.py"  # hides no module of that name, and none hides it
    path.write_text(own_task_code, encoding="utf-8")
    return path


@pytest.fixture
def mine(own_task_code):
    names = {"__name__": "somewhere"}
    exec(own_task_code, names)
    return names["TASK"]


def test_a_task_of_a_file_is_known_by_its_own_name(file, monkeypatch):
    monkeypatch.chdir(file.parent)
    task = get_task("tasks.py")
    assert task.name == "mine" and "mine" in task_names() and get_task("mine") is task
    assert get_task(f"{file}:TASK") is task, "the file ran twice"
    assert sendable_task("mine") == f"{file}:TASK"  # wherever the worker stands
    assert "tasks" not in sys.modules


@pytest.mark.parametrize("maker", ["Mine", "make"])
def test_a_class_or_a_function_gives_the_task(maker, file):
    file.write_text(file.read_text(encoding="utf-8") + "\n\ndef make():\n    return Mine()\n", encoding="utf-8")
    task = get_task(f"{file}:{maker}")
    assert type(task).__name__ == "Mine" and len(task.load(Options()).test) == 12


def test_a_file_may_import_what_stands_beside_it(file):
    (file.parent / "my_numbers_beside.py").write_text("EPOCHS = 5\n")
    code = file.read_text(encoding="utf-8").replace("epochs=1", "epochs=EPOCHS")
    file.write_text(f"from my_numbers_beside import EPOCHS\n{code}", encoding="utf-8")
    assert get_task(str(file)).recipe(Options()).epochs == 5


@pytest.mark.parametrize(
    ("code", "name", "told"),
    [
        (None, "TASK", r"name a Python file, but got .*tasks.py, which is missing"),
        ("import numpy\n", "TASK", r"tasks.py to hold TASK, but got none; .* --task tasks.py:NAME"),
        ("\nimport not_installed_anywhere\n", "TASK", r"ModuleNotFoundError: No module named '\w+' in line 2\."),
        ("def f():\n  return 1 / 0\n\nf()\n", "TASK", r"runs, but got ZeroDivisionError: division by zero in line 2\."),
        ("x = 1\ny = (\n", "TASK", r"runs, but got SyntaxError: '\(' was never closed in line 2\."),
        ("raise SystemExit\n", "TASK", r"runs, but got SystemExit in line 1\."),
        ("def TASK():\n    return {}[3]\n", "TASK", r"TASK of .* to give a task, but got KeyError: 3 in line 2\."),
        ("TASK = 3\n", "TASK", "a method load, but got int"),
    ],
)
def test_a_file_without_a_task_is_refused_in_one_sentence(code, name, told, file, tmp_path, capsys):
    from physlayer.sweeps.bit_depth import SWEEP

    file.unlink() if code is None else file.write_text(code)
    with pytest.raises(ValueError, match=told):
        get_task(f"{file}:{name}")
    assert main(SWEEP, "bits", ["--task", str(file), "--out", str(tmp_path / "out")]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("error: Expected ") and shown.count("\n") == 1


def test_a_registered_task_is_found_and_sent_itself(mine):
    register(mine)
    register(mine)  # the same object: nothing to say
    assert get_task("mine") is mine and "mine" in task_names() and sendable_task("mine") is mine


def test_another_process_knows_a_sent_task_by_its_name(mine):
    assert get_task(mine) is mine and get_task("mine") is mine
    assert get_task(copy.copy(mine)) is mine  # every run brings its own copy; the first one's data are loaded already


@pytest.mark.parametrize("method", ["load", "network", "default_network", "recipe", "augment"])
def test_an_object_without_a_method_is_refused_by_its_name(method, mine):
    delattr(type(mine), method)
    with pytest.raises(ValueError, match=f"a method {method}, but got Mine, which has none"):
        register(mine)
    assert "mine" not in task_names()


@pytest.mark.parametrize("name", [None, "", "two words", "file.py"])
def test_a_name_that_is_no_word_is_refused(name, mine):
    mine.name = name
    with pytest.raises(ValueError, match=r"a name of letters, digits, _ and -, but got"):
        register(mine)


def test_a_name_that_is_taken_is_refused(mine, file):
    with pytest.raises(ValueError, match=r"but got the class Mine; make one, Mine\(\)"):
        register(type(mine))
    register(mine)
    with pytest.raises(ValueError, match=r"a name of its own, but got 'mine', which is taken"):
        get_task(str(file))
    mine.name = "digits"
    with pytest.raises(ValueError, match=r"a name of its own, but got 'digits', which is taken"):
        register(mine)
    assert get_task("digits") is not mine


@pytest.fixture
def package(tmp_path, own_task_code, monkeypatch):
    """An installed package with entry points, as a function of what they say."""

    def install(**points):
        (tmp_path / "my_package_of_tasks.py").write_text(own_task_code, encoding="utf-8")
        information = tmp_path / "my_package_of_tasks-1.0.dist-info"
        information.mkdir()
        (information / "METADATA").write_text("Metadata-Version: 2.1\nName: my_package_of_tasks\nVersion: 1.0\n")
        lines = [f"{name} = my_package_of_tasks:{value}" for name, value in points.items()]
        (information / "entry_points.txt").write_text("\n".join(["[physlayer.tasks]", *lines, ""]))
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "my_package_of_tasks", raising=False)

    return install


@pytest.mark.parametrize("value", ["TASK", "Mine"])
def test_an_entry_point_of_another_package_is_a_task(value, package):
    package(mine=value)
    assert "mine" in task_names() and "my_package_of_tasks" not in sys.modules  # listed, not yet imported
    task = get_task("mine")
    assert task.name == "mine" and get_task("mine") is task and sendable_task("mine") == "mine"
    register(task)


def test_an_entry_point_that_gives_no_such_task_is_refused(package):
    package(yours="TASK", none="NOTHING", numbers="CLASSES")
    with pytest.raises(
        ValueError, match=r"entry point yours \(my_package_of_tasks:TASK\) .* but got 'mine'; name both"
    ):
        get_task("yours")
    with pytest.raises(ValueError, match=r"entry point none .* to give a task, but got AttributeError: .*NOTHING"):
        get_task("none")
    with pytest.raises(ValueError, match="a method load, but got tuple"):
        get_task("numbers")
    with pytest.raises(
        ValueError, match=r"one of .*digits.*, or a file such as path/to/file.py:TASK, but got 'nobody'"
    ):
        get_task("nobody")


def test_a_task_that_cannot_be_sent_to_another_process_is_told(mine, tmp_path):
    mine.lock = threading.Lock()
    register(mine)
    settings = {"task": sendable_task("mine")}
    with pytest.raises(ValueError, match=r"sent to other processes, but got .*cannot pickle .*lock.*--jobs 1"):
        list(scheduler._parallel(None, [(None, None)] * 2, tmp_path, settings, 2))
