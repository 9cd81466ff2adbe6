"""Images hold nothing that another source made, whatever a package set claims of its packages."""

import os
from collections.abc import Iterator
from functools import partial

import pytest

from tests.e2e import forging
from tests.e2e.forging import CLAIMING, FORGING, HONEST, SECRET_NAME, Place
from tests.e2e.process import SYSTEM_PATH, succeed
from tests.e2e.server import Server

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    environment = {
        "PATH": SYSTEM_PATH,
        "NIX_CONF_DIR": os.environ["NIX_CONF_DIR"],
        "NIX_CONFIG": forging.permissive(),
    }
    return forging.lay_out(tmp_path_factory.mktemp("forging"), partial(succeed, env=environment))


@pytest.fixture(scope="module")
def forged(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with forging.server(place, tmp_path_factory.mktemp("forged")) as server:
        yield server


@pytest.mark.parametrize("attack", FORGING)
def test_anothers_files_are_refused(forged: Server, place: Place, attack: str) -> None:
    forging.expect_refusal(forged, place, attack)


def test_anothers_files_are_refused_without_derivations(forged: Server, place: Place) -> None:
    forging.expect_nothing_without_derivations(forged, place)


@pytest.mark.parametrize("attack", CLAIMING)
def test_a_path_that_the_derivation_does_not_make_is_refused(forged: Server, attack: str) -> None:
    forging.expect_no_claim(forged, attack)


@pytest.mark.parametrize("name", HONEST)
def test_packages_that_an_untrusted_set_makes_itself_are_served(forged: Server, name: str) -> None:
    assert forged.get(f"/v2/forger/{name}/manifests/latest").status_code == 200


def test_links_to_anothers_directory_do_not_show_what_is_in_it(forged: Server) -> None:
    image = forging.image_bytes(forged, "forger/links-outside/links-beside")

    assert SECRET_NAME.encode() not in image
