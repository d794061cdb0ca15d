# SPDX-License-Identifier: Apache-2.0
"""The errors. Each message says what is wrong and what to do."""

from cinder import exception


class InvalidInitiator(exception.InvalidConnectorException):
    """A connector names its host by nothing that the target could know."""

    message = (
        "Host %(host)s cannot attach a volume by %(protocol)s: %(cause)s. %(cure)s, "
        "and attach again. Nothing was changed."
    )


class InvalidConnector(exception.InvalidConnectorException):
    """A connector has what Cinder could not write into its database."""

    message = (
        "Host %(host)s cannot attach a volume with this connector: %(cause)s. Cinder "
        "could not keep it in its database. Mend it where it is made (for a server, "
        "nova-compute of its host) and repeat the request. Nothing was changed."
    )


class UnknownInitiator(exception.InvalidConnectorException):
    """A connector to be disconnected does not say whose connection it is."""

    message = (
        "Volume %(volume)s cannot be detached from host %(host)s: the connector has "
        "no '%(key)s', so it does not say whose access is to end. Repeat the call "
        "with the host's '%(key)s' in it, or delete the attachment (openstack volume "
        "attachment delete; a server's takes a service token). Nothing was changed."
    )


class InvalidMode(exception.InvalidConnectorException):
    """A connector asks for an unknown mode."""

    message = (
        "Host %(host)s cannot attach a volume with mode '%(mode)s': a mode is 'rw' or "
        "'ro'. Nothing was changed. Repeat the request with one of these."
    )


class InvalidExtraSpec(exception.VolumeDriverException):
    """A volume's type says something that its driver does not understand."""

    message = (
        "Volume %(volume)s cannot be used, because its type %(type)s has "
        "%(spec)s='%(value)s', and that has to be %(allowed)s. Cinder changes no "
        "type that volumes have, so make one with a right value. Retype the volume to "
        "it, or make the volume anew if it is in error, and repeat the request. "
        "Nothing was changed."
    )


class VolumeMoved(exception.VolumeDriverException):
    """A volume is no longer what the request took it for."""

    message = (
        "The request for volume %(volume)s is not carried out: %(cause)s since it was "
        "made. Look at the volume (openstack volume show), and repeat the request. "
        "Nothing was changed."
    )


class VolumeRowDamaged(exception.VolumeDriverException):
    """A volume's row says nothing of which logical volume is its own."""

    message = (
        "Nothing was done about volume %(volume)s, since its row in the table volumes "
        "of Cinder's database has name_id=%(name_id)r, which is the id of no volume. "
        "If lvs shows its logical volume as volume-%(volume)s, set name_id to NULL. "
        "After a migration it may have another id in its name: set name_id to that "
        "one. Then repeat the request."
    )


class VolumeMigrates(exception.VolumeDriverException):
    """A volume is to be attached while it must stay as it is."""

    message = (
        "Volume %(volume)s cannot be attached now, since it is being migrated to "
        "another back end, and what is written to it now would be lost. Repeat the "
        "request when that has ended (openstack volume show, as an administrator, "
        "tells its migration_status). If cinder-volume was killed meanwhile, it never "
        "does: run cinder reset-state --reset-migration-status %(volume)s then. "
        "Nothing was changed."
    )


class MigrationGivenUp(exception.VolumeDriverException):
    """Somebody came to a volume that is being migrated."""

    message = (
        "The migration of volume %(volume)s is given up, since %(cause)s: what a "
        "server has written meanwhile would be lost. The volume stays where it is, "
        "with all that is on it. Migrate it again when nobody uses it, and lock it "
        "for that time (cinder migrate --lock-volume True)."
    )


class AttachmentGone(exception.VolumeDriverException):
    """A request is for an attachment that is over."""

    message = (
        "Host %(host)s gets no access to volume %(volume)s: no attachment is there any "
        "more that the request could be for. One was detached or deleted while the "
        "request waited. Attach the volume again if the host needs it. Nothing was "
        "changed."
    )


class AttachmentRefused(exception.VolumeDriverException):
    """A volume's rules forbid an attachment."""

    message = (
        "Volume %(volume)s cannot be attached to host %(host)s: %(cause)s. Detach it "
        "elsewhere first, or %(cure)s. Nothing was changed."
    )


class FencesUnreadable(exception.VolumeDriverException):
    """It cannot be told which hosts are cut off from a volume."""

    message = (
        "Nothing was done about volume %(volume)s, since it cannot be read which hosts "
        "are cut off from it by taikun-cinder fence: %(path)s: %(cause)s. Give the "
        "folder to the user of cinder-volume, or mend its disk, and repeat the "
        "request. Who has access keeps it, and nobody else gets any."
    )


class HostFenced(exception.VolumeDriverException):
    """An operator has cut a host off from a volume."""

    message = (
        "Volume %(volume)s cannot be attached to host %(host)s: an operator has cut "
        "the host off from the volume (taikun-cinder fence), and these attachments of "
        "the host's let it in no more: %(attachments)s. Detach the volume from its "
        "server (or, if the host cannot flush its disk, delete the attachment with a "
        "service token) and attach it anew: that lets the host in. Cinder's own "
        "connections and those of its old API name no attachment: delete these first, "
        "or take the fence back (taikun-cinder fence --lift). Nothing was changed."
    )


class HostFencedMeanwhile(HostFenced):
    """An operator has cut a host off while its request waited."""

    message = (
        "Volume %(volume)s cannot be attached to host %(host)s: while the request "
        "waited, an operator cut the host off from the volume (taikun-cinder fence). "
        "The request gives the host no access. If the host may have the volume again, "
        "repeat the request, or attach the volume anew."
    )


class InitiatorTaken(exception.VolumeDriverException):
    """Two hosts have one initiator."""

    message = (
        "Volume %(volume)s cannot be attached to host %(host)s: host %(other)s has it "
        "by the same InitiatorName %(initiator)s, and the two would throw each other "
        "out. Give one of them a name of its own (iscsi-iname makes one) in "
        "/etc/iscsi/initiatorname.iscsi, restart its iscsid and nova-compute, and "
        "attach again; an image that hosts are made from must not have that file. If "
        "both are one machine that got new hardware, detach the volume from it first. "
        "Nothing was changed."
    )


class ExtendRefused(exception.VolumeDriverException):
    """LVM cannot extend a volume that has a snapshot as long as anybody has it open."""

    message = (
        "Volume %(volume)s cannot be extended on host %(host)s: it is attached and has "
        "a snapshot that is not thin, and LVM extends such a volume only while nobody "
        "has it open. Detach it from all servers, or delete its snapshots, and extend "
        "it again. Nothing was changed."
    )


class BackendRefused(exception.VolumeDriverException):
    """A back end's configuration or its node cannot work."""

    message = (
        "Back end [%(backend)s] is not started, because %(count)d thing(s) must be "
        "put right first:%(problems)s"
    )


class TargetUnreadable(exception.VolumeDriverException):
    """The kernel could not be asked about exports."""

    message = (
        "What the kernel exports as %(target)s cannot be read: %(cause)s. Nothing was "
        "changed. See dmesg and taikun-cinder check on the storage node, and repeat "
        "the request."
    )


class LockRanOut(exception.VolumeDriverException):
    """The lock of a volume was another's before the work under it was done."""

    message = (
        "What was being done about volume %(volume)s is given up: its lock ran out, "
        "and an operator has cut %(hosts)s off meanwhile (taikun-cinder fence), who "
        "stay out. Repeat the request. cinder-volume stood still, or the service that "
        "backend_url of section [coordination] in cinder.conf names answered too late: "
        "see its log, and that of cinder-volume."
    )


class LocksDown(exception.VolumeDriverException):
    """The lock of a volume cannot be had, since nobody gives any."""

    message = (
        "Nothing was done about volume %(volume)s, whose lock cannot be had: the "
        "service that backend_url of section [coordination] in cinder.conf names does "
        "not answer (%(cause)s). See that it runs, and repeat the request. "
        "cinder-volume needs no restart."
    )


class TargetBusy(TargetUnreadable):
    """Another call on an export has not come back from the kernel."""

    message = (
        "The export %(target)s is busy: %(cause)s. Nothing was changed. As a rule the "
        "volume's disk does not answer: see whether its logical volume is suspended "
        "(dmsetup info --columns), and what the kernel's log says (dmesg). The call "
        "comes back by itself when the disk answers. Then repeat the request; the "
        "reconcile puts the export right in any case."
    )


class StepFailed(exception.VolumeDriverException):
    """One step on the way to an export's desired state failed."""

    message = (
        "The export %(target)s could not be put right: %(step)s failed with: "
        "%(cause)s. What was done before it stays, and the next attempt or reconcile "
        "goes on from there. If that fails, too, see taikun-cinder check on the "
        "storage node."
    )

    #: Which of the steps it was, counted from 0; None if that cannot be told.
    number: int | None = None


class StepUnfinished(StepFailed):
    """A step has not come back from the kernel in time."""

    message = (
        "The export %(target)s could not be put right: %(cause)s (%(step)s). As a rule "
        "the volume's disk does not answer: see whether its logical volume is "
        "suspended (dmsetup info --columns), and what the kernel's log says (dmesg). "
        "Until it answers the export is busy, and no other is held up. Then repeat the "
        "request; the reconcile puts the export right in any case."
    )


class NotActivated(exception.VolumeDriverException):
    """LVM does not make the block device of a volume appear."""

    message = (
        "The logical volume of volume %(volume)s cannot be activated, so that no host "
        "can be let in to it: %(cause)s. %(cure)s Nobody was let in. The reconcile "
        "exports the volume when it can be activated again."
    )
    #: The cure where no other is known.
    LOOK = (
        "Look at its volume group on this node (vgs, lvs -a, lvchange -ay "
        "GROUP/VOLUME)."
    )


class ActivationRefused(exception.VolumeDriverException):
    """A logical volume may not be activated on this node, which shares its group."""

    message = "%(cause)s. %(cure)s"

    def __init__(self, cause: str, cure: str) -> None:
        super().__init__(cause=cause, cure=cure)
        self.cause, self.cure = cause, cure


class DatabaseUnknown(exception.VolumeDriverException):
    """The database is not the one that this service writes to."""

    message = (
        "The database does not have the row of this cinder-volume service, so nothing "
        "is done by it. Look whether connection in [database] is the same as "
        "cinder-volume's and cinder-api's, and whether the database is whole. Nothing "
        "was changed."
    )


class GrantWithheld(exception.VolumeDriverException):
    """A host cannot be let in without harm to another host."""

    message = (
        "Volume %(volume)s cannot be attached for %(initiator)s, since its export has "
        "faults that cannot be put right while hosts are logged in to it: %(causes)s "
        "Detach the hosts that taikun-cinder volume show %(volume)s shows as logged "
        "in, and attach again."
    )


class VolumeHeld(exception.VolumeIsBusy):
    """A volume that is to be deleted or let go, and that somebody still has."""

    message = (
        "Volume %(volume)s cannot be deleted, nor let go, since %(holders)s. Detach it "
        "there (openstack --os-volume-api-version 3.27 volume attachment list "
        "--volume-id %(volume)s --all-projects; where no attachment is left, log the "
        "host out with iscsiadm), and repeat the request. Nothing of it was erased."
    )


class VolumeShared(exception.VolumeDriverException):
    """A volume that is to be deleted or let go, and that is another one's, too.

    It is no VolumeIsBusy: Cinder would take the volume for one that can be attached.
    """

    message = (
        "Volume %(volume)s cannot be deleted, nor let go, since it has the same "
        "logical volume as volume %(other)s: a migration that broke off has left "
        "volume %(volume)s behind. Leave it until volume %(other)s is deleted or "
        "migrated, and delete it then. Nothing was erased."
    )


class RecordUnreadable(exception.VolumeDriverException):
    """The record of a volume cannot be used."""

    message = "The record %(path)s of volume %(volume)s cannot be used: %(cause)s."


class RecordNotWritten(exception.VolumeDriverException):
    """The driver cannot keep what it did."""

    message = (
        "The record of volume %(volume)s cannot be written to %(path)s: %(cause)s. "
        "%(cure)s Then repeat the request. The export itself agrees with the "
        "attachments again after the next reconcile."
    )
