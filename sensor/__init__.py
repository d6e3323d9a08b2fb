"""Frames to batches: capture, dissection, batching, publication."""
