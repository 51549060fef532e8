/* The page over HTTP. */
#include "exporter/exporter.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "exporter/node.h"
#include "exporter/page.h"
#include "net/http.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { WITHIN_MS = 8000, MARGIN_MS = 500, ASKED_MAX = 64, GZIP_LEVEL = 1, DRAIN_MS = 2000 };

struct server {
    struct exporter *x;
    const struct exporter_serve *o;
    struct node node; /* for what concerns this process; guarded by lock */
    struct lock lock;
};

/* What node_exporter's client library says of its process, for the dashboards' last row. */
static void show_process(struct server *s, struct page *p)
{
    struct rusage used;
    struct rlimit files;
    struct node_names fds = {0};
    struct str text;
    struct stat st;
    struct err e;

    (void)getrusage(RUSAGE_SELF, &used);
    page_one(p, "process_cpu_seconds_total", PAGE_COUNTER,
             "Total user and system CPU time spent in seconds.",
             (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                 (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        page_one(p, "process_max_fds", PAGE_GAUGE, "Maximum number of open file descriptors.",
                 (double)files.rlim_cur);
    }
    /* Linux 6.2 and later tell their number as the size; before, they are counted. */
    if (stat("/proc/self/fd", &st) == 0 &&
        (st.st_size > 0 || node_list(&s->node, NODE_PROC, &fds, &e, "self/fd") == 0)) {
        page_one(p, "process_open_fds", PAGE_GAUGE, "Number of open file descriptors.",
                 st.st_size > 0 ? (double)st.st_size : (double)fds.len);
    }
    if (node_read(&s->node, NODE_PROC, &text, &e, "self/statm") == 0) {
        double page = (double)sysconf(_SC_PAGESIZE);

        page_one(p, "process_virtual_memory_bytes", PAGE_GAUGE, "Virtual memory size in bytes.",
                 text_or(text_word(&text), 0) * page);
        page_one(p, "process_resident_memory_bytes", PAGE_GAUGE, "Resident memory size in bytes.",
                 text_or(text_word(&text), 0) * page);
    }
    if (getrlimit(RLIMIT_AS, &files) == 0) {
        page_one(p, "process_virtual_memory_max_bytes", PAGE_GAUGE,
                 "Maximum amount of virtual memory available in bytes.", (double)files.rlim_cur);
    }
    page_one(p, "process_start_time_seconds", PAGE_GAUGE,
             "Start time of the process since unix epoch in seconds.",
             (double)s->o->started_ms / 1000);
    page_family(p, "node_exporter_build_info", PAGE_GAUGE,
                "A metric with a constant '1' value labeled by the version of the exporter.");
    page_add(p, 1, "program", "strata exporter", "version", s->o->version, NULL);
    arena_reset(&s->node.arena);
}

static int make_page(struct server *s, const struct exporter_ask *ask, struct buf *out,
                     struct err *e)
{
    struct page p = {.out = out, .format = ask->format};

    if (exporter_page(s->x, ask, out, e) < 0) {
        return -1;
    }
    if (ask->n_collect == 0) {
        struct lock *l = &s->lock;
        WITH_LOCK(l);

        show_process(s, &p);
    }
    if (ask->format == EXPORTER_OPENMETRICS) {
        (void)buf_add_c(out, "# EOF\n");
    }
    return out->failed ? err_set(e, ERR_LIMIT, "the page is larger than %zu bytes", out->max) : 0;
}

static int zip(struct str page, struct buf *out, struct err *e)
{
    z_stream z = {.next_in = (unsigned char *)(uintptr_t)page.p, .avail_in = (unsigned)page.len};
    char *room = buf_reserve(out, compressBound(page.len) + 32);
    int rc;

    /* 16: with gzip's head. A window of 8 KiB and little memory: pages repeat themselves nearby. */
    if (!room || deflateInit2(&z, GZIP_LEVEL, Z_DEFLATED, 16 + 13, 7, Z_DEFAULT_STRATEGY) != Z_OK) {
        return err_set(e, ERR_LIMIT, "no room to compress the page");
    }
    z.next_out = (unsigned char *)room;
    z.avail_out = (unsigned)(out->cap - out->len);
    rc = deflate(&z, Z_FINISH);
    out->len += z.total_out;
    (void)deflateEnd(&z);
    return rc == Z_STREAM_END ? 0 : err_set(e, ERR_INTERNAL, "the page does not compress");
}

static size_t named(const struct http_req *r, const char *name, struct str *out)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n_query && n < ASKED_MAX; i++) {
        if (str_eq_c(r->query[i].name, name)) {
            out[n++] = r->query[i].value;
        }
    }
    return n;
}

/* As long as the scraper waits, a little less. */
static int64_t patience(const struct http_req *r)
{
    struct str text = http_header(r, "X-Prometheus-Scrape-Timeout-Seconds");
    double sec = text.p ? text_or(text, 0) : 0;
    int64_t ms = sec > 0 && sec < 600 ? (int64_t)(sec * 1000) - MARGIN_MS : WITHIN_MS;

    /* Others wait for this page: who has more patience does not make them have it. */
    return ms < MARGIN_MS ? MARGIN_MS : ms > WITHIN_MS ? WITHIN_MS : ms;
}

static int get_metrics(struct http_req *r, struct err *e)
{
    struct server *s = r->ctx;
    SCOPED(buf_done) struct buf page = BUF_MAX(LIMIT_EXPOSITION_BYTES);
    SCOPED(buf_done) struct buf zipped = BUF_MAX(LIMIT_EXPOSITION_BYTES + 4096);
    struct str collect[ASKED_MAX], exclude[ASKED_MAX];
    struct exporter_ask ask = {.within_ms = patience(r), .collect = collect, .exclude = exclude};
    const char *type = "text/plain; version=0.0.4; charset=utf-8";

    ask.n_collect = named(r, "collect[]", collect);
    ask.n_exclude = named(r, "exclude[]", exclude);
    if (http_takes(r, "Accept", "application/openmetrics-text")) {
        ask.format = EXPORTER_OPENMETRICS;
        type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    }
    if (make_page(s, &ask, &page, e) < 0) {
        return -1;
    }
    if (!http_takes(r, "Accept-Encoding", "gzip")) {
        (void)malloc_trim(0);
        return http_reply(r, 200, type, buf_str(&page), e);
    }
    if (zip(buf_str(&page), &zipped, e) < 0) {
        return -1;
    }
    buf_done(&page);
    (void)malloc_trim(0); /* what the page needed; the next is seconds away */
    http_set_header(r, "Content-Encoding", "gzip");
    return http_reply(r, 200, type, buf_str(&zipped), e);
}

static int get_start(struct http_req *r, struct err *e)
{
    struct server *s = r->ctx;
    SCOPED(buf_done) struct buf b = BUF_MAX(8192);

    (void)buf_printf(&b,
                     "<!doctype html><meta charset=\"utf-8\"><title>Strata exporter</title>"
                     "<h1>Strata exporter</h1><p>Figures of this machine for Prometheus: "
                     "<a href=\"%s\">%s</a>. Version %s.</p>",
                     s->o->path, s->o->path, s->o->version);
    return http_reply(r, 200, "text/html; charset=utf-8", buf_str(&b), e);
}

/* Until SIGTERM or SIGINT, which the caller has blocked. */
static void wait_for_end(void)
{
    sigset_t stop;
    int sig;

    (void)sigemptyset(&stop);
    (void)sigaddset(&stop, SIGTERM);
    (void)sigaddset(&stop, SIGINT);
    do {
        sig = sigwaitinfo(&stop, NULL);
    } while (sig != SIGTERM && sig != SIGINT);
    log_info("exporter.stopping", "signal=%d", sig);
}

/* Containers keep twenty descriptors each. */
static void raise_open_files(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

int exporter_serve(struct exporter *x, const struct exporter_serve *o, struct err *e)
{
    const struct route routes[] = {
        {.method = HTTP_GET, .pattern = o->path, .perm = PERM_PUBLIC, .handle = get_metrics},
        {.method = HTTP_GET, .pattern = "/", .perm = PERM_PUBLIC, .handle = get_start},
        {0},
    };
    struct server s = {.x = x, .o = o};
    const struct http_mount mount = {routes, &s, NULL};
    const struct http_options options = {.listen = str_of(o->listen),
                                         .listen_name = o->listen_name,
                                         .tls_cert = o->tls_cert,
                                         .tls_key = o->tls_key,
                                         .mounts = &mount,
                                         .n_mounts = 1};
    static const struct exporter_options self = {0};
    struct http_server *http;
    int rc = -1;

    raise_open_files();
    /* Makes glibc's heap, which under a sanitizer nobody else has made: not two threads at once. */
    (void)malloc_trim(0);
    lock_init(&s.lock, LOCK_exporter_self);
    http = node_init(&s.node, &self, e) < 0 ? NULL : http_server_open(&options, e);
    if (http && http_server_start(http, e) == 0) {
        log_info("exporter.ready", "listen=%s port=%u path=%s", o->listen, http_server_port(http),
                 o->path);
        if (o->ready) {
            o->ready(o->ctx, http_server_port(http));
        }
        wait_for_end();
        http_server_drain(http, DRAIN_MS);
        rc = 0;
    }
    http_server_close(http);
    node_done(&s.node);
    lock_done(&s.lock);
    return rc;
}
