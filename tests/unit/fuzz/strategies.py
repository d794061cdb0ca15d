# SPDX-License-Identifier: Apache-2.0
"""Words that nobody should say, and those that are almost right."""

import re

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.unit.cloud import A

#: For tests in which one cloud serves all examples, each of which tidies up. They are
#: the same in each run. To try others, take more of them, without ``derandomize``.
SAME_CLOUD = settings(
    max_examples=25,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

#: What has been at the bottom of somebody's fault before.
EVIL = st.sampled_from(
    [
        "",
        " ",
        "\0",
        "\n",
        "..",
        "../../../etc/passwd",
        "/",
        "a/b",
        "%s%n",
        "{0.__class__}",
        "$(reboot)",
        "'; DROP TABLE volumes; --",
        "\ud800",
        "\u202egnp",
        "\x1b[2J",
        "iqn",
        "iqn.2026-11.com.example:",
        "iqn.2026-11.com.example:" + "a" * 300,
        "IQN.2026-11.COM.EXAMPLE:A",
        "NaN",
        "1e999",
        "9" * 400,
        "taikun_cinder",
    ]
)

TEXT = st.one_of(EVIL, st.text(max_size=40))

#: What a column of text can keep.
DATABASE_TEXT = TEXT.map(lambda text: re.sub("[\ud800-\udfff]", "?", text)[:255])

#: What JSON can say.
PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXT),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)
    ),
    max_leaves=5,
)

#: The keys of connectors that anything here reads, or that os-brick or Nova write.
_KEYS = st.sampled_from(
    [
        *A,
        "ip",
        "mountpoint",
        "mode",
        "access_mode",
        "system uuid",
        "instance_uuid",
        "platform",
        "os_type",
        "do_local_attach",
        "nqn",
        "wwpns",
        "initiator_target_map",
        "taikun_cinder_initiator",
        "taikun_cinder_mode",
    ]
)


@st.composite
def connectors(draw, usual=A):
    """Draw a connector: any JSON, or a usual one with some of its keys spoiled."""
    if draw(st.integers(0, 4)) == 0:
        return draw(PLAIN)
    spoiled = draw(st.dictionaries(_KEYS, PLAIN, max_size=3))
    lost = draw(st.sets(st.sampled_from(sorted(usual)), max_size=1))
    return {key: it for key, it in (usual | spoiled).items() if key not in lost}
