from gateway.upstreams.added import with_added

PASSED = ((b"traceparent", b"1"), (b"content-type", b"a/b"), (b"traceparent", b"2"))


def test_what_is_added_goes_on_whatever_it_is_and_in_place_of_what_the_client_said() -> None:
    added = ((b"x-tenant", b"a"), (b"traceparent", b"3"))
    assert with_added(PASSED, added) == ((b"content-type", b"a/b"), *added)


def test_without_it_nothing_changes() -> None:
    assert with_added(PASSED, ()) is PASSED
