/* What acknowledged samples survive: a process that dies at each of its calls that change the disk,
 * a disk that is full, bytes that change. The calls below stand before those of libc. */
#include "base/fs.h"
#include "tsdb/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ThreadSanitizer knows no process that forks and then begins threads. */
#ifdef __SANITIZE_THREAD__
enum { MAY_FORK = 0 };
#else
enum { MAY_FORK = 1 };
#endif

static char dir[64];
static struct err e;
static struct tsdb_options options;

static _Atomic int calls, die_at; /* 0: never */
static void (*when_dying)(void);
static _Atomic int full;      /* writes fail */
static _Atomic int writes;    /* how many there were */
static int full_from, full_n; /* those fail; 0: none */
static _Atomic int failing_syncs;
static void (*_Atomic at_next_write)(void);

static _Atomic(struct tsdb *) watched; /* no lock of it is held over a call */

/* Another thread may have it for a moment; whoever calls would have it for ever. */
static void check_free(struct lock *l)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    if (pthread_mutex_timedlock(&l->mutex, &until) != 0) {
        abort();
    }
    (void)pthread_mutex_unlock(&l->mutex);
}

static void watch(void)
{
    struct tsdb *db = watched;

    if (db != NULL) {
        check_free(&db->log);
        check_free(&db->head_lock);
    }
}

static void one_call(void)
{
    watch();
    if (die_at > 0 && ++calls == die_at) {
        if (when_dying != NULL) {
            when_dying();
        }
        _exit(77);
    }
}

static bool is_full(void)
{
    int n = ++writes;

    errno = ENOSPC;
    return full || (full_from > 0 && n >= full_from && n < full_from + full_n);
}

static void maybe_go_on_elsewhere(void)
{
    void (*what)(void) = atomic_exchange(&at_next_write, NULL);

    if (what != NULL) {
        what();
    }
}

ssize_t write(int fd, const void *p, size_t n)
{
    one_call();
    maybe_go_on_elsewhere();
    if (is_full()) {
        return -1;
    }
    return syscall(SYS_write, fd, p, n);
}

/* What was to be synced is dropped, and no later sync brings it back. */
static _Atomic ino_t failed_ino;
static _Atomic size_t written_again;

static bool is_of(int fd, const char *part)
{
    char path[32], to[256];
    ssize_t n;

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    n = readlink(path, to, sizeof(to) - 1);
    to[n < 0 ? 0 : n] = '\0';
    return strstr(to, part) != NULL;
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    struct stat st;

    one_call();
    if (is_full()) {
        return -1;
    }
    if (failed_ino != 0 && fstat(fd, &st) == 0 && st.st_ino == failed_ino) {
        written_again += n;
    }
    return syscall(SYS_pwrite64, fd, p, n, at);
}

static void (*at_checkpoint)(void);

int renameat(int from, const char *old, int to, const char *name)
{
    one_call();
    if (at_checkpoint != NULL && strcmp(name, "checkpoint") == 0) {
        at_checkpoint();
        _exit(77);
    }
    return (int)syscall(SYS_renameat, from, old, to, name);
}

int unlinkat(int at, const char *name, int flags)
{
    one_call();
    return (int)syscall(SYS_unlinkat, at, name, flags);
}

int openat(int at, const char *name, int flags, ...)
{
    va_list ap;
    mode_t mode = 0;

    watch();
    if (flags & O_CREAT) {
        va_start(ap, flags);
        mode = va_arg(ap, mode_t);
        va_end(ap);
    }
    return (int)syscall(SYS_openat, at, name, flags, mode);
}

int fstatat(int at, const char *name, struct stat *out, int flags)
{
    one_call();
    return (int)syscall(SYS_newfstatat, at, name, out, flags);
}

static void (*at_sync)(int fd);

/* A dead process loses nothing that it has written: syncs need not be real. */
int fsync(int fd)
{
    one_call();
    if (at_sync != NULL) {
        at_sync(fd);
    }
    return 0;
}

static const char *failing_of = ""; /* a part of the path */

int fdatasync(int fd)
{
    struct stat st;

    one_call();
    if (fstat(fd, &st) < 0) {
        return -1;
    }
    if (failing_syncs > 0 && is_of(fd, failing_of)) {
        failing_syncs--;
        failed_ino = st.st_ino;
        written_again = 0;
        errno = EIO;
        return -1;
    }
    if (at_sync != NULL && (st.st_ino != failed_ino || written_again >= (size_t)st.st_size)) {
        at_sync(fd);
    }
    return 0;
}

static int make_dir(void **state UNUSED)
{
    options =
        (struct tsdb_options){.block_ms = 100000, .max_series = 1000, .out_of_order_ms = 1000000};
    (void)snprintf(dir, sizeof(dir), "%s/tsdb-fault-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"); /* thousands of stores */
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static int remove_dir(void **state UNUSED)
{
    return fs_remove_tree(AT_FDCWD, dir, &e);
}

/* --- what is written --- */

enum { SERIES = 5, TIMES = 400 };

/* Which samples were acknowledged; seen by the process that looks afterwards. */
struct told {
    bool acked[SERIES][TIMES], tried[SERIES][TIMES];
    unsigned char followed[SERIES][TIMES]; /* how often the follower got it */
    bool is_followed;
};

static tsdb_ref series(struct tsdb_appender *a, int number)
{
    char text[16];
    struct label l[2] = {{STR("__name__"), STR("m")}, {STR("i"), {text, 0}}};

    l[1].value.len = (size_t)snprintf(text, sizeof(text), "%d", number);
    return tsdb_series(a, (struct labels){l, 2});
}

/* Ten times one after the other, every second of them late when they are `late`. */
static int put(struct tsdb *db, struct told *t, int from, bool late)
{
    SCOPED(tsdb_appender_freep) struct tsdb_appender *a = tsdb_appender_new(db);
    struct err why;

    for (int i = 0; i < SERIES; i++) {
        tsdb_ref s = series(a, i);

        for (int k = from; k < from + 10; k++) {
            if ((k % 7 == 3) == late) {
                t->tried[i][k] = true;
                (void)tsdb_append(a, s, k * 1000, k * 10 + i);
            }
        }
    }
    if (tsdb_commit(a, TSDB_DURABLE, &why) < 0) {
        return -1;
    }
    for (int i = 0; i < SERIES; i++) {
        for (int k = from; k < from + 10; k++) {
            t->acked[i][k] = t->acked[i][k] || (k % 7 == 3) == late;
        }
    }
    return 0;
}

/* Takes all that is new. */
static void follow(struct tsdb *db, struct told *t)
{
    struct tsdb_follower *f = tsdb_follow(db, STR("peer"));
    struct tsdb_piece p = {.more = true};
    struct arena a = {0};
    struct err why;

    while (p.more) {
        assert_int_equal(tsdb_follow_read(f, &p, &why), 0);
        (void)!tsdb_follow_begin(f, 7, &why);
        for (size_t i = 0; i < p.len; i++) {
            struct labels l;
            int64_t number, at = p.p[i].ts_ms / 1000;

            assert_int_equal(tsdb_follow_labels(f, p.p[i].series, &a, &l, &why), 1);
            number = strtoll(labels_get(l, STR("i")).p, NULL, 10);
            assert_true(p.p[i].v == (double)(at * 10 + number));
            t->followed[number][at]++;
        }
        (void)!tsdb_follow_end(f, &why);
    }
    tsdb_piece_done(&p);
    arena_done(&a);
}

/* Ingest, checkpoint, cut and merge. */
static void live(struct tsdb *db, struct told *t)
{
    struct err why;
    bool any = true;

    (void)tsdb_follow(db, STR("peer"));
    t->is_followed = true;
    for (int k = 0; k < TIMES; k += 10) {
        (void)put(db, t, k, false);
        if (k % 50 == 40) {
            (void)put(db, t, k - 20, true);
        }
        if (k % 100 == 50) {
            work_begin(db);
            (void)!checkpoint_write(db, &why);
            work_end(db);
        }
        if (k % 100 == 70) {
            follow(db, t);
        }
        if (k % 100 == 90) {
            work_begin(db);
            (void)!head_cut(db, (k - 30) * 1000, &why);
            work_end(db);
        }
    }
    work_begin(db);
    while (any && blocks_compact(db, &any, &why) == 0) {
    }
    work_end(db);
}

static void no_lock_is_held_over_a_call(void **state UNUSED)
{
    struct told *t = xnew(struct told);
    struct tsdb *db;

    options.follow_bytes = 3000;
    db = tsdb_open(dir, &options, &e);
    assert_non_null(db);
    watched = db;
    live(db, t);
    assert_true(tsdb_follow_behind(db, STR("peer")).lost_bytes > 0);
    watched = NULL;
    tsdb_close(db);
    free(t);
}

/* Nothing that was acknowledged is missing, nothing is there that was not written, nor twice. */
static void check(struct tsdb *db, const struct told *t)
{
    SCOPED(tsdb_view_closep) struct tsdb_view *v = tsdb_view_open(db, INT64_MIN, INT64_MAX);
    struct arena a = {0};
    struct tsdb_found *found;
    struct tsdb_samples s = {0};
    static bool seen[SERIES][TIMES];
    size_t n;

    memset(seen, 0, sizeof(seen));
    assert_int_equal(tsdb_select(v, NULL, 0, &a, &found, &n, &e), 0);
    for (size_t i = 0; i < n; i++) {
        int64_t number = strtoll(labels_get(found[i].labels, STR("i")).p, NULL, 10);

        assert_int_equal(tsdb_read(v, &found[i], INT64_MIN, INT64_MAX, &s, &e), 0);
        for (size_t k = 0; k < s.len; k++) {
            int64_t at = s.ts_ms[k] / 1000;

            assert_true(number >= 0 && number < SERIES && at >= 0 && at < TIMES);
            assert_true(t->tried[number][at] && !seen[number][at]);
            assert_true(s.v[k] == (double)(at * 10 + number));
            seen[number][at] = true;
        }
    }
    for (int i = 0; i < SERIES; i++) {
        for (int k = 0; k < TIMES; k++) {
            assert_true(seen[i][k] || !t->acked[i][k]);
        }
    }
    tsdb_samples_done(&s);
    arena_done(&a);
}

/* He got all of it, and twice only what he had begun when the process died. */
static void check_followed(const struct told *t)
{
    for (int i = 0; i < SERIES; i++) {
        for (int k = 0; k < TIMES; k++) {
            assert_true(t->followed[i][k] > 0 || !t->acked[i][k]);
            assert_true(t->followed[i][k] <= (t->tried[i][k] ? 2 : 0));
        }
    }
}

static struct told *shared_told(void)
{
    struct told *t =
        mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_true(t != MAP_FAILED);
    return t;
}

/* 0: the process came to its end before the call. */
static int die_in_call(int number, struct told *t)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        struct tsdb *db;

        die_at = number;
        db = tsdb_open(dir, &options, &e);
        if (db == NULL) {
            _exit(1);
        }
        live(db, t);
        _exit(0);
    }
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77);
    return WEXITSTATUS(status);
}

static void a_process_may_die_at_any_call(void **state)
{
    int died = 1;

    if (!MAY_FORK) {
        skip();
    }
    for (int number = 1; died != 0; number++) {
        struct told *t = shared_told();
        struct tsdb *db;
        struct tsdb_status s;

        died = die_in_call(number, t);
        db = tsdb_open(dir, &options, &e);
        assert_non_null(db);
        check(db, t);
        if (t->is_followed) {
            follow(db, t);
            check_followed(t);
        }
        tsdb_status(db, &s);
        assert_int_equal(s.damaged, 0);
        assert_int_equal(s.samples_lost, 0);
        tsdb_close(db);
        (void)munmap(t, sizeof(*t));
        assert_int_equal(remove_dir(state), 0);
        assert_int_equal(mkdir(dir, 0700), 0);
    }
}

/* --- power that is lost: what was synced is there --- */

enum { SYNCED_MAX = 900, NAMES_MAX = 200 };

struct entry {
    char name[64];
    ino_t ino;
};

/* What is known to be on the disk of a file or directory; it is held, so that no other gets its
 * number. */
static struct synced {
    ino_t ino;
    int fd;
    char *bytes;
    size_t len;
    struct entry *names;
    size_t n_names;
} synced[SYNCED_MAX];
static size_t n_synced;
static bool names_are_safe; /* of directories nothing is lost: only what stands in files */
static pthread_mutex_t recording = PTHREAD_MUTEX_INITIALIZER;

static struct synced *synced_of(ino_t ino, int at, const char *name)
{
    size_t i = 0;

    while (i < n_synced && synced[i].ino != ino) {
        i++;
    }
    if (i == n_synced && i < SYNCED_MAX) {
        n_synced++;
        synced[i] = (struct synced){.ino = ino, .fd = openat(at, name, O_RDONLY | O_CLOEXEC)};
    }
    return i < SYNCED_MAX ? &synced[i] : NULL;
}

static void note_names(struct synced *s, int fd)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *ent;

    s->n_names = 0;
    s->names = s->names != NULL ? s->names : xnew_array(struct entry, NAMES_MAX);
    while (d != NULL && (ent = readdir(d)) != NULL && s->n_names < NAMES_MAX) {
        if (strcmp(ent->d_name, ".") != 0 && strcmp(ent->d_name, "..") != 0) {
            struct entry *x = &s->names[s->n_names++];

            (void)snprintf(x->name, sizeof(x->name), "%s", ent->d_name);
            x->ino = ent->d_ino;
            (void)synced_of(x->ino, fd, x->name);
        }
    }
    if (d != NULL) {
        (void)closedir(d);
    }
}

static void note_sync(int fd)
{
    char path[32];
    struct synced *s;
    struct stat st;

    (void)pthread_mutex_lock(&recording);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    s = fstat(fd, &st) == 0 ? synced_of(st.st_ino, AT_FDCWD, path) : NULL;
    if (s != NULL && S_ISDIR(st.st_mode)) {
        note_names(s, fd);
    } else if (s != NULL) {
        s->len = (size_t)st.st_size;
        s->bytes = xrealloc(s->bytes, s->len + 1);
        s->len = s->len > 0 ? (size_t)pread(s->fd, s->bytes, s->len, 0) : 0;
    }
    (void)pthread_mutex_unlock(&recording);
}

static void put_back(const char *to, ino_t ino)
{
    struct synced *s = synced_of(ino, AT_FDCWD, "/nowhere");
    struct stat st;

    if (s == NULL || s->fd < 0 || fstat(s->fd, &st) < 0) {
        return;
    }
    if (S_ISDIR(st.st_mode)) {
        (void)mkdir(to, 0700);
        if (names_are_safe) {
            note_names(s, s->fd);
        }
        for (size_t i = 0; i < s->n_names; i++) {
            char path[200];

            (void)snprintf(path, sizeof(path), "%s/%s", to, s->names[i].name);
            put_back(path, s->names[i].ino);
        }
    } else {
        int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        (void)!syscall(SYS_write, fd, s->bytes, s->len);
        (void)close(fd);
    }
}

/* DIR.lost is what is left. */
static void lose_power(void)
{
    char to[128];
    struct stat st;

    (void)pthread_mutex_lock(&recording); /* for ever */
    (void)snprintf(to, sizeof(to), "%s.lost", dir);
    if (stat(dir, &st) == 0) {
        put_back(to, st.st_ino);
    }
}

static int lose_power_at(int number, struct told *t)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        struct tsdb *db;

        die_at = number;
        when_dying = lose_power;
        at_sync = note_sync;
        db = tsdb_open(dir, &options, &e);
        if (db == NULL) {
            _exit(1);
        }
        live(db, t);
        _exit(0);
    }
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void power_may_be_lost_at_any_call(void **state)
{
    char lost[128];
    int died = 77;

    if (!MAY_FORK) {
        skip();
    }
    (void)snprintf(lost, sizeof(lost), "%s.lost", dir);
    for (int number = 3; died == 77; number += 5) {
        struct told *t = shared_told();
        struct tsdb *db;
        struct tsdb_status s;

        names_are_safe = number % 2 == 0;
        died = lose_power_at(number, t);
        assert_true(died == 0 || died == 77);
        if (died == 77) {
            (void)mkdir(lost, 0700);
            db = tsdb_open(lost, &options, &e);
            assert_non_null(db);
            check(db, t);
            tsdb_status(db, &s);
            assert_int_equal(s.samples_lost, 0);
            assert_int_equal(s.damaged, 0);
            tsdb_close(db);
            assert_int_equal(fs_remove_tree(AT_FDCWD, lost, &e), 0);
        }
        (void)munmap(t, sizeof(*t));
        assert_int_equal(remove_dir(state), 0);
        assert_int_equal(mkdir(dir, 0700), 0);
    }
}

/* --- a disk that is full --- */

/* Some writes fail: of the log, of runs, of a checkpoint, of a block that is cut or merged. Then
 * there is room again. */
static void a_disk_may_be_full_at_any_write(void **state)
{
    int before = 0;
    bool came;

    full_from = 2; /* a store must come into being */
    do {
        struct told *t = shared_told();
        struct tsdb *db;
        struct tsdb_status s;
        struct err why;
        bool any = true;

        writes = 0;
        full_n = 1 + full_from % 9;
        db = tsdb_open(dir, &options, &why);
        came = db != NULL;
        if (!came) {
            assert_int_equal(why.sys, ENOSPC);
        } else {
            live(db, t);
            before = writes;
            check(db, t);
            full_n = 0;
            assert_int_equal(put(db, t, TIMES - 10, false), 0);
            tsdb_status(db, &s);
            assert_int_equal(s.paused_since_ms, 0);
            work_begin(db);
            assert_int_equal(head_cut(db, (TIMES - 20) * 1000, &e), 0);
            while (any) {
                assert_int_equal(blocks_compact(db, &any, &e), 0);
            }
            work_end(db);
            check(db, t);
            follow(db, t);
            tsdb_close(db);
        }
        full_n = 0;
        db = tsdb_open(dir, &options, &e);
        assert_non_null(db);
        check(db, t);
        if (t->is_followed) {
            check_followed(t);
        }
        tsdb_status(db, &s);
        assert_int_equal(s.damaged, 0);
        assert_int_equal(s.samples_lost, 0);
        tsdb_close(db);
        (void)munmap(t, sizeof(*t));
        assert_int_equal(remove_dir(state), 0);
        assert_int_equal(mkdir(dir, 0700), 0);
        full_from += 5;
    } while (!came || full_from < before);
    full_from = 0;
}

static void a_full_disk_pauses_and_goes_on(void **state UNUSED)
{
    struct told *t = shared_told();
    struct tsdb *db = tsdb_open(dir, &options, &e);
    struct tsdb_status s;

    assert_non_null(db);
    assert_int_equal(put(db, t, 0, false), 0);
    full = 1;
    assert_int_equal(put(db, t, 10, false), -1);
    tsdb_status(db, &s);
    assert_true(s.paused_since_ms > 0);
    assert_non_null(strstr(s.paused_why, "No space left"));
    work_begin(db);
    assert_int_equal(head_cut(db, 8000, &e), -1);
    work_end(db);
    full = 0;
    assert_int_equal(put(db, t, 10, false), 0);
    tsdb_status(db, &s);
    assert_int_equal(s.paused_since_ms, 0);
    check(db, t);
    tsdb_close(db);
    db = tsdb_open(dir, &options, &e);
    assert_non_null(db);
    check(db, t);
    work_begin(db);
    assert_int_equal(head_cut(db, 15000, &e), 0);
    work_end(db);
    check(db, t);
    tsdb_close(db);
    (void)munmap(t, sizeof(*t));
}

/* Until a checkpoint has again what may be lost, nothing new is durable. */
static void a_failed_sync_is_told_until_a_checkpoint(void **state UNUSED)
{
    struct told *t = shared_told();
    struct tsdb *db = tsdb_open(dir, &options, &e);
    uint32_t segment;

    assert_non_null(db);
    work_begin(db); /* nobody else writes a checkpoint */
    assert_int_equal(put(db, t, 0, false), 0);
    segment = db->wal.segment;
    failing_syncs = 1;
    assert_int_equal(put(db, t, 10, false), -1);
    assert_int_equal(put(db, t, 20, false), -1); /* in the next segment */
    assert_int_equal(put(db, t, 30, false), -1); /* in the same one */
    assert_int_equal(db->wal.segment, segment + 1);
    assert_int_equal(checkpoint_write(db, &e), 0);
    assert_int_equal(put(db, t, 10, false), 0);
    assert_int_equal(put(db, t, 40, false), 0);
    work_end(db);
    check(db, t);
    tsdb_close(db);
    (void)munmap(t, sizeof(*t));
}

/* Others wait for what was in a segment when it is left. */
static void a_failed_sync_of_a_left_segment_is_told(void **state UNUSED)
{
    SCOPED(tsdb_appender_freep) struct tsdb_appender *a = NULL;
    struct told *t = shared_told();
    struct tsdb *db = tsdb_open(dir, &options, &e);

    assert_non_null(db);
    work_begin(db);
    assert_int_equal(put(db, t, 0, false), 0);
    a = tsdb_appender_new(db);
    assert_int_equal(tsdb_append(a, series(a, 0), 11000, 110), TSDB_TAKEN);
    assert_int_equal(tsdb_commit(a, TSDB_SOON, &e), 0);
    lead_begin(db);
    failing_syncs = 1;
    assert_int_equal(lead_rotate(db, &e), 0);
    lead_end(db);
    assert_int_equal(tsdb_append(a, series(a, 0), 11000, 110), TSDB_TAKEN);
    assert_int_equal(tsdb_commit(a, TSDB_DURABLE, &e), -1); /* what was committed before */
    assert_int_equal(put(db, t, 10, false), -1);
    assert_int_equal(checkpoint_write(db, &e), 0);
    assert_int_equal(put(db, t, 10, false), 0);
    work_end(db);
    tsdb_appender_free(TAKE(a));
    check(db, t);
    tsdb_close(db);
    (void)munmap(t, sizeof(*t));
}

/* Does it in a process that loses its power then. */
static void lose_power_after(void (*what)(struct told *t))
{
    struct told *t = shared_told();
    struct tsdb *db;
    struct tsdb_status s;
    char lost[128];
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        at_sync = note_sync;
        names_are_safe = true;
        what(t);
        lose_power();
        _exit(77);
    }
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    assert_int_equal(WEXITSTATUS(status), 77);
    (void)snprintf(lost, sizeof(lost), "%s.lost", dir);
    db = tsdb_open(lost, &options, &e);
    assert_non_null(db);
    check(db, t);
    tsdb_status(db, &s);
    assert_int_equal(s.damaged, 0);
    tsdb_close(db);
    assert_int_equal(fs_remove_tree(AT_FDCWD, lost, &e), 0);
    (void)munmap(t, sizeof(*t));
}

static void lose_names(struct told *t)
{
    struct tsdb *db = tsdb_open(dir, &options, &e);

    work_begin(db);
    failing_syncs = 1;
    (void)put(db, t, 0, false);
    (void)put(db, t, 10, false);
}

/* The series were named in what is lost. */
static void what_a_failed_sync_lost_takes_nothing_with_it(void **state UNUSED)
{
    if (!MAY_FORK) {
        skip();
    }
    lose_power_after(lose_names);
}

static void lose_runs(struct told *t)
{
    struct tsdb *db = tsdb_open(dir, &options, &e);

    work_begin(db);
    for (int k = 0; k < TIMES; k += 10) {
        assert_int_equal(put(db, t, k, false), 0);
    }
    failing_of = "/head/";
    failing_syncs = 1;
    assert_int_equal(checkpoint_write(db, &e), -1);
    assert_int_equal(checkpoint_write(db, &e), 0);
}

/* A checkpoint that names them comes after one that failed. */
static void a_failed_sync_loses_no_runs(void **state UNUSED)
{
    if (!MAY_FORK) {
        skip();
    }
    lose_power_after(lose_runs);
}

static int put_one(struct told *t)
{
    struct tsdb *db = tsdb_open(dir, &options, &e);
    struct tsdb_appender *a = tsdb_appender_new(db);

    work_begin(db);
    t->tried[0][5] = true;
    assert_int_equal(tsdb_append(a, series(a, 0), 5000, 50), TSDB_TAKEN);
    return tsdb_commit(a, TSDB_DURABLE, &e);
}

static void send_again(struct told *t)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        failing_syncs = 1; /* it is killed before */
        _exit(put_one(t) < 0 ? 77 : 0);
    }
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    assert_int_equal(WEXITSTATUS(status), 77);
    assert_int_equal(put_one(t), 0);
    t->acked[0][5] = true;
}

/* A start that cannot sync what it has read tells nobody that it is safe before a checkpoint. */
static void send_again_in_vain(struct told *t)
{
    int status;
    pid_t child = fork();

    failing_syncs = 1;
    if (child == 0) {
        _exit(put_one(t) < 0 ? 77 : 0);
    }
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    assert_int_equal(WEXITSTATUS(status), 77);
    t->acked[0][5] = put_one(t) == 0; /* a checkpoint may have it already */
}

/* What another process logged is no safer by that. */
static void what_is_sent_again_after_a_kill_is_durable(void **state UNUSED)
{
    if (!MAY_FORK) {
        skip();
    }
    lose_power_after(send_again);
}

static void what_cannot_be_synced_at_a_start_is_not_durable(void **state UNUSED)
{
    if (!MAY_FORK) {
        skip();
    }
    lose_power_after(send_again_in_vain);
}

/* Turns a byte of a file over. */
static void damage(const char *name, off_t at)
{
    char path[128], c;
    int fd;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &c, 1, at), 1);
    c ^= 0x55;
    assert_int_equal(pwrite(fd, &c, 1, at), 1);
    (void)close(fd);
}

static size_t count_all(struct tsdb *db)
{
    SCOPED(tsdb_view_closep) struct tsdb_view *v = tsdb_view_open(db, INT64_MIN, INT64_MAX);
    struct arena a = {0};
    struct tsdb_found *found;
    struct tsdb_samples s = {0};
    size_t n, total = 0;

    assert_int_equal(tsdb_select(v, NULL, 0, &a, &found, &n, &e), 0);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(tsdb_read(v, &found[i], INT64_MIN, INT64_MAX, &s, &e), 0);
        total += s.len;
    }
    tsdb_samples_done(&s);
    arena_done(&a);
    return total;
}

/* Two blocks, 00000001 and 00000002, of 500 samples each, and nothing else. */
static void make_blocks(void)
{
    struct told *t = shared_told();
    struct tsdb *db = tsdb_open(dir, &options, &e);

    assert_non_null(db);
    for (int k = 0; k < 200; k += 10) {
        assert_int_equal(put(db, t, k, false), 0);
        assert_int_equal(put(db, t, k, true), 0);
    }
    assert_int_equal(count_all(db), 1000);
    work_begin(db);
    assert_int_equal(head_cut(db, 200000, &e), 0);
    work_end(db);
    assert_int_equal(db->blocks.len, 2);
    tsdb_close(db);
    (void)munmap(t, sizeof(*t));
}

static void a_damaged_block_costs_itself(void **state UNUSED)
{
    struct tsdb *db;
    struct tsdb_status s;
    struct stat st;
    char path[128];

    make_blocks();
    damage("blocks/00000001", 30); /* a page */
    db = tsdb_open(dir, &options, &e);
    assert_non_null(db);
    assert_int_equal(count_all(db), 500);
    tsdb_status(db, &s);
    assert_true(s.damaged > 0);
    tsdb_close(db);

    (void)snprintf(path, sizeof(path), "%s/blocks/00000002", dir);
    assert_int_equal(stat(path, &st), 0);
    damage("blocks/00000002", st.st_size - 10); /* the end */
    db = tsdb_open(dir, &options, &e);
    assert_non_null(db);
    assert_int_equal(count_all(db), 0);
    tsdb_status(db, &s);
    assert_true(s.damaged > 0);
    assert_int_equal(stat(path, &st), -1);
    tsdb_close(db);
}

/* No copy can be made of it: then it stays where it is. */
static void a_damaged_block_is_not_thrown_away(void **state UNUSED)
{
    struct tsdb *db;
    struct stat st;
    char path[128], aside[128];

    make_blocks();
    (void)snprintf(aside, sizeof(aside), "%s/damaged", dir);
    (void)snprintf(path, sizeof(path), "%s/blocks/00000001", dir);
    assert_int_equal(symlink("/nowhere/at/all", aside), 0);
    assert_int_equal(stat(path, &st), 0);
    damage("blocks/00000001", st.st_size - 10);
    for (int turn = 0; turn < 2; turn++) {
        db = tsdb_open(dir, &options, &e);
        assert_non_null(db);
        assert_int_equal(count_all(db), 500);
        assert_int_equal(stat(path, &st), 0);
        tsdb_close(db);
    }
}

static void a_damaged_run_costs_itself(void **state UNUSED)
{
    struct told *t = shared_told();
    struct tsdb *db = tsdb_open(dir, &options, &e);
    struct tsdb_status s;

    assert_non_null(db);
    for (int k = 0; k < TIMES; k += 10) {
        assert_int_equal(put(db, t, k, false), 0);
    }
    tsdb_close(db);
    db = tsdb_open(dir, &options, &e);
    assert_non_null(db);
    assert_int_equal(count_all(db), SERIES * 343);
    tsdb_close(db);
    damage("head/00000001", 600);
    db = tsdb_open(dir, &options, &e);
    assert_non_null(db);
    assert_int_equal(count_all(db), SERIES * 343 - 64);
    tsdb_status(db, &s);
    assert_true(s.damaged > 0);
    tsdb_close(db);
    (void)munmap(t, sizeof(*t));
}

static void any_damaged_byte_is_found(void **state UNUSED)
{
    struct stat st;
    char path[128];

    make_blocks();
    (void)snprintf(path, sizeof(path), "%s/blocks/00000001", dir);
    assert_int_equal(stat(path, &st), 0);
    for (off_t at = 8; at < st.st_size; at += 7) {
        struct tsdb *db;
        struct tsdb_status s;

        if (at >= st.st_size - 16 && at < st.st_size) {
            continue; /* the end itself: the file is set aside, the test above */
        }
        damage("blocks/00000001", at);
        db = tsdb_open(dir, &options, &e);
        assert_non_null(db);
        assert_in_range(count_all(db), 500, 999);
        tsdb_status(db, &s);
        assert_true(s.damaged > 0);
        if (db->blocks.len == 1) { /* it was set aside: put it back */
            tsdb_close(db);
            return;
        }
        tsdb_close(db);
        damage("blocks/00000001", at);
    }
}

/* In a process of its own, which leaves the files as they were: 0 when all is well. */
static int look_at_damage(size_t all)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        struct tsdb *db = tsdb_open(dir, &options, &e);
        struct tsdb_status s;
        size_t n;

        if (db == NULL) {
            _exit(1);
        }
        n = count_all(db);
        tsdb_status(db, &s);
        _exit(n > all || (n < all && s.damaged + s.samples_lost == 0) ? 2 : 0);
    }
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* What is missing is reported; whatever the byte, the store opens and serves the rest. */
static void any_damaged_byte_of_the_head_is_found(void **state UNUSED)
{
    static const char *const names[] = {"checkpoint", "head/00000001"};
    struct told *t = shared_told();
    struct tsdb *db = tsdb_open(dir, &options, &e);

    assert_non_null(db);
    for (int k = 0; k < TIMES; k += 10) {
        assert_int_equal(put(db, t, k, false), 0);
    }
    tsdb_close(db);
    for (size_t i = 0; MAY_FORK && i < ARRAY_LEN(names); i++) {
        struct stat st;
        char path[128];

        (void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        assert_int_equal(stat(path, &st), 0);
        for (off_t at = 0; at < st.st_size; at += 1 + st.st_size / 60) {
            damage(names[i], at);
            assert_int_equal(look_at_damage(SERIES * 343), 0);
            damage(names[i], at);
        }
    }
    db = tsdb_open(dir, &options, &e);
    assert_non_null(db);
    assert_int_equal(count_all(db), SERIES * 343);
    tsdb_close(db);
    (void)munmap(t, sizeof(*t));
}

static void a_damaged_checkpoint_costs_a_part(void **state UNUSED)
{
    struct told *t = shared_told();
    struct tsdb *db = tsdb_open(dir, &options, &e);
    struct tsdb_status s;

    assert_non_null(db);
    for (int k = 0; k < 100; k += 10) {
        assert_int_equal(put(db, t, k, false), 0);
    }
    tsdb_close(db);
    damage("checkpoint", 60);
    db = tsdb_open(dir, &options, &e);
    assert_non_null(db);
    (void)count_all(db);
    tsdb_status(db, &s);
    assert_true(s.damaged > 0);
    assert_int_equal(put(db, t, 100, false), 0);
    tsdb_close(db);
    db = tsdb_open(dir, &options, &e);
    assert_non_null(db);
    tsdb_status(db, &s);
    assert_int_equal(s.damaged, 0);
    tsdb_close(db);
    (void)munmap(t, sizeof(*t));
}

static struct tsdb *open_one;

static void put_every(int from, int to, int step)
{
    SCOPED(tsdb_appender_freep) struct tsdb_appender *a = tsdb_appender_new(open_one);
    tsdb_ref s = series(a, 0);

    for (int k = from; k < to; k += step) {
        assert_int_equal(tsdb_append(a, s, k * 1000, k * 10), TSDB_TAKEN);
    }
    assert_int_equal(tsdb_commit(a, TSDB_DURABLE, &e), 0);
}

/* More than stays in memory of a series: they go to the file of the head, which has nothing else.
 */
static void put_late_ones(void)
{
    for (int k = 100; k < 180; k += 10) {
        put_every(k + 1, k + 10, 1);
    }
}

static void put_again(void)
{
    put_every(350, 360, 1);
}

/* A series is forgotten, comes again while that is written down, and the process dies then. */
static void what_comes_again_while_it_is_forgotten_stays(void **state UNUSED)
{
    open_one = tsdb_open(dir, &options, &e);
    assert_non_null(open_one);
    put_every(0, 100, 10);
    if (MAY_FORK) {
        pid_t child;
        int status = 0;

        tsdb_close(open_one);
        child = fork();
        if (child == 0) {
            struct err why;

            open_one = tsdb_open(dir, &options, &why);
            work_begin(open_one);
            (void)tsdb_follow(open_one, STR("peer"));
            at_checkpoint = put_again;
            _exit(head_cut(open_one, 300000, &why) == 0 ? 0 : 1);
        }
        assert_true(child > 0 && waitpid(child, &status, 0) == child);
        assert_int_equal(WEXITSTATUS(status), 77);
        open_one = tsdb_open(dir, &options, &e);
        assert_non_null(open_one);
        assert_int_equal(count_all(open_one), 10 + 10);
    }
    tsdb_close(open_one);
}

/* As above; what came again has another number in the log than in the head, and the follower reads
 * it after other series came. */
static void what_comes_again_keeps_its_number(void **state UNUSED)
{
    struct told *t = shared_told();
    pid_t child;
    int status = 0;

    if (!MAY_FORK) {
        skip();
    }
    open_one = tsdb_open(dir, &options, &e);
    assert_non_null(open_one);
    put_every(0, 100, 10);
    tsdb_close(open_one);
    child = fork();
    if (child == 0) {
        struct err why;

        open_one = tsdb_open(dir, &options, &why);
        work_begin(open_one);
        (void)tsdb_follow(open_one, STR("peer"));
        at_checkpoint = put_again;
        _exit(head_cut(open_one, 300000, &why) == 0 ? 0 : 1);
    }
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    assert_int_equal(WEXITSTATUS(status), 77);
    for (int turn = 0; turn < 2; turn++) {
        open_one = tsdb_open(dir, &options, &e);
        assert_non_null(open_one);
        if (turn == 1) {
            assert_int_equal(put(open_one, t, 370, false), 0); /* new series, new numbers */
            follow(open_one, t);
            assert_int_equal(t->followed[0][355], 1);
            assert_int_equal(t->followed[4][375], 1);
        }
        tsdb_close(open_one);
    }
    (void)munmap(t, sizeof(*t));
}

static void numbers_of_what_came_again_are_found(void **state UNUSED)
{
    struct tsdb *db = tsdb_open(dir, &options, &e);
    enum { N = 5000 };
    struct buf b = BUF_MAX(1000);

    assert_non_null(db);
    lock_take(&db->head_lock);
    for (uint32_t i = 0; i <= N; i++) {
        buf_clear(&b);
        column_put_varint(i == 0 ? 1 : 10 + (i * 7) % N, &b); /* in no order */
        column_put_varint(0, &b);                             /* no labels */
        assert_int_equal(apply_record(db, WAL_SERIES, buf_str(&b)), 0);
    }
    assert_int_equal(db->head.n_series, 1);
    assert_int_equal(db->aliases.len, N);
    for (uint32_t id = 0; id < N + 20; id++) {
        bool is_one = id == 1 || (id >= 10 && id < 10 + N);

        assert_true((head_series_named(db, id) != NULL) == is_one);
    }
    lock_drop(&db->head_lock);
    buf_done(&b);
    tsdb_close(db);
}

static void what_comes_late_while_blocks_are_cut_stays(void **state UNUSED)
{
    for (int turn = 0; turn < 3; turn++) {
        open_one = tsdb_open(dir, &options, &e);
        assert_non_null(open_one);
        if (turn == 0) {
            put_every(0, 400, 10);
            work_begin(open_one);
            at_next_write = put_late_ones;
            assert_int_equal(head_cut(open_one, 300000, &e), 0);
            work_end(open_one);
            assert_null(at_next_write);
        }
        if (turn == 1) {
            work_begin(open_one);
            assert_int_equal(head_cut(open_one, 350000, &e), 0);
            work_end(open_one);
        }
        assert_int_equal(count_all(open_one), 40 + 8 * 9);
        tsdb_close(open_one);
    }
}

#define WITH_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIR(no_lock_is_held_over_a_call),
        WITH_DIR(a_process_may_die_at_any_call),
        WITH_DIR(power_may_be_lost_at_any_call),
        WITH_DIR(a_disk_may_be_full_at_any_write),
        WITH_DIR(a_full_disk_pauses_and_goes_on),
        WITH_DIR(a_failed_sync_is_told_until_a_checkpoint),
        WITH_DIR(a_failed_sync_of_a_left_segment_is_told),
        WITH_DIR(what_a_failed_sync_lost_takes_nothing_with_it),
        WITH_DIR(a_failed_sync_loses_no_runs),
        WITH_DIR(what_is_sent_again_after_a_kill_is_durable),
        WITH_DIR(what_cannot_be_synced_at_a_start_is_not_durable),
        WITH_DIR(a_damaged_block_costs_itself),
        WITH_DIR(a_damaged_block_is_not_thrown_away),
        WITH_DIR(any_damaged_byte_is_found),
        WITH_DIR(a_damaged_run_costs_itself),
        WITH_DIR(any_damaged_byte_of_the_head_is_found),
        WITH_DIR(a_damaged_checkpoint_costs_a_part),
        WITH_DIR(what_comes_late_while_blocks_are_cut_stays),
        WITH_DIR(what_comes_again_while_it_is_forgotten_stays),
        WITH_DIR(what_comes_again_keeps_its_number),
        WITH_DIR(numbers_of_what_came_again_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
