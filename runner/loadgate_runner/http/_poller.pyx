# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The Poller of poller.py, by the kernel's own calls: no Python object but what is read, and what says of whom it is."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_SetFromErrno
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.errno cimport EAGAIN, EINTR, ENOENT, errno
from libc.stdint cimport uint32_t

cdef extern from "<time.h>" nogil:
    ctypedef long time_t
    cdef struct timespec:
        time_t tv_sec
        long tv_nsec
    int CLOCK_MONOTONIC
    int CLOCK_REALTIME
    int clock_gettime(int clock, timespec *now)

cdef extern from "<sys/uio.h>" nogil:
    cdef struct iovec:
        void *iov_base
        size_t iov_len

cdef extern from "<sys/socket.h>" nogil:
    cdef struct msghdr:
        void *msg_name
        unsigned int msg_namelen
        iovec *msg_iov
        size_t msg_iovlen
        void *msg_control
        size_t msg_controllen
        int msg_flags
    cdef struct cmsghdr:
        size_t cmsg_len
        int cmsg_level
        int cmsg_type
    int MSG_DONTWAIT
    int MSG_NOSIGNAL
    int SOL_SOCKET
    int SO_TIMESTAMPNS
    cmsghdr *CMSG_FIRSTHDR(msghdr *message)
    unsigned char *CMSG_DATA(cmsghdr *control)
    ssize_t recvmsg(int fd, msghdr *message, int flags)
    ssize_t c_send "send"(int fd, const void *data, size_t size, int flags)
    int setsockopt(int fd, int level, int name, const void *value, unsigned int size)

cdef extern from "<sys/epoll.h>" nogil:
    cdef union epoll_data:
        int fd
    cdef struct epoll_event:
        uint32_t events
        epoll_data data
    int EPOLL_CLOEXEC
    int EPOLL_CTL_ADD
    int EPOLL_CTL_DEL
    uint32_t EPOLLERR
    uint32_t EPOLLET
    uint32_t EPOLLHUP
    uint32_t EPOLLIN
    uint32_t EPOLLOUT
    uint32_t EPOLLRDHUP
    int epoll_create1(int flags)
    int epoll_ctl(int epoll, int what, int fd, epoll_event *event)
    int epoll_wait(int epoll, epoll_event *events, int most, int timeout)

cdef extern from "<unistd.h>" nogil:
    int c_close "close"(int fd)

cdef enum:
    READ = 0
    WRITABLE = 1
    END = 2
    EVENTS = 256
    PIECE = 65536
    STEP = 1000000

cdef bytes NOTHING = b""


cdef inline long long _now(int clock) noexcept nogil:
    cdef timespec now
    clock_gettime(clock, &now)
    return <long long> now.tv_sec * 1000000000 + now.tv_nsec


cdef class Poller:
    """See poller.py."""

    cdef int _epoll
    cdef list _owners
    cdef set _wanting
    cdef dict _unread
    cdef char *_piece
    cdef long long _ahead
    cdef long long _began
    cdef long long _drained
    cdef long long _wall
    cdef object _clock
    cdef bint _stepped

    def __cinit__(self):
        self._epoll = -1
        self._piece = <char *> PyMem_Malloc(PIECE)
        if self._piece == NULL:
            raise MemoryError
        self._epoll = epoll_create1(EPOLL_CLOEXEC)
        if self._epoll < 0:
            PyErr_SetFromErrno(OSError)

    def __init__(self, wall=None):
        self._clock = wall
        self._owners = []
        self._wanting = set()
        self._unread = {}
        self._ahead = 0
        self._drained = _now(CLOCK_MONOTONIC)
        self._stepped = True

    def __dealloc__(self):
        if self._epoll >= 0:
            c_close(self._epoll)
        PyMem_Free(self._piece)

    def fileno(self):
        return self._epoll

    @property
    def more(self):
        return len(self._unread) > 0

    def add(self, int fd, owner):
        cdef epoll_event event
        cdef int on = 1
        setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on))
        event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET
        event.data.fd = fd
        if epoll_ctl(self._epoll, EPOLL_CTL_ADD, fd, &event) < 0:
            PyErr_SetFromErrno(OSError)
        while len(self._owners) <= fd:
            self._owners.append(None)
        self._owners[fd] = owner

    def remove(self, int fd):
        cdef epoll_event event
        self._owners[fd] = None
        self._wanting.discard(fd)
        if epoll_ctl(self._epoll, EPOLL_CTL_DEL, fd, &event) < 0 and errno != ENOENT:
            PyErr_SetFromErrno(OSError)

    def want(self, int fd, bint writable):
        if writable:
            self._wanting.add(fd)
        else:
            self._wanting.discard(fd)

    def send(self, int fd, bytes data, Py_ssize_t offset=0):
        cdef ssize_t sent
        while True:
            sent = c_send(
                fd, PyBytes_AS_STRING(data) + offset, PyBytes_GET_SIZE(data) - offset, MSG_DONTWAIT | MSG_NOSIGNAL
            )
            if sent >= 0:
                return sent
            if errno != EINTR:
                return 0 if errno == EAGAIN else -errno

    def poll(self):
        cdef epoll_event events[EVENTS]
        cdef int count, at
        cdef uint32_t what
        cdef long long ahead
        cdef list out = []
        cdef dict unread = None
        cdef object owner
        self._began = _now(CLOCK_MONOTONIC)
        self._wall = _now(CLOCK_REALTIME) if self._clock is None else self._clock()
        ahead = self._wall - self._began
        self._stepped = self._stepped or not -STEP < ahead - self._ahead < STEP
        self._ahead = ahead
        if self._unread:
            unread, self._unread = self._unread, {}
        count = epoll_wait(self._epoll, events, EVENTS, 0)
        for at in range(count):
            what = events[at].events
            owner = self._owners[events[at].data.fd]
            if owner is None:
                continue
            if what & EPOLLOUT and self._wanting and events[at].data.fd in self._wanting:
                out.append((owner, WRITABLE, NOTHING, 0))
            if what & ~EPOLLOUT:
                if unread is not None:  # it may be one of them, and each is read once
                    unread[events[at].data.fd] = what | <uint32_t> unread.get(events[at].data.fd, 0)
                else:
                    self._read(events[at].data.fd, what, owner, out)
        if unread is not None:
            for fd, mask in unread.items():
                owner = self._owners[fd]
                if owner is not None:
                    self._read(fd, mask, owner, out)
        if count < EVENTS and not self._unread:
            self._drained = self._began
            self._stepped = False
        return out

    cdef long long _age(self, timespec *came) noexcept:
        cdef long long since = self._began - _now(CLOCK_MONOTONIC)
        cdef long long age
        if came == NULL or self._stepped:
            return since
        age = self._wall - (<long long> came.tv_sec * 1000000000 + came.tv_nsec)
        return age if since - STEP <= age <= self._began - self._drained + STEP else since

    cdef int _read(self, int fd, uint32_t what, object owner, list out) except -1:
        cdef ssize_t size
        cdef char control[64]
        cdef iovec piece
        cdef msghdr message
        cdef cmsghdr *found
        cdef timespec *came
        piece.iov_base = self._piece
        piece.iov_len = PIECE
        message.msg_name = NULL
        message.msg_namelen = 0
        message.msg_iov = &piece
        message.msg_iovlen = 1
        while True:
            message.msg_control = control
            message.msg_controllen = sizeof(control)
            message.msg_flags = 0
            size = recvmsg(fd, &message, MSG_DONTWAIT)
            if size > 0:
                found = CMSG_FIRSTHDR(&message)
                came = NULL
                if found != NULL and found.cmsg_type == SO_TIMESTAMPNS:
                    came = <timespec *> CMSG_DATA(found)
                out.append((owner, READ, PyBytes_FromStringAndSize(self._piece, size), self._age(came)))
                if size < PIECE and not what & (EPOLLRDHUP | EPOLLHUP | EPOLLERR):
                    return 0
                if size == PIECE:
                    self._unread[fd] = what
                    return 0
            elif size == 0:
                out.append((owner, END, NOTHING, 0))
                return 0
            elif errno == EAGAIN:
                return 0
            elif errno != EINTR:
                out.append((owner, -errno, NOTHING, 0))
                return 0
