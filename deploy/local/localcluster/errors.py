"""The one exception of this package."""


class LocalClusterError(Exception):
    """The local cluster cannot be built, started or asked; the message says why and what to do."""
