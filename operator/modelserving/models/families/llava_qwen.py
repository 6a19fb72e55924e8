"""LlavaQwenForCausalLM, the lmms-lab format: sized as its converted twin, which vLLM runs; this format it does not.

vLLM has no class of that name in any version (vllm-project/vllm#32338). The flat config.json names the vision tower
instead of describing it, so its sizes are here.
"""

from dataclasses import replace

from modelserving.models.families import llava_onevision, qwen2
from modelserving.models.families.dense import describe_dense
from modelserving.models.families.family import Description, Family
from modelserving.models.families.siglip import SO400M_384
from modelserving.models.fields import Fields, InvalidFieldError, show

# Converted checkpoints of the same size, by hidden_size of the language model.
_CONVERTED = {
    896: "llava-hf/llava-onevision-qwen2-0.5b-ov-hf",
    3584: "llava-hf/llava-onevision-qwen2-7b-ov-hf",
    8192: "llava-hf/llava-onevision-qwen2-72b-ov-hf",
}
_TOWERS = {"google/siglip-so400m-patch14-384": SO400M_384}


def _describe(config: Fields) -> Description:
    name = config.text("mm_vision_tower")
    siglip = _TOWERS.get(name)
    if siglip is None:
        raise InvalidFieldError(f"mm_vision_tower is {show(name)}; known are {', '.join(_TOWERS)}")
    described = llava_onevision.join(describe_dense(config, qwen2.DECODER, prefix="language_model."), siglip)
    assumption = f"mm_vision_tower {name}: its sizes are those published with it, used up to its last layer but one"
    return replace(described, runs_instead=_CONVERTED.get(described.hidden_size), assumptions=(assumption,))


FAMILY = Family(
    name="llava_qwen",
    architectures=("LlavaQwenForCausalLM",),
    describe=_describe,
    prefixes=(
        ("model.vision_tower.vision_tower.", "vision_tower."),
        ("model.mm_projector.0.", "multi_modal_projector.linear_1."),
        ("model.mm_projector.2.", "multi_modal_projector.linear_2."),
        ("model.image_newline", "image_newline"),
        ("model.", "language_model.model."),
        ("lm_head.", "language_model.lm_head."),
    ),
    unused=("vision_tower.vision_model.post_layernorm.", "vision_tower.vision_model.head."),
)
