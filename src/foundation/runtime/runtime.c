#include "runtime/runtime_priv.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The server's end: typed messages and nothing else. */
struct runtime {
    runtime_sink *sink;
    void *ctx;
    _Atomic(struct helper_client *) helper;
};

struct runtime *runtime_new(runtime_sink *sink, void *ctx)
{
    struct runtime *r = xnew(struct runtime);

    r->sink = sink;
    r->ctx = ctx;
    return r;
}

void runtime_free(struct runtime *r)
{
    free(r);
}

void runtime_set_helper(struct runtime *r, struct helper_client *h)
{
    atomic_store(&r->helper, h);
}

static int call_fd(struct runtime *r, enum helper_op op, struct buf *request, struct buf *reply,
                   int *fd, struct err *e)
{
    struct helper_client *h = atomic_load(&r->helper);
    int rc;

    if (h == NULL) {
        rc = err_set(e, ERR_UNAVAILABLE, "the helper that starts containers is not there");
    } else if (request->failed) {
        rc = err_set(e, ERR_LIMIT,
                     "the container's command and environment are larger than %llu "
                     "bytes together",
                     HELPER_PAYLOAD_MAX);
    } else {
        rc = helper_call(h, op, buf_str(request), -1, reply, fd, e);
    }
    buf_done(request);
    return rc;
}

static int call(struct runtime *r, enum helper_op op, struct buf *request, struct buf *reply,
                struct err *e)
{
    return call_fd(r, op, request, reply, /* fd */ NULL, e);
}

static int call_with_id(struct runtime *r, enum helper_op op, const char *id, struct buf *reply,
                        struct err *e)
{
    struct buf b = BUF_MAX(RUNTIME_RECORD_MAX);

    wire_put_str(&b, str_of(id));
    return call(r, op, &b, reply, e);
}

/* One status as the whole of a message. */
static int parse_status(struct str payload, struct runtime_status *out, struct err *e)
{
    struct wire_reader w = {payload, false};

    status_get(&w, out);
    return wire_end(&w, e);
}

void runtime_on_event(struct runtime *r, int event, struct str payload)
{
    struct runtime_status st;
    struct err e;

    if (event != HELPER_EVENT_CONTAINER_EXITED) {
        return;
    }
    if (parse_status(payload, &st, &e) < 0) {
        log_error("runtime.event_bad", "%s", e.msg);
        return;
    }
    r->sink(r->ctx, &st);
}

int runtime_start(struct runtime *r, const struct runtime_spec *s, struct err *e)
{
    struct buf b = BUF_MAX(HELPER_PAYLOAD_MAX), reply = BUF_MAX(RUNTIME_RECORD_MAX);
    int rc;

    if (spec_check(s, e) < 0) {
        return -1;
    }
    spec_put(&b, s);
    rc = call(r, HELPER_CONTAINER_START, &b, &reply, e);
    buf_done(&reply);
    return rc;
}

int runtime_signal(struct runtime *r, const char *id, int signal, struct err *e)
{
    struct buf b = BUF_MAX(RUNTIME_RECORD_MAX);

    wire_put_str(&b, str_of(id));
    wire_put_u64(&b, (uint64_t)signal);
    return call(r, HELPER_CONTAINER_SIGNAL, &b, /* reply */ NULL, e);
}

int runtime_exec(struct runtime *r, const struct runtime_exec *x, struct runtime_process *out,
                 struct err *e)
{
    SCOPED(closep) int keeper = -1;
    struct buf b = BUF_MAX(HELPER_PAYLOAD_MAX);
    struct runtime_process p = {-1, -1, -1, -1};

    if (exec_check(x, e) < 0) {
        return -1;
    }
    exec_put(&b, x);
    if (call_fd(r, HELPER_CONTAINER_EXEC, &b, /* reply */ NULL, &keeper, e) < 0 ||
        exec_wait_for_start(keeper, x->terminal, &p, e) < 0) {
        return -1; /* closing tells the keeper to end what it has begun */
    }
    p.keeper = TAKE_FD(keeper);
    *out = p;
    return 0;
}

static int parse_list(struct str payload, struct runtime_status **out, size_t *n, struct err *e)
{
    struct wire_reader w = {payload, false};
    SCOPED(freep) struct runtime_status *list = NULL;
    uint64_t count = wire_get_u64(&w);

    if (w.failed || count > RUNTIME_LIST_MAX) {
        return err_set(e, ERR_INTERNAL, "the helper's list of containers cannot be read");
    }
    list = xnew_array(struct runtime_status, count + 1);
    for (uint64_t i = 0; i < count; i++) {
        status_get(&w, &list[i]);
    }
    if (wire_end(&w, e) < 0) {
        return -1;
    }
    *out = TAKE(list);
    *n = (size_t)count;
    return 0;
}

int runtime_list(struct runtime *r, struct runtime_status **out, size_t *n, struct err *e)
{
    struct buf b = BUF_MAX(16), reply = BUF_MAX(HELPER_PAYLOAD_MAX);
    int rc = call(r, HELPER_CONTAINER_LIST, &b, &reply, e);

    if (rc == 0) {
        rc = parse_list(buf_str(&reply), out, n, e);
    }
    buf_done(&reply);
    return rc;
}

int runtime_stats(struct runtime *r, const char *id, struct runtime_status *out, struct err *e)
{
    struct buf reply = BUF_MAX(RUNTIME_RECORD_MAX);
    int rc = call_with_id(r, HELPER_CONTAINER_STATS, id, &reply, e);

    if (rc == 0) {
        rc = parse_status(buf_str(&reply), out, e);
    }
    buf_done(&reply);
    return rc;
}

int runtime_remove(struct runtime *r, const char *id, struct err *e)
{
    return call_with_id(r, HELPER_CONTAINER_REMOVE, id, /* reply */ NULL, e);
}

int runtime_remove_log(struct runtime *r, const char *id, struct err *e)
{
    return call_with_id(r, HELPER_CONTAINER_REMOVE_LOG, id, /* reply */ NULL, e);
}

static int open_kept(const char *id, const char *name, int *fd, struct err *e)
{
    char path[96];
    int kept;

    if (!helper_id_ok(str_of(id))) {
        return err_set(e, ERR_INVALID, "container id %.80s is not [a-z0-9-]{1,64}", id);
    }
    (void)snprintf(path, sizeof(path), "jobs/%s/%s", id, name);
    kept = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (kept < 0) {
        return err_sys(e, "%s of container %s", name, id);
    }
    *fd = kept;
    return 0;
}

int runtime_log_open(const char *id, int *fd, struct err *e)
{
    return open_kept(id, "log", fd, e);
}

int runtime_usage(const char *id, struct arena *a, struct runtime_usage *out, struct err *e)
{
    SCOPED(buf_done) struct buf text = BUF_MAX(RUNTIME_USAGE_MAX);
    SCOPED(closep) int fd = -1;
    int rc;

    if (open_kept(id, "usage", &fd, e) < 0) {
        return -1;
    }
    rc = fs_read_fd(fd, "usage", &text, e);
    if (rc == 0 && text.len == 0) { /* what a power loss may leave: it is not synced */
        return err_set(e, ERR_NOT_FOUND, "container %s has no samples", id);
    }
    if (rc < 0 || usage_parse(buf_str(&text), a, out, e) < 0) {
        e->kind = ERR_INTERNAL; /* we wrote it: no mistake of who asks */
        return err_wrap(e, "samples of container %s", id);
    }
    return 0;
}
