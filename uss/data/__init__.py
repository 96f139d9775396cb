"""Data: manifests, sampling, mixing, batches."""
