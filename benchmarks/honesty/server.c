/* A server whose latencies are known: it answers each request after a delay that it is told, and writes down the truth.
 *
 *   server PORT LOG constant MS | bimodal MS MS SHARE | lognormal MEDIAN_MS SIGMA | freeze MS AT_S FOR_S
 *
 * The truth of a request is the time from when the kernel had its last byte (SO_TIMESTAMPNS) to when its answer was
 * written. SIGTERM ends it; then LOG has a line "requests FROZEN_AT FROZEN_FOR" and each latency in microseconds.
 * `freeze` stops the whole process once, AT_S seconds after the first request, as a long garbage collection would.
 * One thread, epoll, and a heap of answers that are due; the wait spins for the last 60 us, so that delays are kept.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST_CONNECTIONS 65536
#define MOST_REQUESTS 8000000
static const char ANSWER[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n{\"id\":7}";

struct due { int64_t at, arrived; int fd; };
static struct due heap[MOST_CONNECTIONS];
static int waiting;
static uint8_t matched[MOST_CONNECTIONS]; /* how much of the blank line that ends a request has come */
static uint32_t *latencies;
static long requests;
static volatile sig_atomic_t over;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void push(struct due one) {
    int i = waiting++;
    for (; i && heap[(i - 1) / 2].at > one.at; i = (i - 1) / 2) heap[i] = heap[(i - 1) / 2];
    heap[i] = one;
}

static struct due pop(void) {
    struct due top = heap[0], last = heap[--waiting];
    int i = 0;
    for (int child; (child = 2 * i + 1) < waiting; i = child) {
        if (child + 1 < waiting && heap[child + 1].at < heap[child].at) child++;
        if (heap[child].at >= last.at) break;
        heap[i] = heap[child];
    }
    heap[i] = last;
    return top;
}

static double uniform(void) { return (random() + 0.5) / 2147483648.0; }

static char **law;
static int64_t delay_ns(void) {
    double ms;
    if (!strcmp(law[0], "bimodal")) ms = uniform() < atof(law[3]) ? atof(law[2]) : atof(law[1]);
    else if (!strcmp(law[0], "lognormal"))
        ms = atof(law[1]) * exp(atof(law[2]) * sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform()));
    else ms = atof(law[1]);
    return (int64_t)(ms * 1e6);
}

static void answer(struct due one) {
    if (send(one.fd, ANSWER, sizeof ANSWER - 1, MSG_NOSIGNAL) < 0) return;
    if (requests < MOST_REQUESTS) latencies[requests] = (now_ns() - one.arrived) / 1000;
    requests++;
}

/* When the kernel had the last byte that was read, or now where it doesn't say. */
static int64_t arrival(struct msghdr *message) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec t;
            memcpy(&t, CMSG_DATA(c), sizeof t);
            return t.tv_sec * 1000000000LL + t.tv_nsec;
        }
    return now_ns();
}

static void hear(int fd) {
    char bytes[4096], control[256];
    struct iovec part = {bytes, sizeof bytes};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t size = recvmsg(fd, &message, 0);
    if (size <= 0) {
        if (size == 0 || errno != EAGAIN) close(fd);
        return;
    }
    int64_t arrived = arrival(&message);
    for (ssize_t i = 0; i < size; i++) {
        matched[fd] = bytes[i] == "\r\n\r\n"[matched[fd]] ? matched[fd] + 1 : bytes[i] == '\r';
        if (matched[fd] < 4) continue;
        matched[fd] = 0;
        push((struct due){arrived + delay_ns(), arrived, fd});
    }
}

static void end(int signal) { (void)signal; over = 1; }

static int listening(int port) {
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 16384)) {
        perror("listen");
        exit(1);
    }
    return fd;
}

int main(int count, char **words) {
    if (count < 5) return 2;
    law = words + 3;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max < MOST_CONNECTIONS ? files.rlim_max : MOST_CONNECTIONS;
    setrlimit(RLIMIT_NOFILE, &files);
    latencies = malloc(sizeof *latencies * MOST_REQUESTS);
    struct sigaction action = {.sa_handler = end};
    sigaction(SIGTERM, &action, NULL);
    int listener = listening(atoi(words[1])), poll = epoll_create1(0), one = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[512];
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    int64_t freeze_at = 0, frozen_at = 0, frozen_for = 0;
    int freezes = !strcmp(law[0], "freeze");
    while (!over) {
        int64_t left = waiting ? heap[0].at - now_ns() - 60000 : 100000000;
        struct timespec wait = {0, left > 0 ? left : 0};
        int ready = epoll_pwait2(poll, events, 512, &wait, NULL);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd != listener) {
                hear(fd);
                continue;
            }
            while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                event.data.fd = fd;
                matched[fd] = 0;
                epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
            }
        }
        if (freezes && !freeze_at && waiting) freeze_at = heap[0].arrived + (int64_t)(atof(law[2]) * 1e9);
        if (freeze_at && !frozen_at && now_ns() >= freeze_at) {
            frozen_at = now_ns();
            usleep(atof(law[3]) * 1e6);
            frozen_for = now_ns() - frozen_at;
        }
        while (waiting && heap[0].at <= now_ns()) answer(pop());
    }
    FILE *log = fopen(words[2], "w");
    fprintf(log, "%ld %lld %lld\n", requests, (long long)frozen_at, (long long)frozen_for);
    for (long i = 0; i < requests && i < MOST_REQUESTS; i++) fprintf(log, "%u\n", latencies[i]);
    fclose(log);
    return 0;
}
