/* Drives the runtime module for test_c30_runtime.py and bench/container_start.py: a helper in a
 * child, the server's end in front of standard input.
 *
 *   runtime_driver INSTANCE       in the state directory
 *
 * One JSON object a line in, one a line out: {"op":"start",...} -> {"ok":true} or
 * {"error":{"kind","message"}}; events come as {"event":{...}} whenever they like. Operations:
 * start, signal, list, stats, remove, forget (removals beside each other, and the log), check,
 * kill_helper (SIGKILL, and a new one), helper_pid, quit. */
#include "base/arena.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "helper/helper.h"
#include "rootfs/rootfs.h"
#include "runtime/runtime.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct driver {
    const char *instance;
    pid_t helper;
    struct helper_client *client;
    struct runtime *runtime;
};

static pthread_mutex_t out_mutex = PTHREAD_MUTEX_INITIALIZER;

static void say(const struct buf *b)
{
    pthread_mutex_lock(&out_mutex);
    (void)printf("%s\n", b->p);
    (void)fflush(stdout);
    pthread_mutex_unlock(&out_mutex);
}

static void put_status(struct jw *w, const struct runtime_status *s)
{
    static const char *const ends[] = {"exited", "signaled", "oom", "lost"};

    jw_object(w);
    jw_kv_c(w, "id", s->id);
    jw_kv_bool(w, "running", s->running);
    jw_kv_c(w, "end", s->running ? NULL : ends[s->end]);
    jw_kv_i64(w, "code", s->code);
    jw_kv_i64(w, "started_ms", s->started_ms);
    jw_kv_i64(w, "ended_ms", s->ended_ms);
    jw_kv_i64(w, "memory_peak_bytes", s->memory_peak_bytes);
    jw_kv_i64(w, "cpu_usec", s->cpu_usec);
    jw_kv_c(w, "detail", s->detail);
    jw_end(w);
}

static void on_exit_status(void *ctx, const struct runtime_status *s)
{
    struct buf b = BUF_MAX(65536);
    struct jw w = JW(&b);

    (void)ctx;
    jw_object(&w);
    jw_key(&w, "event");
    put_status(&w, s);
    jw_end(&w);
    say(&b);
    buf_done(&b);
}

static void on_event(void *ctx, enum helper_event event, struct str payload)
{
    struct driver *d = ctx;

    runtime_on_event(d->runtime, (int)event, payload);
}

/* --- the helper --- */

static int add_ops(struct helper_operation *all, const struct helper_operation *table, void *ctx)
{
    int n = 0;

    for (; table[n].handle; n++) {
        all[n] = table[n];
        all[n].ctx = ctx;
    }
    return n;
}

static int serve(const char *instance, int socket)
{
    struct helper_operation ops[HELPER_OP_COUNT];
    struct err e = {0};
    struct rootfs_helper *rootfs = rootfs_helper_new(&e);
    struct runtime_helper *runtime = rootfs ? runtime_helper_new(rootfs, instance, &e) : NULL;
    struct helper_server *s = NULL;
    int n, rc = -1;

    if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) == 0 &&
        runtime) {
        n = add_ops(ops, runtime_operations, runtime);
        s = helper_server_new(socket, ops, (size_t)n, &e);
    }
    if (s && runtime_helper_adopt(runtime, s, &e) == 0) {
        rc = helper_server_run(s, &e);
    }
    if (rc < 0) {
        log_error("driver.helper_failed", "%s", e.msg);
    }
    helper_server_free(s);
    runtime_helper_free(runtime);
    rootfs_helper_free(rootfs);
    return rc < 0;
}

static void start_helper(struct driver *d)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        perror("socketpair");
        exit(1);
    }
    d->helper = fork();
    if (d->helper == 0) {
        (void)close(ends[0]);
        (void)prctl(PR_SET_NAME, "driver-helper");
        log_set_role("helper");
        _exit(serve(d->instance, ends[1]));
    }
    (void)close(ends[1]);
    d->client = helper_client_new(ends[0], on_event, d);
    runtime_set_helper(d->runtime, d->client);
}

static void end_helper(struct driver *d, int signal)
{
    (void)kill(d->helper, signal);
    (void)waitpid(d->helper, NULL, 0);
    runtime_set_helper(d->runtime, NULL);
    helper_client_free(d->client);
}

/* --- operations --- */

static const char *const *strings(const json_t *o, const char *key, struct arena *a)
{
    const json_t *list = json_object_get(o, key);
    const char **out = arena_new_array(a, const char *, json_array_size(list) + 1);

    for (size_t i = 0; i < json_array_size(list); i++) {
        out[i] = json_string_value(json_array_get(list, i));
    }
    return out;
}

static const char *text(const json_t *o, const char *key, const char *fallback)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : fallback;
}

static int64_t number(const json_t *o, const char *key, int64_t fallback)
{
    const json_t *v = json_object_get(o, key);

    return v ? json_integer_value(v) : fallback;
}

static int start(struct driver *d, const json_t *o, struct err *e)
{
    struct arena a = {0};
    const json_t *mounts = json_object_get(o, "mounts");
    const char *const *chains = strings(o, "chains", &a);
    struct runtime_spec s = {.id = text(o, "id", ""),
                             .args = strings(o, "args", &a),
                             .env = strings(o, "env", &a),
                             .cwd = text(o, "cwd", "/"),
                             .user = text(o, "user", ""),
                             .hostname = text(o, "hostname", "box"),
                             .n_chains = json_array_size(json_object_get(o, "chains")),
                             .n_mounts = json_array_size(mounts),
                             .id_base = (uint32_t)number(o, "id_base", 1000000),
                             .cpu_milli = number(o, "cpu_milli", 1000),
                             .memory_bytes = number(o, "memory_bytes", 268435456),
                             .pids = number(o, "pids", 1024),
                             .log_max_bytes = number(o, "log_max_bytes", 0),
                             .devices = strings(o, "devices", &a),
                             .network = (enum runtime_network)number(o, "network", 0)};
    char(*hex)[65] = arena_alloc(&a, 65 * (s.n_chains + 1));
    struct runtime_mount *m = arena_new_array(&a, struct runtime_mount, s.n_mounts + 1);
    int rc;

    for (size_t i = 0; i < s.n_chains; i++) {
        (void)snprintf(hex[i], 65, "%s", chains[i]);
    }
    for (size_t i = 0; i < s.n_mounts; i++) {
        const json_t *one = json_array_get(mounts, i);

        (void)snprintf(m[i].volume_id, 65, "%s", text(one, "volume", ""));
        m[i].target = text(one, "target", "");
        m[i].read_only = json_is_true(json_object_get(one, "ro"));
    }
    s.chains = hex;
    s.mounts = m;
    rc = runtime_start(d->runtime, &s, e);
    arena_done(&a);
    return rc;
}

static void put_row(void *ctx, const char *check, enum doctor_level level, const char *found,
                    const char *mend)
{
    struct jw *w = ctx;

    jw_object(w);
    jw_kv_c(w, "check", check);
    jw_kv_i64(w, "level", level);
    jw_kv_c(w, "found", found);
    jw_kv_c(w, "mend", mend);
    jw_end(w);
}

static int list(struct driver *d, struct jw *w, struct err *e)
{
    struct runtime_status *all = NULL;
    size_t n = 0;

    if (runtime_list(d->runtime, &all, &n, e) < 0) {
        return -1;
    }
    jw_key(w, "items");
    jw_array(w);
    for (size_t i = 0; i < n; i++) {
        put_status(w, &all[i]);
    }
    jw_end(w);
    free(all);
    return 0;
}

static int check(struct driver *d, struct jw *w, struct err *e)
{
    struct buf reply = BUF_MAX(1 << 20);
    struct wire_reader r;
    uint64_t n;

    if (helper_call(d->client, HELPER_HOST_CHECK, STR_EMPTY, -1, &reply, NULL, e) < 0) {
        return -1;
    }
    r = (struct wire_reader){buf_str(&reply), false};
    n = wire_get_u64(&r);
    jw_key(w, "items");
    jw_array(w);
    for (uint64_t i = 0; i < n && !r.failed; i++) {
        char name[100], found[600], mend[600];
        uint64_t level;

        wire_get_name(&r, name, sizeof(name));
        level = wire_get_u64(&r);
        wire_get_name(&r, found, sizeof(found));
        wire_get_name(&r, mend, sizeof(mend));
        put_row(w, name, (enum doctor_level)level, found, mend);
    }
    jw_end(w);
    buf_done(&reply);
    return wire_end(&r, e);
}

struct removal {
    struct driver *d;
    const char *id;
    struct err e;
};

static void *remove_main(void *arg)
{
    struct removal *m = arg;

    (void)!runtime_remove(m->d->runtime, m->id, &m->e);
    return NULL;
}

/* As a server does whose end of a job and of a project come together. */
static int forget(struct driver *d, const char *id, struct err *e)
{
    struct removal m[3] = {{d, id, {0}}, {d, id, {0}}, {d, id, {0}}};
    pthread_t threads[3];
    int rc;

    for (size_t i = 0; i < 3; i++) {
        (void)pthread_create(&threads[i], NULL, remove_main, &m[i]);
    }
    do {
        rc = runtime_remove_log(d->runtime, id, e);
    } while (rc < 0 && e->kind == ERR_CONFLICT); /* until the first removal has ended */
    for (size_t i = 0; i < 3; i++) {
        (void)pthread_join(threads[i], NULL);
        if (rc == 0 && m[i].e.kind != ERR_NONE && m[i].e.kind != ERR_CONFLICT) {
            *e = m[i].e;
            rc = -1;
        }
    }
    return rc;
}

static int run(struct driver *d, const json_t *o, struct jw *w, struct err *e)
{
    const char *op = text(o, "op", ""), *id = text(o, "id", "");
    struct runtime_status s;

    if (strcmp(op, "start") == 0) {
        return start(d, o, e);
    }
    if (strcmp(op, "signal") == 0) {
        return runtime_signal(d->runtime, id, (int)number(o, "signal", SIGTERM), e);
    }
    if (strcmp(op, "remove") == 0) {
        return runtime_remove(d->runtime, id, e);
    }
    if (strcmp(op, "forget") == 0) {
        return forget(d, id, e);
    }
    if (strcmp(op, "list") == 0) {
        return list(d, w, e);
    }
    if (strcmp(op, "check") == 0) {
        return check(d, w, e);
    }
    if (strcmp(op, "stats") == 0 && runtime_stats(d->runtime, id, &s, e) == 0) {
        jw_key(w, "status");
        put_status(w, &s);
        return 0;
    }
    if (strcmp(op, "kill_helper") == 0) {
        end_helper(d, SIGKILL);
        start_helper(d);
        return 0;
    }
    if (strcmp(op, "helper_pid") == 0) {
        jw_kv_i64(w, "pid", d->helper);
        return 0;
    }
    return e->kind ? -1 : err_set(e, ERR_INVALID, "no operation %s", op);
}

static void answer(struct driver *d, const json_t *o)
{
    struct buf b = BUF_MAX(16 << 20);
    struct jw w = JW(&b);
    struct err e = {0};
    int64_t begin = clock_mono_us();

    jw_object(&w);
    if (run(d, o, &w, &e) < 0) {
        buf_clear(&b);
        w = JW(&b);
        jw_object(&w);
        jw_kv_c(&w, "error", e.msg);
        jw_kv_c(&w, "kind", err_name(e.kind));
    } else {
        jw_kv_bool(&w, "ok", true);
    }
    jw_kv_i64(&w, "usec", clock_mono_us() - begin);
    jw_end(&w);
    say(&b);
    buf_done(&b);
}

int main(int argc, char **argv)
{
    struct driver d = {.instance = argc > 1 ? argv[1] : "test"};
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;

    d.runtime = runtime_new(on_exit_status, NULL);
    start_helper(&d);
    while ((n = getline(&line, &cap, stdin)) > 0) {
        struct err e;
        json_t *o = json_parse(str_n(line, (size_t)n), &e);

        if (o == NULL || strcmp(text(o, "op", ""), "quit") == 0) {
            json_decref(o);
            break;
        }
        answer(&d, o);
        json_decref(o);
    }
    end_helper(&d, SIGTERM);
    runtime_free(d.runtime);
    free(line);
    return 0;
}
