"""Reading all sockets at once, with the kernel's moments: in Python and compiled, the same."""

import errno
import os
import select
import socket
import struct
import time
from dataclasses import dataclass

import pytest

from loadgate_runner.http import poller
from loadgate_runner.http.poller import END, READ, WRITABLE, Poller, PurePoller

pytestmark = pytest.mark.skipif(not poller.AVAILABLE, reason="epoll is Linux'")

HOUR = 3600 * 10**9
KINDS = {kind.__module__.rpartition(".")[2]: kind for kind in (PurePoller, Poller)}


@dataclass(eq=False)
class Owner:
    """Whoever has a socket: all that a poller asks of it."""

    sock: socket.socket


@pytest.fixture
def wall():
    """By how many ns the wall clock that a poller sees is off the kernel's."""
    return [0]


@pytest.fixture(params=KINDS.values(), ids=KINDS.keys())
def pair(request, wall):
    """A poller that tells of one end of a TCP connection, its owner, and the other end."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    with ours, theirs:
        ours.setblocking(False)
        owner = Owner(ours)
        made = request.param(lambda: time.time_ns() + wall[0])
        made.add(ours.fileno(), owner)
        yield made, owner, theirs


def wait(made):
    """What a poller tells next; it has to within seconds."""
    assert select.select([made.fileno()], [], [], 5)[0], "there is nothing"
    return made.poll()


def read(made, size):
    """All that comes until so many bytes are there."""
    got = b""
    while len(got) < size:
        got += b"".join(data for _, what, data, _ in made.poll() if what == READ)
        if not made.more:
            select.select([made.fileno()], [], [], 1)
    return got


def test_what_came_is_read_with_its_owner(pair):
    """What a peer sends is told once, with whose it is."""
    made, owner, theirs = pair
    theirs.sendall(b"an answer")
    [(whose, what, data, _)] = wait(made)
    assert (whose, what, data) == (owner, READ, b"an answer")
    assert made.poll() == []


def test_the_moment_is_the_kernels_and_not_the_readers(pair):
    """Data that waited in its socket is as old as it is."""
    made, _, theirs = pair
    theirs.sendall(b"an answer")
    wait(made)  # a kernel begins to note moments some time after it is asked to for the first time
    time.sleep(0.05)
    before = time.monotonic_ns()
    theirs.sendall(b"another")
    time.sleep(0.1)
    began = time.monotonic_ns()
    [(_, _, _, age)] = wait(made)
    assert -1_000_000 < began - age - before < 50_000_000  # two clocks, read one after the other


@pytest.mark.parametrize("off", [HOUR, -HOUR, 2 * 10**9, -2 * 10**9])
def test_a_wall_clock_that_is_set_makes_nothing_old(pair, wall, off):
    """Data is never older than what was read before it, nor younger than its reading, whatever the wall clock shows."""
    made, _, theirs = pair
    ages = []
    for at in range(6):
        if at == 3:
            wall[0] += off
        before = time.monotonic_ns()
        theirs.sendall(b"an answer")
        [(_, _, _, age)] = wait(made)
        after = time.monotonic_ns()
        ages.append(age)
        assert before - after <= age <= after - before + 2_000_000, ages


def test_the_end_comes_behind_the_data(pair):
    """Where a peer sends and closes, both are told, in their order, and each once."""
    made, _, theirs = pair
    theirs.sendall(b"the last")
    theirs.close()
    time.sleep(0.05)
    assert [(what, data) for _, what, data, _ in wait(made)] == [(READ, b"the last"), (END, b"")]
    assert made.poll() == []


def test_an_end_that_comes_later_is_told_too(pair):
    """A peer that closes a connection at rest is heard."""
    made, _, theirs = pair
    theirs.sendall(b"something")
    assert [what for _, what, _, _ in wait(made)] == [READ]
    theirs.close()
    assert [what for _, what, _, _ in wait(made)] == [END]


def test_a_reset_is_told_with_its_number(pair):
    """Of a connection that breaks, the kernel's reason is told."""
    made, _, theirs = pair
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    theirs.close()
    assert [what for _, what, _, _ in wait(made)][-1] == -errno.ECONNRESET


def test_much_data_comes_in_turns(pair):
    """A peer that never pauses doesn't keep others from their turn, and nothing of what it sends is lost."""
    made, owner, theirs = pair
    owner.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    sent = os.urandom(6 << 20)
    theirs.setblocking(False)
    got, at, most, unread = b"", 0, 0, 0
    deadline = time.monotonic() + 30
    while len(got) < len(sent) and time.monotonic() < deadline:
        try:
            while at < len(sent):
                at += theirs.send(sent[at : at + 262144])
        except BlockingIOError:
            pass
        now = b"".join(data for _, what, data, _ in made.poll() if what == READ)
        most, unread = max(most, len(now)), unread + made.more
        got += now
    assert got == sent
    assert most <= 1 << 16


def test_a_full_socket_says_when_it_takes_more(pair):
    """What the kernel doesn't take is not sent, and the owner is told when it takes something again, if it wants."""
    made, owner, theirs = pair
    fd, data = owner.sock.fileno(), os.urandom(1 << 20)
    taken, total = made.send(fd, data), 0
    while taken == len(data):
        total += taken
        taken = made.send(fd, data)
    total += taken
    assert made.send(fd, data, 100) == 0
    made.poll()
    made.want(fd, True)
    assert made.poll() == []
    left = total
    while left:
        left -= len(theirs.recv(min(left, 1 << 16)))
    assert (owner, WRITABLE) in [(whose, what) for whose, what, _, _ in wait(made)]
    made.want(fd, False)
    assert made.send(fd, data[:100], 90) == 10
    assert theirs.recv(100) == data[90:100]


def test_sending_on_a_broken_connection_gives_its_number(pair):
    """A connection that is broken says why, as a negative errno."""
    made, owner, theirs = pair
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    theirs.close()
    assert -made.send(owner.sock.fileno(), b"hello") in {errno.ECONNRESET, errno.EPIPE}


def test_what_was_removed_is_told_of_no_more(pair):
    """A socket that was removed says nothing, and its descriptor may be another's."""
    made, owner, theirs = pair
    fd = owner.sock.fileno()
    theirs.sendall(b"unwanted")
    made.remove(fd)
    assert made.poll() == []
    made.add(fd, other := Owner(owner.sock))
    assert [(whose, data) for whose, _, data, _ in wait(made)] == [(other, b"unwanted")]


def test_a_descriptor_that_is_none_cannot_be_added(pair):
    """A fault of the kernel's is raised."""
    made, owner, _ = pair
    with pytest.raises(OSError, match=r"."):
        made.add(owner.sock.fileno(), owner)
