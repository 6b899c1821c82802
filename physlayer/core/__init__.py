"""What every layer stands on: the base class, bounds, checks, randomness, budgets, and the camera as a whole."""
