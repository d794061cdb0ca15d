# SPDX-License-Identifier: Apache-2.0
"""Makes oslo.privsep fit for calls that hang, and for a privileged process that dies.

- A call goes on when its caller has given up (oslo_privsep.daemon), so each call brings
  the time until which its caller waits (``deadline``).
- The privileged process serves as many calls at once as there are processors, so a few
  that hang would keep it from all others. Here it serves ``CALLS``.
- Its reader (``oslo_privsep.comm.ClientChannel._reader_main``, seen in 3.12) ends
  itself properly when the connection ends, but dies of ConnectionResetError when the
  privileged process is killed with a request still unread. Then its caller waits for
  ever, and the process is never started again. Two callers that notice at once are
  trouble too: the second may stop what the first has just started. This can go when
  both are mended there.
- A caller may have something to do when a call takes long (``impatient``).
"""

import contextlib
import dataclasses
import functools
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from oslo_config import cfg
from oslo_privsep import comm, daemon, priv_context

from taikun_cinder.privsep import deadline, helper

#: How many calls the privileged process serves at once. One that hangs takes one of
#: these until it comes back; a target has one at most. A thread is made when it is
#: needed first. The operator's own thread_pool_size goes before this.
CALLS = 1000

_UNTIL = "_until"

#: How many threads it has at once, for one caller that asks again and again.
_SPARE = 2
_MEET = "taikun_cinder.privsep.lio.meet"
_MEET_TIMEOUT = 5.0


class _Patience(threading.local):
    """What this thread does when a call takes long."""

    seconds: float | None = None
    over: Callable[[], object] | None = None


_patience = _Patience()


@contextlib.contextmanager
def impatient(seconds: float, over: Callable[[], object]) -> Iterator[None]:
    """Do something once a call of this thread's in the block takes longer.

    Args:
        seconds: than this.
        over: what is done. The call goes on, and is waited for further.
    """
    _patience.seconds, _patience.over = seconds, over
    try:
        yield
    finally:
        _patience.seconds = _patience.over = None


@dataclasses.dataclass(eq=False)
class Unanswered:
    """A call that has not been answered yet.

    Attributes:
        call: which one, with the target that it is about.
        since: when it was made, by the deadline's clock.
    """

    call: str
    since: float = dataclasses.field(default_factory=deadline.now)


#: A report looks here in the handler of a signal, so without a lock.
_unanswered: set[Unanswered] = set()


def unanswered() -> list[Unanswered]:
    """Give the calls of this process that have not been answered, the oldest first."""
    return sorted(_unanswered, key=lambda call: call.since)


class Context(priv_context.PrivContext):
    """A PrivContext that gets over the loss of its privileged process."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        cfg.CONF.set_default("thread_pool_size", CALLS, group=self.cfg_section)
        self._restarting = threading.Lock()

    def start(self, method: Any = priv_context.Method.ROOTWRAP) -> None:
        """Start the privileged process, and watch it.

        Args:
            method: one of ``priv_context.Method``.

        Raises:
            FailedToDropPrivileges: it could not be started; the text says why.
        """
        _refuse_unknown_privsep()
        if method is priv_context.Method.ROOTWRAP:
            self.channel = helper.Channel(self)
        else:
            super().start(method)
        send_recv = functools.partial(_send_recv, self.channel)
        setattr(self.channel, "send_recv", send_recv)  # noqa: B010 - it is a method
        watch = threading.Thread(
            name="privsep_watch", target=_tidy_up, args=(self.channel,), daemon=True
        )
        watch.start()
        self._have_two_threads()

    def _have_two_threads(self) -> None:
        """Let the privileged process have a spare thread from the beginning.

        A thread answers before it counts as idle (concurrent.futures.thread), so with
        one alone a call that follows at once would start another, at any time.
        """
        if self.conf.thread_pool_size < _SPARE:
            return
        threads = [
            threading.Thread(target=_meet, args=(self.channel,), daemon=True)
            for _ in range(_SPARE)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _wrap(self, *args: Any, **named: Any) -> Any:
        if not self.client_mode:
            with deadline.kept(named.pop(_UNTIL, None)):
                return super()._wrap(*args, **named)
        channel = self._connected()
        if self.timeout is not None:
            named[_UNTIL] = deadline.now() + self.timeout
        try:
            return super()._wrap(*args, **named)
        except ConnectionError:
            # The reader may not have seen it yet, and the next call must start anew.
            channel.running = False
            raise

    def connect(self) -> None:
        """Start the privileged process, unless it runs.

        Raises:
            FailedToDropPrivileges: it could not be started.
        """
        if self.client_mode:
            self._connected()

    def _connected(self) -> Any:
        with self._restarting:
            if self.channel is not None and not self.channel.running:
                self.stop()
            if self.channel is None:
                self.start()
            return self.channel


def _send_recv(channel: Any, message: Any, timeout: float | None = None) -> Any:
    """Ask, and wait for the answer, as the channel itself does; see ``impatient``.

    Raises:
        PrivsepTimeout: it did not come in time.
        OSError: the privileged process is lost.
    """
    number, answer = str(uuid.uuid4()), comm.Future(channel.lock)
    grace, over = _patience.seconds, _patience.over
    call = Unanswered(_words(message))
    _unanswered.add(call)
    with channel.lock:
        channel.outstanding_msgs[number] = answer
    try:
        with channel.lock:
            channel.writer.send((number, message))
            in_time = grace is None or _comes(answer, grace)
        if not in_time and over is not None:
            over()
        with channel.lock:
            if not _comes(answer, timeout):
                raise comm.PrivsepTimeout
            if answer.error is not None:
                raise answer.error
            return answer.data
    finally:
        _unanswered.discard(call)
        with channel.lock:
            del channel.outstanding_msgs[number]


def _words(message: Any) -> str:
    """Tell what a message asks for: its steps have passwords in them."""
    if message[0] != comm.Message.CALL.value:
        return comm.Message(message[0]).name.lower()
    _, name, arguments, _ = message
    about = [one for one in arguments[:1] if isinstance(one, str)]
    return " ".join([name.rpartition(".")[2], *about])


def _comes(answer: Any, timeout: float | None) -> bool:
    """Wait for an answer; say whether it came. The channel's lock must be held."""
    return bool(
        answer.condvar.wait_for(
            lambda: answer.data is not None or answer.error is not None, timeout
        )
    )


def _meet(channel: Any) -> None:
    with contextlib.suppress(comm.PrivsepTimeout, OSError):  # it is no need
        channel.remote_call(_MEET, (), {}, _MEET_TIMEOUT)


def _tidy_up(channel: Any) -> None:
    """Do what the reader should have done when it ended; twice is no harm."""
    channel.reader_thread.join()
    with channel.lock:
        for waiting in channel.outstanding_msgs.values():
            waiting.set_exception(ConnectionError("the privileged process was lost"))
        channel.running = False


def _refuse_unknown_privsep() -> None:
    """Refuse an oslo.privsep that is built otherwise than this package knows it.

    Raises:
        FailedToDropPrivileges: it is.
    """
    ours, its = socket.socketpair()
    with ours, its:
        try:
            handler = daemon.PrivsepLogHandler(comm.ServerChannel(ours))
            known = handler.channel.writer.writesock is ours  # see deadline
        except (AttributeError, TypeError):
            known = False
    if not known:
        raise daemon.FailedToDropPrivileges(
            "the privileged process is not started: the installed oslo.privsep is "
            "built otherwise than taikun_cinder knows it, so a call whose caller died "
            "could not be stopped. Install the release that constraints.txt names"
        )
