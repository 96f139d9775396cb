"""What knows nothing of sound: files, threads, devices, array types."""
