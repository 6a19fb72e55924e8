"""Blocks of experts in fp8 that kernels before Ada do not take, as vLLM refuses Qwen3 30B A3B in fp8 on four A100."""

import pytest

from family_cases import EXPERTS, SMALL
from model_cases import GPUS, V32, engine_config, facts_from
from modelserving.engine.expert_blocks import expert_blocks_objection
from modelserving.engine.rules import refusal

FACTS = facts_from(
    {
        **SMALL,
        **EXPERTS,
        "moe_intermediate_size": 768,
        "num_attention_heads": 8,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "intermediate_size": 2048,
        "hidden_size": 2048,
        "architectures": ["Qwen3MoeForCausalLM"],
        "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128], "activation_scheme": "dynamic"},
    }
)


@pytest.mark.parametrize(
    ("gpu", "ranks", "refused"),
    [("A100-80", 1, False), ("A100-80", 2, False), ("A100-80", 4, True), ("L40S", 4, False), ("H100-80", 4, False)],
)
def test_blocks_that_ranks_cut_need_ada(gpu: str, ranks: int, refused: bool) -> None:
    config = engine_config(FACTS, gpu=GPUS[gpu], tensor_parallel_size=ranks)
    told = refusal(FACTS, config, GPUS[gpu], V32)
    assert (told.reason if told is not None else None) == ("QuantizationNeedsNewerGpu" if refused else None)


def test_whole_experts_keep_their_blocks() -> None:
    config = engine_config(FACTS, tensor_parallel_size=4, enable_expert_parallel=True)
    assert expert_blocks_objection(FACTS, config, GPUS["A100-80"]) is None
