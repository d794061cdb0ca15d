# SPDX-License-Identifier: Apache-2.0
"""Builds the package by pbr: setup.cfg has its name, its version and its files."""

import configparser
import os

import setuptools

_setup = configparser.ConfigParser()
_setup.read("setup.cfg")
# pbr would count the commits since the last tag, and gives 0.0.0 where it sees none: in
# a shallow clone. An sdist has its version from here, too.
os.environ.setdefault("PBR_VERSION", _setup["metadata"]["version"])
setuptools.setup(setup_requires=["pbr>=6.1.1"], pbr=True)
