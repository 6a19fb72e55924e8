"""Every exception that the package raises on purpose.

Expected outcomes (a model that fits nowhere, a field that is not supported) are values with a reason, not exceptions.

    ModelServingError
    ├── SettingsError          the operator's own settings are wrong
    ├── InputError             a file or argument given to the command line is wrong
    ├── ClusterError           the API server refused or failed a request
    │   ├── NotFoundError
    │   ├── ConflictError
    │   ├── InvalidObjectError the API server found the object invalid; the message says where
    │   └── ForbiddenError
    │       └── NamespaceEndsError  the namespace is being deleted and takes nothing new
    └── LeaseLostError         another replica leads now; the process must end
"""


class ModelServingError(Exception):
    """Base of all exceptions raised on purpose; the message is meant for a person."""


class SettingsError(ModelServingError):
    """The operator's own settings are wrong."""


class InputError(ModelServingError):
    """A file or an argument given to the command line is wrong."""


class ClusterError(ModelServingError):
    """The API server refused or failed a request.

    Attributes:
        status: HTTP status, 0 if no answer came.
        retry_after: seconds the server asked to wait, if it did.
    """

    def __init__(self, message: str, status: int = 0, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class NotFoundError(ClusterError):
    """The object does not exist."""


class ConflictError(ClusterError):
    """Somebody else changed the object in between."""


class InvalidObjectError(ClusterError):
    """The API server found the object invalid."""


class ForbiddenError(ClusterError):
    """The operator's ServiceAccount may not do this."""


class NamespaceEndsError(ForbiddenError):
    """The namespace is being deleted and takes nothing new."""


class LeaseLostError(ModelServingError):
    """Another replica leads now; the process must end."""
