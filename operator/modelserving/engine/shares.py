"""One tensor-parallel rank's share of a module.

Source: vLLM 0.32 model_executor/layers/linear.py, vocab_parallel_embedding.py, models/vision.py.
"""

from dataclasses import dataclass

from modelserving.models.facts import Module, Section, Split
from modelserving.units import round_up

# vocab_parallel_embedding.py, DEFAULT_VOCAB_PADDING_SIZE.
VOCABULARY_PADDING = 64


@dataclass(frozen=True, slots=True)
class Share:
    """One rank's share of a module.

    Attributes:
        rows: rows of the weight, one entry for each merged part.
        columns: columns of the weight.
        bias: elements of the bias.
    """

    rows: tuple[int, ...]
    columns: int
    bias: int = 0

    @property
    def num_rows(self) -> int:
        """Rows of the whole weight."""
        return sum(self.rows)

    @property
    def elements(self) -> int:
        """Elements of the weight."""
        return self.num_rows * self.columns


def padded_vocabulary(vocab_size: int) -> int:
    """Rows of an embedding after padding."""
    return round_up(vocab_size, VOCABULARY_PADDING)


def local_heads(heads: int, tensor_parallel_size: int) -> int:
    """Heads of a rank; fewer heads than ranks are repeated, one on each."""
    return max(1, heads // tensor_parallel_size)


def share(module: Module, tensor_parallel_size: int) -> Share:
    """A rank's share of a module; sizes are assumed to divide as `engine.divisibility` demands."""
    rows, columns = module.out_features, module.in_features
    if module.split is Split.ROW:
        columns //= tensor_parallel_size
    elif module.split is Split.COLUMN:
        rows = tuple(count // tensor_parallel_size for count in rows)
    elif module.split is Split.QKV:
        rows = tuple(
            count // heads * local_heads(heads, tensor_parallel_size)
            for count, heads in zip(rows, module.heads, strict=True)
        )
    elif module.split is Split.VOCAB:
        rows = tuple(padded_vocabulary(count) // tensor_parallel_size for count in rows)
    return Share(rows, columns, sum(rows) if module.bias else 0)


def section_ranks(section: Section, tensor_parallel_size: int) -> int:
    """Ranks a section is split over: 1 where its heads do not divide (models/vision.py, is_vit_use_data_parallel)."""
    return 1 if section.shard_heads and section.shard_heads % tensor_parallel_size else tensor_parallel_size
