# SPDX-License-Identifier: Apache-2.0
"""The Cinder volume driver."""

from collections.abc import Mapping
from typing import Any

from cinder import exception, interface
from cinder.volume.drivers import lvm
from oslo_log import log as logging

from taikun_cinder import capabilities, connectors, exports, opts, preflight
from taikun_cinder.access.model import Initiator

LOG = logging.getLogger(__name__)


@interface.volumedriver
class MultiattachLVMDriver(lvm.LVMVolumeDriver):
    """LVM volumes over iSCSI by LIO, for many servers at once.

    Volumes, snapshots, clones, images, extension and migration are Cinder's LVM
    driver's. Access to a volume is this driver's.
    """

    VERSION = "0.1.0"
    CI_WIKI_NAME = "Taikun_Cinder_CI"

    #: Where the checks at start look at the node.
    node = preflight.Node()

    _stats: dict[str, Any]

    def __init__(self, vg_obj: Any = None, *args: Any, **kwargs: Any) -> None:
        # Wrong options are refused here: Cinder then logs that this back end's
        # service "failed to start", starts the others, and exits if there is none.
        # Only an edit and a restart can cure them, so there is no use in a service
        # that stays and retries; and the parent's constructor would already have
        # imported another target helper and talked to it.
        preflight.refuse_configuration(kwargs["configuration"], self.node)
        super().__init__(vg_obj, *args, **kwargs)
        self.configuration.append_config_values(opts.BACKEND_OPTS)
        self._exports = exports.Exports()

    @classmethod
    def get_driver_options(cls) -> list[Any]:
        """List the options that the driver reads."""
        return [*super().get_driver_options(), *opts.BACKEND_OPTS]

    @classmethod
    def clean_volume_file_locks(cls, volume_id: str) -> None:
        """Delete the lock of a volume that is gone."""
        exports.forget_lock(volume_id)

    def check_for_setup_error(self) -> None:
        """Refuse a node that cannot serve.

        A fault of the node can be cured, or cure itself, while the service runs:
        Cinder logs "Failed to initialize driver" with the message, shows the service
        as down, and tries again as often as reinit_driver_count says.
        """
        preflight.refuse_node(self.configuration, self.node)
        super().check_for_setup_error()

    def _update_volume_stats(self) -> None:
        super()._update_volume_stats()
        self._stats = capabilities.stated(self._stats, self.VERSION)

    def validate_connector(self, connector: Any) -> bool:
        """Refuse a connector that LIO would refuse, before anything is changed."""
        connectors.initiator_to_attach(connector)
        return True

    def create_export(
        self, context: Any, volume: Any, connector: Any, vg: str | None = None
    ) -> Any:
        """Export the volume, for a host that is about to connect."""
        # Cinder's own attaches (driver._attach_volume) do not validate.
        initiator = connectors.initiator_to_attach(connector)
        with self._exports.opening(volume["id"], initiator):
            return super().create_export(context, volume, connector, vg)

    def initialize_connection(self, volume: Any, connector: Any) -> Any:
        """Let the connector's host in, and tell it how to connect."""
        initiator = connectors.initiator_to_attach(connector)
        with self._exports.granting(volume["id"], initiator):
            return super().initialize_connection(volume, connector)

    def terminate_connection(
        self, volume: Any, connector: Mapping[str, Any] | None, **kwargs: Any
    ) -> bool:
        """End one connection of the connector's host, or all without a connector.

        Returns:
            Whether others need the export still. It must be a bool: Cinder takes
            anything else for False (manager._connection_terminate).
        """
        if connector is None:
            ending = self._exports.ending_all(volume["id"])
        else:
            initiator = connectors.initiator_to_detach(volume["id"], connector)
            ending = self._exports.ending(volume["id"], initiator)
        with ending as end:
            for revoked in end.revoked:
                self._revoke(volume, revoked, **kwargs)
        return end.shared

    def remove_export(self, context: Any, volume: Any) -> None:
        """Remove the export, unless somebody needs it.

        Cinder also calls this after an attach that failed, and for os-detach of one
        attachment of several (manager._connection_create, manager.detach_volume).
        """
        deleted = volume["status"] in ("deleting", "unmanaging")
        with self._exports.removing(volume["id"], deleted=deleted) as holders:
            if not holders:
                super().remove_export(context, volume)
                return
            LOG.info(
                "The export of volume %(volume)s is kept, since it is still attached "
                "to %(holders)s",
                {"volume": volume["id"], "holders": "; ".join(holders)},
            )

    def _revoke(self, volume: Any, initiator: Initiator, **kwargs: Any) -> None:
        try:
            # Not super(): the parent counts the attachments in its own way.
            self.target_driver.terminate_connection(
                volume, {"initiator": initiator.name}, **kwargs
            )
        except exception.ISCSITargetDetachFailed:
            # cinder-rtstool fails if the target is gone already, and then a detach
            # that Cinder repeats could never succeed. Goes with the in-tree target.
            if self._is_exported(volume):
                raise
            LOG.info("Volume %s has no export, so %s is out", volume["id"], initiator)

    def _is_exported(self, volume: Any) -> bool:
        iqn = volume["provider_location"].split()[1]
        try:
            self.target_driver.show_target(None, iqn)
        except exception.NotFound:
            return False
        return True
