"""Records, generations and locks of threads, on the storage."""
