from pathlib import Path

import pytest

from benchmarks.triton import with_instances, write_identity


def test_a_sample_model_gets_two_instances_of_one_thread() -> None:
    text = with_instances((Path("model_repository") / "magika" / "config.pbtxt").read_text(), 2)
    assert "count: 2" in text
    assert 'key: "intra_op_thread_count" value: { string_value: "1" }' in text


def test_a_config_without_an_instance_group_is_refused() -> None:
    with pytest.raises(ValueError, match="one instance group"):
        with_instances("name: 'm'", 2)


def test_the_identity_model_is_a_whole_model_folder(tmp_path: Path) -> None:
    write_identity(tmp_path)
    compile((tmp_path / "identity" / "1" / "model.py").read_text(), "model.py", "exec")
    assert 'name: "identity"' in (tmp_path / "identity" / "config.pbtxt").read_text()
