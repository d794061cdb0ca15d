# SPDX-License-Identifier: Apache-2.0
"""The devices behind the LUNs: made where they belong, found where they are."""

import errno

import pytest

from taikun_cinder.privsep import backstores
from tests.unit.privsep.mount import KilledError
from tests.unit.privsep.node import names_of_backstores
from tests.unit.privsep.target_core import KINDS

NAME = "iqn.2010-10.org.openstack:volume-1"
DEVICE, SERIAL = "/dev/vg/volume-1", "0123456789abcdef"


@pytest.fixture
def node(mounted):
    """Give the mounted node, with a device."""
    mounted.add_device(DEVICE)
    return mounted


def by_hand(node, path, device, *, enable=True):
    """Make a backstore as another program would."""
    if path.rpartition("/")[2] not in node.configfs.folder("target/core").folders:
        node.make(path.rpartition("/")[0])
    node.make(path)
    node.put(f"{path}/control", f"udev_path={device}")
    node.put(f"{path}/udev_path", device)
    if enable:
        node.put(f"{path}/enable", "1")


def told():
    folder = backstores.find(NAME, search=True)
    assert folder is not None
    return backstores.device(folder), backstores.serial(folder)


def test_index_is_the_names_own_and_none_that_rtslib_would_take():
    indices = {
        int(backstores.place(f"{NAME}{number}").split("/")[-2].removeprefix("iblock_"))
        for number in range(20_000)
    }
    # A few names share an HBA, as they may.
    assert len(indices) > 19_990
    assert min(indices) >= 1 << 20
    assert max(indices) < 1 << 32
    assert backstores.place(NAME) == backstores.place(NAME)


def test_backstore_is_made_once_with_its_device_and_serial(node):
    for _ in range(2):
        backstores.create(NAME, DEVICE, SERIAL)
    assert told() == (DEVICE, SERIAL)
    assert backstores.active(backstores.place(NAME))
    assert names_of_backstores() == [NAME]
    assert node.in_use(DEVICE)


@pytest.mark.parametrize("count", range(7))
def test_half_built_backstore_is_gone_on_with(node, count):
    node.mount.kill_at = count
    if count < 6:
        with pytest.raises(KilledError):
            backstores.create(NAME, DEVICE, SERIAL)
        assert not backstores.active(backstores.place(NAME))
    node.mount.kill_at = None
    backstores.create(NAME, DEVICE, SERIAL)
    assert told() == (DEVICE, SERIAL)
    assert node.in_use(DEVICE)


@pytest.mark.parametrize(
    ("device", "serial"), [("/dev/vg/volume-2", SERIAL), (DEVICE, "another")]
)
def test_backstore_of_another_device_or_serial_is_not_taken_for_it(
    node, device, serial
):
    backstores.create(NAME, DEVICE, SERIAL)
    node.add_device(device)
    with pytest.raises(FileExistsError) as caught:
        backstores.create(NAME, device, serial)
    assert caught.value.filename == str(backstores.place(NAME))
    assert told() == (DEVICE, SERIAL)


def test_backstore_that_the_in_tree_driver_left_gives_its_device_up(node):
    by_hand(node, f"core/iblock_0/{NAME}", DEVICE)
    backstores.create(NAME, DEVICE, SERIAL)
    assert told() == (DEVICE, SERIAL)
    assert names_of_backstores() == [NAME]
    assert "iblock_0" not in node.configfs.folder("target/core").folders


def test_device_that_somebody_else_has_is_an_error_and_stays_his(node):
    by_hand(node, "core/iblock_0/somebody-elses", DEVICE)
    with pytest.raises(OSError, match="busy") as caught:
        backstores.create(NAME, DEVICE, SERIAL)
    assert caught.value.errno == errno.EBUSY
    assert "somebody-elses" in names_of_backstores()


def test_stray_goes_only_if_it_has_the_device(node):
    node.add_device("/dev/vg/volume-2")
    by_hand(node, f"core/iblock_0/{NAME}", "/dev/vg/volume-2")
    with pytest.raises(FileNotFoundError):
        backstores.create(NAME, "/dev/vg/there-is-none", SERIAL)
    assert node.in_use("/dev/vg/volume-2")
    backstores.create(NAME, DEVICE, SERIAL)
    assert names_of_backstores() == [NAME, NAME]


def test_backstore_is_found_by_its_lun_without_a_search(node):
    by_hand(node, f"core/iblock_0/{NAME}", DEVICE)
    assert backstores.find(NAME, search=False) is None
    found = backstores.find(NAME, search=True)
    assert found == f"{backstores.CORE}/iblock_0/{NAME}"
    for path in ("", "/tpgt_1", "/tpgt_1/lun/lun_0"):
        node.make(f"iscsi/{NAME}{path}")
    node.link(f"iscsi/{NAME}/tpgt_1/lun/lun_0/x", f"core/iblock_0/{NAME}")
    assert backstores.find(NAME, search=False) == found
    assert backstores.bound(NAME) == {"lun_0": found}


def test_backstore_of_another_kind_is_never_taken_for_it(node):
    node.make("core/fileio_0")
    node.make(f"core/fileio_0/{NAME}")
    node.put(f"core/fileio_0/{NAME}/control", f"fd_dev_name={DEVICE}")
    node.put(f"core/fileio_0/{NAME}/enable", "1")
    for path in ("", "/tpgt_1", "/tpgt_1/lun/lun_0"):
        node.make(f"iscsi/{NAME}{path}")
    node.link(f"iscsi/{NAME}/tpgt_1/lun/lun_0/x", f"core/fileio_0/{NAME}")
    assert backstores.find(NAME, search=True) is None
    assert names_of_backstores() == []


def test_removal_closes_the_device_wherever_the_backstore_is(node):
    by_hand(node, f"core/iblock_0/{NAME}", DEVICE)
    by_hand(node, "core/iblock_1/other", DEVICE, enable=False)
    for _ in range(2):
        backstores.remove(NAME)
    assert not node.in_use(DEVICE)
    assert names_of_backstores() == ["other"]
    hbas = node.configfs.folder("target/core").folders
    assert hbas.keys() == {"alua", "iblock_1"}


def test_removal_leaves_an_hba_that_has_another_backstore(node):
    backstores.create(NAME, DEVICE, SERIAL)
    hba = backstores.place(NAME).split("/")[-2]
    node.make(f"core/{hba}/other")
    backstores.remove(NAME)
    assert names_of_backstores() == ["other"]


def test_backstore_that_a_lun_leads_to_stays(node):
    backstores.create(NAME, DEVICE, SERIAL)
    for path in ("", "/tpgt_1", "/tpgt_1/lun/lun_0"):
        node.make(f"iscsi/{NAME}{path}")
    place = "/".join(backstores.place(NAME).split("/")[-3:])
    node.link(f"iscsi/{NAME}/tpgt_1/lun/lun_0/x", place)
    with pytest.raises(OSError, match="busy"):
        backstores.remove(NAME)
    assert node.in_use(DEVICE)


def test_kind_of_backstores_that_the_kernel_did_not_load_is_loaded(node):
    late = KINDS["iblock"]
    node.machine.loaded.discard(late)
    node.machine.installed.discard(late)
    node.make("core/fileio_0")  # the kernel asks for all kinds, and never again
    node.machine.installed.add(late)
    backstores.create(NAME, DEVICE, SERIAL)
    assert told() == (DEVICE, SERIAL)
