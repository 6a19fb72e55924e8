"""What a family description gives: the modules, the attention and the limits of one checkpoint."""

from collections.abc import Callable
from dataclasses import dataclass

from modelserving.models.facts import AttentionGroup, Experts, LatentAttention, Section, VisionTower
from modelserving.models.fields import Fields


@dataclass(frozen=True, slots=True)
class Description:
    """A checkpoint as its family describes it from config.json alone.

    Attributes:
        sections: every weight and buffer, in the order vLLM builds them; nothing marked as quantized yet.
        runs_instead: Hub id of a converted checkpoint that vLLM runs, where it has no class for this one.
        supports_pipeline: whether vLLM's class can be cut into pipeline stages.
        pooling: whether it makes embeddings or scores instead of text.
        whole_prompt: whether a prompt must be in one batch though its layers look back only: its pooler sees all of it.
        beyond_tokenizer: positions that config.json counts and no prompt can use, as the tokenizer's files say.
    """

    sections: tuple[Section, ...]
    attention: tuple[AttentionGroup, ...]
    max_model_len: int
    hidden_size: int
    intermediate_size: int
    vocab_size: int
    num_layers: int
    num_attention_heads: int
    num_kv_heads: int
    head_size: int
    tie_word_embeddings: bool
    vision: VisionTower | None = None
    experts: Experts | None = None
    latent_attention: LatentAttention | None = None
    runs_instead: str | None = None
    supports_pipeline: bool = True
    pooling: bool = False
    whole_prompt: bool = False
    beyond_tokenizer: int = 0
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Family:
    """Models that vLLM builds alike.

    Attributes:
        architectures: names in config.json's `architectures`.
        describe: config.json -> description; raises InvalidFieldError for a field that does not hold what it must.
        prefixes: (prefix in the checkpoint, prefix in vLLM), the first that matches counts; as the model's weight mapper.
        renames: (piece of a name in the checkpoint, piece in vLLM), replaced wherever they stand.
        unused: prefixes, in vLLM's naming, of tensors that its class does not load.
        cache_scales: whether its attention gets quantization settings, and with them scales for the cache.
        head_optional: whether a checkpoint may lack the output head: it makes embeddings then, as files beside it say.
    """

    name: str
    architectures: tuple[str, ...]
    describe: Callable[[Fields], Description]
    prefixes: tuple[tuple[str, str], ...] = ()
    renames: tuple[tuple[str, str], ...] = ()
    unused: tuple[str, ...] = ()
    head_optional: bool = False
    cache_scales: bool = True

    def vllm_name(self, name: str) -> str:
        """Name of a checkpoint tensor in vLLM's naming."""
        for stored, built in self.renames:
            name = name.replace(stored, built)
        for stored, built in self.prefixes:
            if name.startswith(stored):
                return built + name[len(stored) :]
        return name
