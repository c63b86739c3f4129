"""Each kernel beside its peers: ``python -m benchmarks``. Nothing here is imported by the package."""
