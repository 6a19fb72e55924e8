"""Number formats that weights can have: what quantizes while loading, and what checkpoints are published in."""

from dataclasses import dataclass
from enum import StrEnum

from modelserving.api.modelserving import Precision
from modelserving.models.facts import Quantization
from modelserving.planning import comparison_costs as costs
from modelserving.planning import comparison_published as layouts
from modelserving.planning.comparison_costs import Cost


class Group(StrEnum):
    """Headings of the table."""

    SIXTEEN = "16 bits a weight"
    EIGHT = "8 bits a weight"
    FOUR = "4 bits a weight"
    SAME = "The same weights"
    ABSENT = "What vLLM does not have"


@dataclass(frozen=True, slots=True)
class Online:
    """A method that quantizes while loading; `older` is its flag in versions that lack the first."""

    key: str
    label: str
    group: Group
    bits: int
    flag: str
    cost: Cost
    older: str = ""


@dataclass(frozen=True, slots=True)
class Published:
    """A layout that checkpoints are published in."""

    key: str
    label: str
    group: Group
    precision: Precision
    quantization: Quantization
    cost: Cost


EIGHT_ONLINE = (
    Online("fp8WhileLoading", "fp8, while loading", Group.EIGHT, 8, "fp8_per_tensor", costs.FP8_WHILE_LOADING, "fp8"),
    Online("mxfp8WhileLoading", "mxfp8, while loading", Group.EIGHT, 8, "mxfp8", costs.MXFP8),
    Online(
        *("int8WhileLoading", "int8, while loading", Group.EIGHT, 8, "int8_per_channel_weight_only"), costs.INT8_EXPERTS
    ),
)
EIGHT_PUBLISHED = (
    Published("fp8Published", "fp8, published", Group.EIGHT, Precision.FP8, layouts.FP8, costs.FP8_PUBLISHED),
    Published("int8W8A8", "int8 W8A8, published", Group.EIGHT, Precision.INT8, layouts.W8A8, costs.W8A8),
    Published("int8Gptq", "int8 GPTQ, published", Group.EIGHT, Precision.INT8, layouts.GPTQ_INT8, costs.GPTQ_INT8),
)
FOUR_ONLINE = (
    Online("mxfp4WhileLoading", "mxfp4, while loading", Group.FOUR, 4, "mxfp4", costs.MXFP4),
    Online("nvfp4WhileLoading", "nvfp4, while loading", Group.FOUR, 4, "nvfp4_per_token", costs.NVFP4),
)
FOUR_PUBLISHED = (
    Published("int4Awq", "int4 AWQ, published", Group.FOUR, Precision.INT4, layouts.AWQ_INT4, costs.INT4),
    Published("int4Gptq", "int4 GPTQ, published", Group.FOUR, Precision.INT4, layouts.GPTQ_INT4, costs.INT4),
)
