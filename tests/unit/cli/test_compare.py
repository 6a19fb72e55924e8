"""`modelserving compare`: what it ends with, what it tells machines, what it writes where."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelserving.cli.exits import Exit
from modelserving.cli.main import run

# One kind of node is compared in a fraction of the time that all well-known kinds take.
NODES = str(Path(__file__).parents[3] / "deploy" / "local" / "nodes" / "h100-80gb-x8.yaml")
HEAD = "apiVersion: modelserving.dev/v1alpha1\nkind: ModelServing\n"
LLAMA = HEAD + "metadata: {name: llama}\nspec: {model: meta-llama/Llama-3.1-8B-Instruct, contextLength: 8192}\n"
VIDEO = HEAD + "metadata: {name: video}\nspec: {model: lmms-lab/LLaVA-Video-72B-Qwen2}\n"
TOO_LARGE = HEAD + "metadata: {name: large}\nspec: {model: Qwen/Qwen2-72B-Instruct, gpu: {products: [NVIDIA-B200]}}\n"
UNKNOWN = HEAD + "metadata: {name: unknown}\nspec: {model: nobody/nothing}\n"
ON_A_VOLUME = HEAD + "metadata: {name: volume}\nspec: {model: 'pvc://claim/path'}\n"
WRONG = HEAD + "metadata: {name: wrong}\nspec: {model: a/b, contextLength: 0}\n"
NAMED = HEAD + (
    "metadata: {name: named}\nspec: {model: Qwen/Qwen2-72B-Instruct, contextLength: 8192, precision: fp8, fallbacks: [fp8],\n"
    "  variants: [{precision: int4, model: Qwen/Qwen2-72B-Instruct-AWQ}]}\n"
)

ENDS = {
    "a model that works": ([LLAMA], Exit.PLANNED),
    "a model that vLLM cannot run": ([VIDEO], Exit.REJECTED),
    "no such nodes": ([TOO_LARGE], Exit.REJECTED),
    "a model on a volume": ([ON_A_VOLUME], Exit.REJECTED),
    "a field that is wrong": ([WRONG], Exit.BAD_INPUT),
    "a model nobody knows": ([UNKNOWN], Exit.NO_FACTS),
    "one that works beside one that does not": ([LLAMA, VIDEO], Exit.REJECTED),
    "one that works beside one nobody knows": ([LLAMA, UNKNOWN, VIDEO], Exit.NO_FACTS),
}


def written(folder: Path, *documents: str) -> str:
    path = folder / "models.yaml"
    path.write_text("---\n".join(documents))
    return str(path)


@pytest.mark.parametrize(("documents", "code"), ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("form", ["table", "json"])
def test_exit_codes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], documents: list[str], code: Exit, form: str
) -> None:
    assert run(["compare", "--offline", "--nodes", NODES, "-o", form, "-f", written(tmp_path, *documents)]) == code
    captured = capsys.readouterr()
    assert (captured.out != "") == (code != Exit.BAD_INPUT)
    assert (captured.err != "") == (code == Exit.BAD_INPUT)


USAGE = {
    "neither model nor file": ["compare"],
    "model and file": ["compare", "a/b", "-f", "x.yaml"],
    "a length for a file": ["compare", "-f", "x.yaml", "--context-length", "5"],
    "a model that has no such name": ["compare", "a b c"],
    "a length of nothing": ["compare", "a/b", "--context-length", "0"],
    "a file that is missing": ["compare", "-f", "/nonexistent.yaml"],
    "a folder to write to": ["compare", "meta-llama/Llama-3.1-8B", "--offline", "-o", "json", "--output-file", "/"],
}


@pytest.mark.parametrize("arguments", USAGE.values(), ids=USAGE)
def test_wrong_usage_is_told_on_standard_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == Exit.BAD_INPUT
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err != ""


def report_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    run(["compare", "--offline", "-o", "json", *arguments])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_machines_get_bytes_that_add_up(capsys: pytest.CaptureFixture[str]) -> None:
    report = report_of(capsys, "meta-llama/Llama-3.1-8B-Instruct", "--context-length", "8192", "--concurrency", "2")
    (item,) = report["items"]
    assert (report["kind"], report["nodes"]["source"]) == ("ComparisonReport", "bundled")
    assert (item["name"], item["contextLength"], item["concurrency"]) == (None, 8192, 2)
    assert item["parameters"] == 8_030_261_248
    methods = {method["method"]: method for method in item["methods"]}
    assert methods["asStored"]["ruleOfThumbBytes"] == 16_000_000_000
    assert 2 * 8_030_261_248 <= methods["asStored"]["weightsBytes"] < 2 * 8_030_261_248 * 1.005
    assert (methods["diskOffload"]["engineHasIt"], methods["diskOffload"]["nodeKinds"]) == (False, [])
    for method in methods.values():
        assert method["cost"].keys() == {"quality", "speed", "evidence"}
        for kind in method["nodeKinds"]:
            if kind["works"]:
                terms = kind["perGpu"]
                named = ("weightsBytes", "kvCacheBytes", "activationPeakBytes", "cudaGraphsBytes", "nonTorchBytes")
                assert sum(terms[name] for name in named) == terms["totalBytes"]
                assert terms["totalBytes"] + terms["spareBytes"] == terms["availableBytes"]
            else:
                assert kind["reason"]
                assert kind["message"]


def test_the_shape_for_machines_stays(capsys: pytest.CaptureFixture[str]) -> None:
    (item,) = report_of(capsys, "meta-llama/Llama-3.1-8B-Instruct")["items"]
    assert [method["method"] for method in item["methods"]] == [
        *("asStored", "cast"),
        *("fp8WhileLoading", "mxfp8WhileLoading", "int8WhileLoading", "fp8Published", "int8W8A8", "int8Gptq"),
        *("mxfp4WhileLoading", "nvfp4WhileLoading", "int4Awq", "int4Gptq", "bitsandbytes"),
        *("fp8KvCache", "smallBatch", "shorterContext", "wholeNode", "pipeline", "cpuOffload", "diskOffload"),
    ]
    works = next(kind for kind in item["methods"][0]["nodeKinds"] if kind["works"])
    assert works.keys() == {
        *("gpuProduct", "works", "gpus", "nodesNeeded", "tensorParallelSize", "pipelineParallelSize", "dtype"),
        *("maxModelLen", "maxNumBatchedTokens", "maxNumSeqs", "perGpu", "hostMemoryBytes", "maxConcurrency"),
        *("longestContext", "note"),
    }
    assert item["nodeKinds"][0].keys() == {
        *("gpuProduct", "gpusPerNode", "nodes", "gpuMemoryBytes", "computeCapability", "hostMemoryBytes")
    }


def test_a_model_that_vllm_cannot_run_tells_what_runs_instead(capsys: pytest.CaptureFixture[str]) -> None:
    (item,) = report_of(capsys, "lmms-lab/LLaVA-Video-72B-Qwen2", "--nodes", NODES)["items"]
    assert (item["compared"], item["engineRunsModel"]) == (True, False)
    assert item["runsInstead"] == "llava-hf/llava-onevision-qwen2-72b-ov-hf"
    assert round(item["methods"][1]["weightsBytes"] / 1e9) == 146


def test_variants_are_honoured_and_choices_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (item,) = report_of(capsys, "-f", written(tmp_path, NAMED), "--nodes", NODES)["items"]
    (variant,) = [method for method in item["methods"] if method["method"] == "variant:int4"]
    assert (variant["checkpoint"], variant["estimatedCheckpoint"]) == ("Qwen/Qwen2-72B-Instruct-AWQ", False)
    assert "int4Awq" not in [method["method"] for method in item["methods"]]
    assert "Not regarded, since all methods are looked at: spec.precision, spec.fallbacks." in item["notes"]


@pytest.mark.parametrize("form", ["table", "markdown", "html", "json", "yaml"])
def test_every_form_can_go_into_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    path = tmp_path / "written"
    arguments = ["compare", "meta-llama/Llama-3.1-8B-Instruct", "--offline", "--nodes", NODES]
    assert run([*arguments, "-o", form, "--output-file", str(path)]) == Exit.PLANNED
    assert capsys.readouterr().out == ""
    text = path.read_text()
    assert "meta-llama/Llama-3.1-8B-Instruct" in text.replace("\\", "")
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    if form in ("json", "yaml"):
        assert yaml.safe_load(text)["kind"] == "ComparisonReport"


def test_help_lists_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "--help"]) == 0
    text = capsys.readouterr().out
    for line in (
        "0  at least one method",
        "1  for at least one model",
        "2  a file, a field",
        "3  the facts of a model",
    ):
        assert line in text
