# SPDX-License-Identifier: Apache-2.0
"""The plugin for devstack, called as devstack calls it.

With the folder of a devstack in the environment's variable TAIKUN_DEVSTACK, its own
functions write cinder.conf; otherwise one here does that writes an option as they do.
"""

import configparser
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from taikun_cinder.cli import backends

ROOT = Path(__file__).parents[2]
FILES = [ROOT / "devstack" / name for name in ("plugin.sh", "settings")]

#: As stack.sh calls a plugin, in its order, with what lib/cinder does in between.
_STACK = """
set -eu
TOP_DIR=${TAIKUN_DEVSTACK:-/nowhere}
if [ -r "$TOP_DIR/inc/ini-config" ]; then
    set +u; source "$TOP_DIR/functions-common"; source "$TOP_DIR/inc/ini-config"; set -u
else
    iniset() { echo "$2 $3 $4" >> "$1.written"; }
fi
is_service_enabled() { [ "$1" = cinder ]; }
sudo() { "$@"; }
setup_develop() { echo "setup_develop $1" >> "$DONE"; }
init_lvm_volume_group() { echo "init $1 $2" >> "$DONE"; }
clean_lvm_volume_group() { echo "clean $1" >> "$DONE"; }
clean_lvm_filter() { :; }
openstack() { echo "openstack $*" >> "$DONE"; }
plugin() { source "$PROJECT/devstack/plugin.sh" "$@"; }

CINDER_ENABLED_BACKENDS=taikun:shared-1,lvm:plain,taikun:shared-2
CINDER_CONF=$CINDER_CONF_DIR/cinder.conf VOLUME_GROUP_NAME=stack-volumes
CINDER_LVM_TYPE=auto CINDER_VOLUME_CLEAR=zero HOST_IP=192.0.2.5
CINDER_TARGET_PORT=3260 CINDER_TARGET_PREFIX=iqn.2010-10.org.openstack:
VOLUME_BACKING_FILE_SIZE=24G TAIKUN_CINDER_PRIVILEGED_CONF=$DATA_DIR/etc/privileged.conf
source "$PROJECT/devstack/settings"
plugin stack pre-install
for name in shared-1 shared-2; do configure_cinder_backend_taikun $name; done
plugin stack install
for name in shared-1 shared-2; do init_cinder_backend_taikun $name; done
plugin stack post-config
plugin stack extra
if [ "${CLEAN:-}" ]; then
    plugin unstack
    for name in shared-1 shared-2; do cleanup_cinder_backend_taikun $name; done
    plugin clean
fi
"""


@pytest.fixture
def stack(tmp_path):
    """Return a function that runs the phases; it gives what was done and written."""

    def run(**variables):
        conf = tmp_path / "cinder" / "cinder.conf"
        conf.parent.mkdir()
        conf.touch()
        done = tmp_path / "done"
        environment = {
            "PATH": os.environ["PATH"],
            "TAIKUN_DEVSTACK": os.environ.get("TAIKUN_DEVSTACK", ""),
            "PROJECT": str(ROOT),
            "DATA_DIR": str(tmp_path),
            "CINDER_CONF_DIR": str(conf.parent),
            "DONE": str(done),
        }
        command = ["bash", "-c", _STACK]
        subprocess.run(command, env={**environment, **variables}, check=True)
        return done.read_text().splitlines(), _options(conf)

    return run


def _options(conf):
    found = configparser.ConfigParser()
    found.read(conf)
    written = conf.with_name("cinder.conf.written")
    lines = written.read_text().splitlines() if written.exists() else ()
    for section, option, value in (line.split(" ", 2) for line in lines):
        if section != "DEFAULT" and not found.has_section(section):
            found.add_section(section)
        found[section][option] = value
    return found


def test_its_back_ends_are_ours_and_no_other_is_touched(stack):
    done, options = stack()
    for name in ("shared-1", "shared-2"):
        assert options[name]["volume_driver"] == backends.DRIVER
        assert options[name]["volume_group"] == f"stack-volumes-{name}"
        assert options[name]["target_ip_address"] == "192.0.2.5"
        assert f"init stack-volumes-{name} 24G" in done
        assert any(line.endswith(f"multiattach=<is> True {name}") for line in done)
    assert not options.has_section("plain")
    assert not any("plain" in line for line in done)
    filters = options["DEFAULT"]["scheduler_default_filters"].split(",")
    assert "TaikunMultiattachFilter" in filters


def test_root_is_told_whose_the_groups_are(stack, tmp_path):
    stack()
    told = configparser.ConfigParser()
    told.read(tmp_path / "etc" / "privileged.conf")
    assert told["taikun_cinder"]["volume_groups"].split(",") == [
        "stack-volumes-shared-1",
        "stack-volumes-shared-2",
    ]
    assert told["taikun_cinder"]["target_prefixes"] == "iqn.2010-10.org.openstack:"


@pytest.mark.parametrize("profile", ["open", "controlled", "closed"])
def test_a_policy_profile_is_installed_if_it_is_asked_for(stack, tmp_path, profile):
    stack(TAIKUN_CINDER_POLICY=profile)
    (file,) = (tmp_path / "cinder" / "policy.d").iterdir()
    assert file.name == f"multiattach-{profile}.yaml"


def test_a_clean_leaves_nothing(stack, tmp_path):
    done, _ = stack(CLEAN="1")
    assert [line for line in done if line.startswith("clean ")] == [
        "clean stack-volumes-shared-1",
        "clean stack-volumes-shared-2",
    ]
    assert not (tmp_path / "etc" / "privileged.conf").exists()
    assert not (tmp_path / "cinder" / "policy.d").exists()


def test_shellcheck_finds_nothing():
    program = shutil.which("shellcheck")
    assert program, "shellcheck is missing; tools/with-packages installs it"
    done = subprocess.run(
        [program, *FILES], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
