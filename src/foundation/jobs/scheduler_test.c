#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"
#include "jobs/jobs_priv.h"
#include "rootfs/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { DEADLINE_MS = 60000, MAX_CONTAINERS = 512, PROJECT = 7 };

/* --- an engine whose containers the test moves; it outlives the jobs that are opened on it --- */

struct container {
    char id[65];
    char word[32]; /* the command's first word: what it does */
    bool listed;   /* not removed */
    bool log_gone;
    struct runtime_status st;
    int signals[4];
    size_t n_signals;
};

enum answer { ANSWER, FAIL_BEFORE, FAIL_AFTER };

static struct world {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    char dir[64], path[128];
    struct state *state;
    struct jobs *jobs;
    struct container c[MAX_CONTAINERS];
    size_t n;
    enum answer answer; /* to starts */
    bool no_list, no_remove, silent, writer_held;
    int project_goes_in; /* at that lookup; 0: it stays */
    unsigned starts, lists;
    size_t n_events;
    char events[256][64];
} world;

static void lock_world(void)
{
    (void)pthread_mutex_lock(&world.mutex);
}

static void unlock_world(void)
{
    (void)pthread_cond_broadcast(&world.cond);
    (void)pthread_mutex_unlock(&world.mutex);
}

static unsigned starts(void)
{
    unsigned n;

    lock_world();
    n = world.starts;
    unlock_world();
    return n;
}

/* To starts, from now on. */
static void set_answer(enum answer answer)
{
    lock_world();
    world.answer = answer;
    unlock_world();
}

static struct container *find(const char *id)
{
    for (size_t i = 0; i < world.n; i++) {
        if (strcmp(world.c[i].id, id) == 0) {
            return &world.c[i];
        }
    }
    return NULL;
}

/* Ends it and tells the jobs, unless the world is silent. */
static void end_it(const char *id, enum runtime_end end, int code)
{
    struct runtime_status st;
    struct jobs *jobs;

    lock_world();
    struct container *c = find(id);

    assert_non_null(c);
    if (!c->st.running) {
        unlock_world();
        return;
    }
    c->st.running = false;
    c->st.end = end;
    c->st.code = code;
    c->st.ended_ms = clock_wall_ms();
    c->st.memory_peak_bytes = 1000;
    c->st.cpu_usec = 77;
    st = c->st;
    jobs = world.silent ? NULL : world.jobs;
    unlock_world();
    if (jobs) {
        jobs_on_exit(jobs, &st);
    }
}

static int test_start(void *ctx UNUSED, const struct job_launch *l, struct err *e)
{
    const char *word = l->args[0];
    enum answer answer;

    lock_world();
    world.starts++;
    answer = world.answer;
    assert_null(find(l->id)); /* an id is taken once */
    if (answer == FAIL_BEFORE) {
        unlock_world();
        return err_set(e, ERR_UNAVAILABLE, "the helper is gone");
    }
    if (strcmp(word, "nowhere") == 0) {
        unlock_world();
        return err_set(e, ERR_INVALID, "command \"nowhere\" was not found in the image");
    }
    assert_true(world.n < MAX_CONTAINERS);
    struct container *c = &world.c[world.n++];

    (void)snprintf(c->id, sizeof(c->id), "%s", l->id);
    (void)snprintf(c->word, sizeof(c->word), "%s", word);
    c->listed = true;
    c->st = (struct runtime_status){.running = true, .started_ms = clock_wall_ms()};
    (void)snprintf(c->st.id, sizeof(c->st.id), "%s", l->id);
    unlock_world();
    if (strcmp(word, "true") == 0) {
        end_it(l->id, RUNTIME_EXITED, 0);
    } else if (strcmp(word, "false") == 0) {
        end_it(l->id, RUNTIME_EXITED, 1);
    }
    return answer == FAIL_AFTER ? err_set(e, ERR_UNAVAILABLE, "the answer was lost") : 0;
}

static int test_signal(void *ctx UNUSED, const char *id, int sig, struct err *e UNUSED)
{
    bool ends;

    lock_world();
    struct container *c = find(id);

    if (c && c->n_signals < ARRAY_LEN(c->signals)) {
        c->signals[c->n_signals++] = sig;
    }
    ends = c && (sig == SIGKILL || strcmp(c->word, "stubborn") != 0);
    unlock_world();
    if (ends) {
        end_it(id, RUNTIME_SIGNALED, sig);
    }
    return 0;
}

static int test_list(void *ctx UNUSED, struct runtime_status **out, size_t *n, struct err *e)
{
    struct runtime_status *list = xnew_array(struct runtime_status, MAX_CONTAINERS);

    *n = 0;
    lock_world();
    world.lists++;
    if (world.no_list) {
        unlock_world();
        free(list);
        return err_set(e, ERR_UNAVAILABLE, "the helper is gone");
    }
    for (size_t i = 0; i < world.n; i++) {
        if (world.c[i].listed) {
            list[(*n)++] = world.c[i].st;
        }
    }
    unlock_world();
    *out = list;
    return 0;
}

static int test_stats(void *ctx UNUSED, const char *id UNUSED, struct runtime_status *out UNUSED,
                      struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "no figures");
}

static int test_remove(void *ctx UNUSED, const char *id, struct err *e)
{
    int rc = 0;

    lock_world();
    struct container *c = find(id);

    if (world.no_remove) {
        rc = err_set(e, ERR_UNAVAILABLE, "the helper is gone");
    } else if (c && c->st.running) {
        rc = err_set(e, ERR_CONFLICT, "container %s is running", id);
    } else if (c) {
        c->listed = false;
    }
    unlock_world();
    return rc;
}

static int test_remove_log(void *ctx UNUSED, const char *id, struct err *e)
{
    int rc = 0;

    lock_world();
    struct container *c = find(id);

    if (c && c->listed) {
        rc = err_set(e, ERR_CONFLICT, "container %s was not removed yet", id);
    } else if (c) {
        c->log_gone = true;
    }
    unlock_world();
    return rc;
}

static int test_log_open(void *ctx UNUSED, const char *id UNUSED, int *fd UNUSED, struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "no log");
}

static int test_usage(void *ctx UNUSED, const char *id UNUSED, struct arena *a UNUSED,
                      struct runtime_usage *out UNUSED, struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "no samples");
}

static const struct job_engine test_engine = {
    "test",      test_start,      NULL,          test_signal, test_list, test_stats,
    test_remove, test_remove_log, test_log_open, test_usage};

/* --- the world around --- */

static int test_project(void *ctx UNUSED, struct str name, int64_t *id, uint32_t *id_base,
                        struct err *e)
{
    bool gone;

    lock_world();
    gone = world.project_goes_in == 1;
    world.project_goes_in -= world.project_goes_in > 1;
    unlock_world();
    if (gone || !str_eq_c(name, "demo")) {
        return err_set(e, ERR_NOT_FOUND, "there is no project");
    }
    *id = PROJECT;
    *id_base = 100000;
    return 0;
}

static int test_image(void *ctx UNUSED, const struct principal *who UNUSED, struct str reference,
                      struct arena *a UNUSED, struct job_image *out, struct err *e)
{
    static const char *none[] = {NULL};
    static struct rootfs_layer layer = {"sha256:layer", "sha256:tar"};

    if (str_find(reference, STR("unknown")) >= 0) {
        return err_set(e, ERR_NOT_FOUND, "there is no repository demo/unknown");
    }
    *out = (struct job_image){.digest = "sha256:abc",
                              .layers = &layer,
                              .n_layers = 1,
                              .entrypoint = none,
                              .cmd = none,
                              .env = none,
                              .cwd = "",
                              .user = "",
                              .architecture = str_find(reference, STR("alien")) >= 0 ? "s390x" : "",
                              .os = "linux"};
    return 0;
}

static void test_event(void *ctx UNUSED, const char *type, struct str project UNUSED,
                       struct str json)
{
    assert_string_equal(type, "job");
    lock_world();
    if (world.n_events < ARRAY_LEN(world.events)) {
        ptrdiff_t at = str_find(json, STR("\"state\""));

        (void)snprintf(world.events[world.n_events++], sizeof(world.events[0]), "%.*s",
                       STR_ARG(str_from(json, (size_t)at)));
    }
    unlock_world();
}

static struct cfg *config(const char *cpu)
{
    static const struct cfg_item *const tables[] = {jobs_config, NULL};
    struct cfg *c = cfg_new(tables);
    struct err e;

    assert_int_equal(cfg_set(c, str_of(cpu), &e), 0);
    assert_int_equal(cfg_set(c, STR("jobs.memory=4Gi"), &e), 0);
    return c;
}

static struct cfg *cfg;
static const struct jobs_pauses quick = {20, 10, 20, 10, 50};

static void open_jobs(void)
{
    static const struct state_schema *const schemas[] = {&jobs_schema, NULL};
    struct err e = {0};
    struct jobs *jobs;

    world.state = state_open(world.path, schemas, &e);
    assert_string_equal(e.msg, "");
    jobs = jobs_open_with(
        &(struct jobs_parts){
            .state = world.state,
            .cfg = cfg,
            .hooks = {.project = test_project, .image = test_image, .event = test_event}},
        &test_engine, &world, &quick, &e);
    assert_string_equal(e.msg, "");
    lock_world();
    world.jobs = jobs;
    unlock_world();
}

static void close_jobs(void)
{
    struct jobs *jobs;

    lock_world();
    jobs = world.jobs;
    world.jobs = NULL;
    unlock_world();
    jobs_close(jobs);
    state_close(world.state);
}

/* The server dies and comes back. */
static void reopen(void)
{
    close_jobs();
    open_jobs();
}

static int set_up(void **state UNUSED)
{
    world = (struct world){.mutex = PTHREAD_MUTEX_INITIALIZER};
    pthread_condattr_t attr;

    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&world.cond, &attr);
    (void)snprintf(world.dir, sizeof(world.dir), "/tmp/strata-jobs-XXXXXX");
    assert_non_null(mkdtemp(world.dir));
    (void)snprintf(world.path, sizeof(world.path), "%s/state.db", world.dir);
    log_set_level(LOG_ERROR);
    cfg = config("jobs.cpu=2");
    open_jobs();
    return 0;
}

static int tear_down(void **state UNUSED)
{
    struct err e;

    close_jobs();
    cfg_free(cfg);
    return fs_remove_tree(AT_FDCWD, world.dir, &e);
}

/* --- asking --- */

struct asked {
    struct arena a;
    struct job_row row;
    struct job_history *h;
    size_t n;
    char id[16];
};

static int read_asked(struct state_db *db, void *ctx, struct err *e)
{
    struct asked *k = ctx;

    return job_store_get(db, PROJECT, str_of(k->id), &k->a, &k->row, e) < 0
               ? -1
               : job_store_history(db, k->row.seq, &k->a, &k->h, &k->n, e);
}

static int ask(const char *id, struct asked *k)
{
    struct err e;

    *k = (struct asked){0};
    (void)snprintf(k->id, sizeof(k->id), "%s", id);
    return state_read(world.state, read_asked, k, &e);
}

/* Waits for something to happen, never for a time. */
#define WAIT_FOR(condition)                                                                        \
    do {                                                                                           \
        int64_t until = clock_mono_ms() + DEADLINE_MS;                                             \
        while (!(condition)) {                                                                     \
            struct timespec soon;                                                                  \
            assert_true(clock_mono_ms() < until);                                                  \
            (void)clock_gettime(CLOCK_MONOTONIC, &soon);                                           \
            soon.tv_nsec += 5000000;                                                               \
            soon.tv_sec += soon.tv_nsec / 1000000000;                                              \
            soon.tv_nsec %= 1000000000;                                                            \
            lock_world();                                                                          \
            (void)pthread_cond_timedwait(&world.cond, &world.mutex, &soon);                        \
            (void)pthread_mutex_unlock(&world.mutex);                                              \
        }                                                                                          \
    } while (0)

static bool is_state(const char *id, enum job_state want)
{
    struct asked k;
    bool yes = ask(id, &k) == 0 && k.row.state == want;

    arena_done(&k.a);
    return yes;
}

static bool is_finished(const char *id)
{
    struct asked k;
    bool yes = ask(id, &k) == 0 && job_state_finished(k.row.state);

    arena_done(&k.a);
    return yes;
}

static bool container_runs(const char *id, int attempt)
{
    char name[65];
    bool yes;

    job_container_id(id, attempt, 0, name);
    lock_world();
    yes = find(name) && find(name)->st.running;
    unlock_world();
    return yes;
}

static bool is_removed(const char *id, int attempt)
{
    char name[65];
    bool yes;

    job_container_id(id, attempt, 0, name);
    lock_world();
    yes = find(name) && !find(name)->listed;
    unlock_world();
    return yes;
}

static void end_job(const char *id, int attempt, int code)
{
    char name[65];

    job_container_id(id, attempt, 0, name);
    end_it(name, RUNTIME_EXITED, code);
}

static const struct principal ada = {.kind = PRINCIPAL_TOKEN, .user_id = 1, .name = "ada"};

static int try_submit(const char *spec, char id[16], struct err *e)
{
    SCOPED(err_list_done) struct err_list mistakes = {0};
    SCOPED(arena_done) struct arena a = {0};
    struct job_row row;

    if (jobs_submit(world.jobs, &ada, STR("demo"), str_of(spec), &mistakes, &a, &row, e) < 0) {
        return -1;
    }
    (void)snprintf(id, 16, "%s", row.id);
    return 0;
}

static void submit(const char *command, const char *rest, char id[16])
{
    struct err e = {0};
    char spec[400];

    (void)snprintf(spec, sizeof(spec), "name: t\nimage: demo/box:1\ncommand: [%s]\n%s", command,
                   rest);
    (void)try_submit(spec, id, &e);
    assert_string_equal(e.msg, "");
}

/* --- tests --- */

static void a_job_runs_through_its_states_and_its_container_is_removed(void **state UNUSED)
{
    static const enum job_state want[] = {JOB_QUEUED, JOB_STARTING, JOB_RUNNING, JOB_SUCCEEDED};
    struct asked k;
    char id[16];

    submit("work", "", id);
    WAIT_FOR(is_state(id, JOB_RUNNING));
    end_job(id, 1, 0);
    WAIT_FOR(is_state(id, JOB_SUCCEEDED));
    WAIT_FOR(is_removed(id, 1));
    assert_int_equal(ask(id, &k), 0);
    assert_int_equal(k.n, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(k.h[i].state, want[i]);
        assert_true(k.h[i].at_ms > 0);
        assert_true(k.h[i].reason[0] != '\0');
    }
    assert_string_equal(k.h[0].reason, "submitted by ada");
    assert_string_equal(k.row.exit_text, "exit code 0");
    assert_int_equal(k.row.cpu_usec, 77);
    assert_string_equal(k.row.digest, "sha256:abc");
    arena_done(&k.a);
}

static void an_end_that_overtakes_its_start_still_shows_running(void **state UNUSED)
{
    struct asked k;
    char id[16];

    submit("true", "", id);
    WAIT_FOR(is_state(id, JOB_SUCCEEDED));
    assert_int_equal(ask(id, &k), 0);
    assert_int_equal(k.n, 4);
    assert_int_equal(k.h[2].state, JOB_RUNNING);
    assert_true(k.row.started_ms > 0);
    arena_done(&k.a);
}

static void the_head_of_the_queue_waits_and_nobody_overtakes_it(void **state UNUSED)
{
    char big[16], next[16], small[16];

    submit("work", "resources: {cpu: 1}", big);
    WAIT_FOR(is_state(big, JOB_RUNNING));
    submit("work", "resources: {cpu: 2}", next); /* 1 of 2 is free */
    submit("work", "resources: {cpu: 1}", small);
    {
        struct lock *l = &world.jobs->lock;

        WITH_LOCK(l);
        struct job *waits = map_get(&world.jobs->by_id, str_of(next));
        struct job *behind = map_get(&world.jobs->by_id, str_of(small));
        char why[100];

        assert_int_equal(jobs_queue_position(&world.jobs->queue, waits), 1);
        assert_int_equal(jobs_queue_position(&world.jobs->queue, behind), 2);
        jobs_machine_why_waiting(&world.jobs->machine, &waits->need, why, sizeof(why));
        assert_string_equal(why, "waits for 2 CPUs: 1.0 of 2.0 free");
    }
    end_job(big, 1, 0);
    WAIT_FOR(is_state(next, JOB_RUNNING));
    assert_true(is_state(small, JOB_QUEUED));
    end_job(next, 1, 0);
    WAIT_FOR(is_state(small, JOB_RUNNING));
    end_job(small, 1, 0);
    WAIT_FOR(is_finished(small));
}

static void a_request_larger_than_the_machine_is_refused_saying_what_exists(void **state UNUSED)
{
    struct err e = {0};
    char id[16];

    assert_int_equal(
        try_submit("{name: x, image: demo/box:1, command: [a], resources: {cpu: 64}}", id, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    assert_string_equal(e.msg, "the job has 1 mistake: line 1: resources.cpu: asks for 64 CPUs; "
                               "this machine has 2 for jobs");
    assert_int_equal(
        try_submit("{name: x, image: demo/box:1, command: [a], resources: {memory: 5Gi}}", id, &e),
        -1);
    assert_string_equal(e.msg, "the job has 1 mistake: line 1: resources.memory: asks for 5.0 GiB; "
                               "this machine has 4.0 GiB for jobs");
}

static void
a_job_that_the_machine_has_become_too_small_for_fails_and_blocks_nobody(void **state UNUSED)
{
    char runs[16], big[16], small[16];
    struct asked k;

    submit("work", "resources: {cpu: 2}\nretries: 3", runs);
    WAIT_FOR(is_state(runs, JOB_RUNNING));
    submit("work", "resources: {cpu: 2}\nretries: 3", big);
    submit("work", "", small);
    close_jobs();
    cfg_free(cfg);
    cfg = config("jobs.cpu=1");
    open_jobs();
    end_job(runs, 1, 1); /* what ran goes on, but is not tried again */
    WAIT_FOR(is_state(runs, JOB_FAILED));
    WAIT_FOR(is_state(big, JOB_FAILED));
    WAIT_FOR(is_state(small, JOB_RUNNING));
    assert_int_equal(ask(big, &k), 0);
    assert_string_equal(k.row.reason,
                        "resources.cpu: asks for 2 CPUs; this machine has 1 for jobs");
    assert_int_equal(k.row.attempt, 1);
    assert_int_equal(k.row.exit_kind, JOB_EXIT_NONE);
    arena_done(&k.a);
    end_job(small, 1, 0);
    WAIT_FOR(is_finished(small));
}

struct held {
    size_t n;
    char digest[136];
};

static void note_held(void *ctx, const char *digest)
{
    struct held *h = ctx;

    h->n++;
    (void)snprintf(h->digest, sizeof(h->digest), "%s", digest);
}

static void the_layers_of_jobs_are_held_until_they_end(void **state UNUSED)
{
    struct held h = {0};
    struct err e = {0};
    char first[16], second[16];

    assert_int_equal(jobs_held_blobs(world.jobs, note_held, &h, &e), 0);
    assert_int_equal(h.n, 0);
    submit("work", "resources: {cpu: 2}", first);
    submit("work", "resources: {cpu: 2}", second);
    assert_int_equal(jobs_held_blobs(world.jobs, note_held, &h, &e), 0);
    assert_int_equal(h.n, 1); /* both have the same image */
    assert_string_equal(h.digest, "sha256:layer");
    WAIT_FOR(is_state(first, JOB_RUNNING));
    end_job(first, 1, 0);
    WAIT_FOR(is_state(second, JOB_RUNNING));
    end_job(second, 1, 0);
    WAIT_FOR(is_finished(second));
    h.n = 0;
    assert_int_equal(jobs_held_blobs(world.jobs, note_held, &h, &e), 0);
    assert_int_equal(h.n, 0);
}

static void what_the_image_lacks_is_said_at_submit(void **state UNUSED)
{
    struct err e = {0};
    char id[16];

    assert_int_equal(try_submit("{name: x, image: demo/unknown:1, command: [a]}", id, &e), -1);
    assert_string_equal(e.msg, "image: there is no repository demo/unknown");
    assert_int_equal(try_submit("{name: x, image: demo/alien:1, command: [a]}", id, &e), -1);
    assert_non_null(strstr(e.msg, "is for the architecture s390x; this machine is "));
    assert_int_equal(try_submit("{name: x, image: demo/box:1}", id, &e), -1);
    assert_non_null(strstr(e.msg, "command: is missing"));
    assert_int_equal(
        try_submit("{name: x, project: other, image: demo/box:1, command: [a]}", id, &e), -1);
    assert_string_equal(e.msg, "project: the job says 'other', but it is submitted to 'demo'");
}

static void a_queued_job_is_cancelled_at_once(void **state UNUSED)
{
    char first[16], second[16];
    struct asked k;
    struct err e = {0};

    submit("work", "resources: {cpu: 2}", first);
    WAIT_FOR(is_state(first, JOB_RUNNING));
    submit("work", "", second);
    assert_int_equal(jobs_cancel(world.jobs, PROJECT, str_of(second), "bob", &e), 0);
    assert_true(is_state(second, JOB_CANCELLED));
    assert_int_equal(ask(second, &k), 0);
    assert_string_equal(k.row.reason, "cancelled by bob");
    assert_int_equal(k.row.exit_kind, JOB_EXIT_NONE);
    arena_done(&k.a);
    assert_int_equal(jobs_cancel(world.jobs, PROJECT, str_of(second), "bob", &e), -1);
    assert_int_equal(e.kind, ERR_CONFLICT);
    assert_int_equal(jobs_cancel(world.jobs, PROJECT + 1, str_of(first), "eve", &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    end_job(first, 1, 0);
    WAIT_FOR(is_finished(first));
}

static int hold_writer(struct state_db *db UNUSED, void *ctx UNUSED, struct err *e UNUSED)
{
    lock_world();
    while (world.writer_held) {
        (void)pthread_cond_wait(&world.cond, &world.mutex);
    }
    unlock_world();
    return 0;
}

static enum job_phase phase_of(const char *id)
{
    struct lock *l = &world.jobs->lock;

    WITH_LOCK(l);
    return ((struct job *)map_get(&world.jobs->by_id, str_of(id)))->phase;
}

static void *cancel_main(void *id)
{
    struct err e = {0};

    (void)!jobs_cancel(world.jobs, PROJECT, str_of(id), "bob", &e);
    assert_string_equal(e.msg, "");
    return NULL;
}

static void a_cancel_while_an_attempt_ends_stops_the_retries(void **state UNUSED)
{
    pthread_t thread;
    char id[16];

    submit("work", "retries: 3", id);
    WAIT_FOR(is_state(id, JOB_RUNNING));
    WAIT_FOR(phase_of(id) == PHASE_RUNNING);
    world.writer_held = true;
    state_submit(world.state, hold_writer, NULL, NULL);
    end_job(id, 1, 1);
    WAIT_FOR(phase_of(id) == PHASE_ENDING);
    assert_int_equal(pthread_create(&thread, NULL, cancel_main, id), 0);
    lock_world();
    world.writer_held = false;
    unlock_world();
    (void)pthread_join(thread, NULL);
    WAIT_FOR(is_state(id, JOB_CANCELLED));
}

static void a_job_that_comes_while_its_project_is_deleted_is_refused(void **state UNUSED)
{
    struct err e = {0};
    char id[16];

    world.project_goes_in = 2;
    assert_int_equal(try_submit("{name: x, image: demo/box:1, command: [work]}", id, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(e.msg, "project demo is being deleted"));
    assert_int_equal(world.jobs->n_submitting, 0);
    reopen();
    assert_int_equal(world.jobs->by_id.len, 0);
}

static void a_running_job_is_cancelled_by_sigterm_and_not_retried(void **state UNUSED)
{
    struct asked k;
    struct err e = {0};
    char id[16];

    submit("work", "retries: 3", id);
    WAIT_FOR(is_state(id, JOB_RUNNING));
    assert_int_equal(jobs_cancel(world.jobs, PROJECT, str_of(id), "bob", &e), 0);
    WAIT_FOR(is_finished(id));
    assert_int_equal(ask(id, &k), 0);
    assert_int_equal(k.row.state, JOB_CANCELLED);
    assert_int_equal(k.row.attempt, 1);
    assert_string_equal(k.row.reason, "cancelled by bob");
    arena_done(&k.a);
    assert_int_equal(world.c[0].n_signals, 1);
    assert_int_equal(world.c[0].signals[0], SIGTERM);
}

/* A job that waits, so that the test can make its times shorter than a spec can. */
static struct job *submit_waiting(char first[16], const char *command, const char *rest,
                                  char id[16])
{
    submit("work", "resources: {cpu: 2}", first);
    WAIT_FOR(is_state(first, JOB_RUNNING));
    submit(command, rest, id);
    return map_get(&world.jobs->by_id, str_of(id));
}

static void sigkill_follows_when_the_grace_is_over(void **state UNUSED)
{
    struct err e = {0};
    char first[16], id[16];

    submit_waiting(first, "stubborn", "", id)->grace_ms = 30;
    end_job(first, 1, 0);
    WAIT_FOR(is_state(id, JOB_RUNNING));
    assert_int_equal(jobs_cancel(world.jobs, PROJECT, str_of(id), "bob", &e), 0);
    WAIT_FOR(is_state(id, JOB_CANCELLED));
    assert_int_equal(world.c[1].n_signals, 2);
    assert_int_equal(world.c[1].signals[0], SIGTERM);
    assert_int_equal(world.c[1].signals[1], SIGKILL);
}

static void a_timeout_ends_the_attempt_and_says_so(void **state UNUSED)
{
    struct asked k;
    char first[16], id[16];

    submit_waiting(first, "work", "timeout: 1s", id)->timeout_ms = 50;
    end_job(first, 1, 0);
    WAIT_FOR(is_state(id, JOB_FAILED));
    assert_int_equal(ask(id, &k), 0);
    assert_int_equal(k.row.exit_kind, JOB_EXIT_TIMEOUT);
    assert_int_equal(k.row.exit_code, 124);
    assert_string_equal(k.row.exit_text, "stopped: it ran longer than its timeout of 0.1 s");
    assert_int_equal(k.row.stop, JOB_STOP_TIMEOUT);
    arena_done(&k.a);
}

static void a_failure_is_retried_as_often_as_asked_and_each_attempt_is_kept(void **state UNUSED)
{
    struct asked k;
    char id[16];

    submit("false", "retries: 2", id);
    WAIT_FOR(is_state(id, JOB_FAILED) && is_removed(id, 3));
    assert_int_equal(ask(id, &k), 0);
    assert_int_equal(k.row.attempt, 3);
    assert_int_equal(k.n, 12); /* queued starting running failed, three times */
    assert_int_equal(k.h[3].state, JOB_FAILED);
    assert_int_equal(k.h[3].attempt, 1);
    assert_int_equal(k.h[4].state, JOB_QUEUED);
    assert_int_equal(k.h[4].attempt, 2);
    assert_string_equal(k.h[4].reason, "retry 1 of 2");
    arena_done(&k.a);
    assert_true(is_removed(id, 1) && is_removed(id, 2));
}

static void a_command_that_is_not_there_is_127(void **state UNUSED)
{
    struct asked k;
    char id[16];

    submit("nowhere", "", id);
    WAIT_FOR(is_state(id, JOB_FAILED));
    assert_int_equal(ask(id, &k), 0);
    assert_int_equal(k.row.exit_kind, JOB_EXIT_CODE);
    assert_int_equal(k.row.exit_code, 127);
    assert_string_equal(k.row.reason, "command \"nowhere\" was not found in the image");
    arena_done(&k.a);
}

static void a_host_that_is_not_ready_delays_the_start_and_says_why(void **state UNUSED)
{
    char id[16];

    set_answer(FAIL_BEFORE);
    submit("true", "", id);
    WAIT_FOR(({
        struct lock *l = &world.jobs->lock;
        WITH_LOCK(l);
        struct job *job = map_get(&world.jobs->by_id, str_of(id));

        job && job->waits &&strstr(job->waits, "the helper is gone");
    }));
    lock_world();
    world.answer = ANSWER;
    unlock_world();
    WAIT_FOR(is_state(id, JOB_SUCCEEDED));
}

static bool is_paused(const char *id)
{
    struct lock *l = &world.jobs->lock;

    WITH_LOCK(l);
    const struct job *job = map_get(&world.jobs->by_id, str_of(id));

    return job && job->phase == PHASE_PAUSED && !job->has_resources;
}

static void pause_starts_for(int64_t ms)
{
    struct lock *l = &world.jobs->lock;

    WITH_LOCK(l);
    world.jobs->pauses.start_ms = ms;
}

static void a_job_whose_start_fails_holds_nothing_and_blocks_nobody(void **state UNUSED)
{
    char id[16], other[16];
    struct asked k;

    pause_starts_for(DEADLINE_MS);
    set_answer(FAIL_BEFORE);
    submit("true", "resources: {cpu: 2}", id);
    WAIT_FOR(is_paused(id));
    lock_world();
    world.answer = ANSWER;
    unlock_world();
    submit("true", "resources: {cpu: 2}", other);
    WAIT_FOR(is_state(other, JOB_SUCCEEDED));
    assert_true(is_paused(id));
    assert_int_equal(ask(id, &k), 0);
    assert_int_equal(k.row.state, JOB_STARTING);
    arena_done(&k.a);
}

static void end_pause(const char *id)
{
    struct lock *l = &world.jobs->lock;

    WITH_LOCK(l);
    ((struct job *)map_get(&world.jobs->by_id, str_of(id)))->start_at = clock_mono_ms();
    lock_broadcast(l);
}

static bool is_first(const char *id)
{
    struct lock *l = &world.jobs->lock;

    WITH_LOCK(l);
    return jobs_queue_first(&world.jobs->queue) == map_get(&world.jobs->by_id, str_of(id));
}

static void after_its_pause_a_job_is_where_it_was_in_the_queue(void **state UNUSED)
{
    char id[16], holds[16], later[16];

    pause_starts_for(DEADLINE_MS);
    set_answer(FAIL_BEFORE);
    submit("work", "resources: {cpu: 2}", id);
    WAIT_FOR(is_paused(id));
    lock_world();
    world.answer = ANSWER;
    unlock_world();
    submit("work", "resources: {cpu: 2}", holds);
    WAIT_FOR(is_state(holds, JOB_RUNNING));
    submit("true", "", later);
    assert_true(is_first(later));
    end_pause(id);
    WAIT_FOR(is_first(id));
    end_job(holds, 1, 0);
    WAIT_FOR(is_state(id, JOB_RUNNING));
    assert_true(is_state(later, JOB_QUEUED));
}

/* As if it had come back to the queue an hour earlier than it did. */
static void has_waited_an_hour(const char *id)
{
    enum { HOUR_MS = 3600 * 1000 };
    struct lock *l = &world.jobs->lock;
    struct job *job;

    WITH_LOCK(l);
    job = map_get(&world.jobs->by_id, str_of(id));
    job->waits_since -= HOUR_MS;
    job->failing_since -= HOUR_MS;
}

static void waiting_for_resources_is_no_failing_start(void **state UNUSED)
{
    char id[16], holds[16];

    pause_starts_for(500);
    set_answer(FAIL_BEFORE);
    submit("work", "resources: {cpu: 2}", id);
    WAIT_FOR(is_paused(id));
    set_answer(ANSWER);
    submit("work", "resources: {cpu: 2}", holds);
    WAIT_FOR(is_state(holds, JOB_RUNNING));
    WAIT_FOR(is_first(id)); /* its pause is over, and the other one has the CPUs */
    has_waited_an_hour(id);
    set_answer(FAIL_BEFORE);
    end_job(holds, 1, 0);
    WAIT_FOR(is_paused(id) || is_finished(id));
    assert_true(is_paused(id));
}

static void starts_that_fail_for_too_long_fail_the_job(void **state UNUSED)
{
    char id[16];
    struct asked k;

    {
        struct lock *l = &world.jobs->lock;

        WITH_LOCK(l);
        world.jobs->start_timeout_ms = 100;
    }
    set_answer(FAIL_BEFORE);
    submit("true", "", id);
    WAIT_FOR(is_state(id, JOB_FAILED));
    assert_true(starts() > 1);
    assert_int_equal(ask(id, &k), 0);
    assert_string_equal(k.row.reason, "could not be started for 0.1 s (jobs.start_timeout): "
                                      "the helper is gone");
    assert_int_equal(k.row.exit_kind, JOB_EXIT_NONE);
    arena_done(&k.a);
}

static void a_timeout_also_ends_starts_that_fail(void **state UNUSED)
{
    char first[16], id[16];
    struct asked k;

    submit_waiting(first, "true", "timeout: 1s", id)->timeout_ms = 50;
    lock_world();
    world.answer = FAIL_BEFORE;
    unlock_world();
    end_job(first, 1, 0);
    WAIT_FOR(is_state(id, JOB_FAILED));
    assert_int_equal(ask(id, &k), 0);
    assert_int_equal(k.row.exit_kind, JOB_EXIT_TIMEOUT);
    assert_int_equal(k.row.exit_code, 124);
    assert_non_null(strstr(k.row.reason, "could not be started within its timeout"));
    assert_non_null(strstr(k.row.reason, "the helper is gone"));
    arena_done(&k.a);
}

static void a_job_whose_start_fails_is_cancelled_at_once(void **state UNUSED)
{
    struct err e = {0};
    char id[16];

    pause_starts_for(DEADLINE_MS);
    set_answer(FAIL_BEFORE);
    submit("true", "", id);
    WAIT_FOR(is_paused(id));
    assert_int_equal(jobs_cancel(world.jobs, PROJECT, str_of(id), "bob", &e), 0);
    assert_true(is_state(id, JOB_CANCELLED));
}

static void a_container_whose_start_was_not_answered_ends_with_a_cancel(void **state UNUSED)
{
    struct err e = {0};
    char id[16];

    pause_starts_for(DEADLINE_MS);
    set_answer(FAIL_AFTER);
    submit("stubborn", "", id);
    WAIT_FOR(is_paused(id));
    assert_true(container_runs(id, 1));
    assert_int_equal(jobs_cancel(world.jobs, PROJECT, str_of(id), "bob", &e), 0);
    assert_true(is_state(id, JOB_CANCELLED));
    WAIT_FOR(is_removed(id, 1));
}

static void an_answer_that_was_lost_does_not_start_a_second_container(void **state UNUSED)
{
    char id[16];

    set_answer(FAIL_AFTER);
    submit("work", "", id);
    WAIT_FOR(is_state(id, JOB_RUNNING));
    assert_int_equal(starts(), 1);
    end_job(id, 1, 5);
    WAIT_FOR(is_state(id, JOB_FAILED));
}

static void a_server_killed_before_the_start_queues_the_job_again(void **state UNUSED)
{
    struct asked k;
    char id[16];

    set_answer(FAIL_BEFORE);
    submit("true", "", id);
    WAIT_FOR(is_state(id, JOB_STARTING) && starts() > 0);
    close_jobs();
    set_answer(ANSWER);
    open_jobs();
    WAIT_FOR(is_state(id, JOB_SUCCEEDED));
    assert_int_equal(ask(id, &k), 0);
    assert_int_equal(k.row.attempt, 1);
    assert_int_equal(k.h[2].state, JOB_QUEUED);
    arena_done(&k.a);
}

static void a_server_killed_after_the_start_adopts_the_container(void **state UNUSED)
{
    struct asked k;
    char id[16];

    set_answer(FAIL_AFTER);
    submit("work", "", id);
    WAIT_FOR(container_runs(id, 1));
    world.no_list = true; /* what the dying server would ask */
    close_jobs();
    set_answer(ANSWER);
    world.no_list = false;
    open_jobs();
    WAIT_FOR(is_state(id, JOB_RUNNING));
    end_job(id, 1, 0);
    WAIT_FOR(is_state(id, JOB_SUCCEEDED));
    assert_int_equal(ask(id, &k), 0);
    assert_int_equal(k.row.attempt, 1);
    assert_int_equal(starts(), 1);
    arena_done(&k.a);
}

static void a_container_that_ended_while_nobody_looked_is_recorded(void **state UNUSED)
{
    struct asked k;
    char id[16];

    submit("work", "", id);
    WAIT_FOR(is_state(id, JOB_RUNNING));
    close_jobs();
    end_job(id, 1, 42);
    open_jobs();
    WAIT_FOR(is_state(id, JOB_FAILED) && is_removed(id, 1));
    assert_int_equal(ask(id, &k), 0);
    assert_int_equal(k.row.exit_code, 42);
    arena_done(&k.a);
}

static void an_end_between_the_list_and_the_first_event_is_found(void **state UNUSED)
{
    char id[16];

    submit("work", "", id);
    WAIT_FOR(is_state(id, JOB_RUNNING));
    reopen();
    world.silent = true; /* the event is lost */
    end_job(id, 1, 0);
    WAIT_FOR(is_state(id, JOB_SUCCEEDED));
}

static void a_running_row_without_its_container_is_lost_or_retried(void **state UNUSED)
{
    struct asked k;
    char lost[16], again[16];

    submit("work", "resources: {cpu: 500m}", lost);
    submit("work", "resources: {cpu: 500m}\nretries: 1", again);
    WAIT_FOR(is_state(lost, JOB_RUNNING) && is_state(again, JOB_RUNNING));
    close_jobs();
    for (size_t i = 0; i < world.n; i++) {
        world.c[i].listed = false;
    }
    open_jobs();
    WAIT_FOR(is_state(lost, JOB_LOST));
    WAIT_FOR(container_runs(again, 2));
    end_job(again, 2, 0);
    WAIT_FOR(is_state(again, JOB_SUCCEEDED));
    assert_int_equal(ask(again, &k), 0);
    assert_int_equal(k.row.attempt, 2);
    arena_done(&k.a);
}

static void a_container_without_a_row_is_killed_and_removed(void **state UNUSED)
{
    close_jobs();
    world.n = 2;
    (void)snprintf(world.c[0].id, 65, "j-nobody00-1");
    (void)snprintf(world.c[1].id, 65, "service-of-another");
    for (size_t i = 0; i < 2; i++) {
        world.c[i].listed = true;
        world.c[i].st = (struct runtime_status){.running = true, .started_ms = 1};
        memcpy(world.c[i].st.id, world.c[i].id, 65);
    }
    open_jobs();
    WAIT_FOR(({
        lock_world();
        bool gone = !world.c[0].listed;
        unlock_world();
        gone;
    }));
    assert_true(world.c[1].listed && world.c[1].st.running); /* not ours */
}

static void a_cancel_that_was_answered_survives_a_restart(void **state UNUSED)
{
    struct err e = {0};
    char id[16];

    submit("stubborn", "grace: 1h", id);
    WAIT_FOR(is_state(id, JOB_RUNNING));
    assert_int_equal(jobs_cancel(world.jobs, PROJECT, str_of(id), "bob", &e), 0);
    close_jobs();
    end_job(id, 1, 0);
    open_jobs();
    WAIT_FOR(is_state(id, JOB_CANCELLED));
}

static void without_the_helper_nothing_starts_until_the_containers_are_known(void **state UNUSED)
{
    char id[16], next[16];

    submit("work", "", id);
    WAIT_FOR(is_state(id, JOB_RUNNING));
    close_jobs();
    world.no_list = true;
    open_jobs();
    submit("true", "", next);
    assert_true(is_state(id, JOB_RUNNING) && is_state(next, JOB_QUEUED));
    lock_world();
    world.no_list = false;
    unlock_world();
    WAIT_FOR(is_state(next, JOB_SUCCEEDED));
    end_job(id, 1, 0);
    WAIT_FOR(is_state(id, JOB_SUCCEEDED));
}

static void a_finished_job_is_deleted_and_an_unfinished_one_is_not(void **state UNUSED)
{
    struct err e = {0};
    char id[16];
    struct asked k;

    submit("work", "", id);
    WAIT_FOR(is_state(id, JOB_RUNNING));
    assert_int_equal(jobs_delete(world.jobs, PROJECT, str_of(id), &e), -1);
    assert_int_equal(e.kind, ERR_CONFLICT);
    end_job(id, 1, 0);
    WAIT_FOR(is_finished(id));
    assert_int_equal(jobs_delete(world.jobs, PROJECT, str_of(id), &e), 0);
    assert_int_equal(ask(id, &k), -1);
    arena_done(&k.a);
}

static bool log_is_removed(const char *id)
{
    char name[65];
    bool yes;

    job_container_id(id, 1, 0, name);
    lock_world();
    yes = find(name) && find(name)->log_gone;
    unlock_world();
    return yes;
}

static bool forgets_wait(void)
{
    struct lock *l = &world.jobs->lock;

    WITH_LOCK(l);
    return !list_empty(&world.jobs->forgets);
}

static void what_could_not_be_removed_is_tried_again_with_its_log(void **state UNUSED)
{
    struct err e = {0};
    char id[16];

    world.no_remove = true;
    submit("true", "", id);
    WAIT_FOR(is_finished(id));
    assert_int_equal(jobs_delete(world.jobs, PROJECT, str_of(id), &e), 0);
    WAIT_FOR(forgets_wait());
    assert_false(log_is_removed(id));
    lock_world();
    world.no_remove = false;
    unlock_world();
    WAIT_FOR(log_is_removed(id));
}

static void a_project_that_goes_takes_all_its_jobs_with_it(void **state UNUSED)
{
    struct err e = {0};
    char running[16], queued[16];
    struct asked k;

    submit("work", "resources: {cpu: 2}", running);
    submit("work", "resources: {cpu: 2}", queued);
    WAIT_FOR(is_state(running, JOB_RUNNING));
    assert_int_equal(jobs_project_gone(world.jobs, PROJECT, &e), 0);
    assert_string_equal(e.msg, "");
    assert_int_equal(ask(running, &k), -1);
    arena_done(&k.a);
    assert_int_equal(ask(queued, &k), -1);
    arena_done(&k.a);
    assert_false(container_runs(running, 1));
}

static void a_project_that_goes_waits_for_no_long_grace(void **state UNUSED)
{
    int64_t began = clock_mono_ms();
    struct err e = {0};
    char id[16];

    submit("stubborn", "grace: 1h", id);
    WAIT_FOR(is_state(id, JOB_RUNNING));
    assert_int_equal(jobs_project_gone(world.jobs, PROJECT, &e), 0);
    assert_string_equal(e.msg, "");
    assert_true(clock_mono_ms() - began < DEADLINE_MS);
    assert_int_equal(world.c[0].signals[0], SIGTERM);
    assert_int_equal(world.c[0].signals[1], SIGKILL);
}

static void events_tell_each_change_after_it_is_written(void **state UNUSED)
{
    static const char *const want[] = {"queued", "starting", "running", "failed"};
    char id[16];

    submit("work", "", id);
    WAIT_FOR(is_state(id, JOB_RUNNING));
    end_job(id, 1, 3);
    WAIT_FOR(world.n_events >= 4);
    for (size_t i = 0; i < 4; i++) {
        assert_non_null(strstr(world.events[i], want[i]));
    }
}

/* --- everything at random: no job is lost, none runs twice, every code is right --- */

static unsigned long long dice;

static unsigned roll(unsigned sides)
{
    dice = dice * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(dice >> 33) % sides;
}

enum { MODEL_JOBS = 40, MODEL_STEPS = 120 };

/* A container that runs, at random; "" when none does. */
static void pick_running(char id[65])
{
    size_t at;

    id[0] = '\0';
    lock_world();
    for (size_t tries = 0; tries < 8 && world.n > 0 && id[0] == '\0'; tries++) {
        at = roll((unsigned)world.n);
        if (world.c[at].st.running) {
            memcpy(id, world.c[at].id, 65);
        }
    }
    unlock_world();
}

static void model_step(char ids[][16], size_t *n)
{
    char id[65];

    lock_world();
    world.answer = (enum answer)(roll(4) < 2 ? ANSWER : roll(2) ? FAIL_BEFORE : FAIL_AFTER);
    world.silent = roll(4) == 0;
    world.no_remove = roll(4) == 0;
    unlock_world();
    switch (roll(6)) {
    case 0:
    case 1:
        if (*n < MODEL_JOBS) {
            submit("work", "resources: {cpu: 200m, memory: 64Mi}", ids[(*n)++]);
        }
        break;
    case 2:
    case 3:
        pick_running(id);
        if (id[0]) {
            end_it(id, RUNTIME_EXITED, id[2] % 7);
        }
        break;
    case 4:
        close_jobs();
        pick_running(id);
        if (id[0]) {
            end_it(id, RUNTIME_EXITED, id[2] % 7);
        }
        open_jobs();
        break;
    default:
        break;
    }
}

static bool drain_model(char ids[][16], size_t n)
{
    bool all = true;
    char id[65];

    do {
        pick_running(id);
        if (id[0]) {
            end_it(id, RUNTIME_EXITED, id[2] % 7);
        }
    } while (id[0]);
    for (size_t i = 0; i < n && all; i++) {
        all = is_finished(ids[i]);
    }
    return all;
}

static void kills_at_random_lose_nothing_and_run_nothing_twice(void **state UNUSED)
{
    char ids[MODEL_JOBS][16];
    size_t n = 0;

    dice = 20261123;
    for (size_t i = 0; i < MODEL_STEPS; i++) {
        model_step(ids, &n);
    }
    lock_world();
    world.answer = ANSWER;
    world.silent = world.no_remove = false;
    unlock_world();
    WAIT_FOR(drain_model(ids, n));
    for (size_t i = 0; i < n; i++) {
        struct asked k;
        size_t ran = 0;

        assert_int_equal(ask(ids[i], &k), 0);
        assert_int_equal(k.row.state, ids[i][2] % 7 == 0 ? JOB_SUCCEEDED : JOB_FAILED);
        assert_int_equal(k.row.exit_code, ids[i][2] % 7);
        assert_int_equal(k.row.attempt, 1);
        arena_done(&k.a);
        for (size_t c = 0; c < world.n; c++) {
            ran += strncmp(world.c[c].id, ids[i], 10) == 0;
        }
        assert_int_equal(ran, 1);
    }
    assert_true(n > 10);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_job_runs_through_its_states_and_its_container_is_removed),
        TEST(an_end_that_overtakes_its_start_still_shows_running),
        TEST(the_head_of_the_queue_waits_and_nobody_overtakes_it),
        TEST(a_request_larger_than_the_machine_is_refused_saying_what_exists),
        TEST(a_job_that_the_machine_has_become_too_small_for_fails_and_blocks_nobody),
        TEST(the_layers_of_jobs_are_held_until_they_end),
        TEST(what_the_image_lacks_is_said_at_submit),
        TEST(a_queued_job_is_cancelled_at_once),
        TEST(a_cancel_while_an_attempt_ends_stops_the_retries),
        TEST(a_job_that_comes_while_its_project_is_deleted_is_refused),
        TEST(a_running_job_is_cancelled_by_sigterm_and_not_retried),
        TEST(sigkill_follows_when_the_grace_is_over),
        TEST(a_timeout_ends_the_attempt_and_says_so),
        TEST(a_failure_is_retried_as_often_as_asked_and_each_attempt_is_kept),
        TEST(a_command_that_is_not_there_is_127),
        TEST(a_host_that_is_not_ready_delays_the_start_and_says_why),
        TEST(a_job_whose_start_fails_holds_nothing_and_blocks_nobody),
        TEST(after_its_pause_a_job_is_where_it_was_in_the_queue),
        TEST(waiting_for_resources_is_no_failing_start),
        TEST(starts_that_fail_for_too_long_fail_the_job),
        TEST(a_timeout_also_ends_starts_that_fail),
        TEST(a_job_whose_start_fails_is_cancelled_at_once),
        TEST(a_container_whose_start_was_not_answered_ends_with_a_cancel),
        TEST(an_answer_that_was_lost_does_not_start_a_second_container),
        TEST(a_server_killed_before_the_start_queues_the_job_again),
        TEST(a_server_killed_after_the_start_adopts_the_container),
        TEST(a_container_that_ended_while_nobody_looked_is_recorded),
        TEST(an_end_between_the_list_and_the_first_event_is_found),
        TEST(a_running_row_without_its_container_is_lost_or_retried),
        TEST(a_container_without_a_row_is_killed_and_removed),
        TEST(a_cancel_that_was_answered_survives_a_restart),
        TEST(without_the_helper_nothing_starts_until_the_containers_are_known),
        TEST(a_finished_job_is_deleted_and_an_unfinished_one_is_not),
        TEST(what_could_not_be_removed_is_tried_again_with_its_log),
        TEST(a_project_that_goes_takes_all_its_jobs_with_it),
        TEST(a_project_that_goes_waits_for_no_long_grace),
        TEST(events_tell_each_change_after_it_is_written),
        TEST(kills_at_random_lose_nothing_and_run_nothing_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
