"""One training loop for all problems, its settings, and predictions."""
