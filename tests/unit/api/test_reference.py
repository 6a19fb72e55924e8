from modelserving.api.crd import generate_schema
from modelserving.api.reasons import ConditionType, Reason
from modelserving.api.reference import reference_markdown


def test_has_a_row_for_every_field_of_spec_and_status() -> None:
    page = reference_markdown()
    schema = generate_schema()["properties"]
    for part in ("spec", "status"):
        for name in schema[part]["properties"]:
            assert f"| `{name}`" in page


def test_names_parts_by_their_path_lists_with_brackets() -> None:
    page = reference_markdown()
    for path in (
        "spec",
        "spec.variants[]",
        "spec.huggingFace.tokenSecretRef",
        "spec.engine.env[]",
        "status.plan.memory[]",
    ):
        assert f"\n## `{path}`\n" in page


def test_states_type_default_and_bounds() -> None:
    page = reference_markdown()
    assert "| `model` (required) | string |" in page
    assert "| `concurrency` | integer, 1 to 4096 | `1` |" in page
    assert "| `planOnly` | boolean | `false` |" in page
    assert "| `cpuPerGPU` | size | `0` |" in page
    assert "| `nodeSelector` | map of string |" in page
    assert "| `replan` | `Never`, `WhenUnschedulable`, `Always` | `Never` |" in page


def test_states_the_rules_across_fields() -> None:
    assert "- value and valueFrom exclude each other: set one" in reference_markdown()


def test_lists_conditions_and_reasons() -> None:
    page = reference_markdown()
    assert all(f"`{word}`" in page for word in (*ConditionType, *Reason))


def test_every_row_of_a_table_has_four_cells() -> None:
    rows = [line for line in reference_markdown().splitlines() if line.startswith("| ")]
    assert rows
    assert {line.replace("\\|", "").count("|") for line in rows} == {5}
