"""Classes of heat flow from patches of elevation, of which the trend was removed."""
