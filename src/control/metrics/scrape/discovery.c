#include "scrape/discovery.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "scrape/client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

enum { FILE_POLL_MS = 5000 }; /* where inotify sees nothing: network file systems */

struct discovery {
    const struct sd_config *config;
    discovery_changed *changed;
    void *ctx;
    pthread_t thread;
    bool has_thread, stop;
    int wake_fd, watch_fd;
    struct lock lock; /* of what follows */
    struct arena arena;
    struct target_group *groups;
    size_t n_groups;
    bool is_known;
    uint64_t print; /* of the groups: nothing is told when nothing changed */
    char error[512];
};

const struct sd_config *discovery_config(const struct discovery *d)
{
    return d->config;
}

const bool *discovery_stop_flag(const struct discovery *d)
{
    return &d->stop;
}

static bool is_stopped(const struct discovery *d)
{
    return __atomic_load_n(&d->stop, __ATOMIC_RELAXED);
}

static uint64_t print_groups(const struct target_group *g, size_t n)
{
    uint64_t h = n + 1;

    for (size_t i = 0; i < n; i++) {
        h = h * 31 + labels_hash(g[i].labels);
        for (size_t k = 0; k < g[i].n_targets; k++) {
            h = h * 31 + labels_hash(g[i].targets[k]);
        }
    }
    return h;
}

void discovery_publish(struct discovery *d, struct arena *a, struct target_group *groups,
                       size_t n_groups)
{
    uint64_t print = print_groups(groups, n_groups);
    struct arena old;
    bool differs;

    {
        WITH_LOCK(&d->lock);
        differs = !d->is_known || print != d->print || d->error[0] != '\0';
        old = d->arena;
        d->arena = *a;
        d->groups = groups;
        d->n_groups = n_groups;
        d->is_known = true;
        d->print = print;
        d->error[0] = '\0';
    }
    *a = (struct arena){0};
    arena_done(&old);
    if (differs) {
        d->changed(d->ctx);
    }
}

void discovery_fail(struct discovery *d, const struct err *e)
{
    bool is_new;

    {
        WITH_LOCK(&d->lock);
        is_new = strcmp(d->error, e->msg) != 0;
        memcpy(d->error, e->msg, sizeof(d->error));
    }
    if (is_new) {
        log_warn("scrape.discovery", "error=%s keeping what was found before", Q(str_of(e->msg)));
        d->changed(d->ctx);
    }
}

bool discovery_groups(struct discovery *d, struct arena *a, struct target_group **out, size_t *n,
                      struct str *error)
{
    WITH_LOCK(&d->lock);
    *out = arena_new_array(a, struct target_group, d->n_groups + 1);
    *n = d->n_groups;
    *error = arena_str(a, str_of(d->error));
    for (size_t i = 0; i < d->n_groups; i++) {
        const struct target_group *g = &d->groups[i];
        struct target_group *to = &(*out)[i];

        to->source = arena_str(a, g->source);
        to->labels = labels_copy(a, g->labels);
        to->targets = arena_new_array(a, struct labels, g->n_targets + 1);
        to->n_targets = g->n_targets;
        for (size_t k = 0; k < g->n_targets; k++) {
            to->targets[k] = labels_copy(a, g->targets[k]);
        }
    }
    return d->is_known;
}

/* --- waiting --- */

/* true: something happened to a watched file. */
static bool wait_for(struct discovery *d, int64_t ms)
{
    struct pollfd fds[2] = {{d->wake_fd, POLLIN, 0}, {d->watch_fd, POLLIN, 0}};
    char events[4096];
    bool happened = false;

    if (poll(fds, d->watch_fd >= 0 ? 2 : 1, (int)ms) > 0 && fds[1].revents != 0) {
        while (read(d->watch_fd, events, sizeof(events)) > 0) {
            happened = true;
        }
    }
    return happened;
}

void discovery_wait(struct discovery *d, int64_t ms)
{
    if (!is_stopped(d)) {
        (void)wait_for(d, ms);
    }
}

/* --- files --- */

static void watch_folders(struct discovery *d)
{
    for (size_t i = 0; i < d->config->files.len; i++) {
        struct str f = d->config->files.p[i];
        ptrdiff_t slash = str_rfind_char(f, '/');
        SCOPED(freep)
        char *folder = slash < 0 ? xstrdup(".") : str_dup(str_first(f, (size_t)slash + 1));

        (void)inotify_add_watch(d->watch_fd, folder,
                                IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE);
    }
}

/* What a look without reading tells apart. */
static uint64_t print_files(const struct strs *files)
{
    uint64_t h = files->len;

    for (size_t i = 0; i < files->len; i++) {
        struct stat st = {0};

        (void)stat(files->p[i].p, &st);
        h = h * 31 + (uint64_t)st.st_mtim.tv_nsec + (uint64_t)st.st_mtim.tv_sec * 1000003;
        h = h * 31 + (uint64_t)st.st_size + (uint64_t)st.st_ino * 7919;
    }
    return h;
}

/* A file that cannot be read keeps what it said before. */
static int read_file(struct discovery *d, struct arena *a, const char *path,
                     struct target_group **out, size_t *n, struct err *e)
{
    struct buf b = BUF_MAX(LIMIT_SCRAPE_CONFIG_BYTES);
    int rc = fs_read(AT_FDCWD, path, &b, e);

    if (rc == 0) {
        rc = config_groups(a, buf_str(&b), path, out, n, e);
    }
    buf_done(&b);
    if (rc < 0) {
        struct target_group *all;
        struct str ignored;
        size_t len, prefix = strlen(path);

        (void)discovery_groups(d, a, &all, &len, &ignored);
        *out = arena_new_array(a, struct target_group, len + 1);
        *n = 0;
        for (size_t i = 0; i < len; i++) {
            if (str_starts(all[i].source, str_of(path)) && all[i].source.p[prefix] == ':') {
                (*out)[(*n)++] = all[i];
            }
        }
    }
    return rc;
}

static void append(struct arena *a, struct target_group **all, size_t *len,
                   const struct target_group *more, size_t n)
{
    struct target_group *joined = arena_new_array(a, struct target_group, *len + n + 1);

    if (*len > 0) {
        memcpy(joined, *all, *len * sizeof(*joined));
    }
    if (n > 0) {
        memcpy(joined + *len, more, n * sizeof(*joined));
    }
    *all = joined;
    *len += n;
}

/* __meta_filepath, as documented. */
static void add_path(struct arena *a, struct target_group *g, size_t n, struct str path)
{
    for (size_t i = 0; i < n; i++) {
        struct labels more = {.p = arena_new_array(a, struct label, g[i].labels.len + 2)};

        for (size_t k = 0; k < g[i].labels.len; k++) {
            if (!str_eq_c(g[i].labels.p[k].name, "__meta_filepath")) {
                more.p[more.len++] = g[i].labels.p[k];
            }
        }
        more.p[more.len++] = (struct label){STR("__meta_filepath"), path};
        g[i].labels = more;
    }
}

static void read_files(struct discovery *d, const struct strs *files, struct arena *a)
{
    struct target_group *all = NULL;
    size_t len = 0;
    struct err first = {.kind = ERR_NONE};

    for (size_t i = 0; i < files->len; i++) {
        struct target_group *some = NULL;
        size_t n = 0;
        struct err e;

        if (read_file(d, a, files->p[i].p, &some, &n, &e) < 0 && first.kind == ERR_NONE) {
            first = e;
        }
        add_path(a, some, n, files->p[i]);
        append(a, &all, &len, some, n);
    }
    discovery_publish(d, a, all, len);
    if (first.kind != ERR_NONE) {
        discovery_fail(d, &first);
    }
}

static void run_files(struct discovery *d)
{
    uint64_t last = 1;
    int64_t read_ms = 0;

    while (!is_stopped(d)) {
        struct arena a = {0};
        struct strs files = {0};
        uint64_t now;

        watch_folders(d);
        for (size_t i = 0; i < d->config->files.len; i++) {
            struct strs found = {0}, joined;
            struct err ignored;

            (void)!config_glob(&a, d->config->files.p[i], &found, &ignored);
            joined = (struct strs){arena_new_array(&a, struct str, files.len + found.len + 1), 0};
            for (size_t k = 0; k < files.len + found.len; k++) {
                joined.p[joined.len++] = k < files.len ? files.p[k] : found.p[k - files.len];
            }
            files = joined;
        }
        now = print_files(&files);
        if (now != last || clock_mono_ms() - read_ms >= d->config->refresh_ms) {
            last = now;
            read_ms = clock_mono_ms();
            read_files(d, &files, &a);
        }
        arena_done(&a);
        if (!is_stopped(d)) {
            (void)wait_for(d, FILE_POLL_MS);
        }
    }
}

/* --- HTTP --- */

static int http_refresh(struct sd_turn *t, struct err *e)
{
    const struct sd_config *c = t->config;
    struct buf b = BUF_MAX(LIMIT_SCRAPE_CONFIG_BYTES);
    SCOPED(freep) char *url = str_dup(c->url);
    int rc = client_get(&c->http, url, NULL, "application/json", c->refresh_ms, t->stop, &b, e);

    if (rc == 0) {
        rc = config_groups(t->arena, buf_str(&b), url, &t->groups, &t->n_groups, e);
    }
    for (size_t i = 0; rc == 0 && i < t->n_groups; i++) {
        struct target_group *g = &t->groups[i];
        struct labels more = {.p = arena_new_array(t->arena, struct label, g->labels.len + 1),
                              .len = g->labels.len};

        if (more.len > 0) {
            memcpy(more.p, g->labels.p, more.len * sizeof(*more.p));
        }
        more.p[more.len++] = (struct label){STR("__meta_url"), c->url};
        g->labels = more;
    }
    buf_done(&b);
    return rc;
}

/* --- threads --- */

static void run_refreshes(struct discovery *d, sd_refresh *refresh)
{
    while (!is_stopped(d)) {
        struct arena a = {0};
        struct sd_turn t = {.config = d->config, .stop = &d->stop, .arena = &a};
        struct err e;

        if (refresh(&t, &e) == 0) {
            discovery_publish(d, &a, t.groups, t.n_groups);
        } else if (!is_stopped(d)) {
            discovery_fail(d, &e);
        }
        arena_done(&a);
        discovery_wait(d, d->config->refresh_ms);
    }
}

static void *run(void *ctx)
{
    struct discovery *d = ctx;

    switch (d->config->kind) {
    case SD_FILE:
        run_files(d);
        break;
    case SD_HTTP:
        run_refreshes(d, http_refresh);
        break;
    case SD_DNS:
        run_refreshes(d, sd_dns_refresh);
        break;
    case SD_DOCKER:
        run_refreshes(d, sd_docker_refresh);
        break;
    case SD_KUBERNETES:
        sd_kubernetes_run(d);
        break;
    default:
        break;
    }
    return NULL;
}

struct discovery *discovery_start(const struct sd_config *c, discovery_changed *changed, void *ctx)
{
    struct discovery *d = xnew(struct discovery);

    d->config = c;
    d->changed = changed;
    d->ctx = ctx;
    d->watch_fd = d->wake_fd = -1;
    lock_init(&d->lock, LOCK_discovery);
    if (c->kind == SD_STATIC) {
        d->groups = c->groups;
        d->n_groups = c->n_groups;
        d->is_known = true;
        return d;
    }
    d->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    d->watch_fd = c->kind == SD_FILE ? inotify_init1(IN_CLOEXEC | IN_NONBLOCK) : -1;
    d->has_thread = pthread_create(&d->thread, NULL, run, d) == 0;
    if (!d->has_thread) {
        struct err e;

        err_set(&e, ERR_UNAVAILABLE, "discovery: no thread");
        discovery_fail(d, &e);
    }
    return d;
}

void discovery_stop(struct discovery *d)
{
    uint64_t one = 1;

    if (d == NULL) {
        return;
    }
    __atomic_store_n(&d->stop, true, __ATOMIC_RELAXED);
    if (d->has_thread) {
        (void)!write(d->wake_fd, &one, sizeof(one));
        (void)pthread_join(d->thread, NULL);
    }
    closep(&d->wake_fd);
    closep(&d->watch_fd);
    arena_done(&d->arena);
    lock_done(&d->lock);
    free(d);
}
