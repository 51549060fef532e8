/* What a starter thread does with one job: writes "starting", then starts its container. The row
 * is on disk before the container exists, so a restart finds every container's job. */
#include "jobs/jobs_priv.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/vec.h"
#include "secrets/secrets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One try, on the starter's stack. */
struct attempt {
    struct jobs *jobs;
    struct job *job;
    struct arena arena;
    struct job_row row; /* in the arena */
    int64_t attempt, tries;
    uint64_t gpu_mask;
    bool row_starting, look_first;
    struct job_spec spec;
    struct job_pin pin;
    struct job_launch launch;
    VEC(char *) secrets; /* "NAME=value": wiped */
    VEC(const char *) env;
};

static void attempt_done(struct attempt *at)
{
    for (size_t i = 0; i < at->secrets.len; i++) {
        explicit_bzero(at->secrets.p[i], strlen(at->secrets.p[i]));
        free(at->secrets.p[i]);
    }
    vec_done(&at->secrets);
    vec_done(&at->env);
    arena_done(&at->arena);
}

static bool is_cancelled(struct attempt *at)
{
    struct lock *l = &at->jobs->lock;

    WITH_LOCK(l);
    return at->job->stop == JOB_STOP_CANCEL;
}

/* --- the row --- */

static int begin_in_state(struct state_db *db, void *ctx, struct err *e)
{
    struct attempt *at = ctx;
    struct job_change c = {.seq = at->job->seq,
                           .attempt = at->attempt,
                           .at_ms = clock_wall_ms(),
                           .gpu_mask = at->gpu_mask,
                           .tries = at->tries,
                           .n_steps = 1,
                           .steps = {{.to = JOB_STARTING, .reason = "its resources are free"}}};

    arena_reset(&at->arena);
    if (at->row_starting ? job_store_set_tries(db, at->job->seq, at->tries, at->gpu_mask, e) < 0
                         : job_store_apply(db, &c, e) < 0) {
        return -1;
    }
    return job_store_get(db, 0, str_of(at->job->id), &at->arena, &at->row, e);
}

/* The row says which container comes before it comes. */
static int begin(struct attempt *at, struct err *e)
{
    struct jobs *j = at->jobs;
    struct lock *l = &j->lock;

    if (state_write(j->parts.state, begin_in_state, at, e) < 0) {
        return -1;
    }
    if (!at->row_starting) {
        jobs_publish(j, at->job, JOB_STARTING);
    }
    job_container_id(at->job->id, at->attempt, at->tries, at->launch.id);
    WITH_LOCK(l);
    at->job->row_starting = true;
    at->job->look_first = true; /* for the next try, should there be one */
    at->job->tries = at->tries;
    return 0;
}

/* --- the environment --- */

/* Later ones win: the image's, ours, the job's, its secrets. */
static void set_env(struct attempt *at, const char *pair)
{
    const char *eq = strchr(pair, '=');
    size_t len = eq ? (size_t)(eq - pair) + 1 : strlen(pair);

    if (eq == NULL || eq == pair) {
        return; /* an image may hold anything */
    }
    for (size_t i = 0; i < at->env.len; i++) {
        if (str_starts(str_of(at->env.p[i]), str_n(pair, len))) {
            at->env.p[i] = pair;
            return;
        }
    }
    *vec_push(&at->env) = pair;
}

static int set_secret(struct attempt *at, const struct job_var *v, struct err *e)
{
    SCOPED(buf_done) struct buf value = BUF_MAX(LIMIT_SECRET_BYTES);
    size_t name_len = strlen(v->name);
    char *pair;
    int rc = secrets_get(at->jobs->parts.secrets, at->row.project_id, str_of(v->value), &value, e);

    if (rc == 0 && str_find_char(buf_str(&value), '\0') >= 0) {
        rc = err_set(e, ERR_INVALID,
                     "secret %s holds a NUL byte, which an environment variable cannot", v->value);
    }
    if (rc == 0) {
        pair = xcalloc(1, name_len + 1 + value.len + 1);
        memcpy(pair, v->name, name_len);
        pair[name_len] = '=';
        if (value.len > 0) {
            memcpy(pair + name_len + 1, value.p, value.len);
        }
        *vec_push(&at->secrets) = pair;
        set_env(at, pair);
    }
    if (value.p) {
        explicit_bzero(value.p, value.cap);
    }
    return rc;
}

static int build_env(struct attempt *at, struct err *e)
{
    const struct job_spec *s = &at->spec;

    set_env(at, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    for (const char **v = at->pin.image.env; *v; v++) {
        set_env(at, *v);
    }
    set_env(at, arena_printf(&at->arena, "STRATA_JOB=%s", at->row.id));
    set_env(at, arena_printf(&at->arena, "STRATA_PROJECT=%s", at->row.project));
    set_env(at, arena_printf(&at->arena, "STRATA_ATTEMPT=%lld", (long long)at->attempt));
    for (size_t i = 0; i < s->n_env; i++) {
        set_env(at, arena_printf(&at->arena, "%s=%s", s->env[i].name, s->env[i].value));
    }
    for (size_t i = 0; i < s->n_secrets; i++) {
        if (set_secret(at, &s->secrets[i], e) < 0) {
            return -1;
        }
    }
    *vec_push(&at->env) = NULL;
    at->launch.env = at->env.p;
    return 0;
}

/* --- the rest of the launch --- */

static size_t count(const char *const *list)
{
    size_t n = 0;

    while (list && list[n]) {
        n++;
    }
    return n;
}

const char *const *jobs_args_of(struct arena *a, const struct job_spec *s,
                                const struct job_image *im)
{
    const char *const *first = s->command ? s->command : im->entrypoint;
    const char *const *second = s->args      ? s->args
                                : s->command ? NULL
                                             : (const char *const *)im->cmd;
    size_t n = count(first), m = count(second);
    const char **args = arena_new_array(a, const char *, n + m + 1);

    for (size_t i = 0; i < n; i++) {
        args[i] = first[i];
    }
    for (size_t i = 0; second && i < m; i++) {
        args[n + i] = second[i];
    }
    return args;
}

static int build_volumes(struct attempt *at, struct err *e)
{
    struct str rest = str_of(at->row.volume_ids);

    at->launch.volume_ids =
        arena_alloc(&at->arena, (at->spec.n_volumes + 1) * sizeof(*at->launch.volume_ids));
    for (size_t i = 0; i < at->spec.n_volumes; i++) {
        if (str_copy(str_cut(&rest, ' '), at->launch.volume_ids[i], 65) < 0) {
            return err_set(e, ERR_INTERNAL, "the volumes pinned for the job cannot be read");
        }
    }
    return 0;
}

/* The nodes of its GPUs and, with any, those that all GPUs share. */
static void build_devices(struct attempt *at)
{
    static const char *const shared[] = {"/dev/nvidiactl", "/dev/nvidia-uvm",
                                         "/dev/nvidia-uvm-tools"};
    const struct machine *m = &at->jobs->machine; /* gpus and gpu_minor are constant */
    const char **nodes = arena_new_array(&at->arena, const char *, MACHINE_GPUS + 4);
    size_t n = 0;

    for (size_t i = 0; i < m->gpus; i++) {
        if (at->gpu_mask >> i & 1) {
            nodes[n++] = arena_printf(&at->arena, "/dev/nvidia%u", m->gpu_minor[i]);
        }
    }
    for (size_t i = 0; n > 0 && i < ARRAY_LEN(shared); i++) {
        if (access(shared[i], F_OK) == 0) {
            nodes[n++] = shared[i];
        }
    }
    at->launch.devices = n > 0 ? nodes : NULL;
}

/* What the exporter says of the container and of its GPUs. */
static int build_labels(struct attempt *at, struct err *e)
{
    SCOPED(buf_done) struct buf text = BUF_MAX(LIMIT_JOB_LABELS_BYTES);
    struct jw writer = JW(&text), *w = &writer;

    jw_object(w);
    jw_kv_c(w, "project", at->row.project);
    jw_kv_c(w, "job", at->row.id);
    jw_kv_c(w, "user", at->row.user);
    jw_kv_c(w, "image", at->row.image);
    jw_key(w, "devices");
    jw_array(w);
    for (size_t i = 0; at->launch.devices && at->launch.devices[i]; i++) {
        jw_str(w, str_of(at->launch.devices[i]));
    }
    jw_end(w);
    jw_end(w);
    at->launch.labels = arena_strdup(&at->arena, buf_str(&text));
    return text.failed ? err_set(e, ERR_LIMIT, "the job's names are too long") : 0;
}

static int build_launch(struct attempt *at, struct err *e)
{
    SCOPED(err_list_done) struct err_list mistakes = {0};
    struct job_launch *l = &at->launch;

    if (job_spec_parse(&at->arena, str_of(at->row.spec), &at->spec, &mistakes, e) < 0 ||
        job_pin_parse(&at->arena, str_of(at->row.pin), &at->pin, e) < 0 ||
        build_volumes(at, e) < 0 || build_env(at, e) < 0) {
        return -1;
    }
    l->args = jobs_args_of(&at->arena, &at->spec, &at->pin.image);
    build_devices(at);
    if (build_labels(at, e) < 0) {
        return -1;
    }
    l->spec = &at->spec;
    l->image = &at->pin.image;
    l->id_base = at->pin.id_base;
    l->log_max_bytes = at->jobs->parts.cfg ? cfg_i64(at->jobs->parts.cfg, "jobs.log_max") : 0;
    return 0;
}

/* --- starting --- */

/* A conflict: something of an earlier try is in the way. The next try looks and clears it. */
static bool passes(const struct err *e)
{
    return e->kind == ERR_UNAVAILABLE || e->kind == ERR_TIMEOUT || e->kind == ERR_NO_SPACE ||
           e->kind == ERR_CONFLICT;
}

static enum start_result failure(const struct err *e)
{
    return passes(e) ? START_AGAIN : START_FAILED;
}

/* The container of an earlier try whose answer never came. 1: it is there, or was and ended.
 * Otherwise the next try takes a new id, for the runtime takes one only once. */
static int look_for_earlier(struct attempt *at, int64_t *started_ms, struct err *e)
{
    struct jobs *j = at->jobs;
    SCOPED(freep) struct runtime_status *list = NULL;
    char earlier[65];
    size_t n = 0;

    job_container_id(at->job->id, at->attempt, at->tries, earlier);
    if (j->engine->list(j->engine_ctx, &list, &n, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        if (strcmp(list[i].id, earlier) != 0 || (!list[i].running && list[i].started_ms == 0)) {
            continue;
        }
        *started_ms = list[i].started_ms > 0 ? list[i].started_ms : clock_wall_ms();
        if (!list[i].running) {
            jobs_on_exit(j, &list[i]);
        }
        return 1;
    }
    if (j->engine->remove(j->engine_ctx, earlier, e) < 0 ||
        j->engine->remove_log(j->engine_ctx, earlier, e) < 0) {
        return -1;
    }
    at->tries++;
    return 0;
}

static enum start_result start(struct attempt *at, int64_t *started_ms, struct err *e)
{
    struct jobs *j = at->jobs;
    int there = 0;

    if (at->look_first && (there = look_for_earlier(at, started_ms, e)) != 0) {
        return there > 0 ? START_OK : START_AGAIN;
    }
    if (at->row_starting && is_cancelled(at)) {
        return START_CANCELLED;
    }
    if (begin(at, e) < 0) {
        return e->kind == ERR_NOT_FOUND || e->kind == ERR_CONFLICT ? START_FAILED : START_AGAIN;
    }
    if (is_cancelled(at)) {
        return START_CANCELLED;
    }
    if (build_launch(at, e) < 0) {
        return failure(e);
    }
    if (j->engine->start(j->engine_ctx, &at->launch, e) == 0) {
        *started_ms = clock_wall_ms();
        return START_OK;
    }
    return failure(e);
}

static void take_job(struct attempt *at)
{
    struct lock *l = &at->jobs->lock;

    WITH_LOCK(l);
    at->attempt = at->job->attempt;
    at->tries = at->job->tries;
    at->gpu_mask = at->job->gpu_mask;
    at->row_starting = at->job->row_starting;
    at->look_first = at->job->look_first;
}

void jobs_starter_run(struct jobs *j, struct task *t)
{
    SCOPED(attempt_done) struct attempt at = {.jobs = j, .job = t->job};
    struct msg *m = xnew(struct msg);

    take_job(&at);
    m->kind = MSG_STARTED;
    m->job = t->job;
    m->started_ms = clock_wall_ms();
    m->result = start(&at, &m->started_ms, &m->err);
    jobs_scheduler_post(j, m);
}
