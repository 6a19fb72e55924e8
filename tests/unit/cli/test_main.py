"""The whole program without a cluster and without a Hub: what it prints and what it ends with."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from modelserving.cli.exits import Exit, worst
from modelserving.cli.main import run

HEAD = "apiVersion: modelserving.dev/v1alpha1\nkind: ModelServing\n"
LLAMA = HEAD + "metadata: {name: llama}\nspec: {model: meta-llama/Llama-3.1-8B-Instruct, contextLength: 8192}\n"
TOO_LARGE = HEAD + "metadata: {name: large}\nspec: {model: Qwen/Qwen2-72B-Instruct, gpu: {products: [Tesla-T4]}}\n"
UNKNOWN = HEAD + "metadata: {name: unknown}\nspec: {model: nobody/nothing}\n"
OWNED_FLAG = HEAD + 'metadata: {name: flag}\nspec: {model: a/b, engine: {extraArgs: ["--tensor-parallel-size=3"]}}\n'
LATER = HEAD + "metadata: {name: later}\nspec: {model: 'pvc://claim/a'}\n"
WRONG = HEAD + "metadata: {name: wrong}\nspec: {model: a/b, contextLength: 0}\n"

ENDS = {
    "a model that fits": ([LLAMA], Exit.PLANNED),
    "a model that fits nowhere": ([TOO_LARGE], Exit.REJECTED),
    "a flag that is the operator's": ([OWNED_FLAG], Exit.REJECTED),
    "a field of a later version": ([LATER], Exit.REJECTED),
    "a field that is wrong": ([WRONG], Exit.BAD_INPUT),
    "a model nobody knows": ([UNKNOWN], Exit.NO_FACTS),
    "one that fits beside one that does not": ([LLAMA, TOO_LARGE], Exit.REJECTED),
    "one that fits beside one nobody knows": ([LLAMA, UNKNOWN, TOO_LARGE], Exit.NO_FACTS),
    "one that is wrong stops all": ([LLAMA, WRONG], Exit.BAD_INPUT),
}


def written(folder: Path, *documents: str) -> str:
    path = folder / "models.yaml"
    path.write_text("---\n".join(documents))
    return str(path)


@pytest.mark.parametrize(("documents", "code"), ENDS.values(), ids=ENDS)
def test_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str], documents: list[str], code: Exit) -> None:
    assert run(["plan", "--offline", "-f", written(tmp_path, *documents)]) == code
    captured = capsys.readouterr()
    assert (captured.out != "") == (code != Exit.BAD_INPUT)
    assert (captured.err != "") == (code == Exit.BAD_INPUT)


def test_the_worst_code_is_the_whole_run_s() -> None:
    assert worst([]) == Exit.PLANNED
    assert worst([Exit.PLANNED, Exit.NO_FACTS, Exit.REJECTED]) == Exit.NO_FACTS


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_machines_get_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    assert run(["plan", "--offline", "-o", form, "-f", written(tmp_path, LLAMA, TOO_LARGE)]) == Exit.REJECTED
    report = yaml.safe_load(capsys.readouterr().out)
    fits, large = report["items"]
    assert (report["kind"], report["nodes"]["source"]) == ("PlanReport", "bundled")
    assert (fits["planned"], fits["reason"], fits["document"]) == (True, "PlanFits", 1)
    assert (large["planned"], large["reason"]) == (False, "InsufficientGPUMemory")
    assert "plan" not in large
    assert all(entry["shortfallBytes"] > 0 for entry in large["rejected"])
    plan = fits["plan"]
    assert (plan["gpusPerReplica"], plan["factsFrom"], plan["parameters"]) == (1, "Catalogue", 8_030_261_248)
    assert "--max-model-len=8192" in plan["arguments"]
    for rank in plan["memory"]:
        assert rank["totalBytes"] + rank["spareBytes"] == rank["availableBytes"]
        # 8,030,261,248 parameters of two bytes, and the little that is no parameter.
        assert 2 * 8_030_261_248 <= rank["weightsBytes"] < 2 * 8_030_261_248 * 1.005


def test_own_nodes_decide(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    node = {
        "kind": "Node",
        "metadata": {
            "name": "n",
            "labels": {"nvidia.com/gpu.product": "NVIDIA-L40S", "nvidia.com/gpu.memory": "46068"},
        },
        "status": {"allocatable": {"nvidia.com/gpu": "4", "cpu": "64", "memory": "500Gi"}},
    }
    nodes = tmp_path / "nodes.yaml"
    nodes.write_text(yaml.safe_dump(node))
    assert run(["plan", "--offline", "-f", written(tmp_path, LLAMA), "--nodes", str(nodes)]) == Exit.PLANNED
    out = capsys.readouterr().out
    assert "1 × NVIDIA-L40S on one node" in out
    assert f"from {nodes}" in out.replace("\n", " ")


def test_render_prints_manifests_the_api_server_would_take(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["render", "--offline", "-f", written(tmp_path, LLAMA, TOO_LARGE)]) == Exit.REJECTED
    captured = capsys.readouterr()
    manifests = list(yaml.safe_load_all(captured.out))
    assert [manifest["kind"] for manifest in manifests] == ["Deployment", "Service"]
    assert all("ownerReferences" not in manifest["metadata"] for manifest in manifests)
    assert "(ModelServing large): InsufficientGPUMemory" in captured.err
    assert run(["render", "--offline", "-o", "json", "-f", written(tmp_path, LLAMA)]) == Exit.PLANNED
    assert json.loads(capsys.readouterr().out)["items"] == manifests


def test_crd_and_catalogue_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["crd"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["metadata"]["name"] == "modelservings.modelserving.dev"
    assert run(["catalogue", "list"]) == 0
    listed = capsys.readouterr().out
    assert "llava-hf/llava-onevision-qwen2-72b-ov-hf" in listed
    assert "LlavaOnevisionForConditionalGeneration" in listed
    line = next(line for line in listed.splitlines() if line.startswith("Qwen/Qwen2.5-72B-Instruct-AWQ "))
    assert line.split()[1:] == ["72.96", "B", "int4", "38.7", "GiB", "Qwen2ForCausalLM"]


def test_one_entry_of_the_catalogue_is_shown_with_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["catalogue", "show", "qwen/qwen3-8b"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Qwen/Qwen3-8B ")
    assert "BF16      8,190,735,360" in shown
    assert '"num_hidden_layers": 36' in shown
    assert run(["catalogue", "show", "org/unheard-of"]) == Exit.BAD_INPUT
    assert "no entry for org/unheard-of" in capsys.readouterr().err


USAGE = {
    "no file": ["plan"],
    "a file that is missing": ["plan", "-f", "/nonexistent.yaml"],
    "nodes that are missing": ["plan", "-f", "-", "--nodes", "/nonexistent.yaml"],
    "an option nobody knows": ["plan", "--frobnicate"],
    "a command nobody knows": ["frobnicate"],
    "a form nobody knows": ["plan", "-f", "-", "-o", "toml"],
    "a time-out of nothing": ["plan", "-f", "-", "--hub-timeout", "0"],
}


@pytest.mark.parametrize("arguments", USAGE.values(), ids=USAGE)
def test_wrong_usage_is_told_on_standard_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO(LLAMA))
    assert run(arguments) == Exit.BAD_INPUT
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err != ""


def test_help_lists_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "--help"]) == 0
    text = capsys.readouterr().out
    for line in ("0  everything was planned", "1  at least one", "2  a file, a field", "3  the facts of a model"):
        assert line in text


def test_a_fault_of_the_program_does_not_look_like_a_rejection(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("modelserving.cli.options.decide", broken)
    assert run(["plan", "--offline", "-f", written(tmp_path, LLAMA)]) == Exit.BUG
    assert "please report it" in capsys.readouterr().err


def test_it_runs_as_a_module_in_a_pipe_of_plain_ascii(tmp_path: Path) -> None:
    """A terminal without Unicode gets question marks, NO_COLOR and pipes get no colour."""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "NO_COLOR": "1", "PYTHONWARNINGS": "error"}
    command = [sys.executable, "-m", "modelserving", "plan", "--offline", "-f", written(tmp_path, LLAMA)]
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert b"1 ? NVIDIA" in done.stdout
    assert b"\x1b" not in done.stdout


def test_an_unreachable_hub_leaves_the_catalogue_to_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A closed port on loopback stands for a Hub that is down; a real Hub cannot be asked from a test."""
    import socket

    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
    monkeypatch.setattr("modelserving.hub.client.constants.ENDPOINT", endpoint)
    assert run(["plan", "--hub-timeout", "5", "-f", written(tmp_path, LLAMA)]) == Exit.PLANNED
    assert "come from the catalogue" in capsys.readouterr().out.replace("\n", " ")
