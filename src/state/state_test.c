#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/lock.h"
#include "base/mem.h"
#include "state_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const steps_1[] = {
    "/* first tables */ CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT UNIQUE, data BLOB) STRICT;"
    "CREATE TABLE child(id INTEGER PRIMARY KEY, t_id INTEGER NOT NULL REFERENCES t(id)) STRICT;",
    NULL,
};
static const char *const steps_2[] = {
    "/* first tables */ CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT UNIQUE, data BLOB) STRICT;"
    "CREATE TABLE child(id INTEGER PRIMARY KEY, t_id INTEGER NOT NULL REFERENCES t(id)) STRICT;",
    "ALTER TABLE t ADD COLUMN size_bytes INTEGER",
    NULL,
};
static const char *const steps_broken[] = {
    "/* first tables */ CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT UNIQUE, data BLOB) STRICT;"
    "CREATE TABLE child(id INTEGER PRIMARY KEY, t_id INTEGER NOT NULL REFERENCES t(id)) STRICT;",
    "CREATE TABLE halfway(id INTEGER)",
    "CREATE TABLE oops(",
    NULL,
};
static const struct state_schema v1 = {"test", steps_1};
static const struct state_schema v2 = {"test", steps_2};
static const struct state_schema v_broken = {"test", steps_broken};
static const struct state_schema other = {"other",
                                          (const char *const[]){"CREATE TABLE o(i)", NULL}};
static const struct state_schema *const only_v1[] = {&v1, NULL};
static const struct state_schema *const only_v2[] = {&v2, NULL};
static const struct state_schema *const broken[] = {&v_broken, NULL};
static const struct state_schema *const with_other[] = {&v1, &other, NULL};

static char dir[64], path[128], wal_path[140];
static _Atomic unsigned syncs;

/* In the place of libc's, also for SQLite. */
int fdatasync(int fd)
{
    (void)atomic_fetch_add(&syncs, 1);
    return (int)syscall(SYS_fdatasync, fd);
}

static int make_dir(void **arg UNUSED)
{
    (void)snprintf(dir, sizeof(dir), "/tmp/strata-state-XXXXXX");
    if (mkdtemp(dir) == NULL) {
        return -1;
    }
    (void)snprintf(path, sizeof(path), "%s/state.db", dir);
    (void)snprintf(wal_path, sizeof(wal_path), "%s-wal", path);
    return 0;
}

static int remove_dir(void **arg UNUSED)
{
    struct err e;

    return fs_remove_tree(AT_FDCWD, dir, &e);
}

static struct state *open_v1(void)
{
    struct err e = {0};
    struct state *s = state_open(path, only_v1, &e);

    assert_string_equal(e.msg, "");
    assert_non_null(s);
    return s;
}

static int add_row(struct state_db *db, void *name, struct err *e)
{
    return state_run(db, e, "INSERT INTO t(name) VALUES(?)", "z", (const char *)name);
}

static int count_rows(struct state_db *db, void *out, struct err *e)
{
    return state_one_i64(db, out, e, "no count", "SELECT count(*) FROM t", "");
}

static int64_t rows(struct state *s)
{
    struct err e;
    int64_t n = -1;

    assert_int_equal(state_read(s, count_rows, &n, &e), 0);
    return n;
}

static int has_name(struct state_db *db, void *name, struct err *e)
{
    int64_t id;

    return state_one_i64(db, &id, e, "no such row", "SELECT id FROM t WHERE name = ?", "z",
                         (const char *)name);
}

static void rows_are_there_after_reopening(void **arg UNUSED)
{
    struct err e;
    struct state *s = open_v1();
    struct stat st;

    assert_int_equal(state_write(s, add_row, "a", &e), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(wal_path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    state_close(s);
    assert_int_equal(stat(wal_path, &st), -1); /* a clean stop leaves one file */
    s = open_v1();
    assert_int_equal(rows(s), 1);
    state_close(s);
}

static int add_two_and_fail(struct state_db *db, void *ctx UNUSED, struct err *e)
{
    if (add_row(db, "x", e) < 0 || add_row(db, "y", e) < 0) {
        return -1;
    }
    return err_set(e, ERR_FORBIDDEN, "changed my mind");
}

static void a_write_that_fails_is_undone(void **arg UNUSED)
{
    struct err e;
    struct state *s = open_v1();

    assert_int_equal(state_write(s, add_two_and_fail, NULL, &e), -1);
    assert_int_equal(e.kind, ERR_FORBIDDEN);
    assert_string_equal(e.msg, "changed my mind");
    assert_int_equal(rows(s), 0);
    state_close(s);
}

struct crowd {
    struct state *s;
    int number;
    int good;
};

static void *write_many(void *arg)
{
    struct crowd *c = arg;

    for (int i = 0; i < 40; i++) {
        struct err e;
        char name[32];
        int64_t n = -1;

        (void)snprintf(name, sizeof(name), "%d-%d", c->number, i);
        if (i % 4 == 3) {
            c->good += state_write(c->s, add_two_and_fail, NULL, &e) == -1;
        } else {
            c->good += state_write(c->s, add_row, name, &e) == 0 &&
                       state_read(c->s, has_name, name, &e) == 0; /* own writes are seen at once */
        }
        c->good += state_read(c->s, count_rows, &n, &e) == 0 && n > 0;
    }
    return NULL;
}

static void many_threads_write_and_failures_leave_their_neighbours_alone(void **arg UNUSED)
{
    struct state *s = open_v1();
    struct crowd crowd[12];
    pthread_t threads[12];

    for (int i = 0; i < 12; i++) {
        crowd[i] = (struct crowd){s, i, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, &crowd[i]), 0);
    }
    for (int i = 0; i < 12; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_int_equal(crowd[i].good, 80);
    }
    assert_int_equal(rows(s), 12 * 30);
    state_close(s);
}

struct gate {
    struct lock lock;
    bool is_in, may_go;
    int done_ok, done_failed;
};

static int wait_at_gate(struct state_db *db UNUSED, void *ctx, struct err *e UNUSED)
{
    struct gate *g = ctx;

    WITH_LOCK(&g->lock);
    g->is_in = true;
    lock_broadcast(&g->lock);
    while (!g->may_go) {
        lock_wait(&g->lock);
    }
    return 0;
}

static void count_done(void *ctx, const struct err *e)
{
    struct gate *g = ctx;

    WITH_LOCK(&g->lock);
    g->done_ok += e == NULL;
    g->done_failed += e != NULL;
}

static int add_unnamed(struct state_db *db, void *ctx UNUSED, struct err *e)
{
    return state_run(db, e, "INSERT INTO t(name) VALUES(NULL)", "");
}

static void writes_that_wait_share_one_commit_and_closing_finishes_them(void **arg UNUSED)
{
    struct state *s = open_v1();
    struct gate g = {0};
    struct buf dump = BUF_MAX(4096);

    lock_init(&g.lock, LOCK_net_conns);
    state_submit(s, wait_at_gate, &g, NULL);
    lock_take(&g.lock);
    while (!g.is_in) {
        lock_wait(&g.lock);
    }
    lock_drop(&g.lock);
    for (int i = 0; i < 20; i++) {
        state_submit(s, i == 7 ? add_two_and_fail : add_unnamed, &g, count_done);
    }
    lock_take(&g.lock);
    g.may_go = true;
    lock_broadcast(&g.lock);
    lock_drop(&g.lock);
    state_dump(s, &dump);
    assert_non_null(strstr(buf_str(&dump).p, "state queued="));
    buf_done(&dump);
    state_close(s);
    assert_int_equal(g.done_ok, 19);
    assert_int_equal(g.done_failed, 1);
    lock_done(&g.lock);
    s = open_v1();
    assert_int_equal(rows(s), 19);
    state_close(s);
}

static void *child_writer(void *arg)
{
    struct crowd *c = arg;

    for (int i = 0;; i++) {
        char name[32] = {0};
        struct err e;

        (void)snprintf(name, sizeof(name), "%d-%d", c->number, i);
        if ((c->number % 2 ? state_write_lazy : state_write)(c->s, add_row, name, &e) < 0 ||
            write(c->good, name, sizeof(name)) != (ssize_t)sizeof(name)) {
            _exit(1);
        }
    }
    return NULL;
}

static void write_until_killed(int out)
{
    struct err e;
    struct crowd crowd[4];
    pthread_t thread;
    struct state *s = state_open(path, only_v1, &e);

    for (int i = 0; s && i < 4; i++) {
        crowd[i] = (struct crowd){s, i, out};
        (void)pthread_create(&thread, NULL, child_writer, &crowd[i]);
    }
    for (;;) {
        (void)pause();
    }
}

static void lazy_rows_wait_for_no_disk_and_are_synced_with_the_next(void **arg UNUSED)
{
    struct state *s = open_v1();
    unsigned before;
    struct err e;

    assert_int_equal(state_write(s, add_row, "a", &e), 0);
    before = atomic_load(&syncs);
    assert_int_equal(state_write_lazy(s, add_row, "b", &e), 0);
    assert_int_equal(state_write_lazy(s, add_row, "c", &e), 0);
    assert_int_equal(atomic_load(&syncs), before);
    assert_int_equal(rows(s), 3);
    assert_int_equal(state_write_lazy(s, add_row, "c", &e), -1);
    assert_int_equal(state_write(s, add_row, "d", &e), 0);
    assert_int_equal(atomic_load(&syncs), before + 1);
    state_close(s);
    s = open_v1();
    assert_int_equal(rows(s), 4);
    state_close(s);
}

static pid_t start_child(int *acks)
{
    int fds[2];
    pid_t child;

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        write_until_killed(fds[1]);
    }
    (void)close(fds[1]);
    *acks = fds[0];
    return child;
}

static void acknowledged_rows_survive_kill_9(void **arg UNUSED)
{
    static char names[4096][32];
    size_t n = 0;
    int acks;
    pid_t child = start_child(&acks);
    struct state *s;
    struct err e;

    while (n < 200 && read(acks, names[n], 32) == 32) {
        n++;
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    while (n < 4096 && read(acks, names[n], 32) == 32) {
        n++;
    }
    (void)close(acks);
    assert_true(n >= 200);
    s = open_v1();
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(state_read(s, has_name, names[i], &e), 0);
    }
    assert_true(rows(s) <= (int64_t)n + 4); /* at most one more a thread: not yet told */
    state_close(s);
}

struct named {
    const char *name;
    int64_t n;
};

static int count_migrations(struct state_db *db, void *ctx, struct err *e)
{
    struct named *m = ctx;

    return state_one_i64(db, &m->n, e, "", "SELECT count(*) FROM migrations WHERE name = ?", "z",
                         m->name);
}

static int64_t migrations_named(struct state *s, const char *name)
{
    struct named m = {name, -1};
    struct err e;

    assert_int_equal(state_read(s, count_migrations, &m, &e), 0);
    return m.n;
}

static void a_later_version_adds_its_steps_and_keeps_the_rows(void **arg UNUSED)
{
    struct err e;
    struct state *s = open_v1();

    assert_int_equal(state_write(s, add_row, "old", &e), 0);
    state_close(s);
    s = state_open(path, only_v2, &e);
    assert_non_null(s);
    assert_int_equal(rows(s), 1);
    assert_int_equal(migrations_named(s, "first tables"), 1);
    assert_int_equal(migrations_named(s, "ALTER TABLE t ADD COLUMN size_bytes INTEGER"), 1);
    state_close(s);
}

static void a_migration_that_fails_changes_nothing(void **arg UNUSED)
{
    struct err e = {0};
    struct state *s = open_v1();

    assert_int_equal(state_write(s, add_row, "old", &e), 0);
    state_close(s);
    assert_null(state_open(path, broken, &e));
    assert_non_null(strstr(e.msg, "migration test 3"));
    s = open_v1(); /* would be refused had step 2 stayed */
    assert_int_equal(rows(s), 1);
    state_close(s);
}

static void read_file(const char *p, struct buf *out)
{
    struct err e;

    assert_int_equal(fs_read(AT_FDCWD, p, out, &e), 0);
}

static void assert_refused_untouched(const struct state_schema *const *schemas)
{
    struct buf before = BUF_MAX(1 << 24), after = BUF_MAX(1 << 24);
    struct buf wal_before = BUF_MAX(1 << 24), wal_after = BUF_MAX(1 << 24);
    struct stat st_before, st_after;
    bool has_wal = access(wal_path, F_OK) == 0;
    struct err e = {0};

    read_file(path, &before);
    assert_int_equal(stat(path, &st_before), 0);
    if (has_wal) {
        read_file(wal_path, &wal_before);
    }
    assert_null(state_open(path, schemas, &e));
    assert_int_equal(e.kind, ERR_CONFLICT);
    assert_non_null(strstr(e.msg, "newer version"));
    read_file(path, &after);
    assert_int_equal(stat(path, &st_after), 0);
    assert_true(str_eq(buf_str(&before), buf_str(&after)));
    assert_int_equal(st_before.st_mtim.tv_sec, st_after.st_mtim.tv_sec);
    assert_int_equal(st_before.st_mtim.tv_nsec, st_after.st_mtim.tv_nsec);
    assert_int_equal(access(wal_path, F_OK) == 0, has_wal);
    if (has_wal) {
        read_file(wal_path, &wal_after);
        assert_true(str_eq(buf_str(&wal_before), buf_str(&wal_after)));
    }
    buf_done(&before);
    buf_done(&after);
    buf_done(&wal_before);
    buf_done(&wal_after);
}

static void a_file_of_a_newer_version_is_refused_untouched(void **arg UNUSED)
{
    struct err e;

    state_close(state_open(path, only_v2, &e));
    assert_refused_untouched(only_v1);
}

static void a_file_with_an_unknown_module_is_refused_untouched(void **arg UNUSED)
{
    struct err e;

    state_close(state_open(path, with_other, &e));
    assert_refused_untouched(only_v1);
}

static void a_newer_file_left_by_a_crash_is_refused_untouched(void **arg UNUSED)
{
    pid_t child = fork();

    if (child == 0) {
        struct err e;
        struct state *s = state_open(path, only_v2, &e);

        _exit(s && state_write(s, add_row, "a", &e) == 0 ? 0 : 1); /* no close: the WAL stays */
    }
    int status = -1;

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(access(wal_path, F_OK), 0);
    assert_refused_untouched(only_v1);
}

static void a_database_of_another_program_is_refused(void **arg UNUSED)
{
    sqlite3 *h;
    struct err e = {0};

    assert_int_equal(sqlite3_open(path, &h), SQLITE_OK);
    assert_int_equal(sqlite3_exec(h, "CREATE TABLE bookmarks(url)", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(h);
    assert_null(state_open(path, only_v1, &e));
    assert_int_equal(e.kind, ERR_INVALID);
    assert_non_null(strstr(e.msg, "another program"));
}

static void bytes_that_are_no_database_are_refused_and_kept(void **arg UNUSED)
{
    struct err e = {0};
    struct buf b = BUF_MAX(1024);
    char noise[600];

    memset(noise, 'n', sizeof(noise));
    assert_int_equal(fs_write_atomic(AT_FDCWD, path, str_n(noise, 600), 0600, &e), 0);
    assert_null(state_open(path, only_v1, &e));
    assert_int_equal(e.kind, ERR_IO);
    assert_non_null(strstr(e.msg, "damaged"));
    read_file(path, &b);
    assert_true(str_eq(buf_str(&b), str_n(noise, 600)));
    buf_done(&b);
}

static int add_big(struct state_db *db, void *size, struct err *e)
{
    return state_run(db, e, "INSERT INTO t(data) VALUES(zeroblob(?))", "i", *(int64_t *)size);
}

static int sum_sizes(struct state_db *db, void *out, struct err *e)
{
    return state_one_i64(db, out, e, "", "SELECT sum(length(data) + length(hex(name))) FROM t", "");
}

static void damage_is_reported(void **arg UNUSED)
{
    struct state *s = open_v1();
    struct err e = {0};
    char junk[4096];
    int64_t sum;
    int fd;

    for (int i = 0; i < 200; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "row-%d-%0.20f", i, 1.0 / (i + 1));
        assert_int_equal(state_write(s, add_row, name, &e), 0);
    }
    assert_int_equal(state_check(s, &e), 0);
    state_close(s);
    memset(junk, 0xa5, sizeof(junk));
    fd = open(path, O_RDWR | O_CLOEXEC);
    for (off_t page = 2; page < lseek(fd, 0, SEEK_END) / 4096; page++) {
        assert_int_equal(pwrite(fd, junk, sizeof(junk), page * 4096), 4096);
    }
    (void)close(fd);
    e = (struct err){0};
    s = state_open(path, only_v1, &e);
    if (s) {
        int checked = state_check(s, &e);

        assert_int_equal(checked, -1);
        assert_int_equal(e.kind, ERR_IO);
        e = (struct err){0};
        assert_int_equal(state_read(s, sum_sizes, &sum, &e), -1);
    }
    assert_int_equal(e.kind, ERR_IO);
    assert_non_null(strstr(e.msg, "damaged"));
    state_close(s);
}

/* A disk that is full: every write of SQLite's fails as the kernel would fail it. */
static atomic_bool disk_is_full;
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_write)(int, const void *, size_t);

static ssize_t test_pwrite(int fd, const void *p, size_t n, off_t at)
{
    if (atomic_load(&disk_is_full)) {
        errno = ENOSPC;
        return -1;
    }
    return real_pwrite(fd, p, n, at);
}

static ssize_t test_write(int fd, const void *p, size_t n)
{
    if (atomic_load(&disk_is_full)) {
        errno = ENOSPC;
        return -1;
    }
    return real_write(fd, p, n);
}

static void break_writes(void)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find("unix");

    real_write = (ssize_t(*)(int, const void *, size_t))vfs->xGetSystemCall(vfs, "write");
    real_pwrite = pwrite;
    (void)vfs->xSetSystemCall(vfs, "write", (sqlite3_syscall_ptr)test_write);
    (void)vfs->xSetSystemCall(vfs, "pwrite", (sqlite3_syscall_ptr)test_pwrite);
    (void)vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)test_pwrite);
}

static void mend_writes(void)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find("unix");

    (void)vfs->xSetSystemCall(vfs, NULL, NULL);
}

static void a_full_disk_is_said_changes_nothing_and_passes(void **arg UNUSED)
{
    struct state *s = open_v1();
    struct err e = {0};
    int64_t small = 10, huge = 40 << 20; /* larger than the cache: fails in the middle */
    char again[] = "again";

    assert_int_equal(state_write(s, add_row, "before", &e), 0);
    break_writes();
    atomic_store(&disk_is_full, true);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(state_write(s, add_row, again, &e), -1);
        assert_int_equal(e.kind, ERR_NO_SPACE);
        assert_int_equal(state_write(s, add_big, &huge, &e), -1);
        assert_int_equal(e.kind, ERR_NO_SPACE);
    }
    assert_int_equal(rows(s), 1); /* reading goes on */
    atomic_store(&disk_is_full, false);
    assert_int_equal(state_write(s, add_row, again, &e), 0);
    assert_int_equal(state_write(s, add_big, &small, &e), 0);
    assert_int_equal(rows(s), 3);
    assert_int_equal(state_check(s, &e), 0);
    state_close(s);
    mend_writes();
    s = open_v1();
    assert_int_equal(rows(s), 3);
    state_close(s);
}

static void neighbours_of_a_write_that_broke_the_transaction_are_told(void **arg UNUSED)
{
    struct state *s = open_v1();
    struct gate g = {0};
    int64_t huge = 40 << 20;
    struct err e;

    lock_init(&g.lock, LOCK_net_conns);
    state_submit(s, wait_at_gate, &g, NULL);
    lock_take(&g.lock);
    while (!g.is_in) {
        lock_wait(&g.lock);
    }
    lock_drop(&g.lock);
    state_submit(s, add_unnamed, &g, count_done);
    state_submit(s, add_big, &huge, NULL);
    break_writes();
    atomic_store(&disk_is_full, true);
    lock_take(&g.lock);
    g.may_go = true;
    lock_broadcast(&g.lock);
    lock_drop(&g.lock);
    assert_int_equal(state_write(s, add_row, "x", &e), -1);
    atomic_store(&disk_is_full, false);
    assert_int_equal(g.done_failed, 1);
    assert_int_equal(rows(s), 0);
    state_close(s);
    mend_writes();
    lock_done(&g.lock);
}

static int add_child(struct state_db *db, void *ctx UNUSED, struct err *e)
{
    return state_run(db, e, "INSERT INTO child(t_id) VALUES(?)", "i", (int64_t)99);
}

static void a_broken_unique_or_foreign_key_is_a_conflict(void **arg UNUSED)
{
    struct state *s = open_v1();
    struct err e = {0};

    assert_int_equal(state_write(s, add_row, "a", &e), 0);
    assert_int_equal(state_write(s, add_row, "a", &e), -1);
    assert_int_equal(e.kind, ERR_CONFLICT);
    assert_int_equal(state_write(s, add_child, NULL, &e), -1);
    assert_int_equal(e.kind, ERR_CONFLICT);
    assert_int_equal(state_read(s, has_name, "nobody", &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_string_equal(e.msg, "no such row");
    state_close(s);
}

static int write_kinds(struct state_db *db, void *ctx UNUSED, struct err *e)
{
    if (state_run(db, e, "INSERT INTO t(name, data) VALUES(?, ?)", "sb", STR(""), STR("a\0b")) <
            0 ||
        state_last_id(db) != 1 || state_changes(db) != 1) {
        return -1;
    }
    return state_run(db, e, "INSERT INTO t(name, data) VALUES(?, ?)", "zb", (const char *)NULL,
                     (struct str){NULL, 0});
}

static int check_kinds(struct state_db *db, void *ctx UNUSED, struct err *e)
{
    SCOPED(query_done) struct query q = {0};

    assert_int_equal(
        query_open(&q, db, e, "SELECT name, data, ?, ? FROM t ORDER BY id", "di", 0.5, INT64_MIN),
        0);
    assert_int_equal(query_step(&q, e), 1);
    assert_false(query_is_null(&q, 0));
    assert_int_equal(query_str(&q, 0).len, 0);
    assert_true(str_eq(query_str(&q, 1), STR("a\0b")));
    assert_true(query_double(&q, 2) == 0.5);
    assert_true(query_i64(&q, 3) == INT64_MIN);
    assert_int_equal(query_step(&q, e), 1);
    assert_true(query_is_null(&q, 0));
    assert_true(query_is_null(&q, 1));
    assert_int_equal(query_step(&q, e), 0);
    query_done(&q);
    return 0;
}

static void values_come_back_as_they_went(void **arg UNUSED)
{
    struct state *s = open_v1();
    struct err e;

    assert_int_equal(state_write(s, write_kinds, NULL, &e), 0);
    assert_int_equal(state_read(s, check_kinds, NULL, &e), 0);
    state_close(s);
}

static int many_texts(struct state_db *db, void *ctx UNUSED, struct err *e)
{
    for (int i = 0; i < 1000; i++) {
        char sql[64];
        int64_t v;

        (void)snprintf(sql, sizeof(sql), "SELECT %d", i);
        if (state_one_i64(db, &v, e, "", sql, "") < 0 || v != i) {
            return -1;
        }
    }
    assert_true(db->n_cached <= STATE_STATEMENTS);
    return 0;
}

static int same_text_twice(struct state_db *db, void *ctx UNUSED, struct err *e)
{
    SCOPED(query_done) struct query a = {0}, b = {0};
    const char *sql = "SELECT 1 UNION ALL SELECT 2";

    if (query_open(&a, db, e, sql, "") < 0 || query_step(&a, e) != 1 ||
        query_open(&b, db, e, sql, "") < 0 || query_step(&b, e) != 1) {
        return -1;
    }
    return query_i64(&a, 0) == 1 && query_step(&a, e) == 1 && query_i64(&a, 0) == 2 &&
                   query_i64(&b, 0) == 1
               ? 0
               : -1;
}

static void statements_are_kept_up_to_a_bound_and_one_text_may_run_twice(void **arg UNUSED)
{
    struct state *s = open_v1();
    struct err e;

    assert_int_equal(state_read(s, many_texts, NULL, &e), 0);
    assert_int_equal(state_read(s, same_text_twice, NULL, &e), 0);
    assert_int_equal(state_write(s, same_text_twice, NULL, &e), 0);
    state_close(s);
}

static int read_twice(struct state_db *db, void *ctx, struct err *e)
{
    struct state *s = ctx;
    int64_t first, second;

    assert_int_equal(count_rows(db, &first, e), 0);
    assert_int_equal(state_write(s, add_row, "meanwhile", e), 0);
    assert_int_equal(count_rows(db, &second, e), 0);
    assert_int_equal(first, second);
    assert_int_equal(rows(s), first + 1); /* a read inside a read: newer */
    return 0;
}

static void a_read_sees_one_snapshot(void **arg UNUSED)
{
    struct state *s = open_v1();
    struct err e;

    assert_int_equal(state_read(s, read_twice, s, &e), 0);
    state_close(s);
}

static void a_read_cannot_write(void **arg UNUSED)
{
    struct state *s = open_v1();
    struct err e;

    assert_int_equal(state_read(s, add_row, "a", &e), -1);
    assert_int_equal(rows(s), 0);
    state_close(s);
}

static void the_log_of_changes_is_folded_back(void **arg UNUSED)
{
    struct state *s = open_v1();
    struct err e;
    struct stat st;
    int64_t size = 1 << 20;

    for (int i = 0; i < 60; i++) {
        assert_int_equal(state_write(s, add_big, &size, &e), 0);
    }
    assert_int_equal(stat(wal_path, &st), 0);
    assert_true(st.st_size < 40 << 20); /* of 60 MiB written; 32 MiB when writes always wait */
    state_close(s);
}

/* A path longer than PATH_MAX stands for parents that one may not walk through. */
static void names_stay_relative_to_the_current_directory(void **arg UNUSED)
{
    char name[200];
    struct err e = {0};
    struct state *s;
    int home = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    memset(name, 'd', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(chdir(dir), 0);
    for (int i = 0; i < 25; i++) {
        assert_int_equal(mkdir(name, 0700), 0);
        assert_int_equal(chdir(name), 0);
    }
    s = state_open("state.db", only_v1, &e);
    assert_string_equal(e.msg, "");
    assert_non_null(s);
    assert_int_equal(state_write(s, add_row, "deep", &e), 0);
    assert_int_equal(rows(s), 1);
    state_close(s);
    s = state_open("state.db", only_v1, &e);
    assert_int_equal(rows(s), 1);
    state_close(s);
    assert_int_equal(fchdir(home), 0);
    (void)close(home);
}

static void a_missing_directory_is_named(void **arg UNUSED)
{
    struct err e = {0};

    assert_null(state_open("/tmp/strata-state-none/state.db", only_v1, &e));
    assert_non_null(strstr(e.msg, "/tmp/strata-state-none/state.db"));
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(rows_are_there_after_reopening),
        ROW(a_write_that_fails_is_undone),
        ROW(many_threads_write_and_failures_leave_their_neighbours_alone),
        ROW(writes_that_wait_share_one_commit_and_closing_finishes_them),
        ROW(lazy_rows_wait_for_no_disk_and_are_synced_with_the_next),
        ROW(acknowledged_rows_survive_kill_9),
        ROW(a_later_version_adds_its_steps_and_keeps_the_rows),
        ROW(a_migration_that_fails_changes_nothing),
        ROW(a_file_of_a_newer_version_is_refused_untouched),
        ROW(a_file_with_an_unknown_module_is_refused_untouched),
        ROW(a_newer_file_left_by_a_crash_is_refused_untouched),
        ROW(a_database_of_another_program_is_refused),
        ROW(bytes_that_are_no_database_are_refused_and_kept),
        ROW(damage_is_reported),
        ROW(a_full_disk_is_said_changes_nothing_and_passes),
        ROW(neighbours_of_a_write_that_broke_the_transaction_are_told),
        ROW(a_broken_unique_or_foreign_key_is_a_conflict),
        ROW(values_come_back_as_they_went),
        ROW(statements_are_kept_up_to_a_bound_and_one_text_may_run_twice),
        ROW(a_read_sees_one_snapshot),
        ROW(a_read_cannot_write),
        ROW(the_log_of_changes_is_folded_back),
        ROW(names_stay_relative_to_the_current_directory),
        ROW(a_missing_directory_is_named),
    };

    return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
