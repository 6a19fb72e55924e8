"""Modules that vLLM builds: their sizes, how they are cut over ranks, how often they repeat."""

from dataclasses import dataclass
from enum import StrEnum

from modelserving.models.quantization import Quantization


class Split(StrEnum):
    """How vLLM cuts a module over tensor-parallel ranks (vLLM 0.32: model_executor/layers/linear.py)."""

    COLUMN = "column"
    """Output rows; every part of a merged module is cut by itself."""
    QKV = "qkv"
    """Output rows by head or group; key and value heads are repeated when there are fewer than ranks."""
    GROUPED = "grouped"
    """Output rows by head and group, as in a Mamba mixer: groups divide, or every rank has the only one."""
    ROW = "row"
    """Input columns; the bias stays whole."""
    VOCAB = "vocab"
    """Vocabulary rows, padded to a multiple of 64 before the cut."""
    EVEN = "even"
    """By elements, rounded up: how it is really cut is not known."""
    REPLICATED = "replicated"
    """Whole on every rank."""


class Stage(StrEnum):
    """Which pipeline stages hold a section."""

    FIRST = "first"
    LAYERS = "layers"
    LAST = "last"
    EVERY = "every"


@dataclass(frozen=True, slots=True)
class Module:
    """One module as vLLM builds it: a weight of sum(out_features) x in_features and perhaps a bias.

    A vector (norm, parameter) is a module with in_features 1; a table (rope cache, position embedding) has its rows as
    out_features.

    Attributes:
        name: vLLM's name, layer indices as `*`.
        split: how it is cut over tensor-parallel ranks.
        in_features: columns of the weight.
        out_features: rows of the weight, one entry for each merged part.
        bias: whether it has a bias of sum(out_features).
        heads: heads or groups behind each part of out_features; only for `Split.QKV` and `Split.GROUPED`.
        quantized: whether the checkpoint stores it quantized.
        quantizable: whether vLLM gives it its quantization settings, so that quantization on the fly reaches it.
        sources: checkpoint modules it is made of, part by part, in vLLM's naming; empty: the one of its own name.
        fixed_dtype: its dtype where the model's dtype does not decide.
        whole_for_tokens: whether ranks hold it whole that take different tokens to the experts (`is_sequence_parallel` in vLLM's class).
        float32_product: whether its product is computed in float32, and with it kept so where a GPU has no kernel for that.
        tied_to: name of the module whose weight it shares; it takes no memory on a rank that holds that one.
        tied_by_outer: whether only the config around the language model's ties it (EngineVersion.outer_config_ties).
        experts: routed experts whose weights are stacked in it, all of the same sizes; 0 for an ordinary layer.
        keeps_copy: whether vLLM keeps its weight in 16 bits besides, where it is quantized (MLA's absorbed projections).
        least_share: rows of each part, or columns where those are cut, that a rank has at least; the rest is filled up.
        row_multiple: multiple that a rank's rows are filled up to.
        scheme: how it is stored, where that differs from the rest of the checkpoint.
    """

    name: str
    split: Split
    in_features: int
    out_features: tuple[int, ...]
    bias: bool = False
    heads: tuple[int, ...] = ()
    quantized: bool = False
    quantizable: bool = False
    sources: tuple[str, ...] = ()
    fixed_dtype: str | None = None
    whole_for_tokens: bool = False
    float32_product: bool = False
    tied_to: str | None = None
    tied_by_outer: bool = False
    experts: int = 0
    keeps_copy: bool = False
    row_multiple: int = 1
    least_share: int = 1
    scheme: Quantization | None = None

    @property
    def parameter_count(self) -> int:
        """Elements of weight and bias."""
        rows = sum(self.out_features)
        return max(1, self.experts) * (rows * self.in_features + (rows if self.bias else 0))

    @property
    def owner(self) -> str:
        """Name of what vLLM quantizes at once: the layer itself, or all experts of a layer."""
        return self.name.rpartition(".")[0] if self.experts else self.name


@dataclass(frozen=True, slots=True)
class Section:
    """Modules that repeat together.

    Attributes:
        stage: which pipeline stages hold it.
        modules: in the order vLLM builds them.
        layers: decoder layer indices, ascending; only for `Stage.LAYERS`.
        repeats: how often the modules repeat on one stage; not for `Stage.LAYERS`.
        tower: whether it belongs to a multimodal tower or projector, which vLLM leaves out when no item is allowed.
        buffers: whether these are buffers (rope caches, scales): kept by vLLM, absent from the checkpoint.
        shard_heads: heads that must divide by the tensor-parallel size, otherwise every rank holds all; 0: no rule.
        modalities: those that a tower is built for; empty: any of the model's.
    """

    stage: Stage
    modules: tuple[Module, ...]
    layers: tuple[int, ...] = ()
    repeats: int = 1
    tower: bool = False
    buffers: bool = False
    shard_heads: int = 0
    modalities: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How often the modules repeat over the whole model."""
        return len(self.layers) if self.stage is Stage.LAYERS else self.repeats
