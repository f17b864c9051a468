import pytest

from sensegen_utils.data.simulated import simulate_har


@pytest.fixture(scope="session")
def simulated_archive(tmp_path_factory):
    return simulate_har(tmp_path_factory.mktemp("simulated") / "har.zip")
