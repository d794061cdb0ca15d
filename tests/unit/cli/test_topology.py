# SPDX-License-Identifier: Apache-2.0
"""The command tells which hosts share which volumes: as text, as a graph, as a page."""

import csv
import html.parser
import io
import json
import stat
import uuid

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as some
from oslo_db import exception as db_exception

from taikun_cinder import database, locks
from taikun_cinder.access.model import Initiator
from taikun_cinder.cli.topology import graph, page
from taikun_cinder.targets.lio.steps import SetWriteProtect
from tests.unit.cli.conftest import backend_of
from tests.unit.cli.imagined import imagined
from tests.unit.cloud import A, B, Host
from tests.unit.memory import name_of

SERVERS = [str(uuid.UUID(int=number)) for number in (1, 2)]

#: Names that a client may give, and that a page must not obey.
HOSTILE = (
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "<img src=x onerror=alert(1)>",
    "\"'><svg/onload=alert(1)>",
    "{{data}} {{script}}",
    "\u2028\u2029\u202e\u200b\x1b[31m\x07",
    "__proto__",
    "constructor",
    "&lt;b&gt; &amp;",
)


@pytest.fixture
def topology(cloud, command):
    """Return a function that calls the verb for the cloud."""

    def call(*arguments):
        return command("topology", *arguments, found=[backend_of(cloud)])

    return call


def test_graph_has_hosts_volumes_and_the_uses_between_them(cloud, topology):
    shared, single = cloud.volume(), cloud.volume()
    cloud.attach(shared, A, "rw", server=SERVERS[0])
    cloud.log_out(cloud.attach(shared, B, "ro", server=SERVERS[1]))
    cloud.attach(single, B)
    told = topology("-f", "json").json
    assert told["back_ends"] == [cloud.manager.host]
    assert told["unseen"] == []
    assert [host["names"] for host in told["hosts"]] == [[A["host"]], [B["host"]]]
    assert told["hosts"][0]["id"] == A["initiator"]
    assert {volume["id"] for volume in told["volumes"]} == {shared, single}
    writer, reader = (use for use in told["edges"] if use["volume"] == shared)
    assert (writer["host"], reader["host"]) == (A["initiator"], B["initiator"])
    assert (writer["asked"], writer["enforced"], writer["disk"]) == ("rw", "rw", "main")
    assert (writer["server"], writer["address"]) == (SERVERS[0], "192.0.2.200")
    assert (reader["enforced"], reader["disk"]) == ("ro", "readers")
    assert (writer["logged_in"], reader["logged_in"]) == (True, False)
    assert not writer["differs"]


def test_yaml_is_the_same_graph_and_a_part_can_be_asked_for(cloud, topology):
    cloud.attach(cloud.volume(), A)
    told = topology("-f", "json").json
    read = yaml.safe_load(topology("-f", "yaml").out)
    assert read.keys() == told.keys()
    assert read["edges"] == told["edges"]
    assert topology("-f", "json", "-c", "hosts").json == {"hosts": told["hosts"]}


def test_imagined_clouds_of_the_browsers_tests_have_the_keys_of_a_real_one(
    cloud, topology
):
    volume = cloud.volume()
    cloud.attach(volume, A)
    name = name_of(cloud.load(volume))
    cloud.target.kernel.take(name, SetWriteProtect(Initiator(A["initiator"]), True, 0))
    real, unreal = topology("-f", "json").json, imagined(500, 50)
    assert list(unreal) == list(real)
    for what in "hosts", "volumes", "edges":
        assert {frozenset(one) for one in unreal[what]} == {
            frozenset(one) for one in real[what]
        }
    differing = next(one for one in unreal["volumes"] if one["differences"])
    assert differing["differences"][0].keys() == (
        real["volumes"][0]["differences"][0].keys()
    )
    assert real["edges"][0]["differs"]


def test_table_names_each_host_once_and_who_shares_with_it(cloud, topology):
    shared, single = sorted((cloud.volume(), cloud.volume()))
    cloud.attach(shared, A, "rw")
    cloud.attach(shared, B, "ro")
    cloud.attach(single, A)
    done = topology()
    assert done.status == 0
    assert done.out.count(f"\n| {A['host']} ") == 1
    assert done.out.count(f"\n| {B['host']} ") == 1
    assert "192.0.2.200" in done.out
    rows = list(csv.DictReader(io.StringIO(topology("-f", "csv").out)))
    assert [row["Host"] for row in rows] == [A["host"], A["host"], B["host"]]
    assert [row["Shared with"] for row in rows] == [B["host"], "", A["host"]]
    assert [row["Mode"] for row in rows] == ["rw", "rw", "ro"]


def test_mode_that_is_less_than_asked_is_said(cloud, topology):
    volume = cloud.volume()
    cloud.attach(volume, A, "rw")
    name = name_of(cloud.load(volume))
    cloud.target.kernel.take(name, SetWriteProtect(Initiator(A["initiator"]), True, 0))
    (row,) = csv.DictReader(io.StringIO(topology("-f", "csv").out))
    assert row["Mode"] == "ro, asked rw"
    assert "there should be" in row["Remark"]


@pytest.mark.parametrize("name", ["host", "initiator"])
def test_volumes_of_one_host_are_told_with_all_who_share_them(cloud, topology, name):
    shared, other = cloud.volume(), cloud.volume()
    cloud.attach(shared, A)
    cloud.attach(shared, B)
    cloud.attach(other, B)
    told = topology("-f", "json", "--host", A[name].upper()).json
    assert [volume["id"] for volume in told["volumes"]] == [shared]
    assert len(told["hosts"]) == 2
    assert told["only"] == {"host": A[name].upper(), "shared": False}


def test_only_shared_volumes_are_told_if_asked_for(cloud, topology):
    shared, single = cloud.volume(), cloud.volume()
    cloud.attach(shared, A)
    cloud.attach(shared, B)
    for server in SERVERS:  # two of one host share nothing between hosts
        cloud.attach(single, A, server=server)
    told = topology("-f", "json", "--shared").json
    assert [volume["id"] for volume in told["volumes"]] == [shared]
    assert {edge["volume"] for edge in told["edges"]} == {shared}


def test_attachment_that_no_host_has_asked_for_is_told(cloud, topology):
    volume = cloud.volume()
    cloud.attach(volume, A)
    cloud.reserve(volume)
    _, reserved = topology("-f", "json").json["edges"]
    assert (reserved["host"], reserved["enforced"]) == (None, "none")
    assert "(no host yet)" in topology().out


def test_two_names_of_one_initiator_are_one_host(cloud, topology):
    other = {**A, "host": "compute1.example.com"}
    cloud.attach(cloud.volume(), A)
    cloud.attach(cloud.volume(), other)
    (host,) = topology("-f", "json").json["hosts"]
    assert host["names"] == [A["host"], other["host"]]


def test_hosts_are_sorted_as_people_count(cloud, topology):
    volume = cloud.volume()
    for number in 10, 9, 1:
        cloud.attach(volume, Host(f"compute{number}").connector, "ro")
    told = topology("-f", "json").json
    assert [host["names"][0][7:] for host in told["hosts"]] == ["1", "9", "10"]
    assert [edge["host"] for edge in told["edges"]] == [
        host["id"] for host in told["hosts"]
    ]


@given(some.text(), some.text())
def test_any_two_names_can_be_sorted(one, other):
    assert (graph.natural(one) < graph.natural(other)) in (True, False)


@pytest.fixture
def down(monkeypatch):
    """Let Cinder's database be down."""

    def read(*_query, **_values):
        raise db_exception.DBConnectionError(OSError("no route to it"))

    monkeypatch.setattr(database, "_read", read)


def test_without_the_database_records_and_kernel_are_told(
    cloud, topology, tmp_path, request
):
    volume = cloud.volume()
    cloud.attach(volume, A)
    request.getfixturevalue("down")
    done = topology("-f", "json")
    assert done.status == 1
    (line,) = done.json["unseen"]
    assert "Cinder's database cannot be read" in line
    (edge,) = done.json["edges"]
    assert (edge["host"], edge["enforced"]) == (A["initiator"], "rw")
    assert done.json["volumes"][0]["blind"]
    file = tmp_path / "page.html"
    assert topology("--html", str(file)).status == 1
    assert "Cinder's database cannot be read" in file.read_text()


def test_volume_with_an_operation_that_hangs_is_told_all_the_same(
    cloud, topology, monkeypatch
):
    hangs, other = cloud.volume(), cloud.volume()
    for volume in hangs, other:
        cloud.attach(volume, A)
    monkeypatch.setattr("taikun_cinder.survey._PATIENCE", 0.1)
    with locks.of_volume(cloud.load(hangs)):
        done = topology("-f", "json")
    assert done.status == 0
    assert {one["id"]: one["busy"] for one in done.json["volumes"]} == {
        hangs: True,
        other: False,
    }
    assert len(done.json["edges"]) == 2


def test_volume_that_cannot_be_looked_at_is_named_and_the_others_are_told(
    cloud, topology, monkeypatch
):
    lost, other = cloud.volume(), cloud.volume()
    for volume in lost, other:
        cloud.attach(volume, A)
    inspect = cloud.target.inspect

    def fails(name):
        if lost in name:
            raise OSError("the kernel does not answer")
        return inspect(name)

    monkeypatch.setattr(cloud.target, "inspect", fails)
    done = topology("-f", "json")
    assert done.status == 1
    assert [volume["id"] for volume in done.json["volumes"]] == [other]
    assert lost in done.json["unseen"][0]


def test_back_end_that_cannot_be_told_is_named_and_the_others_are_told(cloud, command):
    cloud.attach(cloud.volume(), A)
    fault = "back end [lost]: it has no section"
    done = command(
        "topology", "-f", "json", found=[backend_of(cloud)], complaints=[fault]
    )
    assert done.status == 1
    assert done.json["unseen"] == [fault]
    assert len(done.json["edges"]) == 1


@pytest.mark.parametrize("form", ["table", "json", "yaml", "csv", "html"])
@pytest.mark.parametrize("secret", ["auth_password", "auth_username"])
def test_no_secret_is_told(cloud, topology, form, secret):
    attached = cloud.attach(cloud.volume(), A)
    arguments = ("--html", "-") if form == "html" else ("-f", form)
    done = topology(*arguments)
    assert done.status == 0
    assert attached.information[secret] not in done.out + done.complaints


def test_no_sign_of_a_client_moves_the_terminal(cloud, topology):
    cloud.attach(cloud.volume(), {**A, "host": "compute1\x1b[2J\r\u202e"}, "rw")
    done = topology()
    assert "\x1b" not in done.out
    assert "\u202e" not in done.out
    assert r"compute1\x1b[2J" in done.out


def test_page_is_written_for_this_user_only_and_written_again(
    cloud, topology, tmp_path
):
    cloud.attach(cloud.volume(), A)
    file = tmp_path / "page.html"
    done = topology("--html", str(file))
    assert (done.status, done.out) == (0, "")
    assert str(file) in done.complaints
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert A["initiator"] in file.read_text()
    assert topology("--html", "-").out.startswith("<!doctype html>")
    cloud.attach(cloud.volume(), B)
    assert topology("--html", str(file)).status == 0
    assert B["initiator"] in file.read_text()
    assert list(tmp_path.glob("*page*")) == [file]


@pytest.mark.parametrize("what", ["file", "link", "folder", "nowhere"])
def test_page_takes_the_place_of_nothing_else(topology, tmp_path, what):
    other = tmp_path / "cinder.conf"
    other.write_text("[DEFAULT]\n")
    file = tmp_path / "page.html"
    if what == "file":
        file = other
    elif what == "link":
        file.symlink_to(other)
    elif what == "folder":
        file.mkdir()
    else:
        file = tmp_path / "nowhere" / "page.html"
    done = topology("--html", str(file))
    assert done.status == 2
    assert "name another" in done.complaints
    assert other.read_text() == "[DEFAULT]\n"


def test_page_that_cannot_be_written_leaves_the_old_one(
    topology, tmp_path, monkeypatch
):
    file = tmp_path / "page.html"
    assert topology("--html", str(file)).status == 0
    before = file.read_bytes()

    def full(_file):
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full)
    done = topology("--html", str(file))
    assert done.status == 1
    assert "no space left" in done.complaints
    assert file.read_bytes() == before
    assert list(tmp_path.glob("*page*")) == [file]


class _Reader(html.parser.HTMLParser):
    """Reads the elements of a page, and the text of each script."""

    def __init__(self):
        super().__init__()
        self.elements, self.scripts, self.inside = [], [], ""

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, *(name for name, _ in attrs)))
        self.inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside == "script":
            self.scripts[-1] += data


def _read(topology):
    reader = _Reader()
    reader.feed(page.of(topology))
    return reader


@given(some.one_of(some.text(), some.sampled_from(HOSTILE)))
def test_no_name_becomes_a_part_of_the_page(name):
    told = imagined(2, 2)
    harmless = _read(told)
    told["node"] = told["hosts"][0]["names"][0] = told["volumes"][0]["id"] = name
    told["edges"][0]["remark"] = told["unseen"] = [name]
    read = _read(told)
    assert read.elements == harmless.elements
    assert json.loads(read.scripts[0].strip()) == told
    assert read.scripts[1].strip() == harmless.scripts[1].strip()


def test_page_allows_nothing_but_its_own_script_and_style():
    text = page.of(imagined(1, 1))
    assert text.isascii()
    assert "default-src 'none'" in text
    assert "unsafe" not in text
    for word in "http:", "src=", "@import", "url(", "innerHTML", "eval(":
        assert word not in text.replace("http://www.w3.org/2000/svg", "")
