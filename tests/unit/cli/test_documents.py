"""Reading files: every object with its place, every fault with its file and line."""

from pathlib import Path

import pytest

from modelserving.cli.documents import files_in, read_documents
from modelserving.errors import InputError


def written(folder: Path, text: str | bytes, name: str = "models.yaml") -> str:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_documents_are_numbered_and_empty_ones_left_out(tmp_path: Path) -> None:
    file = written(tmp_path, "---\n---\nkind: A\nmetadata: {name: x}\n---\nkind: B\n")
    assert [(each.number, each.kind, each.name) for each in read_documents([file])] == [(1, "A", "x"), (2, "B", "")]


def test_a_place_names_file_document_kind_and_name(tmp_path: Path) -> None:
    file = written(tmp_path, "kind: A\nmetadata: {name: x}\n")
    assert read_documents([file])[0].place == f"{file}, document 1 (A x)"


def test_items_of_a_list_count_as_documents(tmp_path: Path) -> None:
    file = written(tmp_path, "kind: List\nitems:\n- {kind: Node}\n- {kind: Pod}\n---\nkind: Node\n")
    assert [(each.number, each.kind) for each in read_documents([file])] == [(1, "Node"), (2, "Pod"), (3, "Node")]


def test_items_of_a_typed_list_take_its_kind(tmp_path: Path) -> None:
    file = written(tmp_path, '{"kind": "NodeList", "items": [{"metadata": {"name": "a"}}]}', "nodes.json")
    assert read_documents([file])[0].place == f"{file}, document 1 (Node a)"


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("kind: A\n"))
    assert read_documents(["-"])[0].place == "stdin, document 1 (A)"


FAULTS = {
    "no YAML at all, with line and column": ("a: [1\nb: 2\n", r"models.yaml: line 2, column"),
    "a tag that would make an object": ("!!python/object/apply:os.system ['true']", "no valid YAML"),
    "text instead of an object": ("just text\n", "document 1: holds text where a Kubernetes object is expected"),
    "a list instead of an object": ("- a\n", "document 1: holds a list"),
    "a list of text": ("kind: List\nitems: [a]\n", "document 1: holds text"),
    "bytes that are no text": (b"\xff\xfe\x00", "not UTF-8"),
    "endless nesting": ("[" * 10_000, "no valid YAML"),
}


@pytest.mark.parametrize(("text", "message"), FAULTS.values(), ids=FAULTS)
def test_faults_say_where_they_are(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_documents([written(tmp_path, text)])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.yaml: No such file"):
        read_documents([str(tmp_path / "absent.yaml")])


def test_a_folder_stands_for_its_manifests_in_order(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.json", "c.yml", "notes.md"):
        (tmp_path / name).touch()
    assert [Path(each).name for each in files_in(str(tmp_path))] == ["a.json", "b.yaml", "c.yml"]
    assert files_in("-") == ["-"]


def test_a_folder_without_manifests_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no file that ends in"):
        files_in(str(tmp_path))


@pytest.mark.parametrize("levels", [101, 3_000])
def test_a_resource_that_is_nested_too_deep_is_refused_by_name(tmp_path: Path, levels: int) -> None:
    deep = "kind: ModelServing\nmetadata: {name: d}\nspec: " + '{"a": ' * levels + "1" + "}" * levels
    with pytest.raises(InputError, match=r"document 1 \(ModelServing d\): nested deeper than 100 levels"):
        read_documents([written(tmp_path, deep)])


def test_aliases_of_aliases_are_looked_at_once(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 60))]
    text = "kind: ModelServing\nspec:\n" + "".join(f"  {line}\n" for line in lines)
    assert read_documents([written(tmp_path, text)])[0].kind == "ModelServing"
