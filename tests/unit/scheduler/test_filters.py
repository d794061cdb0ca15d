# SPDX-License-Identifier: Apache-2.0
"""The scheduler's filter passes a back end, or logs why it does not."""

from typing import Any

import pytest
from cinder.scheduler.host_manager import BackendState
from stevedore import extension

from taikun_cinder.cinder_db import api as db
from taikun_cinder.scheduler.filters import TaikunMultiattachFilter
from tests.unit.cloud import A, B
from tests.unit.test_extension import snapshot_of

OURS = {"multiattach": True, "vendor_name": "taikun_cinder"}
OTHERS = {"multiattach": True, "vendor_name": "Open Source"}
MULTI = {"multiattach": "<is> True"}


def _passes(capabilities, specs, operation="create_volume", **volume):
    state = BackendState("node@lvm#pool", None, capabilities)
    volume_type = {
        "id": volume.pop("type_id", None),
        "name": "shared",
        "extra_specs": specs,
    }
    request = {
        "operation": operation,
        "volume_id": volume.pop("id", "the-volume"),
        "volume_properties": volume,
    }
    return TaikunMultiattachFilter().backend_passes(
        state,
        {"request_spec": request, "resource_type": volume_type},
    )


def test_filter_is_found_by_cinder_under_its_name():
    name = "TaikunMultiattachFilter"
    found: Any = extension.ExtensionManager("cinder.scheduler.filters")[name]
    assert found.plugin.__name__ == name


@pytest.mark.parametrize("operation", ["create_volume", "manage_existing", None])
@pytest.mark.parametrize("can", [OURS, OTHERS])
@pytest.mark.parametrize(
    "specs", [{}, MULTI, {"multiattach": "<is> False"}, {"x": "y"}, None]
)
def test_what_is_right_passes_everywhere(can, specs, operation):
    assert _passes(can, specs, operation)


@pytest.mark.parametrize(
    "value", ["<is> true", "<is>  True", "True", "<is> yes", "<is> 1", "<or> True"]
)
def test_multiattach_that_cinder_would_not_understand_is_refused(value, log):
    for operation in ("create_volume", "manage_existing", "retype_volume"):
        assert not _passes(OURS, {"multiattach": value}, operation)
    assert f"multiattach='{value}'" in log.text
    assert "'<is> True' to the letter" in log.text
    assert "node@lvm#pool" in log.text
    assert "shared" in log.text


def test_multiattach_beside_what_forbids_it_is_refused(log):
    assert not _passes(OURS, MULTI | {"cacheable": "<is> True"})
    assert not _passes(OURS, MULTI, encryption_key_id="a-key")
    assert "cacheable" in log.text
    assert "encrypted" in log.text
    assert _passes(OURS, {"cacheable": "<is> True"}, encryption_key_id="a-key")


def test_type_that_is_encrypted_and_multiattach_is_refused(cloud, log):
    # Cinder's API looks for that elsewhere when a volume is retyped, and lets it pass.
    type_id = cloud.volume_type()["volume_type_id"]
    assert _passes(OURS, MULTI, "retype_volume", type_id=type_id, id=cloud.volume())
    luks = {"provider": "luks", "control_location": "front-end"}
    db.volume_type_encryption_create(cloud.context, type_id, luks)
    assert not _passes(OURS, MULTI, "retype_volume", type_id=type_id, id=cloud.volume())
    assert "encrypted" in log.text
    assert _passes(OURS, {}, "retype_volume", type_id=type_id, id=cloud.volume())


def test_our_extra_specs_are_for_our_back_ends(log):
    specs = MULTI | {"taikun:secondary_mode": "ro"}
    assert _passes(OURS, specs)
    assert not _passes(OTHERS, specs)
    assert "does not know taikun:secondary_mode" in log.text


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("secondary_mode", "RO", "one of rw, ro, deny"),
        ("max_hosts", "-1", "a number from 0"),
        ("max_host", "1", "there is no taikun:max_host; there are"),
    ],
)
def test_extra_spec_that_is_none_is_refused(log, name, value, said):
    assert not _passes(OURS, {f"taikun:{name}": value})
    assert said in log.text


def test_back_end_that_is_kept_for_multiattach_volumes(log):
    kept = OURS | {"multiattach_only": True}
    assert _passes(kept, MULTI)
    assert not _passes(kept, {})
    assert "taikun_multiattach_only" in log.text
    assert _passes(kept, {}, "extend_volume")


def test_back_end_that_is_full_of_multiattach_volumes(cloud, log):
    full = OURS | {"multiattach_volumes_left": 0}
    assert not _passes(full, MULTI)
    assert not _passes(full, MULTI, "manage_existing")
    assert "taikun_max_multiattach_volumes" in log.text
    assert _passes(full, {})
    assert _passes(full, MULTI, "extend_volume", multiattach=True)
    assert _passes(OURS | {"multiattach_volumes_left": 1}, MULTI)
    elsewhere = cloud.volume()
    assert not _passes(full, MULTI, "migrate_volume", id=elsewhere, multiattach=True)
    here = cloud.volume(host="node@lvm#pool")
    assert _passes(full, MULTI, "retype_volume", id=here, multiattach=True)
    plain = cloud.volume(host="node@lvm#pool", multiattach=False)
    assert not _passes(full, MULTI, "retype_volume", id=plain, multiattach=False)


@pytest.mark.parametrize("operation", ["migrate_volume", "retype_volume"])
def test_volume_with_several_attachments_is_not_moved(cloud, log, operation):
    volume = cloud.volume()
    cloud.attach(volume, A)
    assert _passes(OURS, MULTI, operation, id=volume, multiattach=True)
    cloud.attach(volume, B)
    assert not _passes(OURS, MULTI, operation, id=volume, multiattach=True)
    assert "2 attachments" in log.text
    here = BackendState(cloud.load(volume).host, None, OURS)
    request = {"operation": operation, "volume_id": volume}
    request["volume_properties"] = {"multiattach": True}
    stays = TaikunMultiattachFilter().backend_passes(here, {"request_spec": request})
    assert stays


def test_request_that_it_does_not_understand_is_left_to_the_others(log):
    assert _passes(OURS, MULTI, "migrate_volume", id="no-such", multiattach=True)
    assert "left to the other filters" in log.text


@pytest.mark.parametrize(
    ("thick", "attached", "snapshot", "passes"),
    [
        (True, True, True, False),
        (False, True, True, True),
        (True, False, True, True),
        (True, True, False, True),
    ],
)
def test_extension_that_lvm_cannot_do_is_refused_before_it_begins(
    cloud, log, thick, attached, snapshot, passes
):
    volume = cloud.volume()
    if attached:
        cloud.attach(volume, A)
    if snapshot:
        snapshot_of(cloud, volume)
    pool = {**OURS, "thick_provisioning_support": thick}
    assert _passes(pool, MULTI, "extend_volume", id=volume) is passes
    assert ("delete its snapshots" in log.text) is not passes
    # What others can do is theirs, and so is what is not an extension.
    others = {**OTHERS, "thick_provisioning_support": thick}
    assert _passes(others, MULTI, "extend_volume", id=volume)
    assert _passes(pool, MULTI, "retype_volume", id=volume)
