# SPDX-License-Identifier: Apache-2.0
"""Work that stands still while something else is done."""

import contextlib
import threading


def during_ensure(cloud, monkeypatch, call):
    """Do something just before the target is changed next."""
    ensure = cloud.target.ensure

    def stands_still(*arguments, **named):
        monkeypatch.setattr(cloud.target, "ensure", ensure)
        call()
        return ensure(*arguments, **named)

    monkeypatch.setattr(cloud.target, "ensure", stands_still)


def after_look(cloud, monkeypatch, call):
    """Do something just after the next look at a volume."""
    exports = cloud.driver._exports
    look = exports.look

    def stands_still(volume):
        known = look(volume)
        monkeypatch.setattr(exports, "look", look)
        call()
        return known

    monkeypatch.setattr(exports, "look", stands_still)


def late_request(cloud, monkeypatch, volume, connector, waiting):
    """Give what starts a request that waits for the lock, and what lets it go on."""
    exports = cloud.driver._exports
    locked = exports.locked
    arrived, go = threading.Event(), threading.Event()
    threads = []

    def wait(volume):
        if threading.current_thread() in threads:
            monkeypatch.setattr(exports, "locked", locked)
            arrived.set()
            assert go.wait(20)
        return locked(volume)

    def connect():
        with contextlib.suppress(Exception):
            cloud.connect(volume, connector, waiting)

    def start():
        monkeypatch.setattr(exports, "locked", wait)
        threads.append(threading.Thread(target=connect))
        threads[0].start()
        assert arrived.wait(20)

    def end():
        go.set()
        threads[0].join()

    return start, end
