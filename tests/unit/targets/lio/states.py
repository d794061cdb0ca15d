# SPDX-License-Identifier: Apache-2.0
"""Strategies for the states of LIO for one volume, and for exports of it."""

import dataclasses

from hypothesis import strategies as st

from taikun_cinder.access.model import (
    Credentials,
    Export,
    Grant,
    Initiator,
    Mode,
    Portal,
)
from taikun_cinder.targets.lio.states import (
    ATTRIBUTES,
    AclState,
    BackstoreState,
    LioState,
    MappedLunState,
    TargetState,
    TpgState,
)

NAME = "iqn.2010-10.org.openstack:volume-1"
OTHER = "iqn.2010-10.org.openstack:volume-2"
DEVICE, SERIAL = "/dev/vg/volume-1", "serial-1"
HOSTS = tuple(Initiator(f"iqn.2026-11.com.example:{name}") for name in "abc")
CREDENTIALS = {
    initiator: Credentials(f"user-{initiator}", f"secret-{initiator}")
    for initiator in HOSTS
}
WRONG = Credentials("user-old", "secret-old")
PORTALS = (Portal("192.0.2.1"), Portal("192.0.2.2"), Portal("2001:db8::1"))
ANYWHERE = Portal("0.0.0.0")  # noqa: S104 - nothing is bound

_portals = st.one_of(
    st.frozensets(st.sampled_from(PORTALS)), st.just(frozenset({ANYWHERE}))
)


@st.composite
def exports(draw):
    modes = draw(st.dictionaries(st.sampled_from(HOSTS), st.sampled_from(Mode)))
    grants = frozenset(
        Grant(initiator, CREDENTIALS[initiator], mode)
        for initiator, mode in modes.items()
    )
    return Export(NAME, DEVICE, SERIAL, draw(_portals), grants)


_backstores = st.one_of(
    st.none(),
    st.builds(
        BackstoreState,
        st.sampled_from([DEVICE, ""]),
        st.sampled_from([SERIAL, ""]),
        st.just(False),
    ),
    st.builds(
        BackstoreState,
        st.sampled_from([DEVICE, "/dev/vg/other"]),
        st.sampled_from([SERIAL, "serial-0", ""]),
        st.just(True),
    ),
)


@st.composite
def _acls(draw, initiator, luns, enabled):
    mapped = st.builds(
        MappedLunState, st.sampled_from([None, *sorted(luns)]), st.booleans()
    )
    return AclState(
        draw(
            st.sampled_from(
                [CREDENTIALS[initiator], CREDENTIALS[initiator], WRONG, None]
            )
        ),
        draw(st.dictionaries(st.sampled_from([0, 0, 1]), mapped, max_size=2)),
        session=enabled and draw(st.booleans()),
    )


@st.composite
def _tpgs(draw, backstore):
    active = backstore is not None and backstore.active
    names = st.sampled_from([NAME, NAME, OTHER, None] if active else [OTHER, None])
    luns = draw(st.dictionaries(st.sampled_from([0, 0, 1]), names, max_size=2))
    enabled = draw(st.booleans())
    acls = {
        initiator: draw(_acls(initiator, luns, enabled))
        for initiator in draw(st.sets(st.sampled_from(HOSTS)))
    }
    attributes = {
        name: draw(st.sampled_from([value, value, 1 - value, None]))
        for name, value in ATTRIBUTES.items()
    }
    known = {name: value for name, value in attributes.items() if value is not None}
    return TpgState(enabled, known, luns, draw(_portals), acls)


@st.composite
def states(draw):
    backstore = draw(_backstores)
    if not draw(st.integers(0, 5)):
        return LioState(NAME, backstore)
    tpg = draw(_tpgs(backstore)) if draw(st.integers(0, 5)) else None
    others = draw(st.frozensets(st.integers(2, 3), max_size=1))
    return LioState(NAME, backstore, TargetState(tpg, others))


def finished(desired, sessions=frozenset()):
    """The one state that is exactly as desired."""
    acls = {
        grant.initiator: AclState(
            grant.credentials,
            {0: MappedLunState(0, grant.mode.write_protect)},
            session=grant.initiator in sessions,
        )
        for grant in desired.grants
    }
    tpg = TpgState(
        enabled=True,
        attributes=ATTRIBUTES,
        luns={0: NAME},
        portals=desired.portals,
        acls=acls,
    )
    backstore = BackstoreState(desired.device, desired.serial, active=True)
    return LioState(NAME, backstore, TargetState(tpg))


def with_sessions(observed, initiators):
    """The same state with these hosts logged in, as far as they could."""
    tpg = observed.tpg
    if tpg is None:
        return observed
    acls = {
        initiator: dataclasses.replace(
            acl, session=tpg.enabled and initiator in initiators
        )
        for initiator, acl in tpg.acls.items()
    }
    tpg = dataclasses.replace(tpg, acls=acls)
    target = dataclasses.replace(observed.target, tpg=tpg)
    return dataclasses.replace(observed, target=target)
