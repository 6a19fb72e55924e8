"""`modelserving estimate`: the memory that vLLM would take, term by term, without a cluster."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from modelserving.cli.documents import LARGEST_FILE_BYTES
from modelserving.cli.estimate_batch import answers, models_named
from modelserving.cli.estimate_case import Refused, evaluate
from modelserving.cli.estimate_facts import FactsShelf, Lookup
from modelserving.cli.estimate_report import answer
from modelserving.cli.estimate_table import estimate_table, refusal_table
from modelserving.cli.exits import Exit
from modelserving.cli.lookup import look_up
from modelserving.cli.machine import write
from modelserving.cli.options import HUB_TIMEOUT_SECONDS
from modelserving.cli.table import print_table
from modelserving.engine.versions import DEFAULT_ENGINE_VERSION
from modelserving.errors import InputError
from modelserving.models.metadata import CheckpointRef
from modelserving.settings import Settings

# Options that a case of `--cases` calls by the same name.
_FLAGS = (
    ("--tp", "tensor_parallel_size", int, "Tensor parallel size."),
    ("--pp", "pipeline_parallel_size", int, "Pipeline parallel size."),
    ("--dp", "data_parallel_size", int, "Data parallel size: engines that share out requests and experts."),
    ("--quantization", "quantization", str, "vLLM's --quantization; left out: what the checkpoint says."),
    ("--dtype", "dtype", str, "vLLM's --dtype."),
    ("--kv-cache-dtype", "kv_cache_dtype", str, "vLLM's --kv-cache-dtype."),
    ("--max-model-len", "max_model_len", int, "Tokens of the longest request; left out: the model's own."),
    ("--max-num-seqs", "max_num_seqs", int, "Sequences of a batch; left out: vLLM's default for the GPU."),
    ("--max-num-batched-tokens", "max_num_batched_tokens", int, "Tokens of a batch; left out: vLLM's default."),
    ("--gpu-memory-utilization", "gpu_memory_utilization", float, "Share of the GPU that vLLM may use."),
    ("--block-size", "block_size", int, "Tokens of a KV cache block; left out: the attention backend's."),
    ("--cpu-offload-gb", "cpu_offload_gb", float, "GiB of weights per GPU kept in host memory."),
    ("--vllm-version", "vllm_version", str, "vLLM version; left out: the operator's default."),
)


def _flag_options(command: Any) -> Any:
    for option, name, kind, text in reversed(_FLAGS):
        command = click.option(option, name, type=kind, help=text)(command)
    return command


@click.command("estimate")
@click.argument("model", required=False)
@click.option("--config", "config_file", type=click.Path(exists=True, dir_okay=False), help="A config.json.")
@click.option("--gpu", help="nvidia.com/gpu.product label or short name, such as H100-80GB.")
@_flag_options
@click.option("--enforce-eager", is_flag=True, help="No CUDA graphs.")
@click.option("--enable-expert-parallel", is_flag=True, help="Share experts out whole over the ranks.")
@click.option("--concurrency", type=click.IntRange(1, 2**20), default=1, show_default=True, help="Requests at once.")
@click.option("--cases", metavar="FILE", help="Answer a case a line (JSON); - is standard input.")
@click.option("--offline", is_flag=True, help="Ask no Hub; the bundled catalogue knows well-known models.")
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True)
def estimate_command(
    model: str | None,
    config_file: str | None,
    gpu: str | None,
    cases: str | None,
    offline: bool,
    output: str,
    concurrency: int,
    **flags: Any,
) -> Exit:
    """Estimate the GPU memory that vLLM takes for MODEL (a Hub id) or a config.json, term by term.

    With --cases, every line of FILE is a case: an object with vLLM's flag names in snake case, model_config or model, and
    gpu. The answers come in the same order, one a line.
    """
    if cases is not None:
        return _answer_cases(cases, offline)
    if model is None and config_file is None:
        raise click.UsageError("name a model, a config.json with --config, or cases with --cases")
    if gpu is None:
        raise click.UsageError("name a GPU with --gpu, such as H100-80GB")
    case = {name: value for name, value in flags.items() if value is not None}
    case = {"vllm_version": DEFAULT_ENGINE_VERSION} | case
    case |= {"gpu": gpu, "model": model, "model_config": config_file}
    names = [model] if model is not None and config_file is None else []
    result = evaluate(case, FactsShelf(Path(), _lookup(names, offline)), concurrency)
    name = model or str(config_file)
    if output != "table":
        click.echo(write(answer(name, result), output))
    else:
        console = Console(stderr=isinstance(result, Refused))
        if isinstance(result, Refused):
            print_table(console, refusal_table(name, result))
        else:
            print_table(console, estimate_table(name, result, console.width))
    return _exit(result)


def _exit(result: object) -> Exit:
    if not isinstance(result, Refused):
        return Exit.PLANNED
    return Exit.NO_FACTS if result.reason == "ModelUnknown" else Exit.REJECTED


def _answer_cases(path: str, offline: bool) -> Exit:
    lines = _lines(path)
    folder = Path() if path == "-" else Path(path).parent
    shelf = FactsShelf(folder, _lookup(models_named(lines), offline))
    for line in answers(lines, shelf):
        click.echo(line)
    return Exit.PLANNED


def _lines(path: str) -> list[str]:
    try:
        if path == "-":
            return sys.stdin.read().splitlines()
        if Path(path).stat().st_size > LARGEST_FILE_BYTES:
            raise InputError(f"{path}: larger than {LARGEST_FILE_BYTES // 2**20} MiB; name a file of cases")
        return Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error


def _lookup(models: Iterable[str], offline: bool) -> Lookup:
    known = look_up([CheckpointRef(name) for name in models], Settings(), offline, HUB_TIMEOUT_SECONDS)
    return known.__getitem__
