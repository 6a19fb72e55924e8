"""What is known of a checkpoint before it is understood: its config, its tensors, where both came from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Origin(StrEnum):
    """Where metadata was read."""

    HUB = "Hub"
    CATALOGUE = "Catalogue"
    FILE = "File"


@dataclass(frozen=True, slots=True)
class TensorGroup:
    """Tensors of one kind: every decimal component of the name folded into `*`.

    Attributes:
        pattern: name with each decimal path component as `*`: `model.layers.*.mlp.experts.*.gate_proj.weight`.
        shape: shape as stored.
        dtype: safetensors name of the data type (`BF16`, `F8_E4M3`, `I32`, …).
        count: how many tensors of this pattern, shape and dtype there are.
        layers: indices that the first `*` takes, ascending; empty if the pattern has none.
    """

    pattern: str
    shape: tuple[int, ...]
    dtype: str
    count: int = 1
    layers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckpointRef:
    """Which checkpoint: a Hub id and a revision (branch, tag or commit)."""

    model: str
    revision: str = "main"


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """Metadata of one checkpoint, as read: nothing in it is trusted yet.

    Attributes:
        model: Hub id or path as asked.
        revision: commit the revision was resolved to; the revision as asked where nothing could resolve it.
        origin: where it was read.
        config: config.json, parsed.
        tensors: inventory of the safetensors files that vLLM would load, folded; empty where no header was read.
        parameter_totals: number of parameters by safetensors dtype, where the source states it.
        quantization_files: further quantization descriptions by file name (hf_quant_config.json, quantize_config.json), parsed.
        restricted: whether the source gives it only to accounts with access (private, gated).
    """

    model: str
    revision: str
    origin: Origin
    config: Mapping[str, Any]
    tensors: tuple[TensorGroup, ...] = ()
    parameter_totals: Mapping[str, int] = field(default_factory=dict)
    quantization_files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    restricted: bool = False


@dataclass(frozen=True, slots=True)
class MetadataFailure:
    """Why metadata could not be had.

    Attributes:
        reason: CamelCase: ModelNotFound, RevisionNotFound, AccessDenied, HubUnreachable, HubAnswerInvalid, MetadataInvalid, SecretNotFound.
        message: what is wrong, where, what to do.
        retryable: whether asking again later may help without a change by the user.
    """

    reason: str
    message: str
    retryable: bool
