# SPDX-License-Identifier: Apache-2.0
"""RabbitMQ, which carries the messages between Cinder's services."""

import amqp

from lab.plan import CONTROL
from lab.sandbox import Sandbox
from lab.services.accounts import Passwords
from lab.services.daemon import Daemon, answers, environment
from lab.services.files import write_private
from lab.workdir import WorkFolder

PORT = 5672

# Debian's /usr/sbin/rabbitmq-server changes to the user rabbitmq; this is the script
# that it runs in the end.
_SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"

# One scheduler thread that does not spin: the cores belong to the nodes' kernels. And
# Erlang's own distribution port stays on loopback.
_ERLANG = "+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}"


def transport_url(passwords: Passwords) -> str:
    """Give the URL of the message bus for oslo.messaging."""
    return f"rabbit://cinder:{passwords['rabbitmq']}@{CONTROL}:{PORT}/"


def configure(work: WorkFolder, passwords: Passwords) -> None:
    """Write the server's configuration, and make its home."""
    (work.path / "rabbitmq").mkdir(exist_ok=True)
    options = {
        "listeners.tcp.1": f"{CONTROL}:{PORT}",
        "default_user": "cinder",
        "default_pass": passwords["rabbitmq"],
        "loopback_users": "none",
        "log.console": "true",
        # It refuses messages below this; the default is for a disk of its own.
        "disk_free_limit.absolute": "10MB",
    }
    text = "".join(f"{option} = {value}\n" for option, value in options.items())
    write_private(work.path / "etc/rabbitmq/rabbitmq.conf", text)
    write_private(work.path / "etc/rabbitmq/enabled_plugins", "[].\n")


def daemon(sandbox: Sandbox, work: WorkFolder) -> Daemon:
    """Give the message server; :func:`configure` it before its first start."""
    home, etc = work.inside("rabbitmq"), work.inside("etc", "rabbitmq")
    env = environment(
        work,
        HOME=home,  # the Erlang cookie is kept here
        ERL_EPMD_ADDRESS="127.0.0.1",
        ERL_CRASH_DUMP=f"{home}/erl_crash.dump",
        RABBITMQ_NODENAME="rabbit@localhost",
        RABBITMQ_CONF_ENV_FILE=f"{etc}/none",  # not the host's
        RABBITMQ_CONFIG_FILE=f"{etc}/rabbitmq.conf",
        RABBITMQ_CONFIG_FILES=f"{etc}/conf.d/*.conf",
        RABBITMQ_ADVANCED_CONFIG_FILE=f"{etc}/advanced.config",
        RABBITMQ_ENABLED_PLUGINS_FILE=f"{etc}/enabled_plugins",
        RABBITMQ_MNESIA_BASE=f"{home}/mnesia",
        RABBITMQ_LOG_BASE=f"{home}/log",
        RABBITMQ_LOGS="-",
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=_ERLANG,
    )
    return Daemon(sandbox, work, "rabbitmq", [_SERVER], answers(PORT), env=env)


def consumers(passwords: Passwords, queue: str) -> int:
    """Say how many services take messages from this queue.

    A service's row in Cinder's database says that it started; only this says that what
    it is sent will be worked on.

    Raises:
        OSError: the message server does not answer.
    """
    account = {"userid": "cinder", "password": passwords["rabbitmq"]}
    with amqp.Connection(f"{CONTROL}:{PORT}", connect_timeout=5, **account) as bus:
        try:
            return int(bus.channel().queue_declare(queue, passive=True).consumer_count)
        except amqp.NotFound:
            return 0
