from dataclasses import asdict

from gateway.repository.site import ModelState, SiteModel
from gateway.repository.standing import as_dict, standing

READY, FAILED = SiteModel(ModelState.READY, versions=(1,)), SiteModel(ModelState.FAILED, "no memory")


def test_a_model_as_plain_values() -> None:
    assert as_dict(READY) == asdict(READY)


def test_what_is_wrong_with_the_folder_comes_first() -> None:
    assert standing("no version", {"a": as_dict(READY)}, "") == {"state": "refused", "reason": "no version"}


def test_the_worst_of_its_sites_is_how_it_stands() -> None:
    sites = {"a": as_dict(READY), "b": as_dict(FAILED)}
    assert standing("", sites, "") == {"state": "failed", "reason": "no memory"}
    assert standing("", {"a": as_dict(READY)}, "") == {"state": "ready", "reason": ""}


def test_without_a_site_it_waits() -> None:
    assert standing("", {}, "for a GPU") == {"state": "waiting", "reason": "for a GPU"}
