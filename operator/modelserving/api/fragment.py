"""A piece of a pod in a spec: free-form to us, of a known shape to the API server.

The API server drops what is not of the shape, or refuses it where strict validation is asked for, as `kubectl` does; whatever is sent, it
is stored no deeper than Kubernetes' own type is. What the shape does not say is held against Kubernetes' types when the pod is rendered.
"""

from dataclasses import dataclass
from typing import Any

from pydantic import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from modelserving.api.fragment_types import Part
from modelserving.api.structural import shape


@dataclass(frozen=True, slots=True)
class ShapedAs:
    """Annotation of a mapping: it has the fields of a type of Kubernetes."""

    part: type[Part]

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return shape(self.part.model_json_schema())


Fragment = dict[str, Any]
