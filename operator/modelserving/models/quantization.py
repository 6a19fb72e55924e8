"""How a checkpoint is quantized, as a value."""

from dataclasses import dataclass


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
        scale_bytes: bytes of the scale of a block; only for `block`.
        zero_point: whether zero points are stored.
        symmetric: whether quantized integers stand for numbers on both sides of zero alike, so that zero points say nothing.
        dynamic_activations: True or False where activations are quantized too, None where they are not.
        desc_act: whether GPTQ reordered by activation.
        lm_head: whether the output head is quantized too.
        ignored: module names or `re:` patterns that stay as they are.
        kv_cache_scheme: KV cache dtype that the checkpoint brings scales for; None if it brings none.
        known: whether sizing knows the layout of its tensors.
        experts_only: whether layers other than routed experts stay as they are.
        overrides: what is stored otherwise: module names or patterns, and how. The first that
            matches counts.
        only_named: whether modules that no override names stay as they are.
    """

    method: str
    bits: int
    is_float: bool = False
    strategy: str = "tensor"
    group_size: int | None = None
    block_shape: tuple[int, int] | None = None
    scale_bytes: int = 4
    zero_point: bool = False
    symmetric: bool = True
    dynamic_activations: bool | None = None
    desc_act: bool = False
    lm_head: bool = False
    ignored: tuple[str, ...] = ()
    kv_cache_scheme: str | None = None
    known: bool = True
    experts_only: bool = False
    only_named: bool = False
    overrides: "tuple[tuple[tuple[str, ...], Quantization], ...]" = ()

    @property
    def precision(self) -> str:
        """Precision name of the API."""
        if self.is_float:
            return "fp8" if self.bits == 8 else f"fp{self.bits}"
        return f"int{self.bits}"
