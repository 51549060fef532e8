/* The rows of pipelines, runs and modules: who overwrites whom, and how many there may be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "access/access.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "pipeline/pipeline_priv.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char dir[64];
static struct state *st;
static struct arena a;

static int projects_fn(struct state_db *db, void *ctx UNUSED, struct err *e)
{
    return state_run(db, e,
                     "INSERT INTO projects(id, name, slot, created_ms, created_by) VALUES"
                     " (1, 'one', 1, 0, 'ada'), (2, 'two', 2, 0, 'ada')",
                     "");
}

static int open_all(void **arg UNUSED)
{
    static const struct state_schema *const schemas[] = {&access_schema, &pipeline_schema, NULL};
    struct err e = {0};
    char path[128];

    (void)snprintf(dir, sizeof(dir), "/tmp/strata-pipeline-XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/state.db", dir);
    st = state_open(path, schemas, &e);
    assert_string_equal(e.msg, "");
    (void)!state_write(st, projects_fn, NULL, &e);
    assert_string_equal(e.msg, "");
    return 0;
}

static int close_all(void **arg UNUSED)
{
    struct err e;

    state_close(st);
    arena_done(&a);
    return fs_remove_tree(AT_FDCWD, dir, &e);
}

/* --- pipelines --- */

static int put_fn(struct state_db *db, void *ctx, struct err *e)
{
    return pipeline_store_put(db, ctx, e);
}

static int64_t put(const char *name, int64_t seen, const char *document, bool may_run,
                   struct err *e)
{
    struct pipeline_put p = {.project_id = 1,
                             .seen = seen,
                             .name = str_of(name),
                             .document = str_of(document),
                             .by = "ada",
                             .may_run = may_run};

    return state_write(st, put_fn, &p, e) < 0 ? -1 : p.version;
}

static void nobody_overwrites_what_he_has_not_seen(void **arg UNUSED)
{
    struct err e;

    assert_int_equal(put("kept", PIPELINE_NONE, "{\"a\":1}", true, &e), 1);
    assert_int_equal(put("kept", PIPELINE_NONE, "{\"a\":2}", true, &e), -1);
    assert_int_equal(e.kind, ERR_CONFLICT);
    assert_int_equal(put("kept", 1, "{\"a\":2}", true, &e), 2);
    assert_int_equal(put("kept", 1, "{\"a\":3}", true, &e), -1);
    assert_non_null(strstr(e.msg, "version 2 by now"));
    assert_int_equal(put("kept", 2, "{\"a\":2}", true, &e), 2); /* as it is: no version */
    assert_int_equal(put("gone", 7, "{}", true, &e), -1);
    assert_non_null(strstr(e.msg, "is gone"));
}

struct count {
    const char *sql;
    int64_t n;
};

static int count_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct count *c = ctx;

    return state_one_i64(db, &c->n, e, "", c->sql, "");
}

static int64_t count(const char *sql)
{
    struct count c = {.sql = sql};
    struct err e = {0};

    (void)!state_read(st, count_fn, &c, &e);
    assert_string_equal(e.msg, "");
    return c.n;
}

static void old_versions_give_way_to_large_ones(void **arg UNUSED)
{
    size_t each = 900 * KIB, fit = LIMIT_PIPELINE_VERSIONS_BYTES / (900 * KIB);
    SCOPED(freep) char *text = xcalloc(1, each + 1);
    struct err e = {0};

    memset(text, 'x', each);
    for (size_t i = 0; i < fit + 3; i++) {
        text[0] = (char)('a' + i);
        assert_int_equal(put("large", PIPELINE_ANY, text, true, &e), (int64_t)i + 1);
    }
    assert_int_equal(count("SELECT count(*) FROM pipeline_versions v JOIN pipelines p ON p.id ="
                           " v.pipeline_id WHERE p.name = 'large'"),
                     (int64_t)fit);
    assert_int_equal(count("SELECT min(v.version) FROM pipeline_versions v JOIN pipelines p ON p.id"
                           " = v.pipeline_id WHERE p.name = 'large'"),
                     4);
}

/* --- what runs by the clock --- */

static int schedule_fn(struct state_db *db, void *ctx UNUSED, struct err *e)
{
    return state_run(db, e, "UPDATE pipelines SET schedule = '{}' WHERE name = 'timed'", "");
}

struct module_put {
    int64_t project_id;
    struct module_row row;
};

static int module_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct module_put *p = ctx;

    return module_store_put(db, p->project_id, &p->row, e);
}

static int bring(int64_t project_id, const char *name, struct err *e)
{
    struct module_put p = {project_id, {.name = name, .component = "x", .updated_by = "eve"}};

    return state_write(st, module_fn, &p, e);
}

static void who_may_not_run_changes_nothing_that_runs_by_the_clock(void **arg UNUSED)
{
    struct err e = {0};

    assert_int_equal(
        put("timed", PIPELINE_ANY, "{\"nodes\":{\"n\":{\"module\":\"own\"}}}", true, &e), 1);
    assert_int_equal(state_write(st, schedule_fn, NULL, &e), 0);
    assert_int_equal(put("timed", PIPELINE_ANY, "{}", false, &e), -1);
    assert_int_equal(e.kind, ERR_FORBIDDEN);
}

static void a_project_has_so_many_modules_and_no_more(void **arg UNUSED)
{
    struct err e = {0};
    char name[32];

    for (int i = 0; i <= LIMIT_MODULES; i++) {
        (void)snprintf(name, sizeof(name), "m%d", i);
        (void)!bring(2, name, &e);
    }
    assert_int_equal(count("SELECT count(*) FROM pipeline_modules WHERE project_id = 2"),
                     LIMIT_MODULES);
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_int_equal(bring(2, "m1", &e), 0); /* another text of one that is there */
}

/* --- runs --- */

struct many {
    int64_t project_id, wanted, made;
};

static int runs_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct many *m = ctx;

    for (; m->made < m->wanted; m->made++) {
        struct run_row run = {.project_id = m->project_id,
                              .project = "p",
                              .pipeline = "x",
                              .document = "{}",
                              .params = "{}",
                              .by = "ada"};

        if (run_store_insert(db, &run, NULL, 0, e) < 0) {
            return -1;
        }
    }
    return 0;
}

static void one_project_leaves_room_for_the_runs_of_others(void **arg UNUSED)
{
    struct many first = {1, LIMIT_RUNS_ACTIVE_PROJECT, 0}, more = {1, 1, 0}, other = {2, 1, 0};
    struct err e = {0};

    assert_int_equal(state_write(st, runs_fn, &first, &e), 0);
    assert_int_equal(state_write(st, runs_fn, &more, &e), -1);
    assert_int_equal(e.kind, ERR_THROTTLED);
    assert_non_null(strstr(e.msg, "of the project"));
    assert_int_equal(state_write(st, runs_fn, &other, &e), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_overwrites_what_he_has_not_seen),
        cmocka_unit_test(old_versions_give_way_to_large_ones),
        cmocka_unit_test(who_may_not_run_changes_nothing_that_runs_by_the_clock),
        cmocka_unit_test(a_project_has_so_many_modules_and_no_more),
        cmocka_unit_test(one_project_leaves_room_for_the_runs_of_others),
    };

    return cmocka_run_group_tests(tests, open_all, close_all);
}
