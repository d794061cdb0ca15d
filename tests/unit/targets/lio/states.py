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
    CHANGING,
    PASSABLE,
    READERS_SUFFIX,
    AclState,
    BackstoreState,
    LioState,
    MappedLunState,
    TargetState,
    TpgState,
    readers_serial,
)

NAME = "iqn.2010-10.org.openstack:volume-1"
OTHER = "iqn.2010-10.org.openstack:volume-2"
READERS = f"{NAME}{READERS_SUFFIX}"
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
    shown = draw(st.dictionaries(st.sampled_from(HOSTS), st.sampled_from(_SHOWN)))
    grants = frozenset(
        Grant(initiator, CREDENTIALS[initiator], mode, readers_disk)
        for initiator, (mode, readers_disk) in shown.items()
    )
    discard = draw(st.booleans())
    return Export(NAME, DEVICE, SERIAL, draw(_portals), grants, discard=discard)


#: The modes of the main disk that a grant can have, with and without the readers' disk.
_SHOWN = [
    *((mode, False) for mode in Mode),
    *((mode, True) for mode in (None, *Mode)),
]

_half_built = st.builds(
    BackstoreState,
    st.sampled_from([DEVICE, ""]),
    st.sampled_from([SERIAL, ""]),
    st.just(False),
)

_backstores = st.one_of(
    st.none(),
    _half_built,
    st.builds(
        BackstoreState,
        st.sampled_from([DEVICE, "/dev/vg/other"]),
        st.sampled_from([SERIAL, "serial-0", ""]),
        st.just(True),
        st.frozensets(st.sampled_from(sorted(PASSABLE))),
        st.booleans(),
    ),
)

_readers = st.one_of(
    st.none(),
    _half_built,
    st.builds(
        BackstoreState,
        st.sampled_from([DEVICE, DEVICE, "/dev/vg/other"]),
        st.sampled_from([readers_serial(SERIAL), SERIAL, ""]),
        st.just(True),
        st.sampled_from([CHANGING, CHANGING, CHANGING - {"emulate_pr"}]),
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
        draw(st.dictionaries(st.sampled_from([0, 0, 1, 2]), mapped, max_size=3)),
        session=enabled and draw(st.booleans()),
    )


@st.composite
def _tpgs(draw, backstore, readers):
    active = [NAME, NAME] if backstore is not None and backstore.active else []
    if readers is not None and readers.active:
        active += [READERS, READERS]
    names = st.sampled_from([*active, OTHER, None])
    luns = draw(st.dictionaries(st.sampled_from([0, 0, 1, 2]), names, max_size=3))
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
    backstore, readers = draw(_backstores), draw(_readers)
    if not draw(st.integers(0, 5)):
        return LioState(NAME, backstore, None, readers)
    tpg = draw(_tpgs(backstore, readers)) if draw(st.integers(0, 5)) else None
    others = draw(st.frozensets(st.integers(2, 3), max_size=1))
    return LioState(NAME, backstore, TargetState(tpg, others), readers)


def finished(desired, sessions=frozenset()):
    """The one state that is exactly as desired."""
    acls = {
        grant.initiator: AclState(
            grant.credentials, mapped_by(grant), session=grant.initiator in sessions
        )
        for grant in desired.grants
    }
    luns, readers = {0: NAME}, None
    if desired.has_readers_disk:
        luns, serial = {0: NAME, 1: READERS}, readers_serial(desired.serial)
        readers = BackstoreState(desired.device, serial, True, CHANGING)
    tpg = TpgState(
        enabled=True,
        attributes=ATTRIBUTES,
        luns=luns,
        portals=desired.portals,
        acls=acls,
    )
    refuses = PASSABLE if desired.has_protected_host else frozenset()
    backstore = BackstoreState(
        desired.device, desired.serial, True, refuses, desired.discard
    )
    return LioState(NAME, backstore, TargetState(tpg), readers)


def mapped_by(grant):
    """The mapped LUNs of an ACL, exactly as a grant says."""
    main = MappedLunState(0, grant.mode is Mode.RO)
    mapped = {} if grant.mode is None else {0: main}
    if grant.readers_disk:
        mapped[1] = MappedLunState(1, write_protect=True)
    return mapped


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
