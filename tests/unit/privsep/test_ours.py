# SPDX-License-Identifier: Apache-2.0
"""Whose a name is, and not only its shape: root's file says (law 7)."""

import os
import stat
from pathlib import Path

import pytest

from taikun_cinder import privsep
from taikun_cinder.privsep import backstores, cipher, lio, ours
from tests.contract.suite import A, grant
from tests.unit.privsep.node import names_of_backstores

_ROOT = Path(__file__).resolve().parents[3]
PREFIX = "iqn.2010-10.org.openstack:"


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Give root's file, which is not there yet."""
    path = tmp_path / "taikun_cinder" / "privileged.conf"
    path.parent.mkdir(mode=0o755)
    monkeypatch.setattr(ours, "FILE", path)
    monkeypatch.setattr(ours, "CINDER", tmp_path / "cinder.conf")
    return path


def _write(file, **options):
    lines = [f"{name} = {value}" for name, value in options.items()]
    file.write_text("\n".join(["[taikun_cinder]", *lines]))
    file.chmod(0o644)


def test_without_a_file_cinders_defaults_hold(file):
    assert ours.current() == ours.Ours((PREFIX,), ("cinder-volumes",))


def test_the_file_is_read_anew_when_root_changes_it(file):
    _write(file, volume_groups="one, two", target_prefixes="iqn.a: iqn.b:")
    assert ours.current() == ours.Ours(("iqn.a:", "iqn.b:"), ("one", "two"))
    _write(file, volume_groups="three")
    assert ours.current() == ours.Ours((PREFIX,), ("three",))


_CINDER_CONF = """
[DEFAULT]
volume_group = never-meant
volume_driver = taikun_cinder.driver.MultiattachLVMDriver
enabled_backends = one,two,three
[backend_defaults]
target_prefix = iqn.2030-01.example:
[one]
volume_driver = taikun_cinder.driver.MultiattachLVMDriver
volume_group = first
[two]
volume_driver: taikun_cinder.driver.MultiattachLVMDriver
iscsi_target_prefix = iqn.2030-01.example:
volume_group = second
[three]
volume_driver = cinder.volume.drivers.lvm.LVMVolumeDriver
volume_group = somebody-elses
"""


def _cinder_conf(text=_CINDER_CONF):
    ours.CINDER.write_text(text)
    ours.CINDER.chmod(0o640)


def test_without_a_file_the_back_ends_of_cinders_own_hold_if_it_is_roots(file):
    _cinder_conf()
    found = ours.current()
    assert found.volume_groups == ("never-meant", "first", "second")
    assert "iqn.2030-01.example:" in found.target_prefixes
    ours.refuse_group("second")
    with pytest.raises(ValueError, match=r"cinder\.conf says"):
        ours.refuse_group("somebody-elses")
    _write(file, volume_groups="only")
    assert ours.current().volume_groups == ("only",)


@pytest.mark.parametrize("spoil", ["owner", "mode", "text", "none"])
def test_cinders_own_that_cannot_be_believed_leaves_the_defaults(file, spoil):
    _cinder_conf("no section = x" if spoil == "text" else _CINDER_CONF)
    if spoil == "owner":
        os.chown(ours.CINDER, 65534, -1)
    elif spoil == "mode":
        ours.CINDER.chmod(0o660)
    elif spoil == "none":
        _cinder_conf("[one]\nvolume_group = x\n")
    assert ours.current() == ours.Ours()


def _of_somebody(file):
    os.chown(file, 65534, -1)


def _writable(file):
    file.chmod(0o666)


def _in_a_writable_folder(file):
    file.parent.chmod(0o777)


def _unknown(file):
    _write(file, volume_group="one")


def _garbage(file):
    file.write_bytes(b"volume_groups = \xff")


@pytest.mark.parametrize(
    "spoil", [_of_somebody, _writable, _in_a_writable_folder, _unknown, _garbage]
)
def test_a_file_that_is_not_roots_alone_or_wrong_allows_nothing(file, spoil):
    _write(file, volume_groups="one")
    spoil(file)
    with pytest.raises(ValueError, match=str(file)):
        ours.current()
    with pytest.raises(ValueError, match="is not used"):
        ours.refuse_target(f"{PREFIX}volume-1")


@pytest.mark.parametrize("spoil", [_of_somebody, _writable, _in_a_writable_folder])
def test_a_file_that_others_get_later_is_not_believed_any_more(file, spoil):
    _write(file, volume_groups="one")
    assert ours.current().volume_groups == ("one",)
    spoil(file)
    with pytest.raises(ValueError, match=str(file)):
        ours.current()


def test_a_link_that_begins_with_two_slashes_is_followed_to_its_end(file, tmp_path):
    believed = tmp_path / "another.conf"
    _write(believed, volume_groups="one")
    file.symlink_to(f"/{believed}")  # as ln -s "$ROOT/etc/..." makes where ROOT is /
    assert os.readlink(file).startswith("//")
    assert ours.current().volume_groups == ("one",)


def test_a_folder_behind_a_link_that_others_get_later_is_not_believed(file, tmp_path):
    behind = tmp_path / "behind"
    behind.mkdir(mode=0o755)
    _write(behind / "another.conf", volume_groups="one")
    file.symlink_to(behind / "another.conf")
    assert ours.current().volume_groups == ("one",)
    behind.chmod(0o777)
    with pytest.raises(ValueError, match=str(behind)):
        ours.current()


def test_a_link_in_a_strangers_folder_is_not_believed(file, tmp_path):
    believed = tmp_path / "another.conf"
    _write(believed, volume_groups="the-nodes-own")
    file.symlink_to(believed)
    os.chown(file.parent, 65534, -1)
    with pytest.raises(ValueError, match=str(file.parent)):
        ours.current()


@pytest.mark.parametrize(
    "name",
    [
        "iqn.2003-01.org.linux-iscsi:somebody",
        "iqn.2010-10.org.openstack.evil:volume-1",
        PREFIX,
        f"{PREFIX}*",
        f"{PREFIX}volume-[12]",
        f"{PREFIX}volume-?",
        f"{PREFIX}-volume",
    ],
)
def test_a_target_that_is_not_ours_is_refused_by_every_call(mounted, name):
    for call, *arguments in (
        (lio.read, cipher.new_key()),
        (lio.apply, []),
        (lio.apply, [("remove_backstore",)]),
    ):
        with pytest.raises(ValueError, match="target_prefixes") as told:
            call(name, *arguments)
        assert str(ours.FILE) in str(told.value)


@pytest.mark.parametrize(
    "path",
    [
        "/dev/sda",
        "/dev/mapper/vg-volume--1",
        "/dev/other/volume-1",
        "/dev/vg/../sda",
        "/dev/vg/a/b",
    ],
)
def test_a_device_that_is_no_logical_volume_of_ours_is_refused(mounted, path):
    mounted.add_device(path)
    with pytest.raises(ValueError, match=r"volume_groups|no path"):
        lio.apply(f"{PREFIX}volume-1", [("create_backstore", path, "serial")])
    assert names_of_backstores() == []


def test_what_only_has_the_name_of_a_logical_volume_is_refused(mounted, monkeypatch):
    """A link of that name that leads to something else, or no volume of LVM's."""
    mounted.add_device("/dev/vg/volume-1")
    for leads_to in ("vg-volume--2", "other-volume--1", None):
        monkeypatch.setattr(ours, "mapped", lambda *_, name=leads_to: name)
        with pytest.raises(ValueError, match="not that logical volume"):
            lio.apply(
                f"{PREFIX}volume-1",
                [("create_backstore", "/dev/vg/volume-1", "serial")],
            )


def test_a_device_that_is_exchanged_after_the_check_is_not_exported(
    mounted, monkeypatch
):
    mounted.add_device("/dev/vg/volume-1")
    names = iter(["vg-volume--1", "vg-somebodys"])
    monkeypatch.setattr(ours, "mapped", lambda *_: next(names))
    with pytest.raises(Exception, match="EPERM"):
        lio.apply(
            f"{PREFIX}volume-1", [("create_backstore", "/dev/vg/volume-1", "serial")]
        )
    assert names_of_backstores() == []


@pytest.mark.parametrize("exchanged", [False, True])
def test_a_device_is_looked_at_again_when_it_is_open(
    file, monkeypatch, tmp_path, exchanged
):
    there = tmp_path / "dm-7"
    there.touch()
    names = iter(["cinder--volumes-a", "vg-b" if exchanged else "cinder--volumes-a"])
    monkeypatch.setattr(os.path, "realpath", lambda path: str(there))
    monkeypatch.setattr(stat, "S_ISBLK", lambda mode: True)
    monkeypatch.setattr(ours, "mapped", lambda *_: next(names))
    before = os.listdir("/proc/self/fd")
    if exchanged:
        with pytest.raises(ValueError, match="not that logical volume"):
            ours.opened("/dev/cinder-volumes/a")
    else:
        opened = ours.opened("/dev/cinder-volumes/a")
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(opened, b"x")
        os.close(opened)
    assert os.listdir("/proc/self/fd") == before


def test_the_kernel_says_whether_a_device_is_a_logical_volume(tmp_path, monkeypatch):
    monkeypatch.setattr(ours, "_DEVICES", tmp_path)
    folder = tmp_path / "253:7" / "dm"
    folder.mkdir(parents=True)
    (folder / "name").write_text("vg-volume--1\n")
    (folder / "uuid").write_text("LVM-abc\n")
    number = os.makedev(253, 7)
    assert ours.mapped(Path("/dev/dm-7"), number) == "vg-volume--1"
    (folder / "uuid").write_text("CRYPT-abc\n")
    assert ours.mapped(Path("/dev/dm-7"), number) is None
    assert ours.mapped(Path("/dev/sda"), os.makedev(8, 0)) is None


def test_a_removal_touches_nobodys_backstore_by_a_pattern(lab):
    lab.ensure(lab.export(grant(A)))
    lab.node.make("core/iblock_0")
    lab.node.make("core/iblock_0/volume-by-hand")
    with lab.node.mounted():
        for name in ("*", f"{PREFIX}*", lab.name[:-1] + "[0-9]", lab.name[:-1] + "?"):
            backstores.remove(name)
        found = names_of_backstores()
    assert sorted(found) == sorted([lab.name, "volume-by-hand"])


def test_a_back_end_can_ask_at_its_start(file, monkeypatch):
    monkeypatch.setattr(privsep.context, "client_mode", False)
    assert lio.refusals(PREFIX, "cinder-volumes") == []
    told = lio.refusals("iqn.other:", "fast")
    assert ["target_prefixes" in text for text in told] == [True, False]
    assert ["volume_groups" in text for text in told] == [False, True]
    assert all(str(file) in text for text in told)
    _write(file, volume_groups="fast", target_prefixes="iqn.other:")
    assert lio.refusals("iqn.other:", "fast") == []
    _writable(file)
    assert len(lio.refusals("iqn.other:", "fast")) == 1


def test_the_sample_says_what_holds_without_a_file(file):
    sample = (_ROOT / "etc/taikun_cinder/privileged.conf.sample").read_text()
    options = [line for line in sample.splitlines() if line.startswith("#t")]
    options += [line for line in sample.splitlines() if line.startswith("#v")]
    assert len(options) == 2
    file.write_text(sample)
    assert ours.current() == ours.Ours()
    file.write_text("[taikun_cinder]\n" + "\n".join(one[1:] for one in options))
    assert ours.current() == ours.Ours()
