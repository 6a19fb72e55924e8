"""Reading ModelServing resources: every fault at once, each with its place and a way out."""

from typing import Any

import pytest

from modelserving.cli.documents import Document
from modelserving.cli.resources import resources_in
from modelserving.errors import InputError


def document(
    number: int = 1, api_version: str = "modelserving.dev/v1alpha1", kind: str = "ModelServing", **spec: Any
) -> Document:
    content = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "llava"}, "spec": {"model": "a/b", **spec}}
    return Document("models.yaml", number, content)


def test_other_kinds_are_passed_over() -> None:
    found = resources_in([document(1, "v1", "Secret"), document(2)])
    assert [(each.document.number, each.serving.metadata.name) for each in found] == [(2, "llava")]


FAULTS = {
    "an unknown field names the one that was meant": (
        {"contextLenght": 3},
        r"models.yaml, document 1 \(ModelServing llava\): spec.contextLenght: .*; did you mean contextLength\?",
    ),
    "so does one further in": (
        {"gpu": {"tensorParalelSize": 2}},
        r"spec.gpu.tensorParalelSize.*did you mean tensorParallelSize\?",
    ),
    "and one in a list": (
        {"variants": [{"precison": "int4", "model": "a/b"}]},
        r"spec.variants\[0\].precison.*did you mean precision\?",
    ),
    "a number out of range": ({"concurrency": 0}, r"spec.concurrency: .*got 0"),
    "a name with spaces": ({"model": "a b"}, r"spec.model: .*got 'a b'"),
}


@pytest.mark.parametrize(("spec", "message"), FAULTS.values(), ids=FAULTS)
def test_faults_name_file_document_field_and_way_out(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        resources_in([document(**spec)])


def test_all_faults_of_all_documents_are_told_at_once() -> None:
    with pytest.raises(InputError) as raised:
        resources_in([document(1, concurrency=0), document(2, contextLength=-1, model="x y")])
    assert len(str(raised.value).splitlines()) == 3


def test_the_same_kind_of_another_group_is_not_ours() -> None:
    with pytest.raises(
        InputError, match=r"apiVersion is 'workload.serving.volcano.sh/v1alpha1'; this program reads modelserving.dev"
    ):
        resources_in([document(api_version="workload.serving.volcano.sh/v1alpha1")])


def test_nothing_to_plan_is_said() -> None:
    with pytest.raises(InputError, match=r"models\.yaml: holds no ModelServing of modelserving.dev/v1alpha1"):
        resources_in([document(1, "v1", "Secret")])
