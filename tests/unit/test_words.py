# SPDX-License-Identifier: Apache-2.0
"""What people are told is one line that a terminal can show, and has no secret."""

import pytest
from cinder import exception
from oslo_config import cfg
from sqlalchemy import exc

from taikun_cinder import words

URL = "mysql+pymysql://cinder:s3cr:e/t@db.example.org/cinder"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (exception.CinderException("The disk\n hangs."), "The disk hangs."),
        (KeyError("lvm"), "KeyError: 'lvm'"),
        (OSError(2, "gone", "/x"), "FileNotFoundError: [Errno 2] gone: '/x'"),
        (ValueError("a\x1b[2Jb é"), "ValueError: a\\x1b[2Jb é"),
        (
            exception.CinderException("node@lvm: iqn.2026-11.org:a"),
            "node@lvm: iqn.2026-11.org:a",
        ),
    ],
)
def test_an_error_is_told_in_a_line(error, told):
    assert words.of_error(error) == told


@pytest.mark.parametrize(
    "error",
    [
        # As SQLAlchemy 2.0.38 says it.
        exc.ArgumentError(f"Could not parse SQLAlchemy URL from string '{URL}'"),
        exception.CinderException(f"Cannot connect to {URL}"),
        OSError(f"etcd3+http://root:s3cr@127.0.0.1:2379 does not answer ({URL})"),
        ValueError("auth_password = s3cr is wrong"),
    ],
)
def test_no_secret_is_told_nor_logged(error):
    for told in (words.of_error(error), words.cause(error), words.trace(error)):
        assert "s3cr" not in told
        assert "e/t" not in told


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (f"'connection {URL}'", "'connection ...'"),
        ("'auth_password s3cr'", "'auth_password ...'"),
        ('"auth_password s3\'cr"', '"auth_password ..."'),
        ("'enabled_backends'", "'enabled_backends'"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_by_its_first_word(line, told):
    where = "at cinder.conf:7, No ':' or '=' found in assignment"
    error = cfg.ConfigFileParseError("cinder.conf", f"{where}: {line}")
    assert words.cause(error).endswith(f"{where}: {told}")
