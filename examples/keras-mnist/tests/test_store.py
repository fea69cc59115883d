"""Files in and out, on this machine and on a real object store."""

import pytest

from trainer.store import Store, StoreError


def test_a_file_comes_back_as_it_went(place, tmp_path):
    store, url = Store(), place + "a folder/x#y.txt"
    assert not store.exists(url)
    store.upload_text("first", url)
    store.upload_text("second", url)
    assert store.exists(url)
    store.download(url, tmp_path / "back")
    assert (tmp_path / "back").read_text() == "second"
    assert len(store.list(place + "a folder/")) == 1
    store.delete(url)
    store.delete(url)
    assert not store.exists(url)


def test_what_is_not_there_is_told_by_its_url(place, tmp_path):
    with pytest.raises(StoreError, match="none.npz is not there"):
        Store().download(place + "none.npz", tmp_path / "x")


def test_a_bucket_that_is_not_there_is_told(place):
    if place.startswith("file"):
        pytest.skip("folders are made")
    with pytest.raises(StoreError, match="there is no such bucket"):
        Store().upload_text("x", "s3://hcb-there-is-no-such-bucket/x")
