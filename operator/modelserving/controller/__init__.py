"""The loop: queue, cache, reconcile, resync."""
