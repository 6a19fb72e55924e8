"""What the layers of a model keep in the KV cache."""

from dataclasses import dataclass
from enum import StrEnum


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
        checkpoint_blocks: states a request keeps besides for prefix caching: 1 for Mamba-2 (layers/mamba/mamba_mixer2.py).
        fixed_dtype: dtype of the cache where `--kv-cache-dtype` does not decide; `uint8` for the sparse indexer, whose
            head_size counts bytes.
        block_size: tokens in a block, where the attention kernel does not decide.
        tokens_per_state: tokens that share an entry, compressed.
        page_alignment: bytes that a page is padded to a multiple of. Layers of such a model are packed: each group of
            layers keeps its own pages, and a block is as large as the largest group's.
        is_indexer: whether it holds the keys of a sparse indexer.
        sinks: whether every head has a sink, a score that no token earns.
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
    checkpoint_blocks: int = 0
    fixed_dtype: str | None = None
    block_size: int | None = None
    tokens_per_state: int = 1
    page_alignment: int = 1
    is_indexer: bool = False
    sinks: bool = False

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
        gelu: whether they gate by GELU, which fewer kernels know than SiLU.
    """

    num_experts: int
    top_k: int
    intermediate_size: int
    layers: tuple[int, ...]
    gelu: bool = False


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
