#include "jobs/jobs_priv.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { ENDERS = 2 };

const struct jobs_pauses jobs_pauses_usual = {.save_ms = 1000,
                                              .start_ms = 500,
                                              .compare_ms = 1000,
                                              .remove_ms = 500,
                                              .project_grace_ms = 5000};

const struct cfg_item jobs_config[] = {
    {"jobs.cpu", CFG_MILLI, "0",
     "CPUs that all jobs together may ask for; 0: all that this machine has."},
    {"jobs.memory", CFG_BYTES, "0",
     "Memory that all jobs together may ask for; 0: all but jobs.memory_reserve."},
    {"jobs.memory_reserve", CFG_BYTES, "512Mi",
     "Memory kept from jobs for the system and Strata itself, at most a quarter of the machine."},
    {"jobs.starters", CFG_INT, "8",
     "Containers that are started at the same time, 1 to 64; a slow image holds one of them."},
    {"jobs.start_timeout", CFG_SECONDS, "10m",
     "How long a job is tried to be started again while the host cannot (disk full, helper away); "
     "then it fails."},
    {"jobs.log_max", CFG_BYTES, "4Gi",
     "What one attempt of a job may write to its log; what comes after is dropped, and the log "
     "says how much. 0: no limit."},
    {"jobs.host_network", CFG_BOOL, "false",
     "Whether every developer may submit jobs with network: host, which sees all services of this "
     "machine, also those on its loopback. Administrators always may."},
    {0},
};

struct job *job_new(const struct job_row *row)
{
    struct job *job = xnew(struct job);

    (void)snprintf(job->id, sizeof(job->id), "%s", row->id);
    job->seq = row->seq;
    job->project_id = row->project_id;
    job->project = xstrdup(row->project);
    job->name = xstrdup(row->name);
    job->volume_ids = xstrdup(row->volume_ids);
    job->need = (struct machine_need){row->cpu_milli, row->memory_bytes, row->gpus};
    job->retries = row->retries;
    job->timeout_ms = row->timeout_ms;
    job->grace_ms = row->grace_ms;
    job->attempt = row->attempt;
    job->tries = row->tries;
    job->stop = row->stop;
    job->stop_by = row->stop_by ? xstrdup(row->stop_by) : NULL;
    job->started_ms = row->started_ms;
    job->phase = PHASE_QUEUED;
    list_init(&job->link);
    return job;
}

void job_free(struct job *job)
{
    if (job == NULL) {
        return;
    }
    free(job->project);
    free(job->name);
    free(job->volume_ids);
    free(job->stop_by);
    free(job->waits);
    free(job->early_exit);
    free(job->save);
    free(job);
}

void job_container_id(const char *id, int64_t attempt, int64_t tries, char out[65])
{
    if (tries == 0) {
        (void)snprintf(out, 65, "%s-%lld", id, (long long)attempt);
    } else {
        (void)snprintf(out, 65, "%s-%lld-%lld", id, (long long)attempt, (long long)tries);
    }
}

void jobs_publish_deleted(struct jobs *j, struct str project, struct str id)
{
    SCOPED(buf_done) struct buf json = BUF_MAX(KIB);
    struct jw w = JW(&json);

    if (j->parts.hooks.event == NULL) {
        return;
    }
    jw_object(&w);
    jw_kv_str(&w, "project", project);
    jw_kv_str(&w, "id", id);
    jw_kv_c(&w, "state", "deleted");
    jw_end(&w);
    j->parts.hooks.event(j->parts.hooks.ctx, "job", project, buf_str(&json));
}

void jobs_publish(struct jobs *j, const struct job *job, enum job_state state)
{
    SCOPED(buf_done) struct buf json = BUF_MAX(KIB);
    struct jw w = JW(&json);

    if (j->parts.hooks.event == NULL) {
        return;
    }
    jw_object(&w);
    jw_kv_c(&w, "project", job->project);
    jw_kv_c(&w, "id", job->id);
    jw_kv_c(&w, "name", job->name);
    jw_kv_c(&w, "state", job_state_name(state));
    jw_end(&w);
    j->parts.hooks.event(j->parts.hooks.ctx, "job", str_of(job->project), buf_str(&json));
}

/* --- opening --- */

static void load_row(void *ctx, const struct job_row *row)
{
    struct jobs *j = ctx;
    struct job *job = job_new(row);

    (void)map_put(&j->by_id, str_of(job->id), job);
    if (row->state == JOB_QUEUED) {
        jobs_queue_add(&j->queue, job);
        return;
    }
    job->phase = PHASE_ADOPTING;
    job->row_starting = true;
    job->gpu_mask = jobs_machine_take(&j->machine, &job->need, row->gpu_mask);
    job->has_resources = true;
    list_append(&j->active, &job->link);
}

static int load_rows(struct state_db *db, void *ctx, struct err *e)
{
    return job_store_unfinished(db, load_row, ctx, e);
}

static void name_host(struct jobs *j)
{
    struct utsname u;

    (void)uname(&u);
    (void)snprintf(j->host, sizeof(j->host), "%.64s", u.nodename);
    (void)snprintf(j->arch, sizeof(j->arch), "%.15s",
                   strcmp(u.machine, "x86_64") == 0    ? "amd64"
                   : strcmp(u.machine, "aarch64") == 0 ? "arm64"
                                                       : u.machine);
}

static int count_cpus(void)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) < 0) {
        return (int)sysconf(_SC_NPROCESSORS_ONLN);
    }
    return CPU_COUNT(&set);
}

static void probe_machine(struct jobs *j)
{
    SCOPED(closep) int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    jobs_machine_probe(&j->machine, root, count_cpus(), j->parts.cfg);
    log_info("jobs.machine", "cpu_milli=%lld memory_bytes=%lld gpus=%zu",
             (long long)j->machine.cpu_milli, (long long)j->machine.memory_bytes, j->machine.gpus);
}

static size_t starters_of(const struct cfg *cfg)
{
    int64_t n = cfg ? cfg_i64(cfg, "jobs.starters") : 8;

    return n < 1 ? 1 : n > POOL_MAX ? POOL_MAX : (size_t)n;
}

static int start_threads(struct jobs *j, struct err *e)
{
    int r;

    if (jobs_pool_open(&j->starters, j, "jobs-starter", starters_of(j->parts.cfg), jobs_starter_run,
                       e) < 0 ||
        jobs_pool_open(&j->enders, j, "jobs-ender", ENDERS, jobs_ender_run, e) < 0 ||
        jobs_pool_open(&j->removers, j, "jobs-remover", ENDERS, jobs_ender_run, e) < 0) {
        return -1;
    }
    r = pthread_create(&j->scheduler, NULL, jobs_scheduler_main, j);
    if (r != 0) {
        return err_set(e, ERR_UNAVAILABLE, "cannot start the scheduler: %s", strerror(r));
    }
    j->scheduler_runs = true;
    return 0;
}

/* Once more soon: what ended between the list and the first event is in neither. */
static void adopt_at_open(struct jobs *j)
{
    struct err e;

    j->adopted = jobs_adopt_compare(j, &e) == 0;
    j->compare_at = clock_mono_ms() + j->pauses.compare_ms;
    j->compare_due = true;
    if (!j->adopted) {
        log_warn("job.adopt_failed", "error=%s; no job starts until it works, trying again",
                 Q(str_of(e.msg)));
    }
}

static void init_pool(struct pool *p, struct jobs *j)
{
    p->jobs = j;
    list_init(&p->tasks);
    (void)pthread_cond_init(&p->wake, NULL);
}

struct jobs *jobs_open_with(const struct jobs_parts *parts, const struct job_engine *engine,
                            void *engine_ctx, const struct jobs_pauses *pauses, struct err *e)
{
    SCOPED(jobs_closep) struct jobs *j = xnew(struct jobs);

    j->parts = *parts;
    j->pauses = *pauses;
    j->engine = engine;
    j->engine_ctx = engine_ctx ? engine_ctx : &j->local;
    j->local = (struct engine_local){parts->runtime, parts->rootfs};
    j->start_timeout_ms = 1000 * (parts->cfg ? cfg_i64(parts->cfg, "jobs.start_timeout") : 600);
    lock_init(&j->lock, LOCK_jobs);
    list_init(&j->active);
    list_init(&j->inbox);
    list_init(&j->followers);
    list_init(&j->shells);
    list_init(&j->forgets);
    init_pool(&j->starters, j);
    init_pool(&j->enders, j);
    init_pool(&j->removers, j);
    name_host(j);
    probe_machine(j);
    if (state_read(parts->state, load_rows, j, e) < 0) {
        err_wrap(e, "jobs");
        return NULL;
    }
    adopt_at_open(j);
    if (start_threads(j, e) < 0) {
        return NULL;
    }
    return TAKE(j);
}

struct jobs *jobs_open(const struct jobs_parts *parts, struct err *e)
{
    return jobs_open_with(parts, &engine_local, NULL, &jobs_pauses_usual, e);
}

/* --- closing --- */

static void free_messages(struct jobs *j)
{
    list_each(it, &j->inbox)
    {
        struct msg *m = list_entry(it, struct msg, link);

        list_remove(it);
        free(m->save);
        free(m);
    }
}

static void free_jobs(struct jobs *j)
{
    struct str key;
    void *job;

    list_each(it, &j->forgets)
    {
        free(list_entry(it, struct task, link));
    }
    for (size_t i = 0; map_next(&j->by_id, &i, &key, &job);) {
        job_free(job);
    }
    map_done(&j->by_id);
    jobs_queue_done(&j->queue);
}

static int no_change(struct state_db *db UNUSED, void *ctx UNUSED, struct err *e UNUSED)
{
    return 0;
}

void jobs_close(struct jobs *j)
{
    struct err ignored;

    if (j == NULL) {
        return;
    }
    lock_take(&j->lock);
    j->stopping = true;
    lock_broadcast(&j->lock);
    lock_drop(&j->lock);
    if (j->scheduler_runs) {
        (void)pthread_join(j->scheduler, NULL);
    }
    jobs_pool_close(&j->starters);
    jobs_pool_close(&j->enders);
    jobs_pool_close(&j->removers);
    /* The writer takes works in order: when it has done this one, no change of ours is left. */
    (void)!state_write(j->parts.state, no_change, NULL, &ignored);
    free_messages(j);
    free_jobs(j);
    (void)pthread_cond_destroy(&j->starters.wake);
    (void)pthread_cond_destroy(&j->enders.wake);
    (void)pthread_cond_destroy(&j->removers.wake);
    lock_done(&j->lock);
    free(j);
}

/* --- what others ask --- */

void jobs_on_exit(struct jobs *j, const struct runtime_status *s)
{
    struct msg *m = xnew(struct msg);

    m->kind = MSG_EXITED;
    m->status = *s;
    jobs_scheduler_post(j, m);
}

static bool holds_word(const char *words, const char *word)
{
    struct str rest = str_of(words);

    while (rest.p) {
        if (str_eq_c(str_cut(&rest, ' '), word)) {
            return true;
        }
    }
    return false;
}

bool jobs_volume_in_use(struct jobs *j, const char *volume_id)
{
    struct lock *l = &j->lock;
    struct str key;
    void *value;

    WITH_LOCK(l);
    for (size_t i = 0; map_next(&j->by_id, &i, &key, &value);) {
        if (holds_word(((struct job *)value)->volume_ids, volume_id)) {
            return true;
        }
    }
    return false;
}

struct held_blobs {
    void (*each)(void *ctx, const char *digest);
    void *ctx;
};

static int read_held(struct state_db *db, void *ctx, struct err *e)
{
    const struct held_blobs *h = ctx;

    return job_store_held_blobs(db, h->each, h->ctx, e);
}

int jobs_held_blobs(struct jobs *j, void (*each)(void *ctx, const char *digest), void *ctx,
                    struct err *e)
{
    return state_read(j->parts.state, read_held, &(struct held_blobs){each, ctx}, e);
}

void jobs_dump(struct jobs *j, struct buf *out)
{
    struct lock *l = &j->lock;

    WITH_LOCK(l);
    buf_printf(out,
               "jobs queued=%zu unfinished=%zu submitted=%llu started=%llu ended=%llu "
               "retried=%llu cpu_used=%lld/%lld memory_used=%lld/%lld gpus_free=%lld "
               "adopted=%d\n",
               j->queue.len, j->by_id.len, (unsigned long long)j->n_submitted,
               (unsigned long long)j->n_started, (unsigned long long)j->n_ended,
               (unsigned long long)j->n_retried, (long long)j->machine.cpu_used,
               (long long)j->machine.cpu_milli, (long long)j->machine.memory_used,
               (long long)j->machine.memory_bytes, (long long)jobs_machine_gpus_free(&j->machine),
               j->adopted);
    list_each(it, &j->active)
    {
        const struct job *job = list_entry(it, struct job, link);

        buf_printf(out, "job %s attempt=%lld phase=%d stop=%s gpu_mask=%llx\n", job->id,
                   (long long)job->attempt, job->phase, job_stop_name(job->stop),
                   (unsigned long long)job->gpu_mask);
    }
}
