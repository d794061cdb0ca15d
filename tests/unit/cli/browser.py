# SPDX-License-Identifier: Apache-2.0
"""A real browser without a window: Debian's Chromium, by its DevTools protocol.

It is spoken to through two pipes (--remote-debugging-pipe), so no port is opened, and
nothing but the browser is needed: https://chromedevtools.github.io/devtools-protocol.
"""

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

#: Debian's packages chromium-headless-shell and chromium have one each.
NAMES = ("chromium-headless-shell", "chromium")

#: How long an answer may take, in seconds; the machine may be busy with a lab.
_PATIENCE = 60.0


def program() -> str | None:
    """Give the browser of this machine; None if there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """A browser with one page.

    Args:
        program: of the browser.
        folder: of its profile.

    Attributes:
        complaints: what pages said to the console, and errors.
        requests: the addresses that pages asked for.
    """

    def __init__(self, program: str, folder: Path) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._numbers = itertools.count(1)
        self._left = b""
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # The browser reads from 3 and writes to 4.
        into_place = f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}'
        root = ["--no-sandbox"] * (os.geteuid() == 0)
        options = [
            "--headless",
            "--remote-debugging-pipe",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--no-first-run",
            f"--user-data-dir={folder}",
            *root,
        ]
        self._process = subprocess.Popen(
            ["bash", "-c", into_place, program, *options],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._session = ""
        made = self.ask("Target.createTarget", url="about:blank")
        attached = self.ask(
            "Target.attachToTarget", targetId=made["targetId"], flatten=True
        )
        self._session = attached["sessionId"]
        for domain in "Page", "Runtime", "Log", "Network":
            self.ask(f"{domain}.enable")

    def close(self) -> None:
        """End the browser."""
        self._session = ""
        self.ask("Browser.close")
        self._process.wait(_PATIENCE)
        os.close(self._in)
        os.close(self._out)

    def resize(self, width: int, height: int) -> None:
        """Give the page's window a size, in pixels."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def prefer(self, scheme: str) -> None:
        """Let the user prefer ``light`` or ``dark``."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.ask("Emulation.setEmulatedMedia", features=features)

    def open(self, file: Path, fragment: str = "") -> None:
        """Open a page, and wait until it is there."""
        self.complaints.clear()
        self.ask("Page.navigate", url="about:blank")
        self._wait_for("Page.loadEventFired")
        self.requests.clear()
        self.ask("Page.navigate", url=f"{file.as_uri()}#{fragment}")
        self._wait_for("Page.loadEventFired")

    def run(self, script: str) -> Any:
        """Run a script in the page; give its value, or raise what it raised."""
        done = self.ask(
            "Runtime.evaluate",
            expression=script,
            returnByValue=True,
            awaitPromise=True,
        )
        if "exceptionDetails" in done:
            raise AssertionError(json.dumps(done["exceptionDetails"], indent=1))
        return done["result"].get("value")

    def press(self, key: str, text: str = "") -> None:
        """Press a key."""
        more = {"key": key, "code": key}
        if text:
            more["text"] = text
        self.ask("Input.dispatchKeyEvent", type="keyDown", **more)
        self.ask("Input.dispatchKeyEvent", type="keyUp", key=key, code=key)

    def type(self, text: str) -> None:
        """Type a text into what has the focus."""
        self.ask("Input.insertText", text=text)

    def screenshot(self, file: Path) -> None:
        """Write what a person sees, as PNG."""
        shot = self.ask("Page.captureScreenshot", format="png")
        file.write_bytes(base64.b64decode(shot["data"]))

    def print(self, file: Path) -> None:
        """Print the page to a PDF file."""
        done = self.ask(
            "Page.printToPDF", preferCSSPageSize=True, printBackground=False
        )
        file.write_bytes(base64.b64decode(done["data"]))

    def ask(self, method: str, **values: Any) -> dict[str, Any]:
        """Call a method of the protocol; give its answer."""
        number = next(self._numbers)
        call = {"id": number, "method": method, "params": values}
        if self._session:
            call["sessionId"] = self._session
        os.write(self._out, json.dumps(call).encode() + b"\0")
        while True:
            told = self._read()
            if told.get("id") == number:
                if "error" in told:
                    raise AssertionError(f"{method}: {told['error']}")
                return told["result"]
            self._note(told)

    def _wait_for(self, event: str) -> None:
        while True:
            told = self._read()
            self._note(told)
            if told.get("method") == event:
                return

    def _read(self) -> dict[str, Any]:
        until = time.monotonic() + _PATIENCE
        while b"\0" not in self._left:
            ready, _, _ = select.select([self._in], [], [], until - time.monotonic())
            more = os.read(self._in, 1 << 20) if ready else b""
            if not more:
                raise AssertionError("the browser does not answer")
            self._left += more
        told, _, self._left = self._left.partition(b"\0")
        return json.loads(told)

    def _note(self, told: dict[str, Any]) -> None:
        method, values = told.get("method"), told.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(values["request"]["url"])
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(json.dumps(values["args"]))
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(values["exceptionDetails"]))
        elif method == "Log.entryAdded":
            self.complaints.append(json.dumps(values["entry"]))
