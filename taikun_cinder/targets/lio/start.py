# SPDX-License-Identifier: Apache-2.0
"""The start of the privileged process for a back end, and the cure where it fails."""

import itertools
import os
import re
from collections.abc import Collection, Iterable, Iterator

from oslo_privsep import capabilities, comm, daemon

from taikun_cinder import privsep
from taikun_cinder.node import Problem
from taikun_cinder.privsep import lio, setup
from taikun_cinder.privsep.refusal import KernelRefused

_SECTION = "taikun_cinder_privsep"

_FIRST_FREE_PORT = 1024

_SUDO = (
    "Let the user of cinder-volume run cinder-rootwrap as root without a password, in "
    "/etc/sudoers.d: cinder ALL=(root) NOPASSWD: /usr/bin/cinder-rootwrap "
    "/etc/cinder/rootwrap.conf * (with this node's user and paths)"
)
_RIGHTS = (
    "Let root have CAP_SYS_ADMIN there: in the unit of cinder-volume see to "
    "NoNewPrivileges=no and CapabilityBoundingSet; run a container with --privileged"
)

#: What the command says when it fails, and the cure.
_CURES = (
    (
        r"password is required|terminal is required|no tty present|not in the sudoers"
        r"|not allowed to|may not run sudo|askpass",
        _SUDO,
    ),
    (
        r"privsep-helper: command not found|Executable not found: privsep-helper",
        "Name the folder of the privsep-helper that cinder-volume's Python environment "
        "has in secure_path of sudoers and in exec_dirs of rootwrap.conf",
    ),
    (
        r"cinder-rootwrap: command not found",
        "Name the folder of cinder-rootwrap in secure_path of sudoers",
    ),
    (
        r"Unauthorized command",
        "Allow it in a file of filters_path of rootwrap.conf, such as "
        "/etc/cinder/rootwrap.d/taikun.filters, under [Filters]: "
        "taikun-privsep: RegExpFilter, privsep-helper, root, privsep-helper, .*, "
        "--privsep_context, taikun_cinder.privsep.context, --privsep_sock_path, "
        "/tmp/.*",
    ),
    (
        r"Incorrect (configuration|value)",
        "Set rootwrap_config in section [DEFAULT] of cinder.conf to cinder-rootwrap's "
        "file, and put that file right",
    ),
    (
        r"No module named|ImportError|cannot be imported",
        "Install taikun_cinder into the Python environment that privsep-helper is of",
    ),
    (
        r"no new privileges|Operation not permitted|effective uid is not 0|nosuid",
        _RIGHTS,
    ),
)
_OTHERWISE = (
    "Try it by hand, as the user of cinder-volume, and put right what it says; the "
    f"command is helper_command of section [{_SECTION}], or by default sudo with "
    "cinder-rootwrap"
)


def problems(
    ports: Collection[int],
    *,
    prefixes: Iterable[str] = (),
    group: str | None = None,
    prepare: bool = True,
) -> Iterator[Problem]:
    """Start it, and let it make LIO ready; tell what fails.

    Args:
        ports: where targets are to listen.
        prefixes: what the names of targets begin with, of new ones and of old ones.
        group: whose logical volumes are to be exported; None if it is not known.
        prepare: whether to make LIO ready.
    """
    try:
        if privsep.context.client_mode:
            privsep.context.connect()
            user, power = setup.power()
            if weakness := _weakness(user, power, ports):
                yield weakness
                return
        yield from map(_refused, _refusals(prefixes, group))
        lacking = setup.prepare() if prepare else []
    except daemon.FailedToDropPrivileges as failed:
        yield Problem(
            f"The privileged process of the driver does not start: {failed}",
            f"{_cure(str(failed))}. Then restart cinder-volume.",
        )
    except KernelRefused as refused:
        said = " ".join(str(refused).split())
        yield Problem(f"LIO cannot be made ready: {said}", _cure_of(refused))
    except (ImportError, NameError) as failed:
        # It knows the call by its name (oslo_privsep.daemon.Daemon._process_cmd).
        yield Problem(
            f"The privileged process is of another version of the driver: {failed}",
            "Install the same version of taikun_cinder into the Python environment "
            "that privsep-helper is of, and restart cinder-volume.",
        )
    except (comm.PrivsepTimeout, OSError) as failed:
        yield Problem(
            f"The privileged process of the driver does not answer: {_text(failed)}",
            f"{_OTHERWISE}.",
        )
    else:
        for folder, number in lacking:
            yield _no_reservations(folder, number)


def _refusals(prefixes: Iterable[str], group: str | None) -> Iterable[str]:
    if group is None:
        return ()
    refusals = (lio.refusals(prefix, group) for prefix in prefixes)
    return dict.fromkeys(itertools.chain(*refusals))


def _refused(said: str) -> Problem:
    """Split what root does not allow from its cure."""
    fault, _, cure = said.rpartition(". ")
    return Problem(f"Root does not let the driver export: {fault}", f"{cure}.")


def _weakness(user: int, power: int, ports: Collection[int]) -> Problem | None:
    """Tell what its options take away from it that it needs."""
    needed = {"CAP_SYS_ADMIN": capabilities.CAP_SYS_ADMIN}
    if min(ports, default=_FIRST_FREE_PORT) < _FIRST_FREE_PORT:
        needed["CAP_NET_BIND_SERVICE"] = capabilities.CAP_NET_BIND_SERVICE
    missing = [name for name, bit in needed.items() if not power >> bit & 1]
    if not missing and user == 0:
        return None
    return Problem(
        f"The privileged process of the driver runs as user {user} and lacks "
        f"{' and '.join(missing) or 'root'}",
        f"Set capabilities = {','.join(needed)} in section [{_SECTION}] of "
        "cinder.conf, leave user and group out there, and restart cinder-volume.",
    )


def _no_reservations(folder: str, number: int) -> Problem:
    return Problem(
        f"The folder {folder} cannot be made ({os.strerror(number)}), so LIO refuses "
        "persistent reservations that are to outlive a power failure (APTPL)",
        f"Make it as root: mkdir -m 700 -p {folder}.",
        tolerable=True,
    )


def _cure_of(refused: KernelRefused) -> str:
    if "configfs" in refused.doing:
        return (
            f"Mount it: systemctl start sys-kernel-config.mount, or mount -t configfs "
            f"configfs {setup.CONFIGFS}. A container needs --privileged for it, or the "
            f"mount of the host: --volume {setup.CONFIGFS}:{setup.CONFIGFS}:rw."
        )
    if "module" in refused.doing or "modprobe" in refused.doing:
        return (
            "Load the modules of LIO with modprobe; in a container on its host, or "
            "mount /lib/modules of the host."
        )
    return "See what the kernel's log (dmesg) says, and put it right."


def _cure(said: str) -> str:
    for pattern, cure in _CURES:
        if re.search(pattern, said, re.IGNORECASE):
            return cure
    return _OTHERWISE


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__
