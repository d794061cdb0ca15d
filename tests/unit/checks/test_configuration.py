# SPDX-License-Identifier: Apache-2.0
"""What cinder.conf says, and a start does not look at, is told with its cure."""

from importlib import metadata

import pytest
from cinder.scheduler import host_manager
from oslo_config import cfg

from taikun_cinder.checks.findings import Outcome

FILTERS = "scheduler_default_filters"
OURS = "TaikunMultiattachFilter"


def test_installed_packages_are_told(is_right):
    assert f"cinder {metadata.version('cinder')}" in is_right("versions")


def test_package_of_another_version_is_told(found, monkeypatch):
    wanted = ["cinder>=26,<27.0.0", "no-such-package>=1", 'x>1; python_version<"3"']
    monkeypatch.setattr(metadata, "requires", lambda name: wanted)
    monkeypatch.setattr(metadata, "version", _version)
    first, second = found("versions")
    assert first[:2] == (
        Outcome.WARNING,
        "cinder is 30.0.0, and this driver needs <27.0.0,>=26",
    )
    assert second[:2] == (Outcome.FAILED, "no-such-package is not installed")
    assert "Python environment of cinder-volume" in second[2]


def _version(name):
    if name != "cinder":
        raise metadata.PackageNotFoundError(name)
    return "30.0.0"


def test_options_are_judged_as_at_a_start(is_right, only, backend):
    is_right("options", backend())
    outcome, text, cure = only("options", backend(lvm_share_target=True))
    assert outcome is Outcome.FAILED
    assert "lvm_share_target is True" in text
    assert "lvm_share_target = False" in cure


def test_option_that_is_misspelt_is_told(is_right, found, filters):
    filters()
    is_right("unknown-options")
    filters("CapacityFilter", more="[lvm]\ntaikun_max_host = 3\n")
    ((outcome, text, cure),) = found("unknown-options")
    assert outcome is Outcome.WARNING
    assert "taikun_max_host in [lvm]" in text
    assert "taikun_max_hosts may be meant" in text
    assert "restart cinder-volume" in cure


def test_metrics_are_judged_as_at_a_start(is_right, only, backend):
    for none in (None, ""):
        is_right("metrics", backend(taikun_metrics_folder=none))
    outcome, text, _ = only("metrics", backend(taikun_metrics_folder="metrics"))
    assert outcome is Outcome.WARNING
    assert "taikun_metrics_folder" in text


def test_cluster_is_told_to_be_of_no_use(is_right, only, cinder):
    is_right("active-active")
    cinder.set_override("cluster", " mine ")
    try:
        outcome, text, cure = only("active-active")
    finally:
        cinder.clear_override("cluster")
    assert outcome is Outcome.FAILED
    assert "cluster is mine" in text
    assert "Take cluster out" in cure


@pytest.fixture
def enable(cinder):
    """Return a function that enables back ends."""
    yield lambda *names: cinder.set_override("enabled_backends", list(names))
    cinder.clear_override("enabled_backends")


def test_group_of_its_own_is_right(is_right, backend, enable):
    one, other = backend(), backend(volume_group="others")
    enable(one.name, other.name)
    is_right("shared-group", one)


@pytest.mark.parametrize(
    ("driver", "is_told"),
    [
        ("taikun_cinder.driver.MultiattachLVMDriver", True),
        ("cinder.volume.drivers.lvm.LVMVolumeDriver", True),
        ("cinder.volume.drivers.rbd.RBDDriver", False),
    ],
)
def test_group_that_another_back_end_has_too_is_told(
    found, backend, enable, driver, is_told
):
    one, other = backend(), backend(volume_driver=driver)
    enable(one.name, other.name)
    ((outcome, text, _),) = found("shared-group", one)
    assert (outcome is Outcome.WARNING) is is_told
    assert (other.name in text) is is_told


@pytest.mark.parametrize(
    "option", ["image_volume_cache_enabled", "image_upload_use_internal_tenant"]
)
def test_image_cache_without_its_user_is_told(is_right, only, backend, cinder, option):
    one = backend()
    is_right("image-cache", one)
    cinder.set_override(option, True, one.name)
    cinder.set_override("cinder_internal_tenant_project_id", "p")
    outcome, text, cure = only("image-cache", one)
    assert outcome is Outcome.WARNING
    assert f"{option} has no effect without cinder_internal_tenant_user_id" in text
    assert "cinder_internal_tenant_project_id" not in cure
    cinder.set_override("cinder_internal_tenant_user_id", "u")
    try:
        is_right("image-cache", one)
    finally:
        cinder.clear_override("cinder_internal_tenant_user_id")
        cinder.clear_override("cinder_internal_tenant_project_id")


@pytest.fixture
def filters(tmp_path, monkeypatch):
    """Return a function that reads a cinder.conf that names some filters."""

    def read(*names, more=""):
        file = tmp_path / "cinder.conf"
        line = f"{FILTERS} = {','.join(names)}\n" if names else ""
        file.write_text(f"[DEFAULT]\n{line}{more}")
        conf = cfg.ConfigOpts()
        conf.register_opts(host_manager.host_manager_opts)
        conf(["--config-file", str(file)])
        monkeypatch.setattr(cfg, "CONF", conf)

    return read


def test_filter_that_is_there_is_right(is_right, filters):
    filters("CapacityFilter", OURS)
    assert "what counts is cinder.conf of the node that cinder-scheduler" in is_right(
        "scheduler-filter"
    )


def test_filter_that_is_left_out_is_told(only, filters):
    filters("CapacityFilter")
    outcome, text, cure = only("scheduler-filter")
    assert outcome is Outcome.WARNING
    assert f"lacks {OURS}" in text
    assert f"Add {OURS} to {FILTERS}" in cure


def test_filter_of_which_this_node_says_nothing_cannot_be_told(only, backend, filters):
    one = backend(taikun_max_multiattach_volumes=3)
    filters()
    outcome, text, _ = only("scheduler-filter", one)
    assert outcome is Outcome.UNKNOWN
    assert f"no effect of taikun_max_multiattach_volumes of [{one.name}]" in text
