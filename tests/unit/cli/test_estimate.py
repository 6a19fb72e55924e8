"""`modelserving estimate` as a program: one model for a person, many cases for machines."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from model_cases import DATA, config_of
from modelserving.cli.estimate_batch import answers, models_named
from modelserving.cli.estimate_facts import FactsShelf
from modelserving.cli.exits import Exit
from modelserving.cli.main import run
from modelserving.models.metadata import CheckpointRef, MetadataFailure, ModelMetadata, Origin

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
CONFIG = str(DATA / "configs" / "llama31-8b" / "config.json")


def nothing_known(ref: CheckpointRef) -> MetadataFailure:
    return MetadataFailure("ModelNotFound", f"{ref.model} is not known here", retryable=False)


def answered(*cases: Any, shelf: FactsShelf | None = None) -> list[dict[str, Any]]:
    """What `--cases` writes for these cases; a text is a line as it stands."""
    lines = [case if isinstance(case, str) else json.dumps(case) for case in cases]
    return [json.loads(line) for line in answers(lines, shelf or FactsShelf(DATA / "configs", nothing_known))]


def case(**changes: Any) -> dict[str, Any]:
    return {"id": "it", "model_config": "llama31-8b/config.json", "gpu": "H100-80GB"} | changes


def test_a_person_reads_every_term_with_its_band_and_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["estimate", LLAMA, "--gpu", "H100-80GB", "--tp", "2", "--offline"]) == Exit.PLANNED
    out = capsys.readouterr().out
    for word in (
        "weights",
        "activation peak",
        "CUDA graphs",
        "driver and NCCL",
        "KV cache",
        "left free",
        "the GPU",
        "where it comes from",
    ):
        assert word in out
    assert "2 × H100-80GB, tensor parallel 2, vLLM 0.32.0" in out
    assert "7.51" in out
    assert "Fits" in out


def test_stages_are_shown_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["estimate", "--config", CONFIG, "--gpu", "L40S", "--pp", "2"]) == Exit.PLANNED
    out = capsys.readouterr().out
    assert "each GPU of stage 0" in out
    assert "each GPU of stage 1" in out


@pytest.mark.parametrize("version", ["0.19.0", "0.20.0", "0.32.0"])
def test_the_terms_of_the_table_are_the_whole_gpu(capsys: pytest.CaptureFixture[str], version: str) -> None:
    assert run(["estimate", LLAMA, "--gpu", "RTX-PRO-6000-BLACKWELL", "--offline", "--vllm-version", version]) == 0
    out = capsys.readouterr().out
    assert "RTX-PRO-6000-Blackwell" in out
    rows = [line.split() for line in out.splitlines() if " % " in line or line.endswith(" %")]
    figures = [float(next(word for word in row if word.replace(".", "", 1).isdigit() and "." in word)) for row in rows]
    *terms, whole = figures
    assert len(terms) == 6
    assert sum(terms) == pytest.approx(whole, abs=0.04)
    assert ("outside of what vLLM counts" in " ".join(out.split())) == (version == "0.19.0")


def test_what_does_not_fit_is_said_with_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["estimate", "Qwen/Qwen2-72B-Instruct", "--gpu", "H100", "--offline"]) == Exit.PLANNED
    assert "Does not fit: 135.4 GiB of weights" in capsys.readouterr().out


def test_what_is_assumed_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["estimate", LLAMA, "--gpu", "H100", "--vllm-version", "9.0", "--offline"]) == Exit.PLANNED
    assert "Assumed" in capsys.readouterr().out


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_machines_get_bytes(capsys: pytest.CaptureFixture[str], form: str) -> None:
    assert run(["estimate", "--config", CONFIG, "--gpu", "H100-80GB", "-o", form]) == Exit.PLANNED
    told = yaml.safe_load(capsys.readouterr().out)
    assert told["ranks"][0]["weights_bytes"] == 16094142464
    assert told["kv_cache"]["bytes_per_block"] == 2 * 2**20


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([LLAMA, "--gpu", "TPU"], Exit.REJECTED, "GpuUnknown"),
        (["nobody/nothing", "--gpu", "H100"], Exit.NO_FACTS, "ModelUnknown"),
        ([LLAMA, "--gpu", "T4", "--dtype", "bfloat16"], Exit.REJECTED, "DtypeNotSupported"),
        ([LLAMA], Exit.BAD_INPUT, "--gpu"),
        (["--gpu", "H100"], Exit.BAD_INPUT, "name a model"),
        (["--cases", "/nowhere.jsonl"], Exit.BAD_INPUT, "No such file"),
    ],
)
def test_what_cannot_be_estimated_says_why(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: Exit, said: str
) -> None:
    assert run(["estimate", "--offline", *arguments]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err


def test_cases_are_answered_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config_of("llama31-8b")))
    cases = [
        {"id": "path", "model_config": "config.json", "gpu": "H100-80GB"},
        {"id": "catalogue", "model": LLAMA, "gpu": "H100-80GB"},
        {"id": "inline", "model_config": config_of("llama31-8b"), "gpu": "H100-80GB"},
    ]
    path = tmp_path / "cases.jsonl"
    path.write_text("\n".join(json.dumps(entry) for entry in cases) + "\n\n")
    assert run(["estimate", "--offline", "--cases", str(path)]) == Exit.PLANNED
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [entry["id"] for entry in told] == ["path", "catalogue", "inline"]
    assert len({json.dumps(entry["ranks"]) for entry in told}) == 1


def test_an_answer_adds_up() -> None:
    (told,) = answered(case(gpu_memory_total_bytes=80 * 2**30, gpu_memory_utilization=0.5))
    (rank,) = told["ranks"]
    terms = (
        *("weights_bytes", "activation_peak_bytes", "non_torch_bytes"),
        *("cuda_graph_set_aside_bytes", "kv_cache_bytes"),
    )
    assert sum(rank[term] for term in terms) == 40 * 2**30
    assert rank["free"] == 40 * 2**30
    assert told["refused"] is None
    assert told["engine"]["gpu_memory_utilization"] == 0.5
    for name, (low, high) in rank["bands"].items():
        assert low <= rank[name] <= high, name


def test_graphs_of_older_versions_are_told_and_lie_in_what_is_free() -> None:
    graphs, eager = answered(case(vllm_version="0.19.0"), case(vllm_version="0.19.0", enforce_eager=True))
    taken = graphs["ranks"][0]["cuda_graph_bytes"]
    assert taken > 2**29
    assert graphs["ranks"][0]["kv_cache_bytes"] == eager["ranks"][0]["kv_cache_bytes"]
    assert eager["ranks"][0]["free"] - graphs["ranks"][0]["free"] == taken


def test_the_second_runner_s_peak_counts_what_is_set_aside_for_graphs_as_its_log_does() -> None:
    """Llama-3.1-8B on A100 with 0.31: requested - consumed - peak = KV cache, and the peak is 1.44 GiB."""
    asked = case(gpu="A100-80GB", gpu_memory_total_bytes=int(79.25 * 2**30), vllm_version="0.31.0")
    told, eager = answered(asked, asked | {"enforce_eager": True})
    rank, bare = told["ranks"][0], eager["ranks"][0]
    assert rank["cuda_graph_set_aside_bytes"] == 0
    assert rank["activation_peak_bytes"] > 2 * bare["activation_peak_bytes"]
    low, high = rank["bands"]["activation_peak_bytes"]
    assert low <= 1.44 * 2**30 <= high
    low, high = rank["bands"]["kv_cache_bytes"]
    assert low <= 56.21 * 2**30 <= high


def test_bands_reach_over_all_versions_where_none_is_named() -> None:
    unnamed, *named = answered(case(), *(case(vllm_version=version) for version in ("0.11.0", "0.19.0", "0.32.0")))
    ours = unnamed["ranks"][0]
    assert any("no vLLM version was named" in sentence for sentence in unnamed["assumptions"])
    assert all(ours[name] == named[-1]["ranks"][0][name] for name in ours["bands"])
    for told in named:
        for name, (low, high) in told["ranks"][0]["bands"].items():
            assert ours["bands"][name][0] <= low <= high <= ours["bands"][name][1], name
        assert "no vLLM version was named" not in " ".join(told["assumptions"])


def test_what_people_call_a_scheme_is_taken_as_the_checkpoint_s_own() -> None:
    config = "qwen2.5-7b-w8a8/config.json"
    plain, called, wrong = answered(
        case(model_config=config), case(model_config=config, quantization="w8a8"), case(quantization="w8a8")
    )
    assert called == plain
    assert wrong["refused"]["reason"] == "UnknownQuantization"


def test_the_first_engine_took_whole_prompts_into_one_batch() -> None:
    short, longer, long = answered(
        *(case(vllm_version="0.5.4", max_model_len=length) for length in (1024, 20_000, 65_536))
    )
    sizes = [told["engine"]["max_num_batched_tokens"] for told in (short, longer, long)]
    assert sizes == [2048, 20_000, 512]
    cut, seeing = answered(
        case(vllm_version="0.6.0", engine_args={"enable_chunked_prefill": True}),
        case(vllm_version="0.6.0", model_config="llava-onevision-72b/config.json", tensor_parallel_size=4),
    )
    assert cut["engine"]["max_num_batched_tokens"] == 512
    assert seeing["engine"]["max_num_batched_tokens"] == 32_768


def test_offloaded_weights_count_as_weights_but_leave_room() -> None:
    plain, moved = answered(case(), case(cpu_offload_gb=4))
    ours, theirs = moved["ranks"][0], plain["ranks"][0]
    assert ours["weights_bytes"] == pytest.approx(theirs["weights_bytes"], rel=0.005)
    assert ours["offloaded_bytes"] >= 4 * 2**30
    assert ours["kv_cache_bytes"] - theirs["kv_cache_bytes"] >= 3.9 * 2**30


def test_arguments_count_wherever_they_stand_and_the_rest_is_named() -> None:
    outer, inner, odd = answered(
        case(max_num_seqs=64),
        case(engine_args={"max_num_seqs": 64}),
        case(engine_args={"seed": 1, "max_num_seqs": 64}),
    )
    assert outer == inner
    assert odd["ranks"] == outer["ranks"]
    assert odd["assumptions"] == ["not taken into account: seed", *outer["assumptions"]]


def test_towers_can_be_left_out() -> None:
    seeing, blind, without = answered(
        *(
            case(model_config="llava-onevision-72b/config.json", tensor_parallel_size=4, engine_args=more)
            for more in ({}, {"language_model_only": True}, {"limit_mm_per_prompt": {"image": 0, "video": 0}})
        )
    )
    assert blind == without
    assert blind["ranks"][0]["weights_bytes"] < seeing["ranks"][0]["weights_bytes"]


def test_a_length_left_to_vllm_is_the_model_s_own() -> None:
    (told,) = answered(case(max_model_len=-1))
    assert told["engine"]["max_model_len"] == 131072


BAD = {
    "no JSON": ("{", "CaseInvalid"),
    "no object": ("[1]", "CaseInvalid"),
    "nested too deep": ("[" * 100_000, "CaseInvalid"),
    "a negative size": (case(max_num_seqs=-1), "CaseInvalid"),
    "a size that is a text": (case(tensor_parallel_size="two"), "CaseInvalid"),
    "a share above one": (case(gpu_memory_utilization=1.5), "CaseInvalid"),
    "arguments that are no object": (case(engine_args=[1]), "CaseInvalid"),
    "no model": ({"gpu": "H100"}, "ModelUnknown"),
    "a model nobody knows": ({"model": "nobody/nothing", "gpu": "H100"}, "ModelUnknown"),
    "a file that is not there": (case(model_config="nowhere/config.json"), "ModelUnknown"),
    "a config that is no object": (case(model_config=7), "ConfigInvalid"),
    "a GPU nobody knows": (case(gpu="TPU"), "GpuUnknown"),
    "ranks that do not divide": (case(tensor_parallel_size=5), "HeadsNotDivisible"),
    "a prompt without room in a batch": (
        case(engine_args={"enable_chunked_prefill": False}, max_num_batched_tokens=512),
        "BatchSmallerThanPrompt",
    ),
    "a dtype nobody knows": (case(dtype="int3"), "UnknownDtype"),
}


@pytest.mark.parametrize(("bad", "reason"), BAD.values(), ids=BAD)
def test_a_bad_case_is_a_refusal_and_stops_nothing(bad: Any, reason: str) -> None:
    refused, told = answered(bad, case())
    assert refused["refused"]["reason"] == reason
    assert len(refused["refused"]["message"]) > 20
    assert told["refused"] is None


def test_a_config_that_is_no_json_is_a_refusal(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    (told,) = answered(case(model_config="config.json"), shelf=FactsShelf(tmp_path, nothing_known))
    assert told["refused"]["reason"] == "ModelUnknown"


def test_quantization_described_beside_the_config_counts(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config_of("llama31-8b")))
    plain = FactsShelf(tmp_path, nothing_known)
    (full,) = answered(case(model_config="config.json"), shelf=plain)
    described = {
        "producer": {"name": "modelopt"},
        "quantization": {"quant_algo": "FP8", "exclude_modules": ["lm_head"]},
    }
    (tmp_path / "hf_quant_config.json").write_text(json.dumps(described))
    (half,) = answered(case(model_config="config.json"), shelf=FactsShelf(tmp_path, nothing_known))
    assert half["ranks"][0]["weights_bytes"] < 0.6 * full["ranks"][0]["weights_bytes"]


def test_facts_are_read_once_and_few_are_kept() -> None:
    asked: list[str] = []

    def look(ref: CheckpointRef) -> ModelMetadata:
        asked.append(ref.model)
        return ModelMetadata(ref.model, "main", Origin.HUB, config_of("llama31-8b"))

    shelf = FactsShelf(DATA, look)
    first = [shelf.find(None, "a/b") for _ in range(3)]
    assert asked == ["a/b"]
    assert first[0] is first[2]
    for number in range(200):
        shelf.find(None, f"a/{number}")
    shelf.find(None, "a/b")
    assert asked.count("a/b") == 2


def test_only_models_without_a_config_are_looked_up() -> None:
    named: list[Any] = [case(model="a/b"), {"model": "c/d"}, {"model": "c/d"}, {"model": 3}, []]
    lines = [json.dumps(entry) for entry in named]
    assert models_named([*lines, "{", ""]) == ("c/d",)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=20), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    [
        *("model", "gpu", "vllm_version", "tensor_parallel_size", "pipeline_parallel_size", "quantization", "dtype"),
        *("kv_cache_dtype", "max_model_len", "max_num_seqs", "max_num_batched_tokens", "gpu_memory_utilization"),
        *("block_size", "cpu_offload_gb", "engine_args", "gpu_memory_total_bytes", "enforce_eager", "model_config"),
    ]
)


@given(changes=st.dictionaries(NAMES, JSON, max_size=4))
def test_any_case_gives_an_estimate_or_a_refusal(changes: dict[str, Any]) -> None:
    (told,) = answered(json.dumps(case(**changes)))
    refused = told["refused"]
    assert (refused is None) == ("ranks" in told)
    assert refused is None or (refused["reason"] and refused["message"])
