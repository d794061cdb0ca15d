# SPDX-License-Identifier: Apache-2.0
"""The options are listed for the sample configuration, and the sample is theirs."""

import importlib.metadata

from tests.unit.samples import assert_not_stale


def test_options_are_listed_for_the_sample_configuration():
    listed = importlib.metadata.EntryPoint(
        "taikun_cinder", "taikun_cinder.opts:list_opts", "oslo.config.opts"
    ).load()()
    assert dict(listed).keys() == {"backend_defaults"}


def test_sample_configuration_is_not_stale(tmp_path):
    generator, settings = "oslo-config-generator", "config-generator.conf"
    assert_not_stale(tmp_path, generator, settings, "cinder.conf.sample")
