"""What a model is, as values: the modules vLLM builds from it, its attention layout, how it is stored.

Everything that sizing needs is here; nothing here depends on a GPU, an engine version or a degree of parallelism.
"""

from dataclasses import dataclass

from modelserving.models.attention import (
    AttentionGroup,
    AttentionKind,
    Experts,
    LatentAttention,
    State,
    StatePart,
)
from modelserving.models.metadata import Origin
from modelserving.models.modules import Module, Section, Split, Stage
from modelserving.models.quantization import Quantization

__all__ = [
    "AttentionGroup",
    "AttentionKind",
    "Experts",
    "FactsRefusal",
    "LatentAttention",
    "ModelFacts",
    "Module",
    "Quantization",
    "Section",
    "Split",
    "Stage",
    "State",
    "StatePart",
    "VisionTower",
]

# Precision names of the API by stored dtype.
_PRECISIONS = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


@dataclass(frozen=True, slots=True)
class VisionTower:
    """The vision encoder of a multimodal model.

    Attributes:
        patches_per_image: sequence length of one encoder pass.
        tokens_per_image: language-model tokens that one pass yields at least (a pooled video frame).
        max_tokens_per_item: language-model tokens that the largest item takes at most.
        modalities: names that `--limit-mm-per-prompt` takes.
        data_parallel: whether `--mm-encoder-tp-mode data` keeps it whole on every rank; where vLLM's class does not know
            the mode, it is cut all the same (`supports_encoder_tp_data`).
    """

    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    patches_per_image: int
    tokens_per_image: int
    max_tokens_per_item: int
    modalities: tuple[str, ...] = ("image",)
    data_parallel: bool = False


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
        supports_pipeline: whether vLLM's class can be cut into pipeline stages.
        unnamed_quantization: whether config.json describes a quantization that vLLM does not see, having no `quant_method`.
        pooling: whether it makes embeddings or scores instead of text.
        whole_prompt: whether a prompt must be in one batch though its layers look back only.
        brings_code: whether the checkpoint brings a config class of its own (auto_map).
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
    supports_pipeline: bool = True
    unnamed_quantization: bool = False
    pooling: bool = False
    whole_prompt: bool = False
    brings_code: bool = False
    assumptions: tuple[str, ...] = ()

    def __hash__(self) -> int:
        """Equal facts hash alike; hashing every tensor would take longer than sizing them."""
        return hash((self.model, self.revision, self.checkpoint_bytes, self.stored_dtype))

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
        architecture: first of config.json's `architectures`, where that is what is not known.
    """

    reason: str
    message: str
    architecture: str = ""
