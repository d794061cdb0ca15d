# SPDX-License-Identifier: Apache-2.0
"""A command can look at a back end as its driver does, and change nothing."""

from pathlib import Path

from taikun_cinder.cli.backends import Backend
from taikun_cinder.records import Records
from taikun_cinder.targets.lio.steps import RemoveAcl
from taikun_cinder.volume_groups import Group
from tests.unit.cloud import A, B
from tests.unit.memory import name_of


def _backend(cloud):
    options = cloud.driver.configuration
    return Backend(
        cloud.manager.host.partition("@")[2],
        options,
        Group(options.volume_group, lambda: cloud.driver.vg),
        lambda: cloud.target,
        Records(Path(options.taikun_state_path)),
    )


def test_what_a_reconcile_would_do_is_told_and_not_done(cloud):
    volume = cloud.volume()
    cloud.attach(volume, A)
    cloud.attach(volume, B)
    backend = _backend(cloud)
    assert backend.exports.findings(cloud.load(volume)) == ()
    name = name_of(cloud.load(volume))
    initiator = next(
        host for host in cloud.target.read(name).hosts if str(host) == B["initiator"]
    )
    cloud.target.kernel.take(name, RemoveAcl(initiator))
    before = cloud.target.kernel.read(name)
    (finding,) = backend.exports.findings(cloud.load(volume), sweep=60)
    assert (finding.initiator, finding.step) == (
        initiator,
        f"CreateAcl(initiator={initiator!r})",
    )
    assert cloud.target.kernel.read(name) == before
    cloud.reconcile()
    assert backend.exports.findings(cloud.load(volume)) == ()
