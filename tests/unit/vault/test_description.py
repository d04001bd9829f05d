"""network-config/substation-vault.yaml: five clusters, as the source has them, and processes that can be killed."""

from __future__ import annotations

import pytest

from gridledger.network.companions import settings_of
from gridledger.network.schema import NetworkConfig, load_network_config
from gridledger.sharing import profiles
from services.vault.settings import HolderSettings
from tests.support.processes import REPOSITORY

SIZES = {"M1": (5, 3), "M2": (7, 4), "M3": (9, 5), "M4": (5, 3), "M5": (3, 2)}


@pytest.fixture(scope="module")
def config() -> NetworkConfig:
    return load_network_config(REPOSITORY / "network-config/substation-vault.yaml")


def holders(config: NetworkConfig) -> dict[str, dict[str, dict[str, str]]]:
    """The attributes of all holders, by cluster and name."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for one in config.companions:
        for identity in one.all_identities if one.kind == "vault-holder" else ():
            found.setdefault(identity.attributes["vault.cluster"], {})[identity.name] = identity.attributes
    return found


def test_clusters_have_their_sizes_and_thresholds(config: NetworkConfig) -> None:
    clusters = config.applications["vault"]["clusters"]
    described = holders(config)
    assert {name: (len(described[name]), clusters[name]["t"]) for name in described} == SIZES
    for name, (size, t) in SIZES.items():
        cluster = clusters[name]
        assert sorted(cluster["holders"]) == sorted(described[name])
        assert t + cluster["spare"] <= size - 1
        heads = [holder for holder, told in described[name].items() if told["vault.role"] == "head"]
        assert heads == [cluster["head"]]
    assert clusters["heads"]["t"] + clusters["heads"]["spare"] <= len(SIZES) - 1


def test_ids_are_unique_and_good_for_every_profile(config: NetworkConfig) -> None:
    described = holders(config)
    ids = {name: [int(told["vault.id"]) for told in one.values()] for name, one in described.items()}
    every = [x for one in ids.values() for x in one]
    assert len(set(every)) == len(every) == 29
    heads = [int(one[f"{name.lower()}-head"]["vault.id"]) for name, one in described.items()]
    for profile in profiles.PROFILES:
        for name, (_, t) in SIZES.items():
            profiles.check_ids(profile, t, ids[name])
        profiles.check_ids(profile, 3, heads)


def test_as_many_of_m3_as_may_fail_run_as_one_process_and_one_more_as_another(config: NetworkConfig) -> None:
    sizes = [len(one.all_identities) for one in config.companions if one.name.startswith("m3")]
    size, t = SIZES["M3"]
    assert sizes == [size - t, 1, size - (size - t) - 1]


def test_the_settings_of_each_process_can_be_used(config: NetworkConfig) -> None:
    for one in config.companions:
        if one.kind == "vault-holder":
            settings = HolderSettings(**settings_of(config, one))
            assert settings.base_url == f"https://127.0.0.1:{one.port}"
            assert len(settings.identities) == len(one.all_identities)
