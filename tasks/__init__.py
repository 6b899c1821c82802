"""Tasks: one folder each, with its data, its networks and an object ``TASK``; and those of other people's code."""

from physlayer.tasks.base import Options, Task, get_task, register, task_names

__all__ = ["Options", "Task", "get_task", "register", "task_names"]
