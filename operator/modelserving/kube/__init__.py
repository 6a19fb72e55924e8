"""The API server: the only importer of `kubernetes`."""
