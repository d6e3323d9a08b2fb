"""The contract between the stages: segments, batches, records, keys, topics."""
