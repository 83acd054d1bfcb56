import re

import pytest

from converters.report.markdown import code, markdown, text
from tests.converters.report.builds import (
    HOSTILE,
    NOT_RUN,
    broken_model,
    everything,
    failing,
    passing,
    result,
    unverified,
)


def tables(document: str) -> list[list[str]]:
    blocks = [block.splitlines() for block in re.split(r"\n\n", document)]
    return [block for block in blocks if block[0].startswith("|")]


def columns(line: str) -> int:
    return len(re.findall(r"(?<!\\)\|", line)) - 1


def test_all_rows_of_a_table_have_as_many_cells() -> None:
    found = tables(markdown(everything()))
    assert len(found) >= 4
    for lines in found:
        assert len({columns(line) for line in lines}) == 1


def test_a_row_for_each_variant() -> None:
    row = next(line for line in markdown(result(passing())).splitlines() if line.startswith("| `minilm` | `int8`"))
    for words in ("2 nodes FP32", "21.0 MB → 5.0 MB (4.20x smaller)", "0.998700", "98.4 %", "1.50x", "✅ passed"):
        assert words in row
    assert "`cpu`: onnxruntime 1.31.1, 5.0 MB, run in ONNX Runtime, known already" in row
    assert "`minilm_int8_cpu/2`" in row


def test_engines_that_were_not_run_are_told_plainly() -> None:
    document = markdown(result(passing()))
    assert "sm_75, sm_120, 6.1 MB, built in 31.2 s, built and checked, not run" in document
    assert f"- `minilm` `fp16` `rtx`: {NOT_RUN}" in document


def test_the_headline_counts() -> None:
    document = markdown(result(passing(), failing()))
    assert document.startswith("## ❌ Conversions: 1 of 2 models failed\n\n2 variants passed and 3 failed, ")
    assert "3 min 23 s" in document
    assert "A CPU, 2 cores" in document
    assert markdown(result(passing())).startswith("## ✅ Conversions: the model passed\n")


def test_every_failure_has_a_section() -> None:
    document = markdown(result(failing()))
    assert document.count("\n### ❌ ") == 4
    section = document.partition("### ❌ `detector` · `int8`\n")[2]
    assert section.startswith(
        "\n- **What was wrong:** it is not as good as the original\n"
        "- **Where:** step `gate int8`, node `block/MatMul_1 (MatMul)`\n"
        "- **Way out:** give more data\n"
        "- **Worst layer:** `block/MatMul_1` (MatMul), mean relative error of `block/MatMul_1:0`: 0.31\n"
        "\n| Output | Measure | Measured | Limit |\n| :-- | :-- | --: | --: |\n| `scores` | cosine | 0.9 | 0.98 |\n"
    )
    assert "And 4 more, in the HTML report." in section


def test_metrics_warnings_versions_and_what_was_known() -> None:
    document = markdown(result(passing()))
    assert "| `minilm` | `fp16` | `ranking` | 0.99 |" in document
    assert "- `minilm` `fp16` `rtx`: a weight is subnormal" in document
    assert "| `onnx` | `1.23.2` |" in document
    assert "3 of 5 steps known already" in document
    assert "- `minilm`, 3 of 5: `to ONNX`, `fp16`, `gate fp16`" in document


def test_models_without_data_or_variants_and_empty_builds() -> None:
    assert "⚪ not judged" in markdown(result(unverified()))
    assert "❌ failed" in markdown(result(broken_model()))
    assert markdown(result()).startswith("## ✅ Conversions: nothing to build\n")


def test_hostile_names_have_no_effect() -> None:
    document = markdown(everything())
    assert "<script" not in document
    assert "\x07" not in document
    assert code(HOSTILE) == (
        "<code>&lt;script&gt;alert('&#124;&#96;&#42;&#95;x&#95;&#42;&#96;&#124;')&lt;/script&gt;&amp; b</code>"
    )


@pytest.mark.parametrize(
    ("prose", "escaped"),
    [
        ("sm_75", "sm_75"),
        ("_x_ *y*", r"\_x\_ \*y\*"),
        ("a|b\nc", r"a\|b c"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
        ("[a](b)", r"\[a\](b)"),
    ],
)
def test_prose_is_shown_as_it_is(prose: str, escaped: str) -> None:
    assert text(prose) == escaped
