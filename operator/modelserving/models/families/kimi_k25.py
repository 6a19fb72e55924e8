"""Kimi K2.5 and later of its kind: DeepSeek V3's decoder and a MoonViT tower (models/kimi_k25.py, kimi_k25_vit.py)."""

from dataclasses import replace

from modelserving.models.facts import Module, Section, Split, Stage, VisionTower
from modelserving.models.families.deepseek import describe_latent
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import column, norm, qkv, replicated, row
from modelserving.models.fields import Fields

_LARGEST_WIDTH = 2**16
_CHANNELS = 3


def _describe(config: Fields) -> Description:
    text = describe_latent(config.required_part("text_config"), "language_model.")
    vision = config.required_part("vision_config")
    width = vision.whole("vt_hidden_size", 1152, high=_LARGEST_WIDTH)
    inner = vision.whole("vt_intermediate_size", 4304, high=_LARGEST_WIDTH)
    heads = vision.whole("vt_num_attention_heads", 16, high=width)
    layers = vision.whole("vt_num_hidden_layers", 27, high=512)
    if width % heads:
        raise vision.fail("vt_num_attention_heads", f"a divisor of vt_hidden_size ({width})")
    patch = vision.whole("patch_size", 14, high=1024)
    rows = vision.whole("init_pos_emb_height", 64, high=4096) * vision.whole("init_pos_emb_width", 64, high=4096)
    frames = vision.whole("init_pos_emb_time", 4, high=4096)
    sides = vision.wholes("merge_kernel_size", 2, low=1, high=64)
    merge = sides[0] * sides[-1]
    root, joined = "vision_tower", width * merge
    front = (
        replicated(f"{root}.patch_embed.proj", _CHANNELS * patch**2, width, True, quantizable=False),
        Module(f"{root}.patch_embed.pos_emb", Split.REPLICATED, width, (rows,)),
    )
    # The tower is cast to the model's dtype unless a quantization reaches it (kimi_k25.py, _maybe_ignore_quant_config).
    stored = config.part("quantization_config")
    cast = stored is None or stored.text("quant_method") == "compressed-tensors"
    time_name, time_dtype = f"{root}.patch_embed.pos_emb.time_weight", None if cast else "float32"
    time = Module(time_name, Split.REPLICATED, width, (frames,), fixed_dtype=time_dtype)
    name, size = f"{root}.encoder.blocks.*", width // heads
    block = (
        norm(f"{name}.norm0", width, True),
        norm(f"{name}.norm1", width, True),
        column(f"{name}.mlp.fc0", width, inner, True, quantizable=False),
        row(f"{name}.mlp.fc1", inner, width, True, quantizable=False),
        replace(qkv(f"{name}.wqkv", width, (heads, heads), (size, size), True, ("wqkv",)), quantizable=False),
        row(f"{name}.wo", width, width, True, quantizable=False),
    )
    tail = (
        norm(f"{root}.encoder.final_layernorm", width, True),
        norm("mm_projector.pre_norm", width, True),
        replicated("mm_projector.linear_1", joined, joined, True, quantizable=False),
        replicated("mm_projector.linear_2", joined, text.hidden_size, True, quantizable=False),
    )
    parts = (
        Section(Stage.EVERY, front, tower=True),
        Section(Stage.EVERY, (time,), tower=True, buffers=True),
        Section(Stage.EVERY, block, repeats=layers, tower=True, shard_heads=heads),
        Section(Stage.EVERY, tail, tower=True),
    )
    tokens = max(1, rows // merge)
    tower = VisionTower(width, inner, layers, heads, rows, tokens, tokens, ("vision_chunk",), data_parallel=True)
    return replace(text, sections=(*parts, *text.sections), vision=tower)


FAMILY = Family(
    name="kimi_k25",
    architectures=("KimiK25ForConditionalGeneration",),
    describe=_describe,
    prefixes=(("mm_projector.proj.0.", "mm_projector.linear_1."), ("mm_projector.proj.2.", "mm_projector.linear_2.")),
)
