"""Train at every level of a condition, test at every other."""
