# SPDX-License-Identifier: Apache-2.0
"""Draws what an attach takes over the number of exports."""

from pathlib import Path

import matplotlib as mpl

from bench.report import Report

mpl.use("svg")
from matplotlib import pyplot as plt

_LINES = (
    ("in-tree", "attachment_update", "in-tree: manager.attachment_update", "C3", "-"),
    ("ours", "attachment_update", "ours: manager.attachment_update", "C0", "-"),
    ("in-tree", "further attach", "in-tree: a further host, bare driver", "C3", "--"),
    ("ours", "further attach", "ours: a further host, bare driver", "C0", "--"),
    ("rtslib", "further attach", "rtslib, by name", "C2", ":"),
    ("configfs", "further attach", "bare configfs: the floor", "C7", ":"),
)


def draw(report: Report, path: Path) -> None:
    """Draw the medians with their spread, both axes logarithmic.

    Args:
        report: what was measured.
        path: of the picture; its suffix says the format.
    """
    mpl.rcParams["svg.hashsalt"] = "taikun_cinder"  # the same figures, the same file
    figure, axes = plt.subplots(figsize=(8, 6), layout="constrained")
    for driver, operation, label, colour, style in _LINES:
        points = sorted(
            (record.exports, record.median_s, record.min_s, record.max_s)
            for record in report.records
            if (record.driver, record.operation) == (driver, operation)
        )
        if not points:
            continue
        exports, median, low, high = zip(*points, strict=True)
        axes.plot(exports, median, style, color=colour, marker="o", label=label)
        axes.fill_between(exports, low, high, color=colour, alpha=0.15)
    axes.set(xscale="log", yscale="log", xlabel="exports, with two hosts each")
    axes.set_ylabel("seconds: median, and from least to most")
    axes.grid(visible=True, which="both", alpha=0.2)
    figure.legend(loc="outside lower center", ncols=2, fontsize="small")
    machine = f"{report.header['machine']}, {report.header['kernel']}"
    axes.set_title(f"What an attach takes\n{machine}", fontsize="small")
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
