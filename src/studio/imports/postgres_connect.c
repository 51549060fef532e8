#include "imports/postgres.h"

#include "base/clock.h"
#include "base/limits.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h> /* struct tcp_info with the bytes; not netinet/tcp.h */
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum { CONNECT_MS = 15000, ASK_MS = 500, ADDRESSES_MAX = 8 };

/* Debian's bundle; libpq 15 does not know "the system's". */
#define ROOTS "/etc/ssl/certs/ca-certificates.crt"

int pg_error(const struct pg *pg, enum err_kind kind, const char *what, struct err *e)
{
    struct str said = str_trim(str_of(PQerrorMessage(pg->conn))), line;
    char text[300] = "";

    while (said.p) {
        size_t at = strlen(text);

        line = str_trim(str_cut(&said, '\n'));
        (void)snprintf(text + at, sizeof(text) - at, "%s%.*s", at > 0 ? " " : "", STR_ARG(line));
    }
    return err_set(e, kind, "%s: %s", what, text);
}

/* --- addresses --- */

static void bytes_of(const struct sockaddr *a, unsigned char out[16])
{
    static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    if (a->sa_family == AF_INET) {
        memcpy(out, mapped, sizeof(mapped));
        memcpy(out + 12, &((const struct sockaddr_in *)(const void *)a)->sin_addr, 4);
    } else {
        memcpy(out, &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr, 16);
    }
}

static bool is_denied(const struct import_order *o, const struct sockaddr *a)
{
    unsigned char bytes[16];

    bytes_of(a, bytes);
    for (size_t i = 0; i < o->n_denied; i++) {
        if (cidr_has(&o->denied[i], bytes)) {
            return true;
        }
    }
    return false;
}

/* "/run/postgresql" and "a,b" are words of libpq that are no hosts. */
static int check_host(const char *host, struct err *e)
{
    return host[0] == '\0' || host[0] == '@' || strpbrk(host, "/, \t\r\n") != NULL
               ? err_set(e, ERR_INVALID, "'%.100s' is no name or address of a server", host)
               : 0;
}

/* As libpq takes them: hosts and addresses in pairs. */
static int resolve(const struct import_order *o, struct buf *hosts, struct buf *addresses,
                   struct err *e)
{
    const char *host = import_text(o, "host");
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    size_t n = 0, denied = 0;
    int rc = getaddrinfo(host, NULL, &hints, &found);

    if (rc != 0) {
        return err_set(e, rc == EAI_AGAIN ? ERR_UNAVAILABLE : ERR_NOT_FOUND,
                       "the name %.200s is not found: %s", host, gai_strerror(rc));
    }
    for (const struct addrinfo *a = found; a && n < ADDRESSES_MAX; a = a->ai_next) {
        char text[INET6_ADDRSTRLEN + 20];

        if (a->ai_family != AF_INET && a->ai_family != AF_INET6) {
            continue;
        }
        if (is_denied(o, a->ai_addr)) {
            denied++;
        } else if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof(text), NULL, 0,
                               NI_NUMERICHOST) == 0) {
            (void)buf_printf(hosts, "%s%s", n > 0 ? "," : "", host);
            (void)buf_printf(addresses, "%s%s", n++ > 0 ? "," : "", text);
        }
    }
    freeaddrinfo(found);
    if (n == 0 && denied > 0) {
        return import_denied(host, e);
    }
    return n > 0 && !hosts->failed && !addresses->failed
               ? 0
               : err_set(e, ERR_NOT_FOUND, "the name %.200s has no address", host);
}

/* --- waiting --- */

void pg_taken(struct pg *pg, uint64_t most_bytes)
{
    pg->most_bytes = most_bytes;
    pg->is_taken = true;
}

/* The kernel counts what came: libpq does not tell, and a message of it may have 2 GiB. */
static int check_memory(struct pg *pg, struct err *e)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);

    if (getsockopt(PQsocket(pg->conn), IPPROTO_TCP, TCP_INFO, &info, &len) < 0) {
        return 0; /* not connected yet */
    }
    if (pg->is_taken) {
        pg->is_taken = false;
        pg->heard_bytes = info.tcpi_bytes_received;
    }
    /* A count that is smaller is another socket's: libpq went on to the next address. */
    if (info.tcpi_bytes_received < pg->heard_bytes) {
        pg->heard_bytes = 0;
    }
    return info.tcpi_bytes_received - pg->heard_bytes <= pg->most_bytes
               ? 0
               : err_set(e, ERR_LIMIT,
                         "%.200s sends more than %llu MiB at once: a row may not be larger",
                         import_text(pg->order, "host"),
                         (unsigned long long)(pg->most_bytes / MIB));
}

int pg_wait(struct pg *pg, unsigned ways, int64_t deadline_ms, struct err *e)
{
    struct pollfd p = {
        .fd = PQsocket(pg->conn),
        .events = (short)((ways & PG_READ ? POLLIN : 0) | (ways & PG_WRITE ? POLLOUT : 0))};

    for (;;) {
        int rc = poll(&p, 1, ASK_MS);

        if (pg->order->stop && pg->order->stop(pg->order->ctx)) {
            return err_set(e, ERR_CONFLICT, "stopped");
        }
        if (rc < 0 && errno != EINTR) {
            return err_sys(e, "poll");
        }
        if (check_memory(pg, e) < 0) {
            return -1;
        }
        if (clock_mono_ms() >= deadline_ms) { /* also when something comes: bytes may drip */
            return err_set(e, ERR_TIMEOUT, "%.200s does not answer in time",
                           import_text(pg->order, "host"));
        }
        if (rc > 0) {
            return 0;
        }
    }
}

/* --- connecting --- */

/* What will be the same at the next try is told at once. */
static int refused(const struct pg *pg, struct err *e)
{
    static const char *const passing[] = {"starting up", "shutting down", "too many",
                                          "connection slots", "recovery mode"};
    const char *said = PQerrorMessage(pg->conn);
    bool final = strstr(said, "FATAL:") != NULL || strstr(said, "certificate") != NULL ||
                 strstr(said, "does not support SSL") != NULL ||
                 strstr(said, "no password supplied") != NULL;

    for (size_t i = 0; final && i < sizeof(passing) / sizeof(passing[0]); i++) {
        final = strstr(said, passing[i]) == NULL;
    }
    return pg_error(pg, final ? ERR_FORBIDDEN : ERR_UNAVAILABLE, "the database is not reached", e);
}

static int finish_connecting(struct pg *pg, struct err *e)
{
    int64_t deadline = clock_mono_ms() + CONNECT_MS;
    unsigned ways = PG_WRITE;

    for (;;) {
        if (pg_wait(pg, ways, deadline, e) < 0) {
            return -1;
        }
        switch (PQconnectPoll(pg->conn)) {
        case PGRES_POLLING_OK:
            return 0;
        case PGRES_POLLING_READING:
            ways = PG_READ;
            break;
        case PGRES_POLLING_WRITING:
            ways = PG_WRITE;
            break;
        default:
            return refused(pg, e);
        }
    }
}

static void say_nothing(void *ctx, const char *message)
{
    (void)ctx;
    (void)message; /* libpq would write it to our log */
}

/* `password` ends with a NUL. */
static PGconn *begin(const struct import_order *o, const char *hosts, const char *addresses,
                     const char *password)
{
    const char *mode = import_text(o, "sslmode");
    bool proves = strcmp(mode, "verify-full") == 0;
    const char *names[] = {"host",
                           "hostaddr",
                           "port",
                           "dbname",
                           "user",
                           "password",
                           "sslmode",
                           "application_name",
                           "passfile",
                           "gssencmode",
                           "client_encoding",
                           proves ? "sslrootcert" : NULL,
                           NULL};
    const char *values[] = {hosts,
                            addresses,
                            import_text(o, "port"),
                            import_text(o, "database"),
                            import_text(o, "user"),
                            password,
                            mode,
                            "strata",
                            "/dev/null",
                            "disable",
                            "UTF8",
                            proves ? ROOTS : NULL,
                            NULL};

    return PQconnectStartParams(names, values, /* expand_dbname */ 0);
}

int pg_open(struct pg *pg, struct err *e)
{
    const struct import_order *o = pg->order;
    SCOPED(buf_done) struct buf hosts = BUF_MAX(8 * KIB);
    SCOPED(buf_done) struct buf addresses = BUF_MAX(4 * KIB);
    struct buf password = BUF_MAX(LIMIT_SECRET_BYTES + 1);

    if (check_host(import_text(o, "host"), e) < 0 || resolve(o, &hosts, &addresses, e) < 0) {
        return -1;
    }
    (void)buf_add(&password, str_trim(o->secret));
    pg->conn = begin(o, hosts.p, addresses.p, password.p ? password.p : "");
    if (password.p) {
        explicit_bzero(password.p, password.cap);
    }
    buf_done(&password);
    if (pg->conn == NULL) {
        return err_set(e, ERR_UNAVAILABLE, "there is no memory for a connection");
    }
    (void)PQsetNoticeProcessor(pg->conn, say_nothing, NULL);
    pg_taken(pg, PG_TALK_BYTES);
    if (PQstatus(pg->conn) == CONNECTION_BAD) {
        return refused(pg, e);
    }
    if (finish_connecting(pg, e) < 0) {
        return -1;
    }
    return PQsetnonblocking(pg->conn, 1) < 0 ? refused(pg, e) : 0;
}

void pg_close(struct pg *pg)
{
    PQfinish(pg->conn);
    pg->conn = NULL;
}
