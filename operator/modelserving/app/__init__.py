"""The operator as a process: the only importer of `kopf`."""
