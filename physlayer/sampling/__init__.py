"""Which k of N measurements are made: pixels, lines of k-space, views."""
