"""Kubernetes' types for the pieces of a pod that a user may write, as strict as the API server is.

Field by field as in k8s.io/api core/v1 (1.37), the rules as in pkg/apis/core/validation. What is not here is not on the allow-list.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from modelserving.api.base import ApiModel, LabelValue
from modelserving.units import QuantityError, parse_quantity

Int64 = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
Text = Annotated[str, Field(min_length=1, max_length=1024)]
Mode = Annotated[int, Field(ge=0, le=0o777)]


def _amount(value: Any) -> Any:
    if isinstance(value, float):
        # int-or-string in the definition, as in every other that has quantities.
        raise PydanticCustomError("quantity", "must be a whole number or text: put {value} in quotes", {"value": value})
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise PydanticCustomError("quantity", "must be a quantity such as 16Gi, 500m or 8")
    try:
        if parse_quantity(value) < 0:
            raise ValueError("must not be negative")
    except QuantityError as error:
        raise ValueError(str(error)) from error
    return str(value).strip()


Amount = Annotated[str, BeforeValidator(_amount), WithJsonSchema({"x-kubernetes-int-or-string": True})]
"""A quantity; whole numbers are taken too and written as text."""


class Part(ApiModel):
    """A piece of a pod: only the names Kubernetes uses, no foreign field, no foreign type."""

    model_config = ConfigDict(populate_by_name=False)

    def given(self) -> dict[str, Any]:
        """Write back what was given, as JSON, less what the API server does not store."""
        written: dict[str, Any] = _stored(
            self.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
        )
        return written


# Booleans and maps that the API server leaves out when they are false and empty (omitempty, no pointer: k8s.io/api core/v1).
_OMITTED_IF_FALSE = ("readOnly",)
_OMITTED_IF_EMPTY = ("matchLabels", "volumeAttributes")


def _stored(value: Any) -> Any:
    """Leave out what is equal to being left out: otherwise what is live never equals what is rendered."""
    if isinstance(value, list):
        return [_stored(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _stored(item)
        for key, item in value.items()
        if item not in ("", [])
        and not (item is False and key in _OMITTED_IF_FALSE)
        and not (item == {} and key in _OMITTED_IF_EMPTY)
    }


class Toleration(Part):
    """core/v1 Toleration."""

    key: str | None = None
    operator: Literal["Exists", "Equal"] | None = None
    value: LabelValue | None = None
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    toleration_seconds: Int64 | None = None

    @model_validator(mode="after")
    def _is_valid(self) -> Self:
        if not self.key and self.operator != "Exists":
            raise ValueError("without key, operator must be Exists")
        if self.operator == "Exists" and self.value:
            raise ValueError("value must be left out when operator is Exists")
        if self.toleration_seconds is not None and self.effect != "NoExecute":
            raise ValueError("tolerationSeconds needs effect NoExecute")
        return self


def _check_values(operator: str, values: list[str] | None) -> None:
    if operator in ("In", "NotIn") and not values:
        raise ValueError(f"operator {operator} needs values")
    if operator in ("Exists", "DoesNotExist") and values:
        raise ValueError(f"operator {operator} takes no values")
    if operator in ("Gt", "Lt") and not (values and len(values) == 1 and values[0].lstrip("+-").isdecimal()):
        raise ValueError(f"operator {operator} needs one whole number in values")


class NodeSelectorRequirement(Part):
    """core/v1 NodeSelectorRequirement."""

    key: Text
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    values: list[str] | None = None

    @model_validator(mode="after")
    def _is_valid(self) -> Self:
        _check_values(self.operator, self.values)
        return self


class NodeSelectorTerm(Part):
    """core/v1 NodeSelectorTerm; the empty term, which matches no node, is refused."""

    match_expressions: list[NodeSelectorRequirement] | None = None
    match_fields: list[NodeSelectorRequirement] | None = None

    @model_validator(mode="after")
    def _is_valid(self) -> Self:
        if not self.match_expressions and not self.match_fields:
            raise ValueError("an empty term matches no node: add matchExpressions or leave the term out")
        return self


class NodeSelector(Part):
    """core/v1 NodeSelector."""

    node_selector_terms: Annotated[list[NodeSelectorTerm], Field(min_length=1)]


class PreferredSchedulingTerm(Part):
    """core/v1 PreferredSchedulingTerm."""

    weight: Annotated[int, Field(ge=1, le=100)]
    preference: NodeSelectorTerm


class NodeAffinity(Part):
    """core/v1 NodeAffinity."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    preferred_during_scheduling_ignored_during_execution: list[PreferredSchedulingTerm] | None = None


class LabelSelectorRequirement(Part):
    """meta/v1 LabelSelectorRequirement."""

    key: Text
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: list[LabelValue] | None = None

    @model_validator(mode="after")
    def _is_valid(self) -> Self:
        _check_values(self.operator, self.values)
        return self


class LabelSelector(Part):
    """meta/v1 LabelSelector."""

    match_labels: dict[Text, LabelValue] | None = None
    match_expressions: list[LabelSelectorRequirement] | None = None


class PodAffinityTerm(Part):
    """core/v1 PodAffinityTerm."""

    topology_key: Text
    label_selector: LabelSelector | None = None
    namespaces: list[Text] | None = None
    namespace_selector: LabelSelector | None = None
    match_label_keys: list[Text] | None = None
    mismatch_label_keys: list[Text] | None = None


class WeightedPodAffinityTerm(Part):
    """core/v1 WeightedPodAffinityTerm."""

    weight: Annotated[int, Field(ge=1, le=100)]
    pod_affinity_term: PodAffinityTerm


class PodAffinity(Part):
    """core/v1 PodAffinity and PodAntiAffinity."""

    required_during_scheduling_ignored_during_execution: list[PodAffinityTerm] | None = None
    preferred_during_scheduling_ignored_during_execution: list[WeightedPodAffinityTerm] | None = None


class Affinity(Part):
    """core/v1 Affinity."""

    node_affinity: NodeAffinity | None = None
    pod_affinity: PodAffinity | None = None
    pod_anti_affinity: PodAffinity | None = None


class KeySelector(Part):
    """core/v1 SecretKeySelector and ConfigMapKeySelector."""

    name: Text
    key: Text
    optional: bool | None = None


class FieldSelector(Part):
    """core/v1 ObjectFieldSelector."""

    field_path: Text
    api_version: Text | None = None


class ResourceFieldSelector(Part):
    """core/v1 ResourceFieldSelector."""

    resource: Text
    container_name: Text | None = None
    divisor: Amount | None = None


class EnvVarSource(Part):
    """core/v1 EnvVarSource: exactly one source."""

    secret_key_ref: KeySelector | None = None
    config_map_key_ref: KeySelector | None = None
    field_ref: FieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None

    @model_validator(mode="after")
    def _is_valid(self) -> Self:
        if len(self.given()) != 1:
            raise ValueError("name one source: secretKeyRef, configMapKeyRef, fieldRef or resourceFieldRef")
        return self
