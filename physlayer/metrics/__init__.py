"""Numbers per run, and intervals and paired differences over sources and seeds."""
