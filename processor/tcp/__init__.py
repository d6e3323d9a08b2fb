"""The core: segments to states to events. No clock, no I/O, no log, no chance."""
