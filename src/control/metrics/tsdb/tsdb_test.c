#include "base/fs.h"
#include "base/limits.h"
#include "tsdb/checkpoint.h"
#include "tsdb/tsdb_priv.h"

#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];
static struct err e;
static struct tsdb_options options;

static int make_dir(void **state UNUSED)
{
    options = (struct tsdb_options){.block_ms = 7200000, .max_series = 100000};
    (void)snprintf(dir, sizeof(dir), "/tmp/tsdb-test-XXXXXX");
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static int remove_dir(void **state UNUSED)
{
    return fs_remove_tree(AT_FDCWD, dir, &e);
}

static struct tsdb *open_db(void)
{
    struct tsdb *db = tsdb_open(dir, &options, &e);

    if (db == NULL) {
        print_error("%s\n", e.msg);
    }
    assert_non_null(db);
    return db;
}

/* {__name__=name, i=number} */
static tsdb_ref series(struct tsdb_appender *a, const char *name, int number)
{
    char text[16];
    struct label l[2] = {{STR("__name__"), str_of(name)}, {STR("i"), {text, 0}}};

    l[1].value.len = (size_t)snprintf(text, sizeof(text), "%d", number);
    return tsdb_series(a, (struct labels){l, 2});
}

static void commit(struct tsdb_appender *a, enum tsdb_durability d)
{
    if (tsdb_commit(a, d, &e) < 0) {
        print_error("%s\n", e.msg);
        fail();
    }
}

/* n samples of each of `count` series, a second apart, from `from` seconds on. */
static void fill(struct tsdb *db, int count, int64_t from, int n)
{
    SCOPED(tsdb_appender_freep) struct tsdb_appender *a = tsdb_appender_new(db);

    for (int k = 0; k < n; k++) {
        for (int i = 0; i < count; i++) {
            assert_int_equal(
                tsdb_append(a, series(a, "m", i), (from + k) * 1000, (double)((from + k) * 10 + i)),
                TSDB_TAKEN);
        }
        commit(a, TSDB_SOON);
    }
}

/* All series that one matcher takes, all samples of them: how many of each, checked when they come
 * from fill(). */
static size_t count_samples(struct tsdb_view *v, const char *name, enum label_match op,
                            const char *value, size_t *n_series)
{
    struct arena a = {0};
    struct label_matcher m;
    struct tsdb_found *found;
    struct tsdb_samples s = {0};
    size_t len, total = 0;

    assert_int_equal(label_matcher_init(&m, &a, str_of(name), op, str_of(value), &e), 0);
    assert_int_equal(tsdb_select(v, &m, 1, &a, &found, &len, &e), 0);
    for (size_t i = 0; i < len; i++) {
        int64_t number = strtoll(labels_get(found[i].labels, STR("i")).p, NULL, 10);

        assert_int_equal(tsdb_read(v, &found[i], INT64_MIN, INT64_MAX, &s, &e), 0);
        for (size_t k = 0; k < s.len; k++) {
            assert_true(s.v[k] == (double)(s.ts_ms[k] / 100 + number));
            assert_true(k == 0 || s.ts_ms[k] > s.ts_ms[k - 1]);
        }
        assert_true(i == 0 || labels_cmp(found[i - 1].labels, found[i].labels) < 0);
        total += s.len;
    }
    tsdb_samples_done(&s);
    arena_done(&a);
    *n_series = len;
    return total;
}

static size_t count_all(struct tsdb *db)
{
    SCOPED(tsdb_view_closep) struct tsdb_view *v = tsdb_view_open(db, INT64_MIN, INT64_MAX);
    size_t n;

    return count_samples(v, "__name__", LABEL_IS, "m", &n);
}

/* Does it in a process that ends as by kill -9. */
static void killed_after(void (*work)(struct tsdb *db))
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        struct tsdb *db = tsdb_open(dir, &options, &e);

        if (db != NULL) {
            work(db);
        }
        _exit(db == NULL);
    }
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    assert_int_equal(status, 0);
}

static void hundred_of_ten(struct tsdb *db)
{
    fill(db, 10, 1, 100);
}

static void what_was_committed_is_read(void **state UNUSED)
{
    struct tsdb *db = open_db();

    fill(db, 20, 1000, 300);
    assert_int_equal(count_all(db), 20 * 300);
    tsdb_close(db);
}

static void what_was_committed_is_there_after_a_restart(void **state UNUSED)
{
    struct tsdb *db;

    killed_after(hundred_of_ten);
    db = open_db();
    assert_int_equal(count_all(db), 1000);
    for (int turn = 10; turn < 14; turn++) {
        fill(db, 20, 1000 + turn * 100, 100);
        tsdb_close(db);
        db = open_db();
        assert_int_equal(count_all(db), 1000 + 20 * 100 * (turn - 9));
    }
    tsdb_close(db);
}

static void nothing_is_seen_before_the_commit(void **state UNUSED)
{
    struct tsdb *db = open_db();
    struct tsdb_appender *a = tsdb_appender_new(db);
    struct tsdb_view *v;
    size_t n;

    fill(db, 1, 1, 100);
    assert_int_equal(tsdb_append(a, series(a, "m", 0), 200000, 2000), TSDB_TAKEN);
    assert_int_equal(tsdb_append(a, series(a, "m", 7), 200000, 2007), TSDB_TAKEN);
    v = tsdb_view_open(db, INT64_MIN, INT64_MAX);
    commit(a, TSDB_DURABLE);
    assert_int_equal(count_samples(v, "i", LABEL_LIKE, ".+", &n), 100);
    assert_int_equal(n, 1);
    fill(db, 1, 300, 100); /* through several runs */
    assert_int_equal(count_samples(v, "i", LABEL_LIKE, ".+", &n), 100);
    tsdb_view_close(v);
    assert_int_equal(count_all(db), 202);
    tsdb_appender_free(a);
    tsdb_close(db);
}

/* A client, or a peer of remote write, that is slow at taking it. */
static void nothing_is_remembered_for_who_has_selected(void **state UNUSED)
{
    struct tsdb *db = open_db();
    struct tsdb_view *v, *w;
    struct tsdb_samples s = {0};
    struct tsdb_found *found;
    struct label_matcher m;
    struct arena a = {0};
    size_t n;

    fill(db, 10, 1, 10);
    v = tsdb_view_open(db, INT64_MIN, INT64_MAX);
    w = tsdb_view_open(db, INT64_MIN, INT64_MAX);
    fill(db, 10, 11, 10);
    assert_int_equal(db->undo.len, 100);
    tsdb_view_selected(v);
    tsdb_view_selected(v);
    assert_int_equal(db->undo.len, 100);
    assert_int_equal(label_matcher_init(&m, &a, STR("i"), LABEL_IS, STR("3"), &e), 0);
    assert_int_equal(tsdb_select(w, &m, 1, &a, &found, &n, &e), 0);
    assert_int_equal(n, 1);
    tsdb_view_selected(w);
    assert_int_equal(db->undo.len, 0);
    fill(db, 10, 21, 200);
    assert_int_equal(db->undo.len, 0);
    assert_int_equal(tsdb_read(w, &found[0], INT64_MIN, INT64_MAX, &s, &e), 0);
    assert_int_equal(s.len, 10); /* what there was when the view began */
    tsdb_view_close(v);
    tsdb_view_close(w);
    assert_int_equal(db->n_views, 0);
    tsdb_samples_done(&s);
    arena_done(&a);
    tsdb_close(db);
}

static void a_batch_without_commit_leaves_nothing(void **state UNUSED)
{
    struct tsdb *db = open_db();
    struct tsdb_appender *a = tsdb_appender_new(db);

    assert_int_equal(tsdb_append(a, series(a, "m", 0), 1000, 10), TSDB_TAKEN);
    tsdb_appender_free(a);
    assert_int_equal(count_all(db), 0);
    fill(db, 1, 2, 1);
    tsdb_close(db);
    db = open_db();
    assert_int_equal(count_all(db), 1);
    tsdb_close(db);
}

static void only_the_stores_own_limit_counts_as_full(void **state UNUSED)
{
    struct label many[LIMIT_SERIES_LABELS + 1], own = {STR("i"), STR("0")};
    struct arena names = {0};
    struct tsdb *db = open_db();
    struct tsdb_appender *a = tsdb_appender_new(db);
    struct tsdb_status status;

    for (size_t i = 0; i < ARRAY_LEN(many); i++) {
        many[i] = (struct label){str_of(arena_printf(&names, "l%03zu", i)), STR("v")};
    }
    assert_true(tsdb_series(a, (struct labels){many, ARRAY_LEN(many)}) == 0);
    tsdb_appender_limit(a, own, 0);
    assert_true(series(a, "m", 0) == 0);
    tsdb_status(db, &status);
    assert_true(status.series_refused == 0 && status.full_since_ms == 0);
    tsdb_appender_free(a);
    tsdb_close(db);
    arena_done(&names);
}

static void samples_that_are_not_taken_say_why(void **state UNUSED)
{
    struct tsdb *db;
    struct tsdb_appender *a;
    struct tsdb_status status;
    tsdb_ref s;

    options.out_of_order_ms = 10000;
    options.max_series = 2;
    db = open_db();
    a = tsdb_appender_new(db);
    s = series(a, "m", 0);
    assert_int_equal(tsdb_append(a, s, 100000, 1000), TSDB_TAKEN);
    assert_int_equal(tsdb_append(a, s, 100000, 1000), TSDB_TAKEN);
    assert_int_equal(tsdb_append(a, s, 100000, 1001), TSDB_DUPLICATE);
    assert_int_equal(tsdb_append(a, s, 95000, 950), TSDB_TAKEN);
    commit(a, TSDB_SOON);
    assert_int_equal(tsdb_append(a, s, 94000, 940), TSDB_TAKEN);
    assert_int_equal(tsdb_append(a, s, 89999, 1), TSDB_TOO_OLD);
    assert_int_equal(tsdb_append(a, 12345, 89999, 1), TSDB_GONE);
    assert_true(series(a, "m", 1) != 0);
    tsdb_status(db, &status);
    assert_true(status.series_refused == 0 && status.full_since_ms == 0);
    assert_true(series(a, "m", 2) == 0);
    tsdb_status(db, &status);
    assert_true(status.series_refused == 1 && status.full_since_ms != 0);
    assert_int_equal(tsdb_append(a, 0, 1, 1), TSDB_TOO_MANY_SERIES);
    assert_int_equal(tsdb_append(a, s, 101000, 1010), TSDB_TAKEN);
    commit(a, TSDB_SOON);
    tsdb_appender_free(a);
    assert_int_equal(count_all(db), 4);
    tsdb_close(db);
    db = open_db();
    assert_int_equal(count_all(db), 4);
    tsdb_close(db);
    options.out_of_order_ms = 0;
    db = open_db();
    a = tsdb_appender_new(db);
    assert_int_equal(tsdb_append(a, series(a, "m", 0), 100500, 1), TSDB_OUT_OF_ORDER);
    tsdb_appender_free(a);
    tsdb_close(db);
}

static void late_samples_stand_where_they_belong(void **state UNUSED)
{
    struct tsdb *db;
    struct tsdb_appender *a;

    options.out_of_order_ms = 1000000;
    db = open_db();
    a = tsdb_appender_new(db);
    for (int k = 0; k < 500; k += 2) {
        assert_int_equal(tsdb_append(a, series(a, "m", 0), k * 1000, k * 10), TSDB_TAKEN);
    }
    commit(a, TSDB_SOON);
    for (int k = 499; k > 0; k -= 2) {
        assert_int_equal(tsdb_append(a, series(a, "m", 0), k * 1000, k * 10), TSDB_TAKEN);
        commit(a, TSDB_SOON);
    }
    tsdb_appender_free(a);
    assert_int_equal(count_all(db), 500);
    tsdb_close(db);
    db = open_db();
    assert_int_equal(count_all(db), 500);
    tsdb_close(db);
}

/* What two appenders took of one series at once: each time has its value, also after a kill. */
static void two_at_once(struct tsdb *db)
{
    struct tsdb_appender *older = tsdb_appender_new(db), *newer = tsdb_appender_new(db);
    tsdb_ref s = series(older, "m", 0);

    assert_int_equal(tsdb_append(older, s, 1000, 10), TSDB_TAKEN);
    commit(older, TSDB_SOON);
    assert_int_equal(tsdb_append(older, s, 5000, 50), TSDB_TAKEN);
    assert_int_equal(tsdb_append(newer, s, 4000, 40), TSDB_TAKEN);
    assert_int_equal(tsdb_append(older, s, 2000, 20), TSDB_TAKEN);
    assert_int_equal(tsdb_append(newer, s, 7000, 70), TSDB_TAKEN);
    assert_int_equal(tsdb_append(newer, s, 3000, 30), TSDB_TAKEN);
    assert_int_equal(tsdb_append(older, s, 6000, 60), TSDB_TAKEN);
    commit(newer, TSDB_SOON);
    commit(older, TSDB_SOON);
    assert_int_equal(tsdb_append(older, s, 9000, 90), TSDB_TAKEN);
    assert_int_equal(tsdb_append(newer, s, 8000, 80), TSDB_TAKEN);
    commit(older, TSDB_SOON);
    commit(newer, TSDB_SOON);
    assert_int_equal(count_all(db), 9);
    tsdb_appender_free(older);
    tsdb_appender_free(newer);
}

static void two_appenders_of_one_series_lose_nothing(void **state UNUSED)
{
    struct tsdb *db;

    options.out_of_order_ms = 1000000;
    killed_after(two_at_once);
    db = open_db();
    assert_int_equal(count_all(db), 9);
    tsdb_close(db);
}

static void matchers_choose_series(void **state UNUSED)
{
    struct tsdb *db = open_db();
    struct tsdb_view *v;
    size_t n;
    static const struct {
        const char *name, *value;
        enum label_match op;
        size_t n;
    } rows[] = {
        {"i", "7", LABEL_IS, 1},          {"i", "7", LABEL_IS_NOT, 99},
        {"i", "1.*", LABEL_LIKE, 11},     {"i", "1|2|300", LABEL_LIKE, 2},
        {"i", "1.*", LABEL_NOT_LIKE, 89}, {"none", "", LABEL_IS, 100},
        {"i", "", LABEL_IS, 0},           {"i", "", LABEL_IS_NOT, 100},
        {"none", ".*", LABEL_LIKE, 100},  {"none", ".+", LABEL_LIKE, 0},
        {"i", ".*", LABEL_NOT_LIKE, 0},   {"none", "x", LABEL_IS_NOT, 100},
    };

    fill(db, 100, 1, 1);
    v = tsdb_view_open(db, 0, 10000);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        (void)count_samples(v, rows[i].name, rows[i].op, rows[i].value, &n);
        assert_int_equal(n, rows[i].n);
    }
    tsdb_view_close(v);
    v = tsdb_view_open(db, 1000, 10000); /* left open */
    (void)count_samples(v, "i", LABEL_LIKE, ".+", &n);
    assert_int_equal(n, 0);
    tsdb_view_close(v);
    tsdb_close(db);
}

/* A regular expression that takes too long at a value says nothing of it to him whose other
 * matchers leave it out. */
static void matchers_tell_nothing_of_other_series(void **state UNUSED)
{
    static const char long_one[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    struct tsdb *db = open_db();
    struct tsdb_appender *w = tsdb_appender_new(db);
    struct tsdb_view *v;
    struct arena a = {0};

    for (int i = 0; i < 2; i++) {
        struct label l[3] = {{STR("__name__"), STR("m")},
                             {STR("job"), str_of(i == 0 ? "ok" : long_one)},
                             {STR("project"), str_of(i == 0 ? "a" : "b")}};

        assert_int_equal(tsdb_append(w, tsdb_series(w, (struct labels){l, 3}), 1000, 1),
                         TSDB_TAKEN);
    }
    commit(w, TSDB_SOON);
    tsdb_appender_free(w);
    v = tsdb_view_open(db, 0, 10000);
    for (int i = 0; i < 8; i++) {
        bool sees = i % 2, like = i / 2 % 2, is_not = i / 4;
        struct label_matcher m[2];
        struct tsdb_found *found;
        size_t n;

        assert_int_equal(label_matcher_init(&m[0], &a, STR("project"), like ? LABEL_LIKE : LABEL_IS,
                                            like   ? str_of(sees ? "b|c" : "a|c")
                                            : sees ? STR("b")
                                                   : STR("a"),
                                            &e),
                         0);
        assert_int_equal(label_matcher_init(&m[1], &a, STR("job"),
                                            is_not ? LABEL_NOT_LIKE : LABEL_LIKE,
                                            STR("(x+x+)+[yz]|o[k]"), &e),
                         0);
        assert_int_equal(tsdb_select(v, m, 2, &a, &found, &n, &e), sees ? -1 : 0);
        assert_int_equal(sees ? 1 : n, sees ? 1 : is_not ? 0 : 1);
    }
    tsdb_view_close(v);
    tsdb_close(db);
    arena_done(&a);
}

static void names_and_values_are_listed(void **state UNUSED)
{
    struct tsdb *db = open_db();
    struct tsdb_view *v;
    struct arena a = {0};
    struct label_matcher m;
    struct str *list;
    size_t len;

    fill(db, 12, 1, 1);
    v = tsdb_view_open(db, 0, 10000);
    assert_int_equal(tsdb_label_names(v, NULL, 0, 0, &a, &list, &len, &e), 0);
    assert_int_equal(len, 2);
    assert_true(str_eq_c(list[0], "__name__") && str_eq_c(list[1], "i"));
    assert_int_equal(tsdb_label_values(v, STR("i"), NULL, 0, 3, &a, &list, &len, &e), 0);
    assert_int_equal(len, 3);
    assert_true(str_eq_c(list[2], "10"));
    assert_int_equal(label_matcher_init(&m, &a, STR("i"), LABEL_LIKE, STR("1."), &e), 0);
    assert_int_equal(tsdb_label_values(v, STR("i"), &m, 1, 0, &a, &list, &len, &e), 0);
    assert_int_equal(len, 2);
    arena_done(&a);
    tsdb_view_close(v);
    tsdb_close(db);
}

/* Writes over bytes of the only segment of the log. */
static void damage_log(off_t at, const char *with)
{
    char path[128];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/wal/00000001", dir);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, with, strlen(with), at), (ssize_t)strlen(with));
    (void)close(fd);
}

static void a_damaged_record_costs_itself(void **state UNUSED)
{
    struct tsdb *db;
    struct tsdb_status s;

    killed_after(hundred_of_ten);
    damage_log(3020, "!");
    db = open_db();
    assert_int_equal(count_all(db), 10 * 99);
    tsdb_status(db, &s);
    assert_int_equal(s.damaged, 1);
    fill(db, 10, 200, 1);
    assert_int_equal(count_all(db), 10 * 100);
    tsdb_close(db);
}

/* --- blocks --- */

static void cut(struct tsdb *db, int64_t end_sec)
{
    work_begin(db);
    if (head_cut(db, end_sec * 1000, &e) < 0) {
        print_error("%s\n", e.msg);
        fail();
    }
    work_end(db);
}

static void merge_all(struct tsdb *db)
{
    bool any = true;

    work_begin(db);
    while (any) {
        assert_int_equal(blocks_compact(db, &any, &e), 0);
    }
    work_end(db);
}

static void what_is_cut_is_read_from_blocks(void **state UNUSED)
{
    struct tsdb *db;
    struct tsdb_status s;

    options.block_ms = 100000;
    db = open_db();
    fill(db, 20, 1000, 350);
    cut(db, 1300);
    assert_int_equal(db->blocks.len, 3);
    assert_int_equal(count_all(db), 20 * 350);
    tsdb_status(db, &s);
    assert_int_equal(s.series, 20);
    fill(db, 30, 1350, 50);
    cut(db, 1400);
    assert_int_equal(count_all(db), 20 * 350 + 30 * 50);
    tsdb_status(db, &s);
    assert_int_equal(s.series, 0);
    tsdb_close(db);
    db = open_db();
    assert_int_equal(count_all(db), 20 * 350 + 30 * 50);
    fill(db, 30, 1400, 50);
    merge_all(db);
    assert_int_equal(db->blocks.len, 3); /* 900 to 1200, and of 1200 to 1500 what there is */
    assert_int_equal(count_all(db), 20 * 350 + 30 * 100);
    tsdb_close(db);
    db = open_db();
    assert_int_equal(count_all(db), 20 * 350 + 30 * 100);
    tsdb_close(db);
}

static void delete_one(struct tsdb *db, const char *value, int64_t from_sec, int64_t to_sec)
{
    struct arena a = {0};
    struct label_matcher m;

    assert_int_equal(label_matcher_init(&m, &a, STR("i"), LABEL_IS, str_of(value), &e), 0);
    assert_int_equal(tsdb_delete(db, &m, 1, from_sec * 1000, to_sec * 1000, &e), 0);
    arena_done(&a);
}

static void what_is_deleted_is_not_read_again(void **state UNUSED)
{
    struct tsdb *db;

    options.block_ms = 100000;
    db = open_db();
    fill(db, 3, 1000, 200);
    cut(db, 1100);
    delete_one(db, "1", 1090, 1109);
    assert_int_equal(count_all(db), 600 - 20);
    delete_one(db, "2", INT64_MIN / 1000, INT64_MAX / 1000);
    assert_int_equal(count_all(db), 400 - 20);
    fill(db, 3, 1200, 10); /* what comes later counts */
    assert_int_equal(count_all(db), 400 - 20 + 30);
    tsdb_close(db);
    for (int turn = 0; turn < 3; turn++) {
        db = open_db();
        assert_int_equal(count_all(db), 400 - 20 + 30);
        if (turn == 0) {
            cut(db, 1200);
            assert_int_equal(count_all(db), 400 - 20 + 30);
        }
        merge_all(db);
        assert_int_equal(count_all(db), 400 - 20 + 30);
        tsdb_close(db);
    }
}

static size_t count_series(struct tsdb *db)
{
    SCOPED(tsdb_view_closep) struct tsdb_view *v = tsdb_view_open(db, INT64_MIN, INT64_MAX);
    size_t n;

    (void)count_samples(v, "__name__", LABEL_IS, "m", &n);
    return n;
}

static void end_series(struct tsdb *db, int number, int64_t at)
{
    SCOPED(tsdb_appender_freep) struct tsdb_appender *a = tsdb_appender_new(db);

    assert_int_equal(tsdb_append(a, series(a, "m", number), at * 1000, tsdb_stale()), TSDB_TAKEN);
    commit(a, TSDB_SOON);
}

static void nobody_finds_what_is_deleted_until_more_comes(void **state UNUSED)
{
    struct tsdb *db;

    options.block_ms = 100000;
    db = open_db();
    fill(db, 3, 1000, 200);
    cut(db, 1100);
    delete_one(db, "2", INT64_MIN / 1000, INT64_MAX / 1000);
    assert_int_equal(count_series(db), 2); /* in the head, and in the block */
    end_series(db, 2, 1200);
    assert_int_equal(count_series(db), 2);
    tsdb_close(db);
    db = open_db();
    assert_int_equal(count_series(db), 2);
    fill(db, 2, 1201, 1);
    cut(db, 1200);
    assert_int_equal(count_series(db), 2);
    assert_int_equal(db->head.n_series, 2); /* nothing is left of it */
    fill(db, 3, 1202, 1);
    assert_int_equal(count_series(db), 3);
    assert_int_equal(count_all(db), 2 * 202 + 1);
    tsdb_close(db);
}

/* Killed between the two files of a block that retention removes: the next one takes its number. */
static void what_was_deleted_of_a_block_goes_with_it(void **state UNUSED)
{
    struct tsdb *db;

    options.block_ms = 100000;
    db = open_db();
    fill(db, 3, 1000, 200);
    cut(db, 1100);
    delete_one(db, "1", 1000, 1999);
    assert_int_equal(db->blocks.len, 1);
    assert_int_equal(unlinkat(db->blocks_dir, "00000001", 0), 0);
    tsdb_close(db);
    db = open_db();
    assert_int_equal(count_all(db), 200);
    fill(db, 3, 1200, 100);
    cut(db, 1300);
    assert_int_equal(count_all(db), 500);
    tsdb_close(db);
    db = open_db();
    assert_int_equal(count_all(db), 500);
    tsdb_close(db);
}

/* The keeper may have been there before: the answer is the same. */
static void deleted_samples_leave_their_blocks_when_it_is_asked(void **state UNUSED)
{
    struct tsdb *db;

    options.block_ms = 100000;
    db = open_db();
    fill(db, 3, 1000, 200);
    cut(db, 1100);
    delete_one(db, "1", 1000, 1050);
    assert_int_equal(tsdb_clean(db, &e), 0);
    assert_int_equal(db->blocks.len, 1);
    assert_int_equal(db->blocks.p[0]->n_deleted, 0);
    assert_true(db->blocks.p[0]->number > 1);
    assert_int_equal(count_all(db), 600 - 51);
    tsdb_close(db);
}

static bool is_over(void *ctx)
{
    return ++*(int *)ctx > 2;
}

static void who_has_no_patience_chooses_no_series(void **state UNUSED)
{
    struct tsdb *db = open_db();
    struct tsdb_view *v;
    struct arena a = {0};
    struct label_matcher m;
    struct tsdb_found *found;
    size_t n;
    int asked = 0;

    fill(db, 100, 1, 1);
    v = tsdb_view_open(db, 0, 10000);
    tsdb_view_heed(v, is_over, &asked);
    assert_int_equal(label_matcher_init(&m, &a, STR("i"), LABEL_LIKE, STR("[0-9]+"), &e), 0);
    assert_int_equal(tsdb_select(v, &m, 1, &a, &found, &n, &e), -1);
    assert_int_equal(e.kind, ERR_TIMEOUT);
    assert_int_equal(asked, 3);
    tsdb_view_close(v);
    arena_done(&a);
    tsdb_close(db);
}

/* Of a chain of runs, a view reads those that it asks for, wherever they are in it. */
static void a_view_reads_the_middle(void **state UNUSED)
{
    struct tsdb *db = open_db();
    size_t n;

    fill(db, 1, 1, 1000);
    for (int from = 0; from < 1000; from += 37) {
        SCOPED(tsdb_view_closep)
        struct tsdb_view *v = tsdb_view_open(db, from * 1000LL, (from + 100) * 1000LL);
        struct arena a = {0};
        struct label_matcher m;
        struct tsdb_found *found;
        struct tsdb_samples s = {0};

        assert_int_equal(label_matcher_init(&m, &a, STR("i"), LABEL_IS, STR("0"), &e), 0);
        assert_int_equal(tsdb_select(v, &m, 1, &a, &found, &n, &e), 0);
        assert_int_equal(tsdb_read(v, &found[0], from * 1000LL, (from + 100) * 1000LL, &s, &e), 0);
        assert_int_equal(s.len, from + 100 > 1000 ? 1000 - from : 100);
        tsdb_samples_done(&s);
        arena_done(&a);
    }
    tsdb_close(db);
}

static void a_snapshot_is_a_store(void **state UNUSED)
{
    struct tsdb *db, *copy;
    char to[128];

    options.block_ms = 100000;
    db = open_db();
    fill(db, 10, 1000, 250);
    cut(db, 1100);
    delete_one(db, "3", 1050, 1059);
    (void)snprintf(to, sizeof(to), "%s/snapshot", dir);
    assert_int_equal(tsdb_snapshot(db, to, &e), 0);
    fill(db, 10, 1250, 250);
    cut(db, 1300);
    copy = tsdb_open(to, &options, &e);
    assert_non_null(copy);
    assert_int_equal(count_all(copy), 2490);
    tsdb_close(copy);
    assert_int_equal(count_all(db), 4990);
    assert_int_equal(tsdb_snapshot(db, to, &e), -1); /* it is there */
    tsdb_close(db);
}

static void what_is_gone_takes_no_memory(void **state UNUSED)
{
    struct tsdb *db;
    struct arena a = {0};
    struct tsdb_tops tops;

    options.block_ms = 100000;
    db = open_db();
    fill(db, 500, 1000, 2);
    cut(db, 1100);
    fill(db, 3, 1100, 2);
    work_begin(db);
    head_drop_texts(db);
    assert_int_equal(db->head.index->n_pairs, 4);
    work_end(db);
    assert_int_equal(count_all(db), 1006);
    tsdb_tops(db, 2, &a, &tops);
    assert_int_equal(tops.label_pairs, 4);
    assert_int_equal(tops.n_pairs, 2);
    assert_true(str_eq_c(tops.series_by_name[0].name, "m") && tops.series_by_name[0].n == 3);
    assert_true(str_eq_c(tops.values_by_label[0].name, "i") && tops.values_by_label[0].n == 3);
    arena_done(&a);
    tsdb_close(db);
    db = open_db();
    assert_int_equal(count_all(db), 1006);
    tsdb_close(db);
}

static void a_batch_outlives_what_the_head_forgets(void **state UNUSED)
{
    struct tsdb *db;
    struct tsdb_appender *a;
    tsdb_ref s;

    options.block_ms = 100000;
    db = open_db();
    fill(db, 2, 1000, 10);
    a = tsdb_appender_new(db);
    s = series(a, "m", 0);
    assert_int_equal(tsdb_append(a, s, 1200000, 12000), TSDB_TAKEN);
    assert_int_equal(tsdb_append(a, series(a, "m", 5), 1200000, 12005), TSDB_TAKEN);
    cut(db, 1100);
    commit(a, TSDB_SOON);
    assert_int_equal(count_all(db), 22);
    assert_int_equal(tsdb_append(a, s, 1201000, 12010), TSDB_GONE);
    assert_int_equal(tsdb_append(a, series(a, "m", 0), 1201000, 12010), TSDB_TAKEN);
    commit(a, TSDB_SOON);
    tsdb_appender_free(a);
    assert_int_equal(count_all(db), 23);
    tsdb_close(db);
    db = open_db();
    assert_int_equal(count_all(db), 23);
    tsdb_close(db);
}

static void old_blocks_go(void **state UNUSED)
{
    struct tsdb *db;

    options.block_ms = 100000;
    options.retention_ms = 250000;
    db = open_db();
    fill(db, 3, 1000, 600);
    cut(db, 1600);
    assert_int_equal(db->blocks.len, 6);
    work_begin(db);
    assert_int_equal(blocks_retain(db, &e), 0);
    work_end(db);
    assert_int_equal(db->blocks.len, 3);
    assert_int_equal(count_all(db), 900);
    db->o.retention_bytes = (int64_t)(db->blocks.p[1]->bytes + db->blocks.p[2]->bytes);
    work_begin(db);
    assert_int_equal(blocks_retain(db, &e), 0);
    work_end(db);
    assert_int_equal(count_all(db), 600);
    tsdb_close(db);
    db = open_db();
    assert_int_equal(count_all(db), 600);
    tsdb_close(db);
}

static void old_samples_become_fewer(void **state UNUSED)
{
    struct tsdb *db;
    struct tsdb_view *v;
    size_t n;

    options.block_ms = 3600000;
    options.retention_ms = 3600000;
    options.tier_5m_ms = 3600000 * 3;
    options.tier_1h_ms = 3600000 * 9;
    db = open_db();
    fill(db, 2, 0, 7200); /* 0 to 2 h, each second */
    cut(db, 7200);
    work_begin(db);
    assert_int_equal(blocks_retain(db, &e), 0);
    work_end(db);
    assert_int_equal(count_all(db), 14400); /* the first ends not more than an hour ago */
    fill(db, 2, 7200, 3600);
    cut(db, 10800);
    work_begin(db);
    assert_int_equal(blocks_retain(db, &e), 0);
    work_end(db);
    assert_int_equal(count_all(db), 2 * (7200 + 12 * 2)); /* it rises: first and last of each */
    v = tsdb_view_open(db, INT64_MIN, 3000000);
    assert_int_equal(tsdb_view_window_ms(v), 300000);
    assert_int_equal(tsdb_view_window_at(v, 1000000), 300000);
    tsdb_view_close(v);
    v = tsdb_view_open(db, INT64_MIN, INT64_MAX);
    assert_int_equal(tsdb_view_window_at(v, 3000000), 300000);
    assert_int_equal(tsdb_view_window_at(v, 7000000), 0);
    tsdb_view_close(v);
    v = tsdb_view_open(db, 3600000, 7200000);
    assert_int_equal(tsdb_view_window_ms(v), 0);
    assert_int_equal(count_samples(v, "i", LABEL_LIKE, ".+", &n), 14400);
    tsdb_view_close(v);
    fill(db, 2, 3600 * 5, 60);
    work_begin(db);
    assert_int_equal(blocks_retain(db, &e), 0);
    work_end(db);
    assert_int_equal(count_all(db), 2 * (2 + 2 + 12 * 2 + 60));
    tsdb_close(db);
    db = open_db();
    assert_int_equal(count_all(db), 2 * (2 + 2 + 12 * 2 + 60));
    tsdb_close(db);
}

static void thin_samples_keep_peaks_and_resets(void **state UNUSED)
{
    int64_t ts[200];
    double v[200];
    struct tsdb_samples s = {ts, v, 200, 200};

    for (int i = 0; i < 200; i++) { /* a counter that begins anew at 150 */
        ts[i] = i * 1000;
        v[i] = i < 150 ? i : i - 150;
    }
    samples_thin(&s, 3600000);
    assert_int_equal(s.len, 4);
    assert_true(v[0] == 0 && v[1] == 149 && v[2] == 0 && v[3] == 49);
    s.len = 200;
    for (int i = 0; i < 200; i++) { /* a gauge with a peak */
        ts[i] = i * 1000;
        v[i] = i == 77 ? 99 : i % 5;
    }
    samples_thin(&s, 3600000);
    assert_int_equal(s.len, 3);
    assert_true(v[0] == 0 && v[1] == 99 && ts[2] == 199000);
}

/* One of Prometheus, as promtool makes them; without promtool nothing is tested. */
static bool make_prometheus_block(const char *text)
{
    char command[512], path[128];
    const char *tool = access("/tmp/prom/x/usr/bin/promtool", X_OK) == 0
                           ? "/tmp/prom/x/usr/bin/promtool"
                           : "/usr/bin/promtool";
    pid_t child;
    int status;

    if (access(tool, X_OK) < 0) {
        return false;
    }
    (void)snprintf(path, sizeof(path), "%s/text", dir);
    assert_int_equal(fs_write_atomic(AT_FDCWD, path, str_of(text), 0600, &e), 0);
    (void)snprintf(command, sizeof(command), "%s/prometheus", dir);
    child = fork();
    if (child == 0) {
        if (freopen("/dev/null", "w", stdout) == NULL) {
            _exit(1);
        }
        (void)execl(tool, "promtool", "tsdb", "create-blocks-from", "openmetrics", path, command,
                    (char *)NULL);
        _exit(1);
    }
    assert_true(waitpid(child, &status, 0) == child && status == 0);
    return true;
}

static void blocks_of_prometheus_are_taken_over(void **state UNUSED)
{
    struct buf text = BUF_MAX(1 << 20);
    struct tsdb *db;
    struct tsdb_imported told;
    char path[128];

    for (int i = 0; i < 5; i++) {
        for (int k = 0; k < 400; k++) {
            int64_t at = 1700000000 + k * 15 + (k % 3 == 0);

            (void)buf_printf(&text, "m{i=\"%d\"} %jd %jd\n", i, (intmax_t)at * 10 + i,
                             (intmax_t)at);
        }
    }
    (void)buf_add_c(&text, "# EOF\n");
    if (make_prometheus_block(text.p)) {
        (void)snprintf(path, sizeof(path), "%s/prometheus", dir);
        options.block_ms = 7200000;
        db = tsdb_open(dir, &options, &e);
        assert_non_null(db);
        if (tsdb_import(db, path, &told, &e) < 0) {
            print_error("%s\n", e.msg);
            fail();
        }
        assert_int_equal(told.samples, 2000);
        assert_int_equal(count_all(db), 2000);
        assert_int_equal(tsdb_import(db, "/etc", &told, &e), -1);
        tsdb_close(db);
    }
    buf_done(&text);
}

struct writer {
    struct tsdb *db;
    int first;
};

static void *write_much(void *ctx)
{
    struct writer *w = ctx;
    struct tsdb_appender *a = tsdb_appender_new(w->db);
    struct err failed;

    for (int k = 0; k < 200; k++) {
        for (int i = w->first; i < w->first + 50; i++) {
            (void)tsdb_append(a, series(a, "m", i), k * 1000, k * 10 + i);
        }
        if (tsdb_commit(a, k % 50 == 0 ? TSDB_DURABLE : TSDB_SOON, &failed) < 0) {
            break;
        }
    }
    tsdb_appender_free(a);
    return NULL;
}

static void threads_write_and_read_at_once(void **state UNUSED)
{
    struct tsdb *db = open_db();
    pthread_t t[4];
    struct writer w[4];
    size_t seen;

    for (int i = 0; i < 4; i++) {
        w[i] = (struct writer){db, i * 50};
        assert_int_equal(pthread_create(&t[i], NULL, write_much, &w[i]), 0);
    }
    do {
        seen = count_all(db);
        assert_int_equal(seen % 50, 0); /* whole commits */
    } while (seen < 4 * 50 * 200);
    for (int i = 0; i < 4; i++) {
        (void)pthread_join(t[i], NULL);
    }
    tsdb_close(db);
}

/* --- following --- */

/* Takes a piece of samples of "m" as fill() makes them; how many. */
static size_t take_piece(struct tsdb_follower *f, bool end)
{
    struct tsdb_piece p = {0};
    struct arena a = {0};
    size_t n;

    assert_int_equal(tsdb_follow_read(f, &p, &e), 0);
    for (size_t i = 0; i < p.len; i++) {
        struct labels l;
        int64_t number;

        assert_int_equal(tsdb_follow_labels(f, p.p[i].series, &a, &l, &e), 1);
        assert_true(str_eq_c(labels_get(l, STR("__name__")), "m"));
        number = strtoll(labels_get(l, STR("i")).p, NULL, 10);
        assert_true(p.p[i].v == (double)(p.p[i].ts_ms / 100 + number));
    }
    assert_int_equal(tsdb_follow_begin(f, 1, &e), 0);
    if (end) {
        assert_int_equal(tsdb_follow_end(f, &e), 0);
    }
    n = p.len;
    tsdb_piece_done(&p);
    arena_done(&a);
    return n;
}

static void who_follows_gets_each_sample_once(void **state UNUSED)
{
    struct tsdb *db = open_db();
    struct tsdb_follower *f;

    fill(db, 3, 0, 10);
    f = tsdb_follow(db, STR("p/1"));
    assert_int_equal(take_piece(f, true), 0); /* what was before is not his */
    fill(db, 3, 10, 10);
    assert_int_equal(take_piece(f, true), 30);
    fill(db, 3, 20, 5);
    assert_int_equal(take_piece(f, false), 15);
    fill(db, 3, 25, 5);
    assert_int_equal(take_piece(f, false), 15); /* the same as long as it is not done */
    tsdb_close(db);
    db = open_db();
    fill(db, 3, 30, 5);
    f = tsdb_follow(db, STR("p/1"));
    assert_true(tsdb_follow(db, STR("p_1")) != f);
    assert_int_equal(take_piece(f, true), 15);
    assert_int_equal(take_piece(f, true), 30);
    assert_int_equal(take_piece(f, true), 0);
    assert_int_equal(tsdb_follow_behind(db, STR("p/1")).waiting_bytes, 0);
    assert_true(tsdb_follow_behind(db, STR("p_1")).waiting_bytes == 0);
    fill(db, 3, 40, 5);
    assert_true(tsdb_follow_behind(db, STR("p/1")).waiting_bytes > 0);
    assert_int_equal(tsdb_follow_behind(db, STR("nobody")).waiting_bytes, 0);
    tsdb_close(db);
}

static size_t count_files(const char *name)
{
    char path[128];
    struct ids all = {0};
    size_t n;
    int fd;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(numbered_files(fd, &all, &e), 0);
    n = all.len;
    ids_done(&all);
    closep(&fd);
    return n;
}

static size_t count_gone(void)
{
    char path[128];
    size_t n = 0;
    glob_t g;

    (void)snprintf(path, sizeof(path), "%s/wal/*.gone", dir);
    if (glob(path, 0, NULL, &g) == 0) {
        n = g.gl_pathc;
        globfree(&g);
    }
    return n;
}

/* Series 0 to 4 are forgotten before he has them, and others get no number of theirs. */
static void who_follows_gets_what_was_forgotten(void **state UNUSED)
{
    struct tsdb *db = open_db();
    struct tsdb_follower *f = tsdb_follow(db, STR("p"));

    fill(db, 5, 0, 10);
    cut(db, 7200);
    assert_int_equal(db->head.n_series, 0);
    tsdb_close(db);
    for (int turn = 0; turn < 2; turn++) {
        db = open_db();
        fill(db, 7, 10000 + turn * 10000, 10);
        cut(db, 18000 + turn * 10000);
        tsdb_close(db);
    }
    db = open_db();
    f = tsdb_follow(db, STR("p"));
    assert_int_equal(take_piece(f, true), 50 + 70 + 70);
    cut(db, 50000);
    assert_int_equal(count_files("wal"), 1);
    assert_int_equal(count_gone(), 0);
    tsdb_close(db);
}

/* A file that goes while the names are read was needed by nobody. One that cannot be read may have
 * the names: then the piece waits for it. */
static void names_of_the_past_are_read_whole(void **state UNUSED)
{
    struct tsdb *db = open_db();
    struct tsdb_follower *f = tsdb_follow(db, STR("p"));
    struct tsdb_piece p = {0};
    struct arena a = {0};
    struct labels l;
    char path[128];

    fill(db, 5, 0, 10);
    for (int i = 1; i < 10; i++) {
        (void)snprintf(path, sizeof(path), "%s/wal/%08x.gone", dir, 0x100 + i);
        assert_int_equal(symlink("/nowhere/at/all", path), 0);
        if (i == 5) {
            cut(db, 7200);
            assert_int_equal(db->head.n_series, 0);
        }
    }
    (void)snprintf(path, sizeof(path), "%s/wal/00000200.gone", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(tsdb_follow_read(f, &p, &e), 0);
    assert_int_equal(p.len, 50);
    assert_int_equal(tsdb_follow_labels(f, p.p[0].series, &a, &l, &e), -1);
    assert_int_equal(tsdb_follow_labels(f, p.p[49].series, &a, &l, &e), -1);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(take_piece(f, true), 50);
    tsdb_piece_done(&p);
    arena_done(&a);
    tsdb_close(db);
}

static void the_log_is_not_kept_without_end(void **state UNUSED)
{
    struct tsdb *db;
    struct tsdb_follower *f;
    struct str other = STR("q");

    options.follow_bytes = 3000;
    db = open_db();
    f = tsdb_follow(db, STR("p"));
    for (int k = 0; k < 10; k++) {
        fill(db, 5, k * 10, 10);
        work_begin(db);
        assert_int_equal(checkpoint_write(db, &e), 0);
        work_end(db);
    }
    assert_in_range(count_files("wal"), 3, 9);
    assert_true(tsdb_follow_behind(db, STR("p")).lost_bytes > 0);
    assert_in_range(take_piece(f, true), 50, 450);
    fill(db, 5, 100, 10);
    assert_int_equal(take_piece(f, true), 50);
    fill(db, 5, 110, 10);
    tsdb_follow_only(db, &other, 1);
    f = tsdb_follow(db, STR("p"));
    assert_int_equal(take_piece(f, true), 0);
    tsdb_close(db);
}

#define WITH_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIR(what_was_committed_is_read),
        WITH_DIR(what_was_committed_is_there_after_a_restart),
        WITH_DIR(nothing_is_seen_before_the_commit),
        WITH_DIR(nothing_is_remembered_for_who_has_selected),
        WITH_DIR(a_batch_without_commit_leaves_nothing),
        WITH_DIR(only_the_stores_own_limit_counts_as_full),
        WITH_DIR(samples_that_are_not_taken_say_why),
        WITH_DIR(two_appenders_of_one_series_lose_nothing),
        WITH_DIR(late_samples_stand_where_they_belong),
        WITH_DIR(matchers_choose_series),
        WITH_DIR(matchers_tell_nothing_of_other_series),
        WITH_DIR(names_and_values_are_listed),
        WITH_DIR(a_damaged_record_costs_itself),
        WITH_DIR(what_is_cut_is_read_from_blocks),
        WITH_DIR(what_is_deleted_is_not_read_again),
        WITH_DIR(what_was_deleted_of_a_block_goes_with_it),
        WITH_DIR(nobody_finds_what_is_deleted_until_more_comes),
        WITH_DIR(deleted_samples_leave_their_blocks_when_it_is_asked),
        WITH_DIR(who_has_no_patience_chooses_no_series),
        WITH_DIR(a_view_reads_the_middle),
        WITH_DIR(a_snapshot_is_a_store),
        WITH_DIR(what_is_gone_takes_no_memory),
        WITH_DIR(a_batch_outlives_what_the_head_forgets),
        WITH_DIR(who_follows_gets_each_sample_once),
        WITH_DIR(who_follows_gets_what_was_forgotten),
        WITH_DIR(names_of_the_past_are_read_whole),
        WITH_DIR(the_log_is_not_kept_without_end),
        WITH_DIR(old_blocks_go),
        WITH_DIR(old_samples_become_fewer),
        WITH_DIR(thin_samples_keep_peaks_and_resets),
        WITH_DIR(blocks_of_prometheus_are_taken_over),
        WITH_DIR(threads_write_and_read_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
