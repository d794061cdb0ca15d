# SPDX-License-Identifier: Apache-2.0
"""Every option of the project, for the drivers and for oslo-config-generator."""

from cinder.volume import configuration
from oslo_config import cfg

from taikun_cinder.access.rules import Guard, Secondary

#: Options of a back end's section.
BACKEND_OPTS: list[cfg.Opt] = [
    cfg.IntOpt(
        "taikun_reconcile_interval",
        default=60,
        min=0,
        max=86400,
        help="How often the driver compares what the kernel exports with Cinder's "
        "attachments and puts right what differs, in seconds. What a killed request, a "
        "crash or an edit by hand left behind is gone at the latest after one "
        "interval, except connections that taikun_login_patience covers. One pass "
        "costs two queries of the database and, for each volume that is attached or "
        "exported, one more and one look at the kernel. 0 turns it off, except for one "
        "pass at the start: then only Cinder's own calls put exports right.",
    ),
    cfg.IntOpt(
        "taikun_login_patience",
        default=300,
        min=10,
        max=86400,
        help="How long a connection that no attachment shows may be without a session "
        "before it is ended by taikun_reconcile_interval, in seconds. Cinder's own are "
        "like that (backup, image copy, migration), and those of its old API. A host "
        "needs more than a minute for each address that does not answer. Too short a "
        "time makes backups fail when hosts are slow; a long one lets the access that "
        "a killed backup leaves behind live for longer.",
    ),
    cfg.IntOpt(
        "taikun_database_patience",
        default=120,
        min=5,
        max=86400,
        help="How long Cinder may need to write down what the driver answered, in "
        "seconds. It counts for an attachment that was ended and whose row is still "
        "there: after this time the row is believed again, and its host gets its "
        "access back, for the detach failed on its way. Raise it if cinder-api is slow "
        "or restarted for long (rpc_response_timeout, and some); a host whose detach "
        "failed waits for as long. It does not depend on taikun_reconcile_interval.",
    ),
    cfg.IntOpt(
        "taikun_max_revocations",
        default=3,
        min=0,
        max=100000,
        help="How many accesses of hosts that are logged in one pass of the reconcile "
        "may end because their attachments are missing in the database. An access is "
        "one host's to one volume. Cinder marks what it "
        "deletes and asks the driver to detach, so a missing row is rare, and many at "
        "once mean a database that was restored, lags behind or is empty. If there are "
        "more, all keep their access, and the log says which, and how to confirm it "
        "(taikun-cinder reconcile --yes). Each must be missing in two passes in any "
        "case. 0 leaves every such decision to an operator.",
    ),
    cfg.StrOpt(
        "taikun_secondary_mode",
        default=Secondary.RW.value,
        choices=[
            (
                Secondary.RW.value,
                "it gets what it asks for, as with Cinder's own drivers. Servers "
                "without a cluster file system destroy each other's data",
            ),
            (
                Secondary.RO.value,
                "while a server may write, any other may only read, whatever it asks "
                "for. When the writer is detached, the next new attachment may write; "
                "those that there are already stay read-only",
            ),
            (
                Secondary.DENY.value,
                "it is refused",
            ),
        ],
        help="What a server gets when it attaches a volume that another server has "
        "attached. It is decided when the attachment is made, and enforced by the "
        "target. A server that moves to another host is not another server. The extra "
        "spec taikun:secondary_mode of a volume's type goes before this.",
    ),
    cfg.IntOpt(
        "taikun_max_hosts",
        default=0,
        min=0,
        help="To how many hosts a volume can be attached at once; one more is refused. "
        "0 is no limit. The old host of a server that moves does not count. The extra "
        "spec taikun:max_hosts of a volume's type goes before this.",
    ),
    cfg.StrOpt(
        "taikun_filesystem_guard",
        default=Guard.OFF.value,
        choices=[
            (Guard.OFF.value, "nobody looks at what is on a volume"),
            (
                Guard.WARN.value,
                "it may write, and a warning in the log says what was found",
            ),
            (
                Guard.RO.value,
                "it may only read, as long as it is attached",
            ),
            (
                Guard.DENY.value,
                "it is refused",
            ),
        ],
        help="What a server gets that would be the second one to write to a "
        "multi-attach volume, where a file system is on it that only one server may "
        "use at a time (ext4, XFS, NTFS, swap, LVM and the like, on a partition too). "
        "Two servers that write to such a volume destroy it. The driver looks at the "
        "volume by libblkid, as an unprivileged user, when such a server attaches, "
        "which takes some tens of milliseconds. A cluster file system passes (OCFS2, "
        "GFS2), and what libblkid does not know. If the volume cannot be looked at, "
        "ro and deny refuse. Leave it off for servers that hand such a disk over to "
        "each other by themselves (Pacemaker, Windows failover clusters, KubeVirt). "
        "The reconcile looks at volumes that several servers write "
        "to now and then, too, and only warns. A server that moves to another host is "
        "not another server. The extra spec taikun:filesystem_guard of a volume's type "
        "goes before this.",
    ),
    cfg.BoolOpt(
        "taikun_multiattach_only",
        default=False,
        help="Keep this back end for multi-attach volumes. The scheduler then puts no "
        "other volume here, if TaikunMultiattachFilter is among its "
        "scheduler_default_filters; without that filter this does nothing.",
    ),
    cfg.IntOpt(
        "taikun_max_multiattach_volumes",
        default=0,
        min=0,
        help="How many multi-attach volumes the scheduler puts on this back end, if "
        "TaikunMultiattachFilter is among its scheduler_default_filters. They are "
        "counted with the back end's statistics, so requests that come at once can "
        "lead to a few more. 0 is no limit.",
    ),
    cfg.ListOpt(
        "taikun_floating_addresses",
        default=[],
        help="Those of target_ip_address and target_secondary_ip_addresses that move "
        "between nodes, as a cluster manager like Pacemaker lets them. At its start "
        "the driver warns of an address that its node does not have: targets listen "
        "there all the same, and no host reaches them. It does not warn of these, so "
        "name no address that stays on its node.",
    ),
    cfg.StrOpt(
        "taikun_state_path",
        default="$state_path/taikun_cinder",
        help="Folder for one small file per volume, from which exports come back after "
        "a reboot of the node before Cinder's database is reachable, and which tells a "
        "restarted driver what it answered last. It has to be on a disk that outlives "
        "a reboot, and must not be shared with other nodes. If nodes share the volume "
        "group of the back end (lvmlockd), it has to be on a logical volume of that "
        "group, with which it moves. The files contain the "
        "hosts' CHAP passwords, so the folder belongs to the user of cinder-volume "
        "alone. Without it (a new disk) the driver goes by Cinder's attachments and by "
        "what the kernel exports; only a detach that was under way may end late. "
        "Every back end of a node may have the same.",
    ),
    cfg.StrOpt(
        "taikun_metrics_folder",
        help="Folder of node_exporter's textfile collector, in which the driver writes "
        "metrics for Prometheus every 15 seconds: attaches and detaches with what came "
        "of them and how long they took, corrections of the reconcile, hosts and "
        "sessions, what it could not put right, and what the brake holds. Each back "
        "end has a file of its own. Set it to the collector's folder (option "
        "--collector.textfile.directory), and let the user of cinder-volume write "
        "there. It has to be on a disk of this node: one that does not answer, such as "
        "a dead NFS server's, could hold up the whole service. Without it there are no "
        "metrics.",
    ),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """List the options for oslo-config-generator: each section with its options."""
    return [(configuration.SHARED_CONF_GROUP, BACKEND_OPTS)]
