"""Batches to events: the slices of a partition and the Faust worker that holds them."""
