"""The report of a sweep: one HTML page with everything inside."""
