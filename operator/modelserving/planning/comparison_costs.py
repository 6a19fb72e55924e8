"""What a method costs in quality and in speed, and on what evidence.

Figures are those of the source that is named and were measured on its models, not on the one that is compared. Where nobody is
known to have measured a method, that is what it says.
"""

from dataclasses import dataclass

UNKNOWN = "no evidence known to us"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a method costs.

    Attributes:
        quality: what becomes of the answers, in a sentence or two.
        speed: what becomes of latency and throughput.
        evidence: where both were read, by name; `UNKNOWN` where nothing was found.
    """

    quality: str
    speed: str
    evidence: str


# "Give Me BF16 or Give Me Death"? Accuracy-Performance Trade-Offs in LLM Quantization.
_KURTIC = "Kurtic et al., ACL 2025, arXiv:2411.02355 (Llama 3.1, over 500,000 evaluations)"
_VISION = "Neural Magic, March 2025 (Pixtral, Qwen2-VL, Qwen2.5-VL on five vision benchmarks)"
_QWEN_FP8 = "model card neuralmagic/Qwen2-72B-Instruct-FP8"
_QWEN_VL = "model card Qwen/Qwen2-VL-2B-Instruct-GPTQ-Int4"
_FP8_DOCS = "vLLM 0.32 documentation, FP8 W8A8"
_ONLINE_DOCS = "vLLM 0.29 documentation, Online Quantization"
_TUNING_DOCS = "vLLM documentation, Optimization and Tuning"
_SCALING_DOCS = "vLLM documentation, Parallelism and Scaling"

NOTHING = Cost(
    quality="none: the weights as they were published",
    speed="what all others are measured by",
    evidence="by definition",
)
FLOAT16 = Cost(
    quality="three bits more of mantissa than bfloat16, but nothing above 65,504: a model whose activations are larger overflows",
    speed="none: as many bytes, the same kernels",
    evidence="IEEE 754 binary16; vLLM 0.32 config/model.py refuses float16 for Gemma 2, Gemma 3 and GLM-4 for that reason",
)
BFLOAT16 = Cost(
    quality="three bits less of mantissa than float16, and a range that does not overflow",
    speed="none: as many bytes, the same kernels",
    evidence="formats alone; of this cast in vLLM " + UNKNOWN,
)
FP8_WHILE_LOADING = Cost(
    quality="a scale for each tensor: Qwen2-72B-Instruct so quantized, with calibrated activations, kept its average "
    "(80.34 against 79.97 over six benchmarks)",
    speed="up to 1.6 times the throughput on Ada, Hopper and Blackwell; older GPUs only read half the weights and compute in "
    "16 bits. Quantized anew at every start, from the 16-bit files",
    evidence=f"{_QWEN_FP8}; {_FP8_DOCS}",
)
FP8_PUBLISHED = Cost(
    quality="lossless across Llama 3.1; more than 99 % of the vision benchmarks' scores",
    speed="up to 1.6 times the throughput on Ada, Hopper and Blackwell; older GPUs only read half the weights and compute in 16 bits",
    evidence=f"{_KURTIC}; {_VISION}; {_FP8_DOCS}",
)
MXFP8 = Cost(
    quality="in the paper on the format a drop-in replacement for FP32 at inference; of vLLM's conversion while loading "
    + UNKNOWN,
    speed="half the weights to read at each step; of the rest " + UNKNOWN,
    evidence=f"Rouhani et al. 2023, arXiv:2310.10537; {_ONLINE_DOCS}",
)
INT8_EXPERTS = Cost(
    quality=UNKNOWN,
    speed=UNKNOWN,
    evidence="vLLM 0.32 layers/quantization/online says only what it does: weights of routed experts, a scale for each row",
)
W8A8 = Cost(
    quality="1 to 3 % where well tuned, on Llama 3.1; more than 99 % of the vision benchmarks' scores",
    speed="weights and activations in int8: with FP8 the best for many requests at once on large GPUs",
    evidence=f"{_KURTIC}; {_VISION}",
)
GPTQ_INT8 = Cost(
    quality="Qwen2-VL-2B: 41.55 against 41.88 on MMMU, 88.28 against 88.34 on DocVQA",
    speed="half the weights to read at each step, computed in 16 bits; of throughput " + UNKNOWN,
    evidence=f"{_QWEN_VL}, which lists GPTQ-Int8 beside BF16",
)
MXFP4 = Cost(
    quality="measure before use: MXFP4's power-of-two scales degrade accuracy severely where nothing makes up for them, on average "
    "about 10 % behind NVFP4",
    speed="a quarter of the weights to read at each step; whether activations are quantized too depends on the GPU's kernel",
    evidence=f"arXiv:2509.23202; arXiv:2603.08713; {_ONLINE_DOCS}. Of this conversion itself {UNKNOWN}",
)
NVFP4 = Cost(
    quality="finer scales than MXFP4, which lies about 10 % behind it; of vLLM's conversion while loading " + UNKNOWN,
    speed=UNKNOWN,
    evidence="arXiv:2603.08713, on the formats",
)
INT4 = Cost(
    quality="competitive with int8 on Llama 3.1; about 98 % of the vision benchmarks' scores. Small models lose more, and not "
    "evenly: Qwen2-VL-2B in AWQ lost 0.55 points on MMMU and 4.50 on MathVista",
    speed="the cheapest for few requests at once, and on mid-tier GPUs also for many; on large GPUs 8 bits win under load",
    evidence=f"{_KURTIC}; {_VISION}; {_QWEN_VL}",
)
BITSANDBYTES = Cost(quality=UNKNOWN, speed=UNKNOWN, evidence="not looked for: vLLM has dropped it")
FP8_KV_CACHE = Cost(
    quality="near the 16-bit cache on the paths that vLLM's authors validated; not all models and kernels are among them, and "
    "without calibrated scales all are 1.0",
    speed="a cached token costs down to 54 % of the time at decoding in the best case; with heads of 256 prefill is slower",
    evidence="vLLM blog, 22 April 2026, The State of FP8 KV-Cache and Attention Quantization in vLLM",
)
SMALL_BATCH = Cost(
    quality="none: the same arithmetic in smaller pieces",
    speed="better time between tokens, worse time to the first; for throughput more than 8,192 tokens a batch are advised",
    evidence=_TUNING_DOCS,
)
SHORTER = Cost(
    quality="a request that is longer is refused; the others do not notice",
    speed="none",
    evidence="by definition",
)
WHOLE_NODE = Cost(
    quality="none: sums are taken in another order",
    speed="less time a token, more room for the KV cache; two all-reduces a layer, which want NVLink",
    evidence=_SCALING_DOCS,
)
STAGES = Cost(
    quality="none",
    speed="a request passes the stages one after the other, so it is not faster than on one GPU; needs many at once. Without NVLink "
    "(L40S) advised before tensor parallelism",
    evidence=_SCALING_DOCS,
)
OFFLOAD = Cost(
    quality="none: the same weights",
    speed="what lies in host memory is read over PCIe at every step; the least time that takes stands beside each GPU",
    evidence="vLLM 0.32 config/offload.py; the time is bytes over the bandwidth of 16 PCIe lanes",
)
DISK = Cost(quality="none to tell", speed="none to tell", evidence="vLLM 0.32 config/offload.py and v1/kv_offload")
