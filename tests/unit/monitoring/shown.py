# SPDX-License-Identifier: Apache-2.0
"""Metrics as Prometheus reads them."""

from prometheus_client.parser import text_string_to_metric_families


class Shown:
    """The samples of a back end's metrics, as of one moment."""

    def __init__(self, text):
        self.families = list(text_string_to_metric_families(text.decode()))
        self._samples = [one for family in self.families for one in family.samples]

    def value(self, name, **labels):
        """Give the value of one sample, by the end of its name; None without one."""
        found = [
            sample.value
            for sample in self._samples
            if sample.name == f"taikun_cinder_{name}"
            if labels.items() <= sample.labels.items()
        ]
        assert len(found) <= 1, f"{name} {labels}: {found}"
        return found[0] if found else None

    def counted(self, name, label):
        """Give the values that are not 0, by a label."""
        return {
            sample.labels[label]: sample.value
            for sample in self._samples
            if sample.name == f"taikun_cinder_{name}"
            if sample.value
        }


def of(driver):
    """Give the metrics of a driver, as of now."""
    return Shown(driver._monitor._metrics.text())
