# SPDX-License-Identifier: Apache-2.0
"""The progress of long work is logged, and that of short work is not."""

from taikun_cinder.progress import INTERVAL, Progress


class Clock:
    """A clock that stands still until it is set."""

    now = 0.0

    def __call__(self):
        return self.now


def _work(log, steps, seconds):
    clock = Clock()
    progress = Progress("Exports are restored", clock)
    for _ in range(steps):
        clock.now += seconds
        progress.step(lambda: steps)
    progress.end()
    return [record.getMessage() for record in log.records]


def test_short_work_is_not_told(log):
    assert _work(log, 100, INTERVAL / 200) == []


def test_nothing_is_told_after_the_end(log):
    clock = Clock()
    progress = Progress("Exports are restored", clock)
    progress.end()
    clock.now = 2 * INTERVAL
    progress.step(lambda: 1)
    assert log.records == []


def test_long_work_is_told_now_and_then_and_at_its_end(log):
    told = _work(log, 800, INTERVAL / 320)  # which a float can say exactly
    assert told == [
        "Exports are restored: 320 of 800 done, after 10 s",
        "Exports are restored: 640 of 800 done, after 20 s",
        "Exports are restored: all 800 done, after 25 s",
    ]
