# SPDX-License-Identifier: Apache-2.0
"""The operations on configfs, over real folders and over the imitation."""

import errno
import os

import pytest

from taikun_cinder.privsep import files
from tests.unit.privsep.mount import POINT
from tests.unit.privsep.node import TARGET

FOLDER = f"{TARGET}/iscsi/iqn.2010-10.org.openstack:volume-1"
TPG = f"{FOLDER}/tpgt_1"


@pytest.fixture
def tpg(mounted):
    """Give the mounted node, with a TPG."""
    files.make(FOLDER)
    files.make(TPG)
    return mounted


def test_what_is_absent_reads_as_nothing_and_is_never_written(tmp_path):
    absent = str(tmp_path / "absent")
    assert files.get(absent) is None
    assert files.get(f"{absent}/below") is None
    assert files.entries(absent) == []
    assert files.links(absent) == {}
    with pytest.raises(FileNotFoundError):
        files.put(absent, "1")
    assert not os.path.exists(absent)
    files.remove(absent)
    files.unlink(absent)


def test_content_is_read_without_the_last_lines_end_only(tmp_path):
    attribute = tmp_path / "attribute"
    for content, read in (("a\n", "a"), ("a\n\n", "a\n"), (" a ", " a "), ("", "")):
        attribute.write_text(content)
        assert files.get(str(attribute)) == read


def test_content_that_is_no_text_is_read_all_the_same(tmp_path):
    attribute = tmp_path / "attribute"
    attribute.write_bytes(b"a\xff\n")
    assert files.get(str(attribute)) == "a\N{REPLACEMENT CHARACTER}"


def test_attribute_is_written_in_one_piece_and_without_a_lines_end(tpg):
    seen = []
    tpg.mount.changed = lambda: seen.append(files.get(f"{TPG}/auth/password"))
    files.put(f"{TPG}/auth/password", "s3cret")
    assert seen == ["s3cret"]


def test_making_and_removing_can_be_repeated(tpg):
    for _ in range(2):
        files.make(f"{TPG}/lun/lun_0")
    assert files.entries(f"{TPG}/lun") == ["lun_0"]
    for _ in range(2):
        files.remove(f"{TPG}/lun/lun_0")
    assert files.entries(f"{TPG}/lun") == []


def test_what_is_in_use_is_not_removed_without_a_word(tpg):
    files.make(f"{TPG}/lun/lun_0")
    with pytest.raises(OSError, match="not empty") as caught:
        files.remove(TPG)
    assert caught.value.errno == errno.ENOTEMPTY
    assert caught.value.filename == TPG


def test_entries_are_sorted_and_begin_with_the_prefix(tpg):
    for name in ("lun_2", "lun_10", "lun_1"):
        files.make(f"{TPG}/lun/{name}")
    assert files.entries(f"{TPG}/lun", "lun_1") == ["lun_1", "lun_10"]
    assert "enable" in files.entries(TPG)


def test_links_are_told_by_where_they_lead_from_the_root(tpg):
    backstore = f"{TARGET}/core/iblock_0/x"
    tpg.add_device("/dev/vg/x")
    files.make(f"{TARGET}/core/iblock_0")
    files.make(backstore)
    files.put(f"{backstore}/control", "udev_path=/dev/vg/x")
    files.put(f"{backstore}/enable", "1")
    lun = f"{TPG}/lun/lun_0"
    files.make(lun)
    assert files.links(lun) == {}
    files.link(f"{lun}/backstore", backstore)
    assert files.links(lun) == {f"{lun}/backstore": backstore}
    assert os.readlink(f"{lun}/backstore").startswith("../")
    with pytest.raises(FileExistsError):
        files.link(f"{lun}/backstore", backstore)
    for _ in range(2):
        files.unlink(f"{lun}/backstore")
    assert files.links(lun) == {}


def test_refusals_name_the_attribute(tpg):
    with pytest.raises(OSError, match="Invalid argument") as caught:
        files.put(f"{TPG}/attrib/authentication", "2")
    assert caught.value.filename == f"{TPG}/attrib/authentication"
    with pytest.raises(OSError, match="directory") as caught:
        files.get(f"{TPG}/attrib")
    assert caught.value.filename == f"{TPG}/attrib"


def test_attribute_of_what_is_being_removed_reads_as_absent(tpg):
    files.make(f"{TPG}/lun/lun_0")
    # Without its backstore the kernel answers ENODEV (target_core_fabric_configfs.c).
    assert files.get(f"{TPG}/lun/lun_0/alua_tg_pt_gp") is None


def test_what_may_not_be_written_or_read_is_an_error(tpg):
    with pytest.raises(PermissionError):
        files.put(f"{TPG}/dynamic_sessions", "x")
    files.make(f"{TARGET}/core/iblock_0")
    files.make(f"{TARGET}/core/iblock_0/x")
    with pytest.raises(PermissionError):
        files.get(f"{TARGET}/core/iblock_0/x/control")


def test_nothing_but_an_object_of_configfs_can_be_bound(tpg, tmp_path):
    files.make(f"{TPG}/lun/lun_0")
    with pytest.raises(PermissionError):
        files.link(f"{TPG}/lun/lun_0/x", str(tmp_path))
    with pytest.raises(PermissionError):
        files.link(f"{TPG}/x", f"{TARGET}/core")
    assert TPG.startswith(POINT)
