#include "net/net_priv.h"

#include "base/cfg.h"
#include "base/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ACCEPT_IN_A_ROW = 64,
    DESCRIPTORS_FOR_OTHERS = 256, /* files, the database, the helper */
    BACKLOG = 4096
};

const struct cfg_item net_config[] = {
    {"net.listen", CFG_STRING, "127.0.0.1:8080",
     "Address and port of the server; 0.0.0.0:8080 or [::]:8080 for all addresses."},
    {"net.tls_cert", CFG_STRING, "",
     "File with the certificate chain (PEM); with net.tls_key it turns HTTPS on."},
    {"net.tls_key", CFG_STRING, "", "File with the private key (PEM) of net.tls_cert."},
    {"net.trusted_proxies", CFG_STRING, "",
     "Comma-separated addresses or networks whose X-Forwarded-For, -Proto and -Host are believed."},
    {0},
};

/* --- listening --- */

static const char *name_of(const struct http_options *o)
{
    return o->listen_name ? o->listen_name : "net.listen (--listen)";
}

static int split_listen(const struct http_options *o, char host[256], char port[8], struct err *e)
{
    ptrdiff_t colon = str_rfind_char(o->listen, ':');
    struct str h = str_first(o->listen, colon < 0 ? 0 : (size_t)colon);
    struct str p = str_from(o->listen, (size_t)colon + 1);
    uint64_t n;

    if (h.len > 2 && h.p[0] == '[' && h.p[h.len - 1] == ']') {
        h = str_n(h.p + 1, h.len - 2);
    }
    if (colon < 0 || str_to_u64(p, &n) < 0 || n > 65535 || str_copy(p, port, 8) < 0 ||
        str_copy(h, host, 256) < 0 || h.len == 0) {
        return err_set(e, ERR_INVALID,
                       "%s: \"%.*s\" is not ADDRESS:PORT (127.0.0.1:8080, [::]:8080)", name_of(o),
                       STR_ARG(str_first(o->listen, 100)));
    }
    return 0;
}

static void set_option(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof(value));
}

/* Accepted sockets inherit all of them, which saves the calls per connection. */
static void set_options(int fd, int family)
{
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1); /* peers that vanish without a word */
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 60);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 15);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 4);
    if (family == AF_INET6) {
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    }
}

static int bind_error(const struct http_options *o, struct err *e)
{
    if (errno == EADDRINUSE) {
        return err_set(e, ERR_CONFLICT,
                       "%.*s is in use by another program; stop that one, or choose another port "
                       "with %s",
                       STR_ARG(o->listen), name_of(o));
    }
    return err_sys(e, "listening at %.*s", STR_ARG(o->listen));
}

static int listen_at(const struct addrinfo *ai, const struct http_options *o, struct err *e)
{
    SCOPED(closep)
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return err_sys(e, "socket");
    }
    set_options(fd, ai->ai_family);
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0) {
        return bind_error(o, e);
    }
    return TAKE_FD(fd);
}

static int open_listener(const struct http_options *o, struct err *e)
{
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
                                   .ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char host[256], port[8];
    int fd, rc;

    if (split_listen(o, host, port, e) < 0) {
        return -1;
    }
    rc = getaddrinfo(host, port, &hints, &found);
    if (rc != 0) {
        return err_set(e, ERR_INVALID, "%s: %s: %s", name_of(o), host, gai_strerror(rc));
    }
    fd = listen_at(found, o, e);
    freeaddrinfo(found);
    return fd;
}

static unsigned port_of(int fd)
{
    struct sockaddr_in6 a = {0}; /* its port stands where that of sockaddr_in does */
    socklen_t len = sizeof(a);

    if (getsockname(fd, (struct sockaddr *)&a, &len) < 0) {
        return 0;
    }
    return ntohs(a.sin6_port);
}

/* --- accepting --- */

static void format_peer(const struct sockaddr_storage *a, char out[46])
{
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)a;
    const struct sockaddr_in *four = (const struct sockaddr_in *)a;
    const void *addr = a->ss_family == AF_INET6 ? (const void *)&six->sin6_addr : &four->sin_addr;

    if (a->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) {
        (void)inet_ntop(AF_INET, six->sin6_addr.s6_addr + 12, out, 46);
        return;
    }
    (void)inet_ntop(a->ss_family, addr, out, 46);
}

void server_arm_listener(struct http_server *s)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLONESHOT, .data.ptr = &s->listen_fd};

    (void)epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, s->listen_fd, &ev);
}

static void turn_away(const struct http_server *s, int fd)
{
    static const char text[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
                               "Retry-After: 5\r\nConnection: close\r\n\r\n";

    if (s->tls == NULL) {
        (void)send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    (void)close(fd);
}

static void welcome(struct http_server *s, int fd, const struct sockaddr_storage *a)
{
    char peer[46] = "?";

    if (atomic_load(&s->n_conns) >= s->max_conns) {
        turn_away(s, fd);
        return;
    }
    format_peer(a, peer);
    conn_park(conn_new(s, fd, peer), EPOLLIN, clock_mono_ms() + LIMIT_HEAD_SECONDS * 1000);
}

/* Out of descriptors or memory: trying at once would spin, so the relay arms the listener later. */
static void pause_accepting(struct http_server *s)
{
    if (!atomic_exchange(&s->accept_paused, true)) {
        log_warn("http.accept", "error=%s, retrying in 1 s", strerror(errno));
    }
    relay_nudge(s->relay);
}

void server_accept(struct http_server *s)
{
    for (int i = 0; i < ACCEPT_IN_A_ROW && !atomic_load(&s->draining); i++) {
        struct sockaddr_storage a = {0};
        socklen_t len = sizeof(a);
        int fd = accept4(s->listen_fd, (struct sockaddr *)&a, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            welcome(s, fd, &a);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause_accepting(s);
            return;
        } else if (errno == EAGAIN) {
            break;
        }
    }
    if (!atomic_load(&s->draining)) {
        server_arm_listener(s);
    }
}

/* --- the sweep --- */

static bool is_over(const struct http_conn *c, int64_t now_ms, bool draining)
{
    return atomic_load_explicit(&c->deadline_ms, memory_order_relaxed) <= now_ms ||
           (draining && c->phase == PHASE_HEAD);
}

void server_sweep(struct http_server *s, int64_t now_ms)
{
    bool draining = atomic_load(&s->draining);
    struct lock *l = &s->conns_lock; /* nobody is freed meanwhile; shutdown(2) does not wait */
    WITH_LOCK(l);

    list_each(it, &s->conns)
    {
        struct http_conn *c = list_entry(it, struct http_conn, link);
        int parked = CONN_PARKED;

        if (atomic_load_explicit(&c->state, memory_order_acquire) == CONN_PARKED &&
            is_over(c, now_ms, draining) &&
            atomic_compare_exchange_strong(&c->state, &parked, CONN_EXPIRED)) {
            (void)shutdown(c->fd, SHUT_RD); /* epoll now hands it to a worker */
        }
    }
}

/* --- life --- */

static unsigned most_connections(void)
{
    struct rlimit lim = {0};

    (void)getrlimit(RLIMIT_NOFILE, &lim);
    if (lim.rlim_cur >= LIMIT_CONNECTIONS + DESCRIPTORS_FOR_OTHERS) {
        return LIMIT_CONNECTIONS;
    }
    return lim.rlim_cur > 2 * DESCRIPTORS_FOR_OTHERS
               ? (unsigned)lim.rlim_cur - DESCRIPTORS_FOR_OTHERS
               : DESCRIPTORS_FOR_OTHERS;
}

static int watch(int epoll_fd, int fd, void *what, unsigned flags, struct err *e)
{
    struct epoll_event ev = {.events = flags, .data.ptr = what};

    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? err_sys(e, "epoll_ctl") : 0;
}

DEFINE_SCOPED(struct http_server, http_server_close)

static int open_parts(struct http_server *s, struct err *e)
{
    const struct http_options *o = &s->options;

    s->routes = route_table_new(o->mounts, o->n_mounts, e);
    if (s->routes == NULL || cidr_list(o->trusted_proxies, "net.trusted_proxies", s->proxies,
                                       PROXIES_MAX, &s->n_proxies, e) < 0) {
        return -1;
    }
    if ((o->tls_cert == NULL) != (o->tls_key == NULL)) {
        return err_set(e, ERR_INVALID, "net.tls_cert and net.tls_key must be given together");
    }
    if (o->tls_cert) {
        s->tls = tls_context_new(o->tls_cert, o->tls_key, e);
        if (s->tls == NULL) {
            return -1;
        }
    }
    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->epoll_fd < 0 || s->stop_fd < 0) {
        return err_sys(e, "epoll");
    }
    s->listen_fd = open_listener(o, e);
    s->relay = s->listen_fd < 0 ? NULL : relay_open(s, e);
    return s->relay ? 0 : -1;
}

struct http_server *http_server_open(const struct http_options *o, struct err *e)
{
    SCOPED(http_server_closep) struct http_server *s = xnew(struct http_server);

    s->options = *o;
    s->listen_fd = s->epoll_fd = s->stop_fd = -1;
    lock_init(&s->conns_lock, LOCK_net_conns);
    lock_init(&s->workers_lock, LOCK_net_workers);
    (void)pthread_cond_init(&s->spare_called, NULL);
    list_init(&s->conns);
    list_init(&s->ready);
    s->max_conns = most_connections();
    if (open_parts(s, e) < 0) {
        return NULL;
    }
    s->port = port_of(s->listen_fd);
    return TAKE(s);
}

int http_server_start(struct http_server *s, struct err *e)
{
    if (watch(s->epoll_fd, s->stop_fd, &s->stop_fd, EPOLLIN, e) < 0 ||
        watch(s->epoll_fd, s->listen_fd, &s->listen_fd, EPOLLIN | EPOLLONESHOT, e) < 0 ||
        relay_start(s->relay, e) < 0) {
        return -1;
    }
    return workers_start(s, e);
}

unsigned http_server_port(const struct http_server *s)
{
    return s->port;
}

static bool wait_until_empty(struct http_server *s, int64_t deadline_ms)
{
    struct lock *l = &s->conns_lock;
    WITH_LOCK(l);

    while (!list_empty(&s->conns)) {
        if (!lock_wait_until(l, deadline_ms)) {
            return list_empty(&s->conns);
        }
    }
    return true;
}

static void cut_all(struct http_server *s)
{
    struct lock *l = &s->conns_lock;
    WITH_LOCK(l);

    list_each(it, &s->conns)
    {
        (void)shutdown(list_entry(it, struct http_conn, link)->fd, SHUT_RDWR);
    }
}

void http_server_drain(struct http_server *s, unsigned grace_ms)
{
    int64_t deadline = clock_mono_ms() + grace_ms;

    if (atomic_exchange(&s->draining, true)) {
        return;
    }
    (void)shutdown(s->listen_fd, SHUT_RD); /* new connections are refused from here on */
    relay_nudge(s->relay);
    server_sweep(s, clock_mono_ms());
    if (!wait_until_empty(s, deadline)) {
        log_warn("http.drain", "cutting %u connections after %u ms", atomic_load(&s->n_conns),
                 grace_ms);
        cut_all(s);
    }
}

static void close_conns(struct http_server *s)
{
    while (!list_empty(&s->conns)) {
        conn_close(list_entry(s->conns.next, struct http_conn, link));
    }
}

void http_server_close(struct http_server *s)
{
    if (s == NULL) {
        return;
    }
    atomic_store(&s->draining, true);
    atomic_store(&s->stopping, true);
    if (s->stop_fd >= 0) {
        (void)eventfd_write(s->stop_fd, 1);
    }
    cut_all(s);
    workers_stop(s);
    relay_stop(s->relay);
    relay_close(s->relay);
    close_conns(s);
    route_table_free(s->routes);
    tls_context_free(s->tls);
    closep(&s->listen_fd);
    closep(&s->epoll_fd);
    closep(&s->stop_fd);
    lock_done(&s->conns_lock);
    (void)pthread_cond_destroy(&s->spare_called);
    lock_done(&s->workers_lock);
    free(s);
}

void http_server_dump(struct http_server *s, struct buf *out)
{
    struct lock *l = &s->workers_lock;
    unsigned workers, spare;

    {
        WITH_LOCK(l);
        workers = s->n_workers;
        spare = s->n_spare;
    }
    (void)buf_printf(out,
                     "net: port %u, connections %u of %u, workers %u (idle %u, spare %u) of %u, "
                     "running %u, "
                     "queued %u%s\n",
                     s->port, atomic_load(&s->n_conns), s->max_conns, workers,
                     atomic_load(&s->idle), spare, LIMIT_WORKERS, atomic_load(&s->n_busy),
                     atomic_load(&s->n_ready), atomic_load(&s->draining) ? ", draining" : "");
}
