#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fs.h"
#include "jobs/jobs.h"
#include "jobs/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char dir[64], path[128];
static struct state *state_of_test;

static int open_state(void **arg UNUSED)
{
    static const struct state_schema *const schemas[] = {&jobs_schema, NULL};
    struct err e = {0};

    (void)snprintf(dir, sizeof(dir), "/tmp/strata-jobs-XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/state.db", dir);
    state_of_test = state_open(path, schemas, &e);
    assert_string_equal(e.msg, "");
    return 0;
}

static int close_state(void **arg UNUSED)
{
    struct err e;

    state_close(state_of_test);
    return fs_remove_tree(AT_FDCWD, dir, &e);
}

static struct job_row row_of(const char *id, int64_t project)
{
    return (struct job_row){.id = id,
                            .project_id = project,
                            .project = "demo",
                            .name = "n",
                            .user = "ada",
                            .image = "demo/x:1",
                            .digest = "sha256:1",
                            .reason = "submitted by ada",
                            .retries = 2,
                            .cpu_milli = 1000,
                            .memory_bytes = 1,
                            .volume_ids = "",
                            .created_ms = 1000,
                            .spec = "{}",
                            .pin = "{}"};
}

static int insert(struct state_db *db, void *ctx, struct err *e)
{
    return job_store_insert(db, ctx, e);
}

static int apply(struct state_db *db, void *ctx, struct err *e)
{
    return job_store_apply(db, ctx, e);
}

static int64_t make(const char *id, int64_t project)
{
    struct job_row r = row_of(id, project);
    struct err e = {0};

    (void)!state_write(state_of_test, insert, &r, &e);
    assert_string_equal(e.msg, "");
    return r.seq;
}

static int move(int64_t seq, int64_t attempt, enum job_state to, struct err *e)
{
    struct job_change c = {.seq = seq,
                           .attempt = attempt,
                           .at_ms = 2000,
                           .n_steps = 1,
                           .started_ms = to == JOB_RUNNING ? 1500 : 0,
                           .outcome = {.state = to},
                           .steps = {{.to = to, .reason = "because"}}};

    return state_write(state_of_test, apply, &c, e);
}

/* How to come to each state from queued. */
static void bring_to(int64_t seq, enum job_state want)
{
    static const enum job_state ways[JOB_STATES][3] = {
        [JOB_STARTING] = {JOB_STARTING},
        [JOB_RUNNING] = {JOB_STARTING, JOB_RUNNING},
        [JOB_SUCCEEDED] = {JOB_STARTING, JOB_RUNNING, JOB_SUCCEEDED},
        [JOB_FAILED] = {JOB_STARTING, JOB_RUNNING, JOB_FAILED},
        [JOB_CANCELLED] = {JOB_CANCELLED},
        [JOB_LOST] = {JOB_STARTING, JOB_RUNNING, JOB_LOST},
    };
    struct err e;

    for (size_t i = 0; i < 3 && ways[want][i] != JOB_QUEUED; i++) {
        assert_int_equal(move(seq, 1, ways[want][i], &e), 0);
    }
}

static void no_change_but_the_legal_ones_is_written(void **state UNUSED)
{
    for (int from = 0; from < JOB_STATES; from++) {
        for (int to = 0; to < JOB_STATES; to++) {
            char id[16];
            int64_t seq;
            bool legal = !job_state_finished((enum job_state)from) &&
                         job_state_may((enum job_state)from, (enum job_state)to);
            struct err e = {0};

            (void)snprintf(id, sizeof(id), "j-%d-%d", from, to);
            seq = make(id, 1);
            bring_to(seq, (enum job_state)from);
            assert_int_equal(move(seq, 1, (enum job_state)to, &e), legal ? 0 : -1);
            assert_int_equal(e.kind, legal ? ERR_NONE : ERR_CONFLICT);
        }
    }
}

struct seen {
    struct arena a;
    struct job_row row;
    struct job_history *h;
    size_t n;
    const char *id;
};

static int look(struct state_db *db, void *ctx, struct err *e)
{
    struct seen *s = ctx;

    return job_store_get(db, 1, str_of(s->id), &s->a, &s->row, e) < 0
               ? -1
               : job_store_history(db, s->row.seq, &s->a, &s->h, &s->n, e);
}

static void an_end_and_its_retry_are_one_transaction(void **state UNUSED)
{
    int64_t seq = make("j-1", 1);
    struct job_change c = {.seq = seq,
                           .attempt = 1,
                           .at_ms = 3000,
                           .n_steps = 2,
                           .outcome = {.state = JOB_FAILED, .kind = JOB_EXIT_CODE, .code = 1},
                           .steps = {{.to = JOB_FAILED, .reason = "exit code 1"},
                                     {.to = JOB_QUEUED, .reason = "retry 1 of 2"}}};
    struct seen s = {.id = "j-1"};
    struct err e = {0};

    bring_to(seq, JOB_RUNNING);
    assert_int_equal(state_write(state_of_test, apply, &c, &e), 0);
    assert_int_equal(state_read(state_of_test, look, &s, &e), 0);
    assert_int_equal(s.row.state, JOB_QUEUED);
    assert_int_equal(s.row.attempt, 2);
    assert_int_equal(s.row.started_ms, 0);
    assert_int_equal(s.row.finished_ms, 0);
    assert_int_equal(s.n, 5);
    assert_int_equal(s.h[3].attempt, 1);
    assert_int_equal(s.h[4].attempt, 2);
    arena_done(&s.a);
    assert_int_equal(state_write(state_of_test, apply, &c, &e), -1); /* that attempt is over */
    assert_int_equal(e.kind, ERR_CONFLICT);
}

static void the_running_that_was_missed_is_written_with_the_end(void **state UNUSED)
{
    int64_t seq = make("j-1", 1);
    struct job_change c = {
        .seq = seq,
        .attempt = 1,
        .at_ms = 3000,
        .started_ms = 2500,
        .n_steps = 1,
        .outcome = {.state = JOB_SUCCEEDED, .kind = JOB_EXIT_CODE, .text = "exit code 0"},
        .memory_peak_bytes = 5,
        .cpu_usec = 6,
        .log_bytes = 7,
        .steps = {{.to = JOB_SUCCEEDED, .reason = "exit code 0"}}};
    struct seen s = {.id = "j-1"};
    struct err e = {0};

    bring_to(seq, JOB_STARTING);
    assert_int_equal(state_write(state_of_test, apply, &c, &e), 0);
    assert_int_equal(state_read(state_of_test, look, &s, &e), 0);
    assert_int_equal(s.n, 4);
    assert_int_equal(s.h[2].state, JOB_RUNNING);
    assert_int_equal(s.h[2].at_ms, 2500);
    assert_int_equal(s.row.started_ms, 2500);
    assert_int_equal(s.row.finished_ms, 3000);
    assert_string_equal(s.row.exit_text, "exit code 0");
    assert_int_equal(s.row.memory_peak_bytes + s.row.cpu_usec + s.row.log_bytes, 18);
    arena_done(&s.a);
}

struct page {
    struct arena a;
    struct job_row *rows;
    size_t n;
    unsigned states;
    int64_t before, limit;
    struct str words;
};

static int read_page(struct state_db *db, void *ctx, struct err *e)
{
    struct page *p = ctx;
    struct job_filter f = {
        .project_id = 1, .before = p->before, .states = p->states, .words = p->words};

    return job_store_list(db, &f, p->limit, &p->a, &p->rows, &p->n, e);
}

static void pages_are_newest_first_and_of_one_project(void **state UNUSED)
{
    struct page p = {.limit = 3};
    int64_t seqs[10];
    char id[16];
    struct err e = {0};

    for (int i = 0; i < 10; i++) {
        (void)snprintf(id, sizeof(id), "j-%d", i);
        seqs[i] = make(id, i == 4 ? 2 : 1);
        if (i % 3 == 0) {
            assert_int_equal(move(seqs[i], 1, JOB_CANCELLED, &e), 0);
        }
    }
    assert_int_equal(state_read(state_of_test, read_page, &p, &e), 0);
    assert_int_equal(p.n, 3);
    assert_string_equal(p.rows[0].id, "j-9");
    p.before = p.rows[2].seq;
    p.limit = 100;
    assert_int_equal(state_read(state_of_test, read_page, &p, &e), 0);
    assert_int_equal(p.n, 6);
    assert_string_equal(p.rows[0].id, "j-6");
    p.before = 0;
    p.states = 1U << JOB_CANCELLED | 1U << JOB_RUNNING;
    assert_int_equal(state_read(state_of_test, read_page, &p, &e), 0);
    assert_int_equal(p.n, 4);
    assert_string_equal(p.rows[3].id, "j-0");
    p.states = (1U << JOB_STATES) - 1;
    p.limit = 2;
    assert_int_equal(state_read(state_of_test, read_page, &p, &e), 0);
    assert_int_equal(p.n, 2);
    assert_string_equal(p.rows[1].id, "j-8");
    arena_done(&p.a);
}

enum { MANY = 30000 };

static int insert_many(struct state_db *db, void *ctx UNUSED, struct err *e)
{
    for (int i = 0; i < MANY; i++) {
        char id[16];
        struct job_row r;

        (void)snprintf(id, sizeof(id), "j-%d", i);
        r = row_of(id, 1);
        if (job_store_insert(db, &r, e) < 0) {
            return -1;
        }
    }
    return 0;
}

static int plan(struct state_db *db, void *ctx, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e, ctx, "") < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        struct str detail = query_str(&q, 3);

        if ((str_find(detail, STR("SCAN jobs")) >= 0 &&
             str_find(detail, STR("jobs_unfinished")) < 0) ||
            str_find(detail, STR("TEMP")) >= 0) {
            return err_set(e, ERR_INTERNAL, "%.*s", STR_ARG(detail));
        }
    }
    return r;
}

static void lists_never_scan_the_table(void **state UNUSED)
{
    static const char *const texts[] = {
        "EXPLAIN QUERY PLAN SELECT * FROM jobs WHERE project_id = 1 AND seq < 9 ORDER BY seq DESC "
        "LIMIT 3",
        "EXPLAIN QUERY PLAN SELECT * FROM jobs WHERE project_id = 1 AND seq < 9 AND "
        "state = 'failed' ORDER BY seq DESC LIMIT 3",
        "EXPLAIN QUERY PLAN SELECT * FROM jobs INDEXED BY jobs_words WHERE project_id = 1 AND "
        "seq < 9 AND has_words('a', name, id, user, image) ORDER BY seq DESC LIMIT 3",
        "EXPLAIN QUERY PLAN SELECT * FROM jobs WHERE finished_ms IS NULL ORDER BY seq",
    };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct err e = {0};

        (void)!state_read(state_of_test, plan, (void *)texts[i], &e);
        assert_string_equal(e.msg, "");
    }
}

static void jobs_are_found_by_words_in_their_fields(void **state UNUSED)
{
    struct page p = {.limit = 10, .words = STR("J-1")};
    int64_t seqs[12];
    char id[16];
    struct err e = {0};

    for (int i = 0; i < 12; i++) {
        (void)snprintf(id, sizeof(id), "j-%d", i);
        seqs[i] = make(id, i == 11 ? 2 : 1);
    }
    assert_int_equal(move(seqs[10], 1, JOB_CANCELLED, &e), 0);
    assert_int_equal(state_read(state_of_test, read_page, &p, &e), 0);
    assert_int_equal(p.n, 2); /* j-10 and j-1; j-11 is of another project */
    assert_string_equal(p.rows[0].id, "j-10");
    p.states = 1U << JOB_QUEUED | 1U << JOB_RUNNING;
    assert_int_equal(state_read(state_of_test, read_page, &p, &e), 0);
    assert_int_equal(p.n, 1);
    p.words = STR("j-1 nothing-like-it");
    assert_int_equal(state_read(state_of_test, read_page, &p, &e), 0);
    assert_int_equal(p.n, 0);
    arena_done(&p.a);
}

static void a_page_of_a_long_table_costs_a_page(void **state UNUSED)
{
    struct page p = {.limit = 100, .states = 1U << JOB_QUEUED | 1U << JOB_RUNNING};
    struct err e = {0};
    int64_t began;

    assert_int_equal(state_write(state_of_test, insert_many, NULL, &e), 0);
    began = clock_mono_ms();
    for (int i = 0; i < 100; i++) {
        p.before = i % 2 ? 0 : MANY / 2;
        assert_int_equal(state_read(state_of_test, read_page, &p, &e), 0);
        assert_int_equal(p.n, 100);
        arena_reset(&p.a);
    }
    print_message("100 pages of 100 in %lld ms\n", (long long)(clock_mono_ms() - began));
    arena_done(&p.a);
}

struct gone {
    size_t n;
    char last[40];
};

static void note(void *ctx, struct str id, int64_t attempt, int64_t tries)
{
    struct gone *g = ctx;

    g->n++;
    (void)snprintf(g->last, sizeof(g->last), "%.*s %lld %lld", STR_ARG(id), (long long)attempt,
                   (long long)tries);
}

static int delete_it(struct state_db *db, void *ctx, struct err *e)
{
    return job_store_delete(db, 1, STR("j-1"), note, ctx, e);
}

static int set_tries(struct state_db *db, void *ctx, struct err *e)
{
    return job_store_set_tries(db, *(int64_t *)ctx, 1, 4, e);
}

static void deleting_names_every_container_that_was_tried(void **state UNUSED)
{
    int64_t seq = make("j-1", 1);
    struct gone g = {0};
    struct err e = {0};

    assert_int_equal(state_write(state_of_test, delete_it, &g, &e), -1);
    assert_int_equal(e.kind, ERR_CONFLICT);
    assert_string_equal(e.msg, "job j-1 is queued: cancel it first");
    bring_to(seq, JOB_STARTING);
    assert_int_equal(state_write(state_of_test, set_tries, &seq, &e), 0);
    assert_int_equal(move(seq, 1, JOB_FAILED, &e), 0);
    assert_int_equal(state_write(state_of_test, delete_it, &g, &e), 0);
    assert_int_equal(g.n, 2);
    assert_string_equal(g.last, "j-1 1 1");
    assert_int_equal(state_write(state_of_test, delete_it, &g, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_state, close_state)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_change_but_the_legal_ones_is_written),
        TEST(an_end_and_its_retry_are_one_transaction),
        TEST(the_running_that_was_missed_is_written_with_the_end),
        TEST(pages_are_newest_first_and_of_one_project),
        TEST(lists_never_scan_the_table),
        TEST(jobs_are_found_by_words_in_their_fields),
        TEST(a_page_of_a_long_table_costs_a_page),
        TEST(deleting_names_every_container_that_was_tried),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
