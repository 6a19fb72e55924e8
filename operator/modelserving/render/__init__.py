"""A plan becomes manifests; what is observed becomes status."""
