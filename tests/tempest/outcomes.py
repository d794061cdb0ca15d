# SPDX-License-Identifier: Apache-2.0
"""Turns a subunit stream on the standard input into JSON on the standard output.

It runs in tempest's own environment, which has the library of the stream. The JSON has
an object for each test, by its id: ``status`` (success, skip, fail, inprogress, ...),
``seconds``, and ``reason``, which is why it was skipped or the traceback.
"""

import json
import sys
from collections.abc import Mapping
from typing import Any

import subunit
import testtools

#: Where a test's details have what became of it.
_REASONS = ("reason", "traceback")


def _outcome(test: Mapping[str, Any]) -> dict[str, Any]:
    begin, end = test["timestamps"]
    texts = [
        content.as_text()
        for name, content in sorted(test["details"].items())
        if name.startswith(_REASONS)
    ]
    return {
        "status": test["status"],
        "seconds": (end - begin).total_seconds() if begin and end else 0.0,
        "reason": "\n".join(texts).strip(),
    }


def main() -> None:
    """Read the whole stream, then write."""
    outcomes: dict[str, dict[str, Any]] = {}
    result = testtools.StreamToDict(
        lambda test: outcomes.update({test["id"]: _outcome(test)})
    )
    stream = subunit.ByteStreamToStreamResult(sys.stdin.buffer, "stdout")
    result.startTestRun()
    stream.run(result)
    result.stopTestRun()
    json.dump(outcomes, sys.stdout)


if __name__ == "__main__":
    main()
