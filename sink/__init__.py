"""Events to files, alerts to their topic."""
