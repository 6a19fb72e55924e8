"""Serve models with vLLM on Kubernetes: the fewest GPUs that really work, with the arithmetic shown."""

__version__ = "0.1.0"
