# SPDX-License-Identifier: Apache-2.0
"""What the kernel prints of sessions and reservations is understood, or left out."""

import pytest

from taikun_cinder.privsep import backstores, files, inspection

NAME = "iqn.2010-10.org.openstack:volume-1"
ACL = f"{backstores.ISCSI}/{NAME}/tpgt_1/acls/iqn.2026-11.com.example:a"
PR = "/disk/pr"


@pytest.fixture
def kernel(monkeypatch):
    """Return what attributes say, by their paths."""
    said: dict[str, str] = {}
    monkeypatch.setattr(files, "get", said.get)
    monkeypatch.setattr(files, "entries", lambda folder, _="": [ACL.rpartition("/")[2]])
    monkeypatch.setattr(backstores, "find", lambda name, search: "/disk")
    return said


@pytest.mark.parametrize(
    ("info", "address"),
    [
        (
            "InitiatorName: iqn.2026-11.com.example:a\nCID: 0  Connection State: X\n"
            "   Address 192.0.2.7 TCP  StatSN: 0x1\n",
            "192.0.2.7",
        ),
        ("   Address [2001:db8::7] TCP  StatSN: 0x1\n", "[2001:db8::7]"),
        (
            "   Address 192.0.2.7 TCP  StatSN\n   Address 192.0.2.8 TCP  StatSN\n",
            "192.0.2.7, 192.0.2.8",
        ),
        ("No active iSCSI Session for Initiator Endpoint: iqn...\n", None),
        ("something new\n", None),
    ],
)
def test_address_of_a_session(kernel, info, address):
    kernel[f"{ACL}/info"] = info
    found = inspection.read(NAME)["addresses"]
    assert found == ({ACL.rpartition("/")[2]: address} if address else {})


@pytest.mark.parametrize(
    ("holder", "kind", "registered", "expected"),
    [
        (
            "No SPC-3 Reservation holder\n",
            "No SPC-3 Reservation holder\n",
            "SPC-3 PR Registrations:\nNone\n",
            ("", None, []),
        ),
        (
            "SPC-3 Reservation: iSCSI Initiator: iqn.2026-11.com.example:a,i,0x0001\n",
            "SPC-3 Reservation Type: Write Exclusive Access, Registrants Only\n",
            "SPC-3 PR Registrations:\n"
            "iSCSI Node: iqn.2026-11.com.example:a,i,0x00023d Key: 0x01 PRgen: 0x01\n"
            "iSCSI Node: iqn.2026-11.com.example:b,i,0x00023d Key: 0x02 PRgen: 0x02\n",
            (
                "Write Exclusive Access, Registrants Only",
                "iqn.2026-11.com.example:a",
                ["iqn.2026-11.com.example:a", "iqn.2026-11.com.example:b"],
            ),
        ),
        (
            "SPC-2 Reservation: iSCSI Initiator: iqn.2026-11.com.example:a\n",
            "SPC2_RESERVATIONS\n",
            "",
            ("SPC-2", "iqn.2026-11.com.example:a", []),
        ),
        ("something new\n", "", "", ("", None, [])),
    ],
)
def test_reservation_and_who_is_registered(kernel, holder, kind, registered, expected):
    kernel |= {
        f"{PR}/res_holder": holder,
        f"{PR}/res_pr_type": kind,
        f"{PR}/res_pr_registered_i_pts": registered,
    }
    found = inspection.read(NAME)["reservation"]
    assert (found["kind"], found["holder"], found["registered"]) == expected
