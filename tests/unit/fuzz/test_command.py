# SPDX-License-Identifier: Apache-2.0
"""Command lines of any words: an exit status and words, and no traceback."""

from hypothesis import given, settings
from hypothesis import strategies as st

from taikun_cinder.cli import main
from tests.unit import commands
from tests.unit.fuzz.strategies import TEXT

#: Without --debug, which is there to show tracebacks.
_WORDS = st.one_of(
    st.sampled_from([word for verb in sorted(main.VERBS) for word in verb.split()]),
    st.sampled_from(
        [
            "--backend",
            "--volume",
            "--yes",
            "--lift",
            "--format",
            "-f",
            "json",
            "--column",
            "--config-file",
            "--config-dir",
            "--quiet",
            "--log-file",
            "--",
            "-",
            "-h",
            "--help",
        ]
    ),
    TEXT.filter(lambda text: "\0" not in text and text.isascii()),
)


@settings(max_examples=40, derandomize=True, deadline=None)
@given(words=st.lists(_WORDS, max_size=6))
def test_any_words_end_in_an_exit_status_and_no_traceback(words):
    home = {"HOME": "/nowhere", "PATH": "/usr/bin:/bin"}
    done = commands.call("taikun_cinder.cli.main", words, home)
    assert done.returncode in (0, 1, 2), done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    if done.returncode:
        assert done.stderr.strip() or done.stdout.strip()
