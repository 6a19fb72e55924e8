"""One tensor-parallel rank's share of a module.

Source: vLLM 0.32 model_executor/layers/linear.py, vocab_parallel_embedding.py, models/vision.py.
"""

from dataclasses import dataclass
from functools import lru_cache

from modelserving.engine.config import EngineConfig
from modelserving.models.facts import ModelFacts, Module, Section, Split
from modelserving.units import ceil_div, round_up

# vocab_parallel_embedding.py, DEFAULT_VOCAB_PADDING_SIZE.
VOCABULARY_PADDING = 64
# Modules of experts that every token goes to, as vLLM's classes name them.
_SHARED_EXPERT = "shared_expert"


@dataclass(frozen=True, slots=True)
class Share:
    """One rank's share of a module.

    Attributes:
        rows: rows of the weight, one entry for each merged part.
        columns: columns of the weight.
        bias: elements of the bias.
        experts: routed experts stacked in it; 1 for an ordinary layer. Rows and columns are those of one.
    """

    rows: tuple[int, ...]
    columns: int
    bias: int = 0
    experts: int = 1

    @property
    def num_rows(self) -> int:
        """Rows of the whole weight."""
        return sum(self.rows)

    @property
    def elements(self) -> int:
        """Elements of the weight, of all experts together."""
        return self.experts * self.num_rows * self.columns


def padded_vocabulary(vocab_size: int) -> int:
    """Rows of an embedding after padding."""
    return round_up(vocab_size, VOCABULARY_PADDING)


def local_heads(heads: int, tensor_parallel_size: int) -> int:
    """Heads of a rank; fewer heads than ranks are repeated, one on each."""
    return max(1, heads // tensor_parallel_size)


def share(module: Module, tensor_parallel_size: int, expert_parallel: bool = False) -> Share:
    """A rank's share of a module; sizes are assumed to divide as `engine.divisibility` demands.

    Args:
        module: the module.
        tensor_parallel_size: ranks.
        expert_parallel: whether ranks share routed experts out whole, instead of cutting each; the share is the fullest
            rank's (fused_moe/expert_map_manager.py, determine_expert_map).
    """
    if module.experts and expert_parallel:
        local = ceil_div(module.experts, tensor_parallel_size)
        return _share(module, module.out_features, module.in_features, local)
    return _share(module, *_cut(module, tensor_parallel_size), max(1, module.experts))


def _share(module: Module, rows: tuple[int, ...], columns: int, experts: int) -> Share:
    return Share(rows, columns, experts * sum(rows) if module.bias else 0, experts)


def _cut(module: Module, tensor_parallel_size: int) -> tuple[tuple[int, ...], int]:
    rows, columns = module.out_features, module.in_features
    least = module.least_share if tensor_parallel_size > 1 else 1
    if module.split is Split.ROW:
        columns = max(columns // tensor_parallel_size, least)
    elif module.split is Split.COLUMN:
        rows = tuple(max(count // tensor_parallel_size, least) for count in rows)
    elif module.split in (Split.QKV, Split.GROUPED):
        rows = tuple(
            count // heads * local_heads(heads, tensor_parallel_size)
            for count, heads in zip(rows, module.heads, strict=True)
        )
    elif module.split is Split.EVEN:
        rows = tuple(ceil_div(count, tensor_parallel_size) for count in rows)
    elif module.split is Split.VOCAB:
        rows = tuple(padded_vocabulary(count) // tensor_parallel_size for count in rows)
    missing = -sum(rows) % module.row_multiple
    return (*rows[:-1], rows[-1] + missing), columns


def module_ranks(module: Module, ranks: int, config: EngineConfig) -> int:
    """Ranks that a module of a section is split over, which is split over `ranks`."""
    if module.experts:
        return config.expert_ranks
    return 1 if config.shares_out_tokens and module.whole_for_tokens else ranks


@lru_cache(maxsize=256)
def shares_known(facts: ModelFacts) -> bool:
    """Whether it is known what ranks hold of every module where they take different tokens to the experts."""
    modules = (module for section in facts.sections for module in section.modules)
    return all(module.whole_for_tokens or _SHARED_EXPERT not in module.name for module in modules)


def towers_whole(facts: ModelFacts, mm_encoder_tp_mode: str) -> bool:
    """Whether every rank holds multimodal towers whole (config/model.py: only classes that know the mode)."""
    return mm_encoder_tp_mode == "data" and facts.vision is not None and facts.vision.data_parallel


def section_ranks(section: Section, tensor_parallel_size: int, whole_towers: bool = False) -> int:
    """Ranks a section is split over.

    1 where its heads do not divide, or where towers are held whole (models/vision.py, is_vit_use_data_parallel).
    """
    whole = (section.tower and whole_towers) or (section.shard_heads and section.shard_heads % tensor_parallel_size)
    return 1 if whole else tensor_parallel_size
