"""What a model is, as values: the modules vLLM builds from it, its attention layout, how it is stored.

Everything that sizing needs is here; nothing here depends on a GPU, an engine version or a degree of parallelism.
"""

from dataclasses import dataclass
from enum import StrEnum

from modelserving.models.metadata import Origin

# Precision names of the API by stored dtype.
_PRECISIONS = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


class Split(StrEnum):
    """How vLLM cuts a module over tensor-parallel ranks (vLLM 0.32: model_executor/layers/linear.py)."""

    COLUMN = "column"
    """Output rows; every part of a merged module is cut by itself."""
    QKV = "qkv"
    """Output rows by attention head; key and value heads are repeated when there are fewer than ranks."""
    ROW = "row"
    """Input columns; the bias stays whole."""
    VOCAB = "vocab"
    """Vocabulary rows, padded to a multiple of 64 before the cut."""
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
        heads: attention heads behind each part of out_features; only for `Split.QKV`.
        quantized: whether the checkpoint stores it quantized.
        quantizable: whether vLLM gives it its quantization settings, so that quantization on the fly reaches it.
        sources: checkpoint modules it is made of, part by part, in vLLM's naming; empty: the one of its own name.
        fixed_dtype: its dtype where the model's dtype does not decide.
        tied_to: name of the module whose weight it shares; it takes no memory on a rank that holds that one.
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
    tied_to: str | None = None

    @property
    def parameter_count(self) -> int:
        """Elements of weight and bias."""
        rows = sum(self.out_features)
        return rows * self.in_features + (rows if self.bias else 0)


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
    """

    stage: Stage
    modules: tuple[Module, ...]
    layers: tuple[int, ...] = ()
    repeats: int = 1
    tower: bool = False
    buffers: bool = False
    shard_heads: int = 0

    @property
    def count(self) -> int:
        """How often the modules repeat over the whole model."""
        return len(self.layers) if self.stage is Stage.LAYERS else self.repeats


class AttentionKind(StrEnum):
    """What a layer keeps in the KV cache (vLLM 0.32: v1/kv_cache_interface.py)."""

    FULL = "FullAttentionSpec"
    SLIDING_WINDOW = "SlidingWindowSpec"
    CHUNKED_LOCAL = "ChunkedLocalAttentionSpec"
    """Attends within fixed chunks (Llama 4)."""
    MLA = "MLAAttentionSpec"
    """One latent vector a token, whole on every rank: num_kv_heads 1, head_size kv_lora_rank + rope, head_size_v 0."""
    SLIDING_WINDOW_MLA = "SlidingWindowMLASpec"
    MAMBA = "MambaSpec"
    """A state of fixed size a request (Mamba, gated delta net, linear attention, short convolution): `states`."""
    CROSS = "CrossAttentionSpec"
    """Keys and values of the encoder's output: `max_tokens` of them whatever the context."""
    ENCODER_ONLY = "EncoderOnlyAttentionSpec"
    """Keeps nothing."""
    SHARED = "shared"
    """Reads the cache of an earlier layer; keeps nothing."""


@dataclass(frozen=True, slots=True)
class StatePart:
    """Part of a state tensor that is cut over tensor-parallel ranks by itself.

    Attributes:
        units: heads, groups or channels that the ranks share; fewer units than ranks are repeated, one on each.
        unit_elements: elements of each.
    """

    units: int
    unit_elements: int


@dataclass(frozen=True, slots=True)
class State:
    """One tensor of a recurrent layer's state (vLLM 0.32: layers/mamba/mamba_utils.py, MambaStateShapeCalculator).

    Attributes:
        name: `conv`, `ssm`, ….
        parts: what it is made of; its elements on a rank are the sum over them.
        dtype: its dtype where the model's dtype does not decide.
    """

    name: str
    parts: tuple[StatePart, ...]
    dtype: str | None = None

    def elements(self, tensor_parallel_size: int) -> int:
        """Elements that a rank holds for one request."""
        return sum(max(1, part.units // tensor_parallel_size) * part.unit_elements for part in self.parts)


@dataclass(frozen=True, slots=True)
class AttentionGroup:
    """Decoder layers whose KV cache is alike.

    A layer may be in two groups: sparse MLA keeps the indexer's keys besides the latent vector, an encoder-decoder layer its
    own keys besides the encoder's.

    Attributes:
        num_heads: query heads.
        num_kv_heads: key and value heads, before they are shared out or repeated over ranks.
        head_size: elements of a key head.
        head_size_v: elements of a value head.
        sliding_window: tokens a layer looks back; None for full attention.
        attention_chunk_size: tokens of a chunk; only for `AttentionKind.CHUNKED_LOCAL`.
        max_tokens: tokens that are kept at most, whatever the context; only for `AttentionKind.CROSS`.
        states: tensors of the recurrent state; only for `AttentionKind.MAMBA`.
        fixed_dtype: dtype of the cache where `--kv-cache-dtype` does not decide; `uint8` for the sparse indexer, whose
            head_size counts bytes.
        is_indexer: whether it holds the keys of a sparse indexer.
    """

    kind: AttentionKind
    layers: tuple[int, ...]
    num_heads: int
    num_kv_heads: int
    head_size: int
    head_size_v: int
    sliding_window: int | None = None
    attention_chunk_size: int | None = None
    max_tokens: int | None = None
    states: tuple[State, ...] = ()
    fixed_dtype: str | None = None
    is_indexer: bool = False

    @property
    def keeps_cache(self) -> bool:
        """Whether its layers take any KV cache."""
        return self.kind not in (AttentionKind.ENCODER_ONLY, AttentionKind.SHARED)


@dataclass(frozen=True, slots=True)
class Experts:
    """Routed experts of a mixture-of-experts model.

    Attributes:
        num_experts: experts of a layer.
        top_k: experts a token is routed to.
        intermediate_size: of one expert.
        layers: decoder layers that have experts.
    """

    num_experts: int
    top_k: int
    intermediate_size: int
    layers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LatentAttention:
    """Sizes of multi-head latent attention (MLA).

    Attributes:
        kv_lora_rank: width of the latent vector that stands for keys and values.
        qk_nope_head_dim, qk_rope_head_dim: parts of a query head without and with rotary embedding.
        v_head_dim: elements of a value head.
        index_topk: tokens that a sparse indexer keeps of the context; None for dense attention.
    """

    kv_lora_rank: int
    qk_nope_head_dim: int
    qk_rope_head_dim: int
    v_head_dim: int
    index_topk: int | None = None


@dataclass(frozen=True, slots=True)
class VisionTower:
    """The vision encoder of a multimodal model.

    Attributes:
        patches_per_image: sequence length of one encoder pass.
        tokens_per_image: language-model tokens that one pass yields at least (a pooled video frame).
        max_tokens_per_item: language-model tokens that the largest item takes at most.
        modalities: names that `--limit-mm-per-prompt` takes.
    """

    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    patches_per_image: int
    tokens_per_image: int
    max_tokens_per_item: int
    modalities: tuple[str, ...] = ("image",)


@dataclass(frozen=True, slots=True)
class Quantization:
    """How a checkpoint is quantized.

    Attributes:
        method: as vLLM names it: `awq`, `gptq`, `fp8`, `compressed-tensors`, ….
        bits: bits of a stored weight.
        is_float: whether the stored weight is a floating-point number.
        strategy: what shares a scale: `tensor`, `channel`, `group` or `block`.
        group_size: inputs that share a scale; only for `group`.
        block_shape: (rows, columns) that share a scale; only for `block`.
        zero_point: whether zero points are stored.
        dynamic_activations: True or False where activations are quantized too, None where they are not.
        desc_act: whether GPTQ reordered by activation.
        lm_head: whether the output head is quantized too.
        ignored: module names or `re:` patterns that stay as they are.
        kv_cache_scheme: KV cache dtype that the checkpoint brings scales for; None if it brings none.
        known: whether sizing knows the layout of its tensors.
    """

    method: str
    bits: int
    is_float: bool = False
    strategy: str = "tensor"
    group_size: int | None = None
    block_shape: tuple[int, int] | None = None
    zero_point: bool = False
    dynamic_activations: bool | None = None
    desc_act: bool = False
    lm_head: bool = False
    ignored: tuple[str, ...] = ()
    kv_cache_scheme: str | None = None
    known: bool = True

    @property
    def precision(self) -> str:
        """Precision name of the API."""
        if self.is_float:
            return "fp8" if self.bits == 8 else f"fp{self.bits}"
        return f"int{self.bits}"


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is known of a model.

    Attributes:
        model: Hub id or path.
        revision: commit, or the revision as asked where nothing resolved it.
        architecture: first of config.json's `architectures`.
        family: name of the family description that was used.
        parameter_count: parameters that vLLM loads; a tied head counts once, packed weights count as what they stand for.
        stored_dtype: what `--dtype auto` starts from: `bfloat16`, `float16` or `float32`.
        max_model_len: derived as vLLM derives it when nothing is asked.
        hidden_size, intermediate_size, vocab_size: of the language model; vocab_size unpadded.
        sections: every weight and buffer, in the order vLLM builds them.
        attention: KV cache layout of all decoder layers.
        experts: routed experts, if it has any.
        latent_attention: sizes of MLA, if its attention is of that kind.
        vision: the vision tower, if there is one.
        runs_instead: Hub id of a converted checkpoint that vLLM runs, where it does not run this one.
        checkpoint_bytes: bytes of the tensors that are stored, as read or as derived.
        assumptions: sentences on what was assumed for want of facts.
    """

    model: str
    revision: str
    origin: Origin
    architecture: str
    model_type: str
    family: str
    parameter_count: int
    stored_dtype: str
    max_model_len: int
    hidden_size: int
    intermediate_size: int
    vocab_size: int
    num_layers: int
    num_attention_heads: int
    num_kv_heads: int
    head_size: int
    sections: tuple[Section, ...]
    attention: tuple[AttentionGroup, ...]
    checkpoint_bytes: int
    stored_quantization: Quantization | None = None
    vision: VisionTower | None = None
    experts: Experts | None = None
    latent_attention: LatentAttention | None = None
    tie_word_embeddings: bool = False
    runs_instead: str | None = None
    assumptions: tuple[str, ...] = ()

    @property
    def is_hybrid(self) -> bool:
        """Whether some layers keep a recurrent state instead of keys and values."""
        return any(group.kind is AttentionKind.MAMBA for group in self.attention)

    @property
    def is_multimodal(self) -> bool:
        """Whether it takes more than text."""
        return self.vision is not None

    @property
    def stored_precision(self) -> str:
        """Precision of the checkpoint in the API's words: `fp32`, `bf16`, `fp16`, `fp8`, `int8`, `int4`, …."""
        if self.stored_quantization is not None:
            return self.stored_quantization.precision
        return _PRECISIONS.get(self.stored_dtype, self.stored_dtype)


@dataclass(frozen=True, slots=True)
class FactsRefusal:
    """Why a checkpoint cannot be understood.

    Attributes:
        reason: CamelCase: `ConfigInvalid`, `UnknownArchitecture`.
        message: which field is wrong, what it holds, what to do.
    """

    reason: str
    message: str
