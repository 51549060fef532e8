/* A small server for the tests and benches of the HTTP engine: one route for each thing it can do.
 *
 *   http-test-server [--listen 127.0.0.1:0] [--cert F --key F] [--file F] [--proxies LIST]
 *                    [--grace MS]
 *
 * Prints "port N" when it serves. SIGTERM drains it. */
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/http.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct demo {
    struct http_events *events;
    int file_fd;
    int64_t file_bytes;
    int release_fd; /* /block?ms= waits until /release */
    _Atomic unsigned closed_streams, audited;
};

static struct demo demo = {.file_fd = -1};

static int hello(struct http_req *r, struct err *e)
{
    return http_reply(r, 200, "application/json", STR("{\"hello\":\"world\"}\n"), e);
}

static int echo(struct http_req *r, struct err *e)
{
    struct str body;

    if (http_body_all(r, 1024 * 1024, &body, e) < 0) {
        return -1;
    }
    return http_reply(r, 200, "application/octet-stream", body, e);
}

static int count_body(struct http_req *r, struct err *e)
{
    static _Thread_local char piece[64 * 1024];
    int64_t total = 0;
    ssize_t n;
    char text[32];

    while ((n = http_body_read(r, piece, sizeof(piece), e)) > 0) {
        total += n;
    }
    if (n < 0) {
        return -1;
    }
    (void)snprintf(text, sizeof(text), "%lld\n", (long long)total);
    return http_reply(r, 200, "text/plain", str_of(text), e);
}

/* Does not look at its body. */
static int ignore_body(struct http_req *r, struct err *e)
{
    return http_reply(r, 200, "text/plain", STR("ignored\n"), e);
}

static int inspect(struct http_req *r, struct err *e)
{
    struct buf b = BUF_MAX(64 * 1024);
    struct jw w = JW(&b);
    int rc;

    jw_object(&w);
    jw_kv_c(&w, "method", http_method_name(r->method));
    jw_kv_str(&w, "target", r->target);
    jw_kv_str(&w, "path", r->path);
    jw_kv_str(&w, "host", r->host);
    jw_kv_str(&w, "scheme", r->scheme);
    jw_kv_c(&w, "peer", r->peer);
    jw_kv_c(&w, "who", r->who.name);
    jw_kv_str(&w, "project", r->project);
    jw_key(&w, "params");
    jw_object(&w);
    for (size_t i = 0; i < r->n_path_params; i++) {
        char name[64];

        (void)!str_copy(r->path_params[i].name, name, sizeof(name));
        jw_kv_str(&w, name, r->path_params[i].value);
    }
    jw_end(&w);
    jw_key(&w, "query");
    jw_array(&w);
    for (size_t i = 0; i < r->n_query; i++) {
        jw_str(&w, r->query[i].name);
        jw_str(&w, r->query[i].value);
    }
    jw_end(&w);
    jw_end(&w);
    rc = http_reply_json(r, 200, &b, e);
    buf_done(&b);
    return rc;
}

static int send_file(struct http_req *r, struct err *e)
{
    const struct http_file f = {.fd = demo.file_fd,
                                .size_bytes = demo.file_bytes,
                                .type = "application/octet-stream",
                                .etag = "\"demo-1\"",
                                .modified_ms = 1700000000000};

    if (demo.file_fd < 0) {
        return err_set(e, ERR_NOT_FOUND, "started without --file");
    }
    return http_reply_file(r, &f, e);
}

static int stream(struct http_req *r, struct err *e)
{
    int64_t n;

    if (http_query_i64(r, "lines", 10, 0, 1000000, &n, e) < 0 ||
        http_stream_begin(r, 200, "text/plain", e) < 0) {
        return -1;
    }
    for (int64_t i = 0; i < n; i++) {
        char line[32];

        (void)snprintf(line, sizeof(line), "line %lld\n", (long long)i);
        if (http_stream_write(r, str_of(line), e) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Begins an answer and fails in the middle. */
static int broken(struct http_req *r, struct err *e)
{
    if (http_stream_begin(r, 200, "text/plain", e) < 0 ||
        http_stream_write(r, STR("so far"), e) < 0) {
        return -1;
    }
    return err_set(e, ERR_IO, "the disk went away");
}

static int fail_inside(struct http_req *r, struct err *e)
{
    int64_t kind;

    if (http_query_i64(r, "kind", ERR_INTERNAL, 1, ERR_KINDS - 1, &kind, e) < 0) {
        return -1;
    }
    return err_set(e, (enum err_kind)kind, "secret inner reason");
}

/* --- a counting stream: ?lines=, one a tick --- */

struct counter {
    int64_t at, lines;
};

static int counter_pump(void *ctx, struct buf *out)
{
    struct counter *c = ctx;

    if (c->at == c->lines) {
        return 0;
    }
    (void)buf_printf(out, "tick %lld\n", (long long)c->at++);
    return c->at == c->lines ? 0 : 1;
}

static void counter_close(void *ctx)
{
    (void)atomic_fetch_add(&demo.closed_streams, 1);
    free(ctx);
}

/* As fast as the reader takes it. */
static int flood_pump(void *ctx, struct buf *out)
{
    static const char zeros[32 * 1024];
    struct counter *c = ctx;

    if (c->at == c->lines) {
        return 0;
    }
    c->at++;
    return buf_add(out, str_n(zeros, sizeof(zeros))) < 0 ? -1 : 1;
}

static int park_with(struct http_req *r, const struct http_stream_ops *ops, unsigned tick_ms,
                     struct err *e)
{
    struct counter *c = xnew(struct counter);

    if (http_query_i64(r, "lines", 3, 0, 1 << 30, &c->lines, e) < 0 ||
        http_park(r, "text/plain", ops, c, tick_ms, /* waker */ NULL, e) < 0) {
        free(c);
        return -1;
    }
    return 0;
}

static int ticks(struct http_req *r, struct err *e)
{
    static const struct http_stream_ops ops = {counter_pump, counter_close};

    return park_with(r, &ops, 100, e);
}

static int flood(struct http_req *r, struct err *e)
{
    static const struct http_stream_ops ops = {flood_pump, counter_close};

    return park_with(r, &ops, 100, e);
}

/* --- events --- */

/* An event about "nobody" ends the streams of all who are no admins. */
static enum http_sight sees(void *ctx UNUSED, const struct principal *who,
                            const struct http_audience *to)
{
    if (to && !who->is_admin && str_eq(to->project, STR("nobody"))) {
        return HTTP_SIGNED_OUT;
    }
    return to && (who->is_admin || !str_eq(to->project, STR("hidden"))) ? HTTP_SEEN : HTTP_UNSEEN;
}

static int events(struct http_req *r, struct err *e)
{
    return http_events_serve(r, demo.events, sees, NULL, e);
}

static int publish(struct http_req *r, struct err *e)
{
    struct str body;

    if (http_body_all(r, 16 * 1024, &body, e) < 0) {
        return -1;
    }
    http_events_publish(
        demo.events, "note",
        &(struct http_audience){.perm = PERM_PROJECT_READ, .project = http_path_param(r, "p")},
        body);
    return http_reply_empty(r, 204, e);
}

/* --- WebSocket: echoes; "close" closes --- */

static void ws_message(void *ctx UNUSED, struct http_ws *ws, bool is_text, struct str message)
{
    if (str_eq(message, STR("close"))) {
        http_ws_close(ws, 1000, NULL);
        return;
    }
    (void)http_ws_send(ws, is_text, message);
}

static void ws_closed(void *ctx UNUSED)
{
    (void)atomic_fetch_add(&demo.closed_streams, 1);
}

static int websocket(struct http_req *r, struct err *e)
{
    static const struct http_ws_ops ops = {ws_message, NULL, ws_closed};
    struct http_ws *ws;

    return http_upgrade_websocket(r, "echo", &ops, NULL, &ws, e);
}

/* --- waiting inside a handler --- */

static int block(struct http_req *r, struct err *e)
{
    struct pollfd p = {.fd = demo.release_fd, .events = POLLIN};
    int64_t ms;

    if (http_query_i64(r, "ms", 20000, 0, 60000, &ms, e) < 0) {
        return -1;
    }
    (void)poll(&p, 1, (int)ms);
    return http_reply(r, 200, "text/plain", STR("released\n"), e);
}

static int release(struct http_req *r, struct err *e)
{
    (void)eventfd_write(demo.release_fd, 1);
    return http_reply_empty(r, 204, e);
}

static struct http_server *server;

static int stats(struct http_req *r, struct err *e)
{
    struct buf b = BUF_MAX(4096);
    int rc;

    http_server_dump(server, &b);
    (void)buf_printf(&b, "closed_streams %u\naudited %u\n", atomic_load(&demo.closed_streams),
                     atomic_load(&demo.audited));
    rc = http_reply(r, 200, "text/plain", buf_str(&b), e);
    buf_done(&b);
    return rc;
}

/* "Bearer alice" is alice, "Bearer root" an administrator, anything else is wrong. */
static int authenticate(void *ctx UNUSED, struct http_req *r, struct principal *out, struct err *e)
{
    struct str given = http_header(r, "Authorization");

    if (given.p == NULL) {
        return 0;
    }
    if (!str_eq(given, STR("Bearer alice")) && !str_eq(given, STR("Bearer root"))) {
        return err_set(e, ERR_UNAUTHENTICATED, "the token is wrong");
    }
    out->kind = PRINCIPAL_TOKEN;
    out->user_id = 1;
    out->is_admin = str_eq(given, STR("Bearer root"));
    return str_copy(str_from(given, 7), out->name, sizeof(out->name));
}

static int authorize(void *ctx UNUSED, struct http_req *r, enum perm perm, struct str project,
                     struct err *e)
{
    if (r->who.user_id == 0) {
        return err_set(e, ERR_UNAUTHENTICATED, "%s needs a signed-in user", perm_name(perm));
    }
    if (perm == PERM_PROJECT_READ && str_eq(project, STR("hidden"))) {
        return err_set(e, ERR_NOT_FOUND, "there is no project \"hidden\"");
    }
    if (perm == PERM_SYSTEM_MANAGE && !r->who.is_admin) {
        return err_set(e, ERR_FORBIDDEN, "%s is for administrators", perm_name(perm));
    }
    return 0;
}

static void audit(void *ctx UNUSED, const struct http_req *r UNUSED, int status UNUSED)
{
    (void)atomic_fetch_add(&demo.audited, 1);
}

static const struct route routes[] = {
    {HTTP_GET, "/hello", PERM_PUBLIC, hello, "A small answer.", .flags = 0},
    {HTTP_POST, "/echo", PERM_PUBLIC, echo, "The body comes back.", .flags = 0},
    {HTTP_PUT, "/count", PERM_PUBLIC, count_body, "How many bytes?", .flags = ROUTE_NO_AUDIT},
    {HTTP_POST, "/ignore", PERM_PUBLIC, ignore_body, "Leaves the body unread.", .flags = 0},
    {HTTP_GET, "/ignore", PERM_PUBLIC, ignore_body, "Leaves the body unread.", .flags = 0},
    {HTTP_GET, "/inspect", PERM_PUBLIC, inspect, "What the engine saw.", .flags = 0},
    {HTTP_GET, "/inspect/{one}", PERM_PUBLIC, inspect, "What the engine saw.", .flags = 0},
    {HTTP_GET, "/trailing/", PERM_PUBLIC, inspect, "What the engine saw.", .flags = 0},
    {HTTP_GET, "/v2/{repo...}/manifests/{ref}", PERM_PUBLIC, inspect, "In the middle.", .flags = 0},
    {HTTP_GET, "/raw/{path...}", PERM_PUBLIC, inspect, "Everything.", .flags = ROUTE_RAW_PATH},
    {HTTP_GET, "/projects/{p}", PERM_PROJECT_READ, inspect, "A project.", .flags = 0},
    {HTTP_POST, "/projects/{p}", PERM_PROJECT_READ, inspect, "A project.", .flags = 0},
    {HTTP_GET, "/admin", PERM_SYSTEM_MANAGE, hello, "Administrators only.", .flags = 0},
    {HTTP_GET, "/file", PERM_PUBLIC, send_file, "The file.", .flags = 0},
    {HTTP_GET, "/stream", PERM_PUBLIC, stream, "Chunks.", .flags = 0},
    {HTTP_GET, "/broken", PERM_PUBLIC, broken, "Fails in the middle.", .flags = 0},
    {HTTP_GET, "/fail", PERM_PUBLIC, fail_inside, "Fails.", .flags = 0},
    {HTTP_GET, "/ticks", PERM_PUBLIC, ticks, "A parked stream.", .flags = 0},
    {HTTP_GET, "/flood", PERM_PUBLIC, flood, "A parked stream without end.", .flags = 0},
    {HTTP_GET, "/events", PERM_PUBLIC, events, "Server-Sent Events.", .flags = 0},
    {HTTP_POST, "/events/{p}", PERM_PUBLIC, publish, "Publishes one.", .flags = 0},
    {HTTP_GET, "/ws", PERM_PUBLIC, websocket, "Echo.", .flags = 0},
    {HTTP_GET, "/block", PERM_PUBLIC, block, "Waits for /release.", .flags = 0},
    {HTTP_POST, "/release", PERM_PUBLIC, release, "Ends all /block.", .flags = ROUTE_OWN_WORKER},
    {HTTP_GET, "/readyz", PERM_PUBLIC, hello, "Always answers.", .flags = ROUTE_OWN_WORKER},
    {HTTP_GET, "/stats", PERM_PUBLIC, stats, "Counters.", .flags = ROUTE_OWN_WORKER},
    {0},
};

static int parse_args(int argc, char **argv, struct http_options *o, unsigned *grace_ms)
{
    const char *file = NULL;

    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];

        if (strcmp(name, "--listen") == 0) {
            o->listen = str_of(value);
        } else if (strcmp(name, "--cert") == 0) {
            o->tls_cert = value;
        } else if (strcmp(name, "--key") == 0) {
            o->tls_key = value;
        } else if (strcmp(name, "--proxies") == 0) {
            o->trusted_proxies = str_of(value);
        } else if (strcmp(name, "--grace") == 0) {
            *grace_ms = (unsigned)strtoul(value, NULL, 10);
        } else if (strcmp(name, "--file") == 0) {
            file = value;
        } else {
            return -1;
        }
    }
    if (file) {
        struct stat st;

        demo.file_fd = open(file, O_RDONLY | O_CLOEXEC);
        if (demo.file_fd < 0 || fstat(demo.file_fd, &st) < 0) {
            return -1;
        }
        demo.file_bytes = st.st_size;
    }
    return argc % 2 == 1 ? 0 : -1;
}

static void raise_nofile(void)
{
    struct rlimit lim;

    if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
        lim.rlim_cur = lim.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &lim);
    }
}

int main(int argc, char **argv)
{
    const struct http_mount mount = {.routes = routes, .ctx = &demo};
    struct http_options o = {.listen = STR("127.0.0.1:0"),
                             .trusted_proxies = STR_EMPTY,
                             .mounts = &mount,
                             .n_mounts = 1,
                             .hooks = {NULL, authenticate, authorize, audit}};
    unsigned grace_ms = 5000;
    struct err e;
    sigset_t stop;
    int sig;

    if (parse_args(argc, argv, &o, &grace_ms) < 0) {
        (void)fprintf(stderr, "usage: see the top of http_server.c\n");
        return 64;
    }
    raise_nofile();
    (void)sigemptyset(&stop);
    (void)sigaddset(&stop, SIGTERM);
    (void)sigaddset(&stop, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &stop, NULL);
    demo.events = http_events_new(256);
    demo.release_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    server = http_server_open(&o, &e);
    if (server == NULL || http_server_start(server, &e) < 0) {
        (void)fprintf(stderr, "%s\n", e.msg);
        http_server_close(server);
        return err_exit_code(e.kind);
    }
    (void)printf("port %u\n", http_server_port(server));
    (void)fflush(stdout);
    (void)sigwait(&stop, &sig);
    http_server_drain(server, grace_ms);
    http_server_close(server);
    http_events_free(demo.events);
    closep(&demo.release_fd);
    closep(&demo.file_fd);
    return 0;
}
