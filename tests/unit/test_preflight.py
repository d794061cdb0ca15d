# SPDX-License-Identifier: Apache-2.0
"""Every refusal at start tells its cure."""

import shutil
from pathlib import Path

import pytest
from cinder.volume import configuration, manager
from oslo_config import cfg

from taikun_cinder import contents, preflight, volume_groups
from taikun_cinder.access.model import Export
from taikun_cinder.exception import BackendRefused
from taikun_cinder.records import Records
from taikun_cinder.targets.lio.readiness import MODULES
from taikun_cinder.targets.lio.target import LioTarget
from taikun_cinder.volume_groups import Hidden
from taikun_cinder.volume_record import Record


def _groups(*names):
    return lambda configuration: list(names)


_ours = _groups("cinder-volumes")


@pytest.fixture
def refusal(configure, node, monkeypatch):
    """Return a function that gives the message of a refused node."""
    monkeypatch.setattr(volume_groups, "hidden", lambda name: None)

    def message(groups=_ours, **options):
        with pytest.raises(BackendRefused) as refused:
            preflight.refuse_node(configure(**options), node, groups)
        return str(refused.value)

    return message


def test_node_that_has_all_is_accepted(configure, node):
    preflight.refuse_node(configure(), node, _ours)


@pytest.mark.parametrize("guard", ["off", "warn", "ro", "deny"])
def test_node_that_cannot_look_at_volumes_is_warned_of_where_it_should(
    configure, node, monkeypatch, log, guard
):
    monkeypatch.setattr(contents, "lack", lambda: "there is no libblkid.so.1")
    conf = configure(taikun_filesystem_guard=guard)
    preflight.refuse_node(conf, node, _ours)
    assert ("there is no libblkid.so.1" in log.text) is (guard != "off")
    assert (f"taikun_filesystem_guard is {guard}" in log.text) is (guard != "off")


def test_without_the_privileged_process_nobody_tries_to_look(
    refusal, node, monkeypatch
):
    monkeypatch.setattr(contents, "lack", lambda: pytest.fail("it was tried"))
    (node.proc / "mounts").write_text("")
    assert "configfs" in refusal(taikun_filesystem_guard="deny")


def test_missing_volume_group_names_the_option_the_section_and_what_there_is(
    refusal,
):
    said = refusal(_groups("system", "backup"), volume_group="fast")
    for words in ("volume group fast", "option volume_group", "[lvm-", "vgcreate fast"):
        assert words in said
    assert "found: system, backup" in said
    assert said.index("make nothing new") < said.index("vgcreate fast DEVICE")


@pytest.mark.parametrize(
    ("there", "cure"),
    [
        (Hidden(("/dev/sdb",), "", "", by_configuration=True), "vgimportdevices fast"),
        (Hidden(("/dev/sdb",), "", "sanlock", by_configuration=False), "lvmlockd"),
        (Hidden(("/dev/sdb",), "node2", "", by_configuration=False), "--systemid"),
        (
            Hidden(("/dev/sdb", "/dev/sdc"), "node2", "dlm", by_configuration=True),
            "on /dev/sdb and /dev/sdc",
        ),
    ],
)
def test_hidden_volume_group_is_never_to_be_made_anew(
    refusal, monkeypatch, there, cure
):
    monkeypatch.setattr(volume_groups, "hidden", lambda name: there)
    said = refusal(_groups("system"), volume_group="fast")
    assert "volume group fast is there, on /dev/sdb" in said
    assert "Do not run vgcreate or pvcreate on /dev/sdb" in said
    assert "vgcreate fast" not in said
    assert cure in said


def test_shared_group_is_refused_where_it_is_not_started(
    refusal, configure, node, monkeypatch, mount_state_volume
):
    monkeypatch.setattr(volume_groups.Group, "lock", "sanlock")
    said = refusal()
    assert "that nodes share (sanlock), and is not started on this one" in said
    assert "taikun_state_path" in said
    mount_state_volume()
    preflight.refuse_node(configure(), node, _ours)


def test_volume_groups_that_cannot_be_listed_are_refused_with_the_cause(refusal):
    def no_lvm(configuration):
        raise FileNotFoundError("vgs")

    said = refusal(no_lvm)
    assert "cannot be listed: vgs" in said
    assert "Install lvm2" in said


@pytest.mark.parametrize(
    "mounts", ["", "sysfs /sys sysfs rw 0 0\n", "configfs /config configfs rw 0 0\n"]
)
def test_missing_configfs_says_how_to_mount_it(refusal, node, mounts):
    (node.proc / "mounts").write_text(mounts)
    said = refusal()
    assert "configfs is not mounted at /sys/kernel/config" in said
    assert "systemctl start sys-kernel-config.mount" in said


@pytest.mark.parametrize("module", MODULES)
def test_missing_module_is_named_with_the_running_kernel(refusal, node, module):
    (node.sys / "module" / module).rmdir()
    said = refusal()
    assert f"6.12.1-lab has no module {module}" in said
    assert f"modprobe {module}" in said


def test_folder_that_cannot_be_written_is_refused(configure, node, tmp_path):
    (tmp_path / "file").touch()
    conf = configure(taikun_state_path=str(tmp_path / "file" / "folder"))
    with pytest.raises(BackendRefused) as refused:
        preflight.refuse_node(conf, node, _groups("cinder-volumes"))
    assert "taikun_state_path" in str(refused.value)
    assert "Not a directory" in str(refused.value)


def test_all_problems_are_told_at_once(refusal, node):
    shutil.rmtree(node.sys / "module")
    (node.proc / "mounts").write_text("")
    said = refusal(_groups())
    assert "5 thing(s)" in said
    assert "found: none" in said


@pytest.mark.parametrize(
    ("option", "value", "cure"),
    [
        ("target_helper", "tgtadm", "target_helper = lioadm"),
        ("target_helper", "nvmet", "target_helper = lioadm"),
        ("target_protocol", "iser", "target_protocol = iscsi"),
        ("target_protocol", "nvmet_tcp", "target_protocol = iscsi"),
        ("lvm_share_target", True, "lvm_share_target = False"),
    ],
)
def test_wrong_option_is_refused_with_its_value_and_cure(
    configure, node, option, value, cure
):
    conf = configure(**{option: value})
    with pytest.raises(BackendRefused) as refused:
        preflight.refuse_configuration(conf, node)
    assert f"{option} is {value}" in str(refused.value)
    assert f"Set {cure} in section [{conf.config_group}]" in str(refused.value)


def test_wrong_option_is_told_together_with_what_the_node_lacks(configure, node):
    (node.proc / "mounts").write_text("")
    with pytest.raises(BackendRefused) as refused:
        preflight.refuse_configuration(configure(target_helper="tgtadm"), node)
    assert "target_helper" in str(refused.value)
    assert "configfs" in str(refused.value)


def test_section_that_says_nothing_is_judged_by_cinders_defaults(
    cinder, node, lvm_command
):
    # As the manager passes it: with no more than the manager's own options.
    bare = configuration.Configuration(manager.volume_backend_opts, "lvm-bare")
    with pytest.raises(BackendRefused) as refused:
        preflight.refuse_configuration(bare, node)
    assert "target_helper is tgtadm" in str(refused.value)
    assert "None" not in str(refused.value)


def test_right_options_are_accepted(configure, node):
    preflight.refuse_configuration(configure(), node)


def _addresses(primary, *secondary):
    return {
        "target_ip_address": primary,
        "target_secondary_ip_addresses": list(secondary),
    }


@pytest.mark.parametrize(
    ("options", "option", "fault"),
    [
        (_addresses("storage1"), "target_ip_address", "'storage1', which is no IP"),
        (_addresses(""), "target_ip_address", "'', which is no IP"),
        (_addresses("192.0.2.11:3260"), "target_ip_address", "3260', which is no IP"),
        (_addresses("0.0.0.0"), "target_ip_address", "every address of this node"),  # noqa: S104
        (_addresses("[::]"), "target_ip_address", "every address of this node"),
        (_addresses("ff02::1"), "target_ip_address", "multicast"),
        (_addresses("fe80::11"), "target_ip_address", "on one link only"),
        (_addresses("fe80::11%eth1"), "target_ip_address", "on one link only"),
        (
            _addresses("192.0.2.11", "192.0.2.12", "storage1"),
            "target_secondary_ip_addresses",
            "'storage1', which is no IP",
        ),
        (
            _addresses("192.0.2.11", "0.0.0.0"),  # noqa: S104
            "target_secondary_ip_addresses",
            "every address of this node",
        ),
        (
            _addresses("192.0.2.11", "192.0.2.11"),
            "target_secondary_ip_addresses",
            "192.0.2.11, which target_ip_address has already",
        ),
        (
            _addresses("2001:db8::11", "[2001:DB8:0::11]"),
            "target_secondary_ip_addresses",
            "which target_ip_address has already",
        ),
        (
            _addresses("192.0.2.11", "2001:db8::11", "2001:db8:0:0::11"),
            "target_secondary_ip_addresses",
            "which target_secondary_ip_addresses has already",
        ),
    ],
)
def test_address_that_no_host_could_use_is_refused_by_its_option(
    configure, node, options, option, fault
):
    conf = configure(**options)
    with pytest.raises(BackendRefused) as refused:
        preflight.refuse_configuration(conf, node)
    said = str(refused.value)
    assert f" 1. {option} has " in said
    assert fault in said
    assert f"Set {option} in section [{conf.config_group}] of cinder.conf to " in said


@pytest.mark.parametrize(
    "options",
    [
        _addresses("192.0.2.11"),
        _addresses("2001:db8::11"),
        _addresses("[2001:db8::11]", "192.0.2.11", "169.254.0.11"),
    ],
)
def test_addresses_of_either_family_are_accepted(configure, node, options):
    preflight.refuse_configuration(configure(**options), node)


@pytest.fixture
def section(tmp_path, monkeypatch):
    """Return a function that gives a section [lvm] as a file has it."""

    def read(text):
        file = tmp_path / "cinder.conf"
        address = (
            "" if "target_ip_address" in text else "target_ip_address = 192.0.2.11"
        )
        file.write_text(f"[lvm]\n{address}\n{text}")
        conf = cfg.ConfigOpts()
        conf(["--config-file", str(file)])
        conf.register_opt(cfg.StrOpt("state_path", default=str(tmp_path)))
        monkeypatch.setattr(configuration, "CONF", conf)
        return configuration.Configuration(manager.volume_backend_opts, "lvm")

    return read


@pytest.mark.parametrize(
    ("option", "value", "cure"),
    [("target_helper", "LIOADM", "lioadm"), ("target_protocol", "ISCSI", "iscsi")],
)
def test_value_that_cinder_does_not_know_is_refused_with_its_cure(
    node, section, lvm_command, option, value, cure
):
    conf = section(f"{option} = {value}\n")
    with pytest.raises(BackendRefused) as refused:
        preflight.refuse_configuration(conf, node)
    for words in (option, value, f"Set {option} = {cure} in section [lvm]"):
        assert words in str(refused.value)


def test_option_out_of_its_range_is_refused_by_name(node, section):
    conf = section(
        "target_helper = lioadm\ntaikun_max_hosts = -2\ntaikun_secondary_mode = none\n"
    )
    with pytest.raises(BackendRefused) as refused:
        preflight.refuse_configuration(conf, node)
    said = str(refused.value)
    for words in (
        "taikun_max_hosts",
        "greater than or equal to 0",
        "taikun_secondary_mode",
        "[rw, ro, deny]",
        "cinder.conf",
        "[lvm]",
    ):
        assert words in said


@pytest.fixture
def warning(node, log):
    """Return a function that gives what an accepted back end is warned of."""

    def warning(conf):
        log.clear()
        preflight.refuse_node(conf, node, _ours)
        assert len(log.records) <= 1
        return log.text

    return warning


def test_all_warnings_are_told_at_once_and_do_not_refuse(configure, node, warning):
    node.network.away = {"192.0.2.11", "2001:db8::11"}
    options = _addresses("192.0.2.11", "2001:db8::11")
    conf = configure(**options, backup_use_temp_snapshot=True)
    said = warning(conf)
    assert "3 thing(s) that should be put right" in said
    assert "target_ip_address has 192.0.2.11, which is no address of this" in said
    assert "target_secondary_ip_addresses has 2001:db8::11" in said
    assert "backup_use_temp_snapshot is True" in said
    assert f"Set backup_use_temp_snapshot = False in section [{conf.config_group}" in (
        said
    )


def test_warnings_and_refusals_are_told_by_one_start(configure, node, log):
    node.network.away = {"192.0.2.11"}
    (node.proc / "mounts").write_text("")
    with pytest.raises(BackendRefused, match="configfs"):
        preflight.refuse_node(configure(), node, _ours)
    assert "192.0.2.11" in log.text


def test_node_that_has_all_is_not_warned(configure, warning):
    assert warning(configure()) == ""


@pytest.mark.parametrize(
    "floating", [["192.0.2.11", "[2001:DB8:0::11]"], ["2001:db8::11", "192.0.2.11"]]
)
def test_floating_address_may_be_elsewhere(configure, node, warning, floating):
    node.network.away = {"192.0.2.11", "2001:db8::11"}
    options = _addresses("192.0.2.11", "2001:db8::11")
    assert warning(configure(**options, taikun_floating_addresses=floating)) == ""


@pytest.mark.parametrize("floating", ["192.0.2.12", "storage1", "0.0.0.0"])  # noqa: S104
def test_floating_address_where_no_target_listens_is_refused(configure, node, floating):
    conf = configure(taikun_floating_addresses=[floating])
    with pytest.raises(BackendRefused) as refused:
        preflight.refuse_configuration(conf, node)
    assert f"taikun_floating_addresses has {floating}" in str(refused.value)


@pytest.mark.parametrize(
    "option",
    [
        "taikun_state_path",
        "volume_group",
        "target_ip_address",
        "target_secondary_ip_addresses",
        "taikun_floating_addresses",
        "target_helper",
        "lvm_conf_file",
        "target_prefix",
        "report_discard_supported",
    ],
)
def test_option_that_names_an_unknown_one_is_refused_by_name(
    node, section, lvm_command, option
):
    helper = "" if option == "target_helper" else "target_helper = lioadm\n"
    conf = section(f"{helper}{option} = $nowhere/x\n")
    with pytest.raises(BackendRefused) as refused:
        preflight.refuse_configuration(conf, node)
    said = str(refused.value)
    assert option in said
    assert "nowhere" in said
    assert f"Set {option}" in said


def test_prefixes_of_recorded_exports_are_looked_at_too(configure, node, monkeypatch):
    asked = []
    conf = configure()
    folder = Path(conf.taikun_state_path)
    export = Export(
        "iqn.2009-09.org.old:volume-1",
        f"/dev/{conf.volume_group}/volume-1",
        "",
        frozenset(),
        frozenset(),
    )
    Records(folder).save("1", Record(export))

    def problems(node, portals, prefixes, group):
        asked.extend(prefixes)
        yield from ()

    monkeypatch.setattr(LioTarget, "problems", staticmethod(problems))
    preflight.refuse_node(conf, node, _groups("cinder-volumes"))
    assert asked == [conf.target_prefix, "iqn.2009-09.org.old:"]
