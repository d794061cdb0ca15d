# SPDX-License-Identifier: Apache-2.0
"""The page of ``taikun-cinder topology`` in a real browser, with 5 and 500 volumes."""

import json
import time
from typing import Any

import pytest

from taikun_cinder.cli.topology import page
from tests.unit.cli import browser as browsers
from tests.unit.cli.imagined import imagined
from tests.unit.cli.test_topology import HOSTILE

SMALL, LARGE = imagined(5, 4, seed=4), imagined(500, 50)

#: How many things of a kind the picture has.
COUNT = "document.querySelectorAll({!r}).length"

#: Much longer than it takes, as the machine may be busy with a lab; in seconds.
AT_ONCE = 5.0


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    program = browsers.program()
    if program is None:
        pytest.skip(f"no browser is installed (Debian's {' or '.join(browsers.NAMES)})")
    started = browsers.Browser(program, tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


@pytest.fixture
def browser(chromium):
    """The browser; a page that complains or asks the network for anything fails."""
    chromium.resize(1440, 900)
    chromium.prefer("light")
    yield chromium
    assert chromium.complaints == []
    assert [one for one in chromium.requests if not one.startswith("file:")] == []
    assert len(chromium.requests) <= 1  # the page itself


@pytest.fixture
def look(browser, tmp_path):
    """Return a function that opens the page of a topology."""

    def look(topology, fragment=""):
        file = tmp_path / "page.html"
        file.write_text(page.of(topology))
        browser.open(file, fragment)
        return browser

    return look


def _text(browser, selector):
    return browser.run(f"document.querySelector({selector!r}).innerText")


def _click(browser, selector):
    browser.run(f"document.querySelector({selector!r}).click()")


def _choose(browser, selector, value):
    browser.run(
        f"{{ const one = document.querySelector({selector!r});"
        f"one.value = {json.dumps(value)}; one.dispatchEvent(new Event('change')); }}"
    )


def _volumes(test):
    """Give the uses of each volume of the large cloud that a test is true for."""
    uses: dict[str, list[dict[str, Any]]] = {
        volume["id"]: [] for volume in LARGE["volumes"]
    }
    for edge in LARGE["edges"]:
        uses[edge["volume"]].append(edge)
    return [own for own in uses.values() if test(own)]


def test_five_volumes_are_lines_between_hosts_and_volumes(look):
    browser = look(SMALL)
    assert browser.run(COUNT.format("#picture svg.links .user")) == 4
    assert browser.run(COUNT.format("#picture path.edge")) == 9  # one box has two
    assert "5 volumes · 4 hosts · 10 uses" in _text(browser, "#count")
    assert "2026-11-27 16:20:05 UTC" in _text(browser, "#made")
    assert "storage1" in _text(browser, "#made")
    assert "Other storage nodes" in _text(browser, "#panel")


def test_five_hundred_volumes_are_a_matrix_that_is_drawn_at_once(look):
    began = time.monotonic()
    browser = look(LARGE)
    browser.run("document.body.offsetHeight")
    assert time.monotonic() - began < AT_ONCE
    assert browser.run(COUNT.format("#picture thead .user")) == 50
    rows = browser.run(COUNT.format("#picture tr.box"))
    assert 50 < rows < 250  # volumes that are alike share a row
    assert "500 volumes · 50 hosts · 939 uses" in _text(browser, "#count")


@pytest.mark.parametrize("by", ["host", "server", "back_end", "volume"])
@pytest.mark.parametrize("view", ["links", "matrix"])
def test_every_drawing_of_five_hundred_volumes_is_quick(look, by, view):
    browser = look(LARGE)
    took = browser.run(
        f"""(() => {{
            const began = performance.now();
            const by = document.querySelector("#by");
            by.value = {by!r};
            by.dispatchEvent(new Event("change"));
            document.querySelector("#view button[value={view}]").click();
            document.querySelector("#picture").scrollHeight;
            return performance.now() - began;
        }})()"""
    )
    assert took / 1000 < AT_ONCE
    assert browser.run(COUNT.format("#picture .box")) > 50


def test_filters_leave_the_volumes_that_they_name(look):
    browser = look(LARGE)
    differing = _volumes(lambda uses: any(use["differs"] for use in uses))
    _click(browser, "#only button[value=differs]")
    assert f"{len(differing)} of 500 volumes" in _text(browser, "#count")
    assert browser.run(COUNT.format("#picture .mark")) == len(differing)
    _click(browser, "#only button[value=away]")
    both = [own for own in differing if not all(use["logged_in"] for use in own)]
    assert f"{len(both)} of 500 volumes" in _text(browser, "#count")
    browser.press("Escape")
    assert "500 volumes" in _text(browser, "#count")


def test_filter_of_a_host_leaves_its_volumes_with_all_their_hosts(look):
    browser = look(LARGE)
    host = LARGE["hosts"][27]["id"]
    own = _volumes(lambda uses: any(use["host"] == host for use in uses))
    _choose(browser, "#host", host)
    hosts = {use["host"] for uses in own for use in uses}
    assert f"{len(own)} of 500 volumes · {len(hosts)} of 50" in _text(browser, "#count")


def test_search_finds_by_all_words_and_marks_what_it_found(look):
    browser = look(LARGE)
    browser.press("/", "/")
    browser.type("compute17 ")
    own = _volumes(lambda uses: any(use["host"].endswith("te17") for use in uses))
    assert f"{len(own)} of 500 volumes" in _text(browser, "#count")
    matches = "[...document.querySelectorAll('#picture .match .name')]"
    assert browser.run(f"{matches}.map((one) => one.textContent)") == ["compute17"]
    browser.type(own[0][0]["server"][:13])
    assert "1 of 500 volumes" in _text(browser, "#count")
    browser.type(" nothing")
    assert "No volume is so" in _text(browser, "#picture")
    _click(browser, "#picture button")
    assert "500 volumes" in _text(browser, "#count")


def test_groups_are_by_hosts_servers_back_ends_or_volumes(look):
    browser = look(SMALL)
    assert browser.run(COUNT.format("#picture .box")) == 4
    _choose(browser, "#by", "volume")
    assert browser.run(COUNT.format("#picture .box")) == 5
    _choose(browser, "#by", "back_end")
    headings = (
        "[...document.querySelectorAll('.heading')].map((one) => one.textContent)"
    )
    assert browser.run(headings) == SMALL["back_ends"]
    _choose(browser, "#by", "server")
    servers = {edge["server"] for edge in SMALL["edges"]}
    assert browser.run(COUNT.format("#picture .user.server")) == len(servers)


def test_box_of_volumes_that_are_alike_can_be_drawn_apart(look):
    browser = look(SMALL)
    browser.run(
        "document.querySelector('#picture .box.several')"
        ".dispatchEvent(new Event('click', { bubbles: true }))"
    )
    assert "2 volumes" in _text(browser, "#panel h2")
    _click(browser, "#panel p button")
    assert browser.run(COUNT.format("#picture .box")) == 5


@pytest.mark.parametrize("view", ["links", "matrix"])
def test_keys_go_through_the_picture_and_pick(look, view):
    browser = look(SMALL, f"view={view}")
    browser.run("document.querySelector('#view button:last-child').focus()")
    browser.press("Tab")
    focused = "document.activeElement.dataset.side"
    assert browser.run(focused) == ("box" if view == "links" else "user")
    browser.press("ArrowLeft" if view == "links" else "ArrowDown")
    browser.press("ArrowDown")
    assert browser.run(focused) == ("user" if view == "links" else "box")
    browser.press("Enter")
    assert browser.run(COUNT.format("#picture .picked")) == 1
    heading = _text(browser, "#panel h2")
    assert heading in browser.run("document.activeElement.outerHTML")
    browser.press("Escape")
    assert browser.run(COUNT.format("#picture .picked")) == 0


def test_volume_that_differs_says_what_and_why_and_what_is_done(look):
    volume = next(one for one in LARGE["volumes"] if one["differences"])
    browser = look(LARGE)
    _click(browser, f".thing[data-key*='{volume['id']}']")
    told = _text(browser, "#panel")
    for text in volume["id"], volume["target"], *volume["differences"][0].values():
        assert text in told or text == volume["differences"][0]["initiator"]


def test_modes_sessions_and_differences_are_told_without_colour(look):
    topology = imagined(1, 4, seed=4)
    first = topology["edges"][0]
    looks = {"enforced": "rw", "logged_in": True, "differs": False}
    kinds = [
        looks,
        looks | {"enforced": "ro"},
        looks | {"logged_in": False},
        looks | {"differs": True},
    ]
    topology["edges"] = [
        first | kind | {"host": host["id"]}
        for kind, host in zip(kinds, topology["hosts"], strict=True)
    ]
    browser = look(topology)
    dash = "getComputedStyle(document.querySelector({!r})).strokeDasharray"
    assert browser.run(dash.format("#picture .edge.rw.in")) == "none"
    assert browser.run(dash.format("#picture .edge.ro.in")) != "none"
    fill = "getComputedStyle(document.querySelector({!r})).fill"
    hollow, full = (
        browser.run(fill.format(f"#picture .end.rw.{kind}")) for kind in ("out", "in")
    )
    assert hollow != full
    assert browser.run(COUNT.format("#picture .mark")) == 1
    _click(browser, "#view button[value=matrix]")
    letters = "[...document.querySelectorAll('#picture .cell')].map((c) => c.innerText)"
    assert browser.run(letters) == ["W", "R", "W", "W"]


def test_no_name_becomes_markup_or_script(look):
    topology = imagined(len(HOSTILE), len(HOSTILE), seed=3)
    for name, host in zip(HOSTILE, topology["hosts"], strict=True):
        host["names"] = [name]
    for name, volume in zip(HOSTILE, topology["volumes"], strict=True):
        for edge in topology["edges"]:
            if edge["volume"] == volume["id"]:
                edge["volume"] = edge["remark"] = edge["server"] = name
        volume["id"] = volume["status"] = volume["target"] = name
    topology["node"] = topology["only"]["host"] = HOSTILE[0]
    topology["unseen"] = list(HOSTILE)
    for view in "links", "matrix":
        for by in "host", "server":
            browser = look(topology, f"view={view}&by={by}")
            for thing in range(browser.run(COUNT.format("#picture .thing"))):
                browser.run(
                    f"document.querySelectorAll('#picture .thing')[{thing}]"
                    ".dispatchEvent(new Event('click', { bubbles: true }))"
                )
                assert browser.run(COUNT.format(".picked")) == 1
    assert browser.run(COUNT.format("script")) == 2
    assert browser.run(COUNT.format("img, [onload], [onerror], b")) == 0
    assert HOSTILE[0] in browser.run("document.title")
    assert HOSTILE[2] in _text(browser, "#warnings")
    assert "\\u202e" in _text(browser, "#warnings")
    assert "\u202e" not in _text(browser, "#warnings")


def test_page_can_ask_no_network_for_anything(look):
    browser = look(SMALL)
    fetch = "fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')"
    assert browser.run(fetch) == "refused"
    browser.run(
        "{ const one = document.createElement('script'); one.text = 'window.ran = 1';"
        "document.body.append(one); }"
    )
    assert browser.run("window.ran") is None
    assert sum("Content Security Policy" in line for line in browser.complaints) >= 2
    browser.complaints.clear()
    browser.requests.clear()


def test_what_is_chosen_is_kept_in_the_address(look):
    browser = look(LARGE, "only=shared+writers&by=volume&view=matrix&search=lvm-fast")
    wanted = browser.run("location.hash")
    shown = _text(browser, "#count")
    assert "500 volumes" in shown
    assert not shown.startswith("500")
    _click(browser, "#view button[value=links]")
    assert browser.run("location.hash") == wanted.replace("matrix", "links")


def test_address_of_another_page_is_no_harm(look):
    browser = look(SMALL, "only=all&by=x&view=%00&host=lost&pick=%5B&search=")
    assert "5 volumes" in _text(browser, "#count")


def test_node_without_volumes_says_so(look):
    browser = look(imagined(0, 0))
    assert "No volume is attached" in _text(browser, "#picture")
    assert "0 volumes" in _text(browser, "#count")


def test_page_follows_what_the_user_prefers_and_can_be_told(look):
    ground = "getComputedStyle(document.body).backgroundColor"
    browser = look(SMALL)
    light = browser.run(ground)
    browser.prefer("dark")
    dark = browser.run(ground)
    assert dark != light
    _click(browser, "#theme")
    assert browser.run(ground) == light
    _click(browser, "#theme")
    assert browser.run(ground) == dark


def test_browser_understands_every_rule_of_the_style(look):
    text = page.of(SMALL)
    style = text[text.index("<style>") : text.index("</style>")]
    written, depth = 0, 0
    for sign in style:
        written += sign == "{" and depth == 0
        depth += (sign == "{") - (sign == "}")
    browser = look(SMALL)
    assert browser.run("document.styleSheets[0].cssRules.length") == written
    # What is not understood in a rule is left out of it without a word.
    for name in "--rw", "--bad", "--ground":
        colour = f"getComputedStyle(document.body).getPropertyValue('{name}')"
        assert browser.run(f"CSS.supports('color', {colour})")


def test_page_prints_on_paper_without_its_tools(look, tmp_path):
    browser = look(LARGE)
    file = tmp_path / "page.pdf"
    browser.print(file)
    made = file.read_bytes()
    assert made.startswith(b"%PDF")
    assert made.count(b"/Type /Page\n") in range(2, 12)
