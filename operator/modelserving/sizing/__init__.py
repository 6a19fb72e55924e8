"""Bytes: what a model needs on each GPU, term by term."""
