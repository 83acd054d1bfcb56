from gateway.config import PlacementRule
from gateway.repository.placement import SiteInfo, assign

A = SiteInfo("a", {"gpu": "l4", "zone": "1"})
B = SiteInfo("b", {"gpu": "h100", "zone": "1"})


def test_without_a_rule_that_fits_all_sites_hold_a_model() -> None:
    rules = [PlacementRule(models="ocr-*", upstreams=("a",))]
    placed = assign(["ocr-en", "speech"], [A, B], rules)
    assert placed.models == {"a": {"ocr-en", "speech"}, "b": {"speech"}}
    assert placed.unplaced == {}
    assert (placed.sites_of("ocr-en"), placed.sites_of("speech")) == (("a",), ("a", "b"))


def test_the_first_rule_that_fits_holds() -> None:
    rules = [PlacementRule(models="ocr-en", upstreams=("b",)), PlacementRule(models="ocr-*", upstreams=("a",))]
    assert assign(["ocr-en", "ocr-de"], [A, B], rules).models == {"a": {"ocr-de"}, "b": {"ocr-en"}}


def test_labels_must_all_be_there() -> None:
    rules = [PlacementRule(models="*", labels={"zone": "1", "gpu": "h100"})]
    assert assign(["m"], [A, B], rules).models == {"a": frozenset(), "b": {"m"}}


def test_names_and_labels_hold_together() -> None:
    rules = [PlacementRule(models="*", upstreams=("a",), labels={"gpu": "h100"})]
    placed = assign(["m"], [A, B], rules)
    assert placed.models == {"a": frozenset(), "b": frozenset()}
    assert "gpu=h100" in placed.unplaced["m"]


def test_a_rule_that_names_an_unknown_upstream_is_told_and_the_known_ones_hold_the_model() -> None:
    placed = assign(["m"], [A, B], [PlacementRule(models="m", upstreams=("b", "c"))])
    assert placed.models["b"] == {"m"}
    assert placed.unplaced["m"] == (
        "the rule for 'm' in repository.placement names the upstream 'c', which is not there; there are: a, b"
    )


def test_patterns_heed_case() -> None:
    rules = [PlacementRule(models="OCR*", upstreams=("a",))]
    assert assign(["ocr"], [A, B], rules).models == {"a": {"ocr"}, "b": {"ocr"}}


def test_without_any_site_nothing_is_held() -> None:
    assert assign(["m"], [], []).unplaced == {"m": "there is no Triton to hold it"}


def test_a_model_that_needs_a_gpu_waits_for_a_site_that_may_have_one() -> None:
    here, there = SiteInfo("embedded", gpus=0), SiteInfo("there")
    gpus = {"plan": "an NVIDIA GPU (sm_89)"}
    alone = assign(["plan", "other"], [here], [], gpus)
    assert alone.models == {"embedded": {"other"}}
    assert alone.waiting["plan"].startswith("it needs an NVIDIA GPU (sm_89), and this machine has none: serve it from")
    assert alone.unplaced == {}
    both = assign(["plan", "other"], [here, there], [], gpus)
    assert both.models == {"embedded": {"other"}, "there": {"plan", "other"}}
    assert both.waiting == {}
    assert assign(["plan"], [SiteInfo("embedded", gpus=2)], [], gpus).models == {"embedded": {"plan"}}
