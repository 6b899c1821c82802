"""Tasks: one folder each, with its data, its networks and an object ``TASK``."""
