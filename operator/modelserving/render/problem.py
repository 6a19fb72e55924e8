"""Why manifests cannot be rendered: a value, not an exception."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RenderProblem:
    """What in the spec stands against rendering.

    Attributes:
        reason: CamelCase, from api.reasons or of the engine's flags.
        message: fields with their paths, what is wrong, what to do.
    """

    reason: str
    message: str
