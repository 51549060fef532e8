/* The store with a real helper and real confined agents: needs root, else it skips itself. */
#include "volume/commit.h"
#include "volume/confine.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "helper/helper.h"
#include "state/state.h"
#include "volume/path.h"
#include "volume/walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define ID_BASE 2000000000U

struct fixture {
    char dir[64];
    pid_t helper_pid;
    struct helper_client *helper;
    struct state *state;
    struct volume_store *store;
    atomic_bool in_use;
    atomic_int events;
    pthread_mutex_t mutex;
    char last_event[256]; /* guarded by mutex */
};

static int find_project(void *ctx UNUSED, struct str name, int64_t *id, uint32_t *id_base,
                        struct err *e)
{
    if (!str_eq_c(name, "demo")) {
        return err_set(e, ERR_NOT_FOUND, "no such project");
    }
    *id = 7;
    *id_base = ID_BASE;
    return 0;
}

static void on_event(void *ctx, const char *type, struct str project UNUSED, struct str json)
{
    struct fixture *f = ctx;

    assert_string_equal(type, "volume");
    (void)pthread_mutex_lock(&f->mutex);
    (void)!str_copy(json, f->last_event, sizeof(f->last_event));
    (void)pthread_mutex_unlock(&f->mutex);
    atomic_fetch_add(&f->events, 1);
}

static bool in_use(void *ctx, const char *id UNUSED)
{
    struct fixture *f = ctx;

    return atomic_load(&f->in_use);
}

static pid_t start_helper(int fd, int other)
{
    pid_t pid = fork();
    struct helper_server *s;
    struct err e;

    if (pid != 0) {
        return pid;
    }
    (void)close(other);
    s = helper_server_new(fd, volume_operations, 3, &e);
    _exit(s == NULL || helper_server_run(s, &e) < 0 ? 1 : 0);
}

static int set_up(void **state)
{
    struct fixture *f = xnew(struct fixture);
    const struct state_schema *const schemas[] = {&volume_schema, NULL};
    struct volume_hooks hooks = {
        .ctx = f, .project = find_project, .event = on_event, .in_use = in_use};
    struct err e = {0};
    int pair[2];

    *state = f;
    (void)pthread_mutex_init(&f->mutex, NULL);
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/strata-volume-test-XXXXXX");
    if (geteuid() != 0 || mkdtemp(f->dir) == NULL || chdir(f->dir) < 0 ||
        mkdir("volumes", 0750) < 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        return geteuid() == 0 ? -1 : 0;
    }
    f->helper_pid = start_helper(pair[1], pair[0]);
    (void)close(pair[1]);
    f->helper = helper_client_new(pair[0], NULL, NULL);
    f->state = state_open("state.db", schemas, &e);
    f->store = f->state ? volume_open(f->state, f->helper, &hooks, &e) : NULL;
    if (f->store == NULL) {
        print_error("%s\n", e.msg);
        return -1;
    }
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    struct err e;

    if (f->store != NULL) {
        volume_close(f->store);
        state_close(f->state);
        helper_client_free(f->helper);
        (void)waitpid(f->helper_pid, NULL, 0);
        assert_int_equal(chdir("/"), 0);
        if (fs_remove_tree(AT_FDCWD, f->dir, &e) < 0) {
            print_error("%s\n", e.msg);
        }
    }
    free(f);
    return 0;
}

/* --- helpers of the tests --- */

static struct volume_info make(struct fixture *f, const char *name)
{
    struct volume_info i;
    struct err e = {0};

    if (volume_create(f->store, STR("demo"), str_of(name), &i, &e) < 0) {
        fail_msg("create %s: %s", name, e.msg);
    }
    return i;
}

struct outcome {
    int rc;
    struct volume_reply reply;
    int fd;
    struct err e;
    struct buf packet; /* reply.rows borrow from it */
};

static void outcome_done(struct outcome *o)
{
    closep(&o->fd);
    buf_done(&o->packet);
}

static struct outcome ask(struct fixture *f, const struct volume_info *i, enum volume_agent_op op,
                          const char *path, const char *other, unsigned flags, uint64_t number)
{
    struct volume_request q = {
        .op = op, .flags = flags, .number = number, .path = str_of(path), .other = str_of(other)};
    struct outcome o = {.fd = -1, .packet = BUF_MAX(VOLUME_PACKET_MAX)};

    o.rc = volume_ask(f->store, i, &q, &o.packet, &o.reply, &o.fd, &o.e);
    return o;
}

/* The kind of error of an operation, ERR_NONE when it worked. */
static enum err_kind kind_of(struct fixture *f, const struct volume_info *i,
                             enum volume_agent_op op, const char *path, const char *other,
                             unsigned flags)
{
    SCOPED(outcome_done) struct outcome o = ask(f, i, op, path, other, flags, 0);

    return o.rc == 0 ? ERR_NONE : o.e.kind;
}

static void write_file(struct fixture *f, const struct volume_info *i, const char *path,
                       const char *text)
{
    SCOPED(outcome_done)
    struct outcome o = ask(f, i, VOLUME_AGENT_UPLOAD_OPEN, "", "test-upload", VOLUME_CREATE, 0);
    struct err e;

    if (o.rc < 0) {
        fail_msg("open an upload: %s", o.e.msg);
    }
    assert_int_equal(fs_write_all(o.fd, str_of(text), &e), 0);
    {
        struct volume_whole w = {str_of(path), "test-upload", o.reply.file.inode, strlen(text),
                                 false};
        unsigned created;

        if (volume_commit(f->store, i, &w, &created, &e) < 0) {
            fail_msg("commit %s: %s", path, e.msg);
        }
    }
}

/* Where the test, as root of the host, sees a path of the volume: what a job may do there, it may
 * do too. Valid until the next call. */
static const char *host(const struct volume_info *i, const char *path)
{
    static char out[4][5000];
    static unsigned turn;
    char *p = out[turn++ % 4];

    (void)snprintf(p, sizeof(out[0]), "volumes/%s/%s", i->id, path);
    return p;
}

#define NEEDS_ROOT()                                                                               \
    if (geteuid() != 0) {                                                                          \
        skip();                                                                                    \
    }

/* --- volumes --- */

static void a_volume_belongs_to_the_project_and_goes_with_all_in_it(void **state)
{
    struct fixture *f = *state;
    struct volume_info i;
    struct stat st;
    struct err e;
    char id[65];

    NEEDS_ROOT();
    i = make(f, "data");
    assert_true(volume_id_ok(str_of(i.id)));
    assert_int_equal(stat(host(&i, ""), &st), 0);
    assert_int_equal(st.st_uid, ID_BASE);
    assert_int_equal(st.st_gid, ID_BASE);
    assert_int_equal(st.st_mode & 07777, 0770);
    assert_int_equal(volume_find(f->store, 7, STR("data"), id, &e), 0);
    assert_string_equal(id, i.id);
    write_file(f, &i, "deep/er/file", "x");
    assert_int_equal(volume_delete(f->store, STR("demo"), &i, &e), 0);
    assert_int_equal(stat(host(&i, ""), &st), -1);
    assert_int_equal(volume_find(f->store, 7, STR("data"), id, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_string_equal(f->last_event,
                        "{\"project\":\"demo\",\"name\":\"data\",\"action\":\"deleted\"}");
}

static void a_name_is_taken_once_and_the_error_lists_what_there_is(void **state)
{
    struct fixture *f = *state;
    struct volume_info i;
    struct err e;
    char id[65];

    NEEDS_ROOT();
    (void)make(f, "one");
    (void)make(f, "two");
    assert_int_equal(volume_create(f->store, STR("demo"), STR("one"), &i, &e), -1);
    assert_int_equal(e.kind, ERR_CONFLICT);
    assert_int_equal(volume_find(f->store, 7, STR("on"), id, &e), -1);
    assert_non_null(strstr(e.msg, "there are: one, two"));
    assert_int_equal(volume_create(f->store, STR("demo"), STR("../x"), &i, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
}

static void a_volume_in_use_is_not_deleted(void **state)
{
    struct fixture *f = *state;
    struct volume_info i;
    struct err e;
    char id[65];

    NEEDS_ROOT();
    i = make(f, "busy");
    atomic_store(&f->in_use, true);
    assert_int_equal(volume_delete(f->store, STR("demo"), &i, &e), -1);
    assert_int_equal(e.kind, ERR_CONFLICT);
    assert_int_equal(volume_project_gone(f->store, 7, &e), -1);
    atomic_store(&f->in_use, false);
    assert_int_equal(volume_find(f->store, 7, STR("busy"), id, &e), 0);
    assert_int_equal(volume_project_gone(f->store, 7, &e), 0);
    assert_int_equal(volume_find(f->store, 7, STR("busy"), id, &e), -1);
}

static void files_written_belong_to_the_project(void **state)
{
    struct fixture *f = *state;
    struct volume_info i;
    struct stat st;

    NEEDS_ROOT();
    i = make(f, "data");
    write_file(f, &i, "a/b", "hello");
    assert_int_equal(stat(host(&i, "a/b"), &st), 0);
    assert_int_equal(st.st_uid, ID_BASE);
    assert_int_equal(st.st_mode & 07777, 0664);
    assert_int_equal(stat(host(&i, "a"), &st), 0);
    assert_int_equal(st.st_uid, ID_BASE);
    assert_int_equal(st.st_mode & 07777, 0775);
}

static void changes_are_told_at_most_once_a_second_and_the_last_is_told(void **state)
{
    struct fixture *f = *state;
    struct volume_info i;
    int64_t deadline = clock_mono_ms() + 5000;

    NEEDS_ROOT();
    i = make(f, "data");
    atomic_store(&f->events, 0);
    for (int n = 0; n < 100; n++) {
        volume_changed(f->store, STR("demo"), &i);
    }
    assert_int_equal(atomic_load(&f->events), 1);
    while (atomic_load(&f->events) < 2 && clock_mono_ms() < deadline) {
        (void)sched_yield();
    }
    assert_int_equal(atomic_load(&f->events), 2);
}

static void figures_follow_what_is_uploaded(void **state)
{
    struct fixture *f = *state;
    struct volume_info i;

    NEEDS_ROOT();
    i = make(f, "data");
    write_file(f, &i, "a/b", "hello");
    write_file(f, &i, "c", "you");
    volume_measure(f->store, &i, clock_mono_ms() + 10000);
    assert_int_equal(i.files, 2);
    assert_int_equal(i.size_bytes, 8);
    write_file(f, &i, "d", "12");
    volume_changed(f->store, STR("demo"), &i);
    volume_measure(f->store, &i, clock_mono_ms() + 10000);
    assert_int_equal(i.files, 3);
    assert_int_equal(i.size_bytes, 10);
}

/* --- the agent's prison --- */

static bool is_of_the_project(const char *pid)
{
    SCOPED(buf_done) struct buf b = BUF_MAX(65536);
    char path[300];
    struct err e;

    (void)snprintf(path, sizeof(path), "/proc/%s/status", pid);
    return fs_read(AT_FDCWD, path, &b, &e) == 0 && strstr(b.p, "Uid:\t2000000000\t") != NULL;
}

/* The process whose root is the volume and who is of its project: its agent, and not who launched
 * it and is about to end; 0: none. */
static pid_t agent_of(const struct volume_info *i)
{
    DIR *d = opendir("/proc");
    struct stat volume, root;
    struct dirent *ent;
    long found = 0;

    assert_int_equal(stat(host(i, ""), &volume), 0);
    while (found == 0 && (ent = readdir(d)) != NULL) {
        char path[300];

        (void)snprintf(path, sizeof(path), "/proc/%s/root", ent->d_name);
        if (stat(path, &root) == 0 && root.st_ino == volume.st_ino &&
            root.st_dev == volume.st_dev && is_of_the_project(ent->d_name)) {
            found = strtol(ent->d_name, NULL, 10);
        }
    }
    (void)closedir(d);
    return (pid_t)found;
}

static char *status_of_agent(const struct volume_info *i)
{
    SCOPED(buf_done) struct buf b = BUF_MAX(65536);
    char path[64];
    struct err e;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)agent_of(i));
    assert_int_equal(fs_read(AT_FDCWD, path, &b, &e), 0);
    return buf_take(&b);
}

static void an_agent_is_nobody_outside_and_has_no_way_out(void **state)
{
    struct fixture *f = *state;
    SCOPED(freep) char *status = NULL;
    struct volume_info i;

    NEEDS_ROOT();
    i = make(f, "data");
    assert_int_equal(kind_of(f, &i, VOLUME_AGENT_STAT, "", "", 0), ERR_NONE);
    status = status_of_agent(&i);
    assert_non_null(status);
    assert_non_null(strstr(status, "Uid:\t2000000000\t2000000000\t2000000000\t2000000000\n"));
    assert_non_null(strstr(status, "Gid:\t2000000000\t2000000000\t2000000000\t2000000000\n"));
    assert_non_null(strstr(status, "CapEff:\t000000000000000a\n")); /* DAC_OVERRIDE, FOWNER */
    assert_non_null(strstr(status, "CapPrm:\t000000000000000a\n"));
    assert_non_null(strstr(status, "CapBnd:\t0000000000000000\n"));
    assert_non_null(strstr(status, "NoNewPrivs:\t1\n"));
    assert_non_null(strstr(status, "Seccomp:\t2\n"));
    assert_non_null(strstr(status, "Groups:\t \n"));
}

static void a_range_of_another_project_gets_no_agent(void **state)
{
    struct fixture *f = *state;
    struct volume_info i;

    NEEDS_ROOT();
    i = make(f, "data");
    i.id_base = ID_BASE + 65536;
    assert_int_equal(kind_of(f, &i, VOLUME_AGENT_STAT, "", "", 0), ERR_CONFLICT);
    i.id_base = 0;
    assert_int_equal(kind_of(f, &i, VOLUME_AGENT_STAT, "", "", 0), ERR_INVALID);
    memcpy(i.id, "../../../etc", 13);
    assert_int_equal(kind_of(f, &i, VOLUME_AGENT_STAT, "", "", 0), ERR_INVALID);
}

static void an_agent_that_dies_is_replaced(void **state)
{
    struct fixture *f = *state;
    SCOPED(closep) int pidfd = -1;
    struct pollfd gone = {.events = POLLIN};
    struct volume_info i;
    pid_t pid;

    NEEDS_ROOT();
    i = make(f, "data");
    assert_int_equal(kind_of(f, &i, VOLUME_AGENT_STAT, "", "", 0), ERR_NONE);
    pid = agent_of(&i);
    gone.fd = pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(poll(&gone, 1, 10000), 1);
    {
        SCOPED(outcome_done) struct outcome o = ask(f, &i, VOLUME_AGENT_STAT, "", "", 0, 0);

        assert_int_equal(o.rc, 0);
        assert_int_equal(o.e.kind, ERR_NONE); /* a caller that tries again looks at it */
    }
}

static void an_agent_lives_on_when_the_helper_has_died(void **state)
{
    struct fixture *f = *state;
    struct volume_info i;

    NEEDS_ROOT();
    i = make(f, "data");
    write_file(f, &i, "a", "x");
    (void)kill(f->helper_pid, SIGKILL);
    assert_int_equal(kind_of(f, &i, VOLUME_AGENT_STAT, "a", "", 0), ERR_NONE);
}

/* --- what hostile contents can do --- */

static void links_that_leave_the_volume_are_not_followed(void **state)
{
    static const char *const targets[] = {
        "/etc",    "/etc/passwd",     "../../../../etc/passwd",
        "..",      "/proc/self/root", "/proc/self/root/etc/passwd",
        "../v-x/a"};
    struct fixture *f = *state;
    struct volume_info i;

    NEEDS_ROOT();
    i = make(f, "data");
    for (size_t n = 0; n < ARRAY_LEN(targets); n++) {
        assert_int_equal(symlink(targets[n], host(&i, "link")), 0);
        assert_int_not_equal(kind_of(f, &i, VOLUME_AGENT_OPEN_READ, "link", "", 0), ERR_NONE);
        assert_int_not_equal(kind_of(f, &i, VOLUME_AGENT_OPEN_READ, "link/passwd", "", 0),
                             ERR_NONE);
        assert_int_not_equal(kind_of(f, &i, VOLUME_AGENT_LIST, "link", "", 0), ERR_NONE);
        assert_int_not_equal(kind_of(f, &i, VOLUME_AGENT_MAKE_DIR, "link/new", "", 0), ERR_NONE);
        assert_int_not_equal(kind_of(f, &i, VOLUME_AGENT_REMOVE, "link/passwd", "", 0), ERR_NONE);
        assert_int_not_equal(kind_of(f, &i, VOLUME_AGENT_RENAME, "link/passwd", "x", 0), ERR_NONE);
        /* the link itself is the user's: it may be looked at and removed */
        assert_int_equal(kind_of(f, &i, VOLUME_AGENT_STAT, "link", "", 0), ERR_NONE);
        assert_int_equal(kind_of(f, &i, VOLUME_AGENT_REMOVE, "link", "", 0), ERR_NONE);
    }
    assert_int_equal(access("/etc/passwd", R_OK), 0);
}

static void paths_with_dots_are_refused_by_the_agent_itself(void **state)
{
    struct fixture *f = *state;
    struct volume_info i;

    NEEDS_ROOT();
    i = make(f, "data");
    assert_int_equal(kind_of(f, &i, VOLUME_AGENT_OPEN_READ, "../../state.db", "", 0), ERR_INVALID);
    assert_int_equal(kind_of(f, &i, VOLUME_AGENT_OPEN_READ, "/etc/passwd", "", 0), ERR_INVALID);
    assert_int_equal(kind_of(f, &i, VOLUME_AGENT_RENAME, "a", "../b", 0), ERR_INVALID);
    assert_int_equal(kind_of(f, &i, VOLUME_AGENT_UPLOAD_OPEN, "", "../x", VOLUME_CREATE),
                     ERR_INVALID);
    assert_int_equal(kind_of(f, &i, VOLUME_AGENT_LIST, ".strata", "", 0), ERR_INVALID);
}

static void links_inside_the_volume_are_followed(void **state)
{
    struct fixture *f = *state;
    struct volume_info i;

    NEEDS_ROOT();
    i = make(f, "data");
    write_file(f, &i, "v1/model", "weights");
    assert_int_equal(symlink("v1", host(&i, "latest")), 0);
    assert_int_equal(symlink("../v1/model", host(&i, "v1/again")), 0);
    assert_int_equal(kind_of(f, &i, VOLUME_AGENT_OPEN_READ, "latest/model", "", 0), ERR_NONE);
    assert_int_equal(kind_of(f, &i, VOLUME_AGENT_OPEN_READ, "latest/again", "", 0), ERR_NONE);
    write_file(f, &i, "latest/new", "x");
    assert_int_equal(access(host(&i, "v1/new"), F_OK), 0);
}

static void only_regular_files_are_opened(void **state)
{
    static const char *const names[] = {"pipe", "device", "socket", "dir"};
    struct fixture *f = *state;
    struct volume_info i;

    NEEDS_ROOT();
    i = make(f, "data");
    assert_int_equal(mkfifo(host(&i, "pipe"), 0666), 0);
    assert_int_equal(mknod(host(&i, "device"), S_IFCHR | 0666, makedev(1, 5)), 0);
    assert_int_equal(mknod(host(&i, "socket"), S_IFSOCK | 0666, 0), 0);
    assert_int_equal(mkdir(host(&i, "dir"), 0777), 0);
    for (size_t n = 0; n < ARRAY_LEN(names); n++) {
        assert_int_equal(kind_of(f, &i, VOLUME_AGENT_OPEN_READ, names[n], "", 0), ERR_CONFLICT);
    }
    for (size_t n = 0; n < 3; n++) { /* an upload replaces what is no directory */
        write_file(f, &i, names[n], "now a file");
        assert_int_equal(kind_of(f, &i, VOLUME_AGENT_OPEN_READ, names[n], "", 0), ERR_NONE);
    }
}

static void an_upload_that_a_job_has_swapped_is_not_written_to(void **state)
{
    struct fixture *f = *state;
    struct volume_info i;

    NEEDS_ROOT();
    i = make(f, "data");
    write_file(f, &i, "precious", "keep");
    assert_int_equal(link(host(&i, "precious"), host(&i, ".strata/uploads/hard")), 0);
    assert_int_equal(symlink("../../precious", host(&i, ".strata/uploads/soft")), 0);
    assert_int_equal(symlink("/etc/passwd", host(&i, ".strata/uploads/out")), 0);
    assert_int_equal(mkfifo(host(&i, ".strata/uploads/pipe"), 0666), 0);
    assert_int_not_equal(kind_of(f, &i, VOLUME_AGENT_UPLOAD_OPEN, "", "hard", VOLUME_CREATE),
                         ERR_NONE);
    assert_int_not_equal(kind_of(f, &i, VOLUME_AGENT_UPLOAD_OPEN, "", "soft", VOLUME_CREATE),
                         ERR_NONE);
    assert_int_not_equal(kind_of(f, &i, VOLUME_AGENT_UPLOAD_OPEN, "", "out", VOLUME_CREATE),
                         ERR_NONE);
    assert_int_not_equal(kind_of(f, &i, VOLUME_AGENT_UPLOAD_OPEN, "", "pipe", VOLUME_CREATE),
                         ERR_NONE);
}

static void the_hidden_directory_comes_back_when_a_job_has_replaced_it(void **state)
{
    struct fixture *f = *state;
    struct volume_info i;
    struct stat st;

    NEEDS_ROOT();
    i = make(f, "data");
    assert_int_equal(rename(host(&i, ".strata"), host(&i, "moved")), 0);
    assert_int_equal(symlink("/etc", host(&i, ".strata")), 0);
    write_file(f, &i, "a", "x");
    assert_int_equal(lstat(host(&i, ".strata"), &st), 0);
    assert_true(S_ISDIR(st.st_mode) && st.st_uid == ID_BASE);
    assert_int_equal(rmdir(host(&i, ".strata/uploads")), 0);
    assert_int_equal(symlink("../moved", host(&i, ".strata/uploads")), 0);
    write_file(f, &i, "b", "x");
    assert_int_equal(lstat(host(&i, ".strata/uploads"), &st), 0);
    assert_true(S_ISDIR(st.st_mode));
}

static atomic_bool racing;

/* What a job would do: one name is now a directory, now a link out of the volume. */
static void *swap_in_a_loop(void *arg)
{
    const struct volume_info *i = arg;
    char dir[256], link_path[256], at[256];

    (void)snprintf(dir, sizeof(dir), "volumes/%s/real", i->id);
    (void)snprintf(link_path, sizeof(link_path), "volumes/%s/bad", i->id);
    (void)snprintf(at, sizeof(at), "volumes/%s/x", i->id);
    while (atomic_load(&racing)) {
        (void)renameat2(AT_FDCWD, dir, AT_FDCWD, at, RENAME_EXCHANGE);
        (void)renameat2(AT_FDCWD, link_path, AT_FDCWD, at, RENAME_EXCHANGE);
        (void)renameat2(AT_FDCWD, link_path, AT_FDCWD, at, RENAME_EXCHANGE);
    }
    return NULL;
}

static void a_race_of_links_never_leads_outside(void **state)
{
    struct fixture *f = *state;
    int64_t deadline = clock_mono_ms() + 300;
    struct volume_info i;
    struct stat st, passwd;
    pthread_t racer;
    int opened = 0;

    NEEDS_ROOT();
    i = make(f, "data");
    write_file(f, &i, "real/passwd", "inside");
    write_file(f, &i, "x/passwd", "inside");
    assert_int_equal(symlink("/etc", host(&i, "bad")), 0);
    assert_int_equal(stat("/etc/passwd", &passwd), 0);
    atomic_store(&racing, true);
    assert_int_equal(pthread_create(&racer, NULL, swap_in_a_loop, &i), 0);
    while (clock_mono_ms() < deadline) {
        SCOPED(outcome_done)
        struct outcome o = ask(f, &i, VOLUME_AGENT_OPEN_READ, "x/passwd", "", 0, 0);

        if (o.rc == 0) {
            opened++;
            assert_int_equal(fstat(o.fd, &st), 0);
            assert_int_equal(st.st_uid, ID_BASE);
            assert_int_not_equal(st.st_ino, passwd.st_ino);
        }
        assert_int_not_equal(kind_of(f, &i, VOLUME_AGENT_MAKE_DIR, "x/strata-was-here", "", 0),
                             ERR_INTERNAL);
    }
    atomic_store(&racing, false);
    (void)pthread_join(racer, NULL);
    assert_true(opened > 0);
    assert_int_equal(access("/etc/strata-was-here", F_OK), -1);
}

/* --- operations --- */

static void a_commit_replaces_a_file_but_not_a_directory(void **state)
{
    struct fixture *f = *state;
    struct volume_info i;

    NEEDS_ROOT();
    i = make(f, "data");
    write_file(f, &i, "a", "first");
    write_file(f, &i, "a", "second");
    assert_int_equal(mkdir(host(&i, "dir"), 0777), 0);
    {
        SCOPED(outcome_done)
        struct outcome o = ask(f, &i, VOLUME_AGENT_UPLOAD_OPEN, "", "up", VOLUME_CREATE, 0);
        uint64_t inode = o.reply.file.inode;

        SCOPED(outcome_done)
        struct outcome c = ask(f, &i, VOLUME_AGENT_UPLOAD_COMMIT, "dir", "up", 0, inode);
        assert_int_equal(c.rc, -1);
        assert_int_equal(c.e.kind, ERR_CONFLICT);
        SCOPED(outcome_done)
        struct outcome d = ask(f, &i, VOLUME_AGENT_UPLOAD_COMMIT, "a/b", "up", 0, inode);
        assert_int_equal(d.e.kind, ERR_CONFLICT);
        SCOPED(outcome_done)
        struct outcome g = ask(f, &i, VOLUME_AGENT_UPLOAD_COMMIT, "z", "up", 0, inode + 1);
        assert_int_equal(g.e.kind, ERR_CONFLICT);
        SCOPED(outcome_done)
        struct outcome h = ask(f, &i, VOLUME_AGENT_UPLOAD_COMMIT, "z", "up", 0, inode);
        assert_int_equal(h.rc, 0);
        assert_int_equal(h.reply.flags, VOLUME_CREATED);
    }
}

/* An upload with `text` in it, closed. Its inode. */
static uint64_t upload(struct fixture *f, const struct volume_info *i, const char *text)
{
    SCOPED(outcome_done)
    struct outcome o = ask(f, i, VOLUME_AGENT_UPLOAD_OPEN, "", "test-upload", VOLUME_CREATE, 0);
    struct err e;

    assert_int_equal(o.rc, 0);
    assert_int_equal(fs_write_all(o.fd, str_of(text), &e), 0);
    return o.reply.file.inode;
}

static void expect_content(const struct volume_info *i, const char *path, const char *text)
{
    SCOPED(buf_done) struct buf b = BUF_MAX(4096);
    struct err e;

    assert_int_equal(fs_read(AT_FDCWD, host(i, path), &b, &e), 0);
    assert_true(str_eq_c(buf_str(&b), text));
}

static void a_commit_that_an_agent_sleeps_on_is_done_by_another_and_once(void **state)
{
    struct fixture *f = *state;
    struct volume_info i;
    struct volume_whole w = {STR("model"), "test-upload", 0, 8, false};
    unsigned created = 1;
    pid_t asleep;
    struct err e;

    NEEDS_ROOT();
    volume_agents_set_patience(f->store->agents, 2000);
    i = make(f, "data");
    write_file(f, &i, "model", "old good");
    w.inode = upload(f, &i, "new good");
    asleep = agent_of(&i);
    assert_int_equal(kill(asleep, SIGSTOP), 0);
    assert_int_equal(volume_commit(f->store, &i, &w, &created, &e), 0);
    assert_int_equal(created, 0);
    assert_int_not_equal(agent_of(&i), asleep); /* it is not there to wake up */
    expect_content(&i, "model", "new good");
    assert_false(volume_commit_undone(f->store, &i, "test-upload", w.inode));
}

static void what_an_agent_slept_on_is_not_done_after_the_next_request(void **state)
{
    struct fixture *f = *state;
    struct volume_info i;
    pid_t asleep;

    NEEDS_ROOT();
    volume_agents_set_patience(f->store->agents, 2000);
    i = make(f, "data");
    write_file(f, &i, "precious", "keep");
    asleep = agent_of(&i);
    assert_int_equal(kill(asleep, SIGSTOP), 0);
    assert_int_equal(kind_of(f, &i, VOLUME_AGENT_REMOVE, "precious", "", 0), ERR_UNAVAILABLE);
    assert_int_equal(kind_of(f, &i, VOLUME_AGENT_STAT, "precious", "", 0), ERR_NONE);
    (void)kill(asleep, SIGCONT);
    assert_int_not_equal(agent_of(&i), asleep);
    expect_content(&i, "precious", "keep");
}

static void an_agent_of_another_volume_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct volume_info one, two;
    pid_t first;

    NEEDS_ROOT();
    one = make(f, "one");
    two = make(f, "two");
    assert_int_equal(kind_of(f, &one, VOLUME_AGENT_STAT, "", "", 0), ERR_NONE);
    first = agent_of(&one);
    assert_int_equal(kind_of(f, &two, VOLUME_AGENT_STAT, "", "", 0), ERR_NONE);
    assert_int_equal(kill(first, 0), 0);
    assert_int_equal(kind_of(f, &one, VOLUME_AGENT_STAT, "", "", 0), ERR_NONE);
}

static void a_commit_may_be_repeated_but_only_of_the_very_file(void **state)
{
    struct fixture *f = *state;
    struct volume_info i;
    struct volume_whole w = {STR("a"), "test-upload", 0, 5, false};
    unsigned created;
    struct err e;

    NEEDS_ROOT();
    i = make(f, "data");
    w.inode = upload(f, &i, "12345");
    assert_true(volume_commit_undone(f->store, &i, "test-upload", w.inode));
    w.size_bytes = 6; /* a job has cut it */
    assert_int_equal(volume_commit(f->store, &i, &w, &created, &e), -1);
    assert_int_equal(e.kind, ERR_CONFLICT);
    w.size_bytes = 5;
    assert_int_equal(volume_commit(f->store, &i, &w, &created, &e), 0);
    assert_int_equal(created, VOLUME_CREATED);
    assert_int_equal(volume_commit(f->store, &i, &w, &created, &e), 0);
    assert_int_equal(created, 0);
    w.inode++;
    assert_int_equal(volume_commit(f->store, &i, &w, &created, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
}

static void rename_replaces_only_when_asked(void **state)
{
    struct fixture *f = *state;
    struct volume_info i;

    NEEDS_ROOT();
    i = make(f, "data");
    write_file(f, &i, "a", "a");
    write_file(f, &i, "b", "b");
    assert_int_equal(kind_of(f, &i, VOLUME_AGENT_RENAME, "a", "b", 0), ERR_CONFLICT);
    assert_int_equal(kind_of(f, &i, VOLUME_AGENT_RENAME, "a", "b", VOLUME_REPLACE), ERR_NONE);
    assert_int_equal(kind_of(f, &i, VOLUME_AGENT_RENAME, "a", "c", 0), ERR_NOT_FOUND);
    assert_int_equal(access(host(&i, "new"), F_OK), -1);
    assert_int_equal(kind_of(f, &i, VOLUME_AGENT_RENAME, "b", "new/dir/b", 0), ERR_NONE);
    assert_int_equal(kind_of(f, &i, VOLUME_AGENT_RENAME, "new", "new/dir/x", 0), ERR_INVALID);
}

static void a_tree_is_removed_without_following_links(void **state)
{
    struct fixture *f = *state;
    struct volume_info i;
    struct err e;
    char path[4096] = "t";

    NEEDS_ROOT();
    i = make(f, "data");
    write_file(f, &i, "keep/file", "x");
    for (int n = 0; n < 300; n++) { /* deeper than any recursion should go */
        assert_int_equal(mkdir(host(&i, path), 0777), 0);
        assert_int_equal(chown(host(&i, path), ID_BASE + 1000, ID_BASE), 0);
        memcpy(path + strlen(path), "/t", 3);
    }
    assert_int_equal(symlink("../keep", host(&i, "t/link")), 0);
    assert_int_equal(symlink("/etc", host(&i, "t/out")), 0);
    assert_int_equal(mkdir(host(&i, "t/.removing-0"), 0700), 0);
    assert_int_equal(mkdir(host(&i, "t/.removing-0/full"), 0700), 0);
    assert_int_equal(chown(host(&i, "t/.removing-0"), ID_BASE, ID_BASE), 0);
    assert_int_equal(kind_of(f, &i, VOLUME_AGENT_REMOVE, "t", "", 0), ERR_CONFLICT);
    assert_int_equal(kind_of(f, &i, VOLUME_AGENT_REMOVE, "t", "", VOLUME_RECURSIVE), ERR_NONE);
    assert_int_equal(access(host(&i, "t"), F_OK), -1);
    assert_int_equal(volume_empty_trash(f->store, &i, clock_mono_ms() + 10000, &e), 0);
    assert_int_equal(rmdir(host(&i, ".strata/trash")), 0); /* empty */
    assert_int_equal(access(host(&i, "keep/file"), F_OK), 0);
    assert_int_equal(access("/etc/passwd", F_OK), 0);
}

static void old_uploads_are_swept_and_young_ones_stay(void **state)
{
    struct fixture *f = *state;
    struct volume_info i;
    struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    struct err e;

    NEEDS_ROOT();
    i = make(f, "data");
    assert_int_equal(kind_of(f, &i, VOLUME_AGENT_UPLOAD_OPEN, "", "old", VOLUME_CREATE), ERR_NONE);
    assert_int_equal(kind_of(f, &i, VOLUME_AGENT_UPLOAD_OPEN, "", "young", VOLUME_CREATE),
                     ERR_NONE);
    assert_int_equal(utimensat(AT_FDCWD, host(&i, ".strata/uploads/old"), old, 0), 0);
    assert_int_equal(volume_sweep(f->store, clock_wall_ms() - 3600000, &e), 0);
    assert_int_equal(access(host(&i, ".strata/uploads/old"), F_OK), -1);
    assert_int_equal(access(host(&i, ".strata/uploads/young"), F_OK), 0);
}

/* --- lists --- */

static void ten_thousand_files_are_listed_in_order_page_by_page(void **state)
{
    struct fixture *f = *state;
    struct volume_info i;
    char last[256] = "";
    int rows = 0, pages = 0;
    bool more;

    NEEDS_ROOT();
    i = make(f, "data");
    for (int n = 0; n < 10000; n++) {
        char name[64];
        int fd;

        (void)snprintf(name, sizeof(name), "file-%05d", n * 7919 % 10000);
        fd = open(host(&i, name), O_CREAT | O_WRONLY, 0644);
        assert_true(fd >= 0);
        (void)close(fd);
    }
    do {
        SCOPED(outcome_done) struct outcome o = ask(f, &i, VOLUME_AGENT_LIST, "", last, 0, 1000);
        struct str rest = o.reply.rows;
        struct volume_row row;

        assert_int_equal(o.rc, 0);
        while (volume_row_next(&rest, &row, &o.e) > 0) {
            char want[64];

            (void)snprintf(want, sizeof(want), "file-%05d", rows++);
            assert_true(str_eq_c(row.name, want));
            assert_int_equal(str_copy(row.name, last, sizeof(last)), 0);
        }
        more = (o.reply.flags & VOLUME_MORE) != 0;
        pages++;
    } while (more);
    assert_int_equal(rows, 10000);
    assert_true(pages >= 10);
}

/* The names of one page of LIST, with spaces between. */
static void listed(struct fixture *f, const struct volume_info *i, struct volume_request q,
                   char out[256], int64_t *key)
{
    SCOPED(buf_done) struct buf packet = BUF_MAX(VOLUME_PACKET_MAX);
    struct volume_reply reply;
    struct volume_row row;
    struct err e = {0};
    size_t n = 0;

    q.op = VOLUME_AGENT_LIST;
    q.path = STR("d");
    q.number = q.number ? q.number : 100;
    q.other = q.other.p ? q.other : STR_EMPTY;
    assert_int_equal(volume_ask(f->store, i, &q, &packet, &reply, NULL, &e), 0);
    out[0] = '\0';
    while (volume_row_next(&reply.rows, &row, &e) > 0) {
        n += (size_t)snprintf(out + n, 256 - n, "%s%.*s", n ? " " : "", STR_ARG(row.name));
        *key = q.flags & VOLUME_BY_SIZE ? (int64_t)row.file.size_bytes : row.file.modified_ns;
    }
}

static void a_folder_is_sorted_by_size_and_time_and_filtered(void **state)
{
    struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    struct fixture *f = *state;
    struct volume_info i;
    struct volume_request q = {.flags = VOLUME_DESC};
    char got[256];
    int64_t key = 0;

    NEEDS_ROOT();
    i = make(f, "data");
    write_file(f, &i, "d/Alpha", "12345");
    write_file(f, &i, "d/beta", "1");
    write_file(f, &i, "d/gamma", "12345");
    write_file(f, &i, "d/delta", "");
    assert_int_equal(utimensat(AT_FDCWD, host(&i, "d/gamma"), old, 0), 0);
    listed(f, &i, q, got, &key);
    assert_string_equal(got, "gamma delta beta Alpha");
    q.flags = VOLUME_BY_SIZE;
    listed(f, &i, q, got, &key);
    assert_string_equal(got, "delta beta Alpha gamma");
    listed(f, &i, (struct volume_request){.words = STR("AL")}, got, &key);
    assert_string_equal(got, "Alpha");
    listed(f, &i, (struct volume_request){.words = STR("AL"), .other = STR("d")}, got, &key);
    assert_string_equal(got, "");
    q = (struct volume_request){.flags = VOLUME_BY_TIME, .number = 1};
    listed(f, &i, q, got, &key);
    assert_string_equal(got, "gamma");
    assert_int_equal(key, 1000LL * 1000000000);
    q = (struct volume_request){.flags = VOLUME_BY_TIME, .other = STR("gamma"), .key = key};
    listed(f, &i, q, got, &key);
    assert_string_equal(got, "Alpha beta delta");
    /* two of one size on two pages: the name decides */
    q = (struct volume_request){.flags = VOLUME_BY_SIZE | VOLUME_DESC, .number = 1};
    listed(f, &i, q, got, &key);
    assert_string_equal(got, "gamma");
    q.number = 0;
    q.other = STR("gamma");
    q.key = key;
    listed(f, &i, q, got, &key);
    assert_string_equal(got, "Alpha beta delta");
}

/* --- walks --- */

static void a_walk_reads_no_link_and_opens_nothing_through_one(void **state)
{
    struct fixture *f = *state;
    struct volume_info i;

    NEEDS_ROOT();
    i = make(f, "data");
    write_file(f, &i, "real/file", "x");
    assert_int_equal(symlink("real", host(&i, "way")), 0);
    assert_int_equal(kind_of(f, &i, VOLUME_AGENT_READ_DIR, "real", "", 0), ERR_NONE);
    assert_int_equal(kind_of(f, &i, VOLUME_AGENT_READ_DIR, "way", "", 0), ERR_INVALID);
    assert_int_equal(kind_of(f, &i, VOLUME_AGENT_READ_DIR, "real/file", "", 0), ERR_CONFLICT);
    assert_int_equal(kind_of(f, &i, VOLUME_AGENT_OPEN_READ, "way/file", "", 0), ERR_NONE);
    assert_int_equal(kind_of(f, &i, VOLUME_AGENT_OPEN_READ, "way/file", "", VOLUME_NO_FOLLOW),
                     ERR_INVALID);
    assert_int_equal(kind_of(f, &i, VOLUME_AGENT_READ_LINK, "real/file", "", 0), ERR_INVALID);
    {
        SCOPED(outcome_done) struct outcome o = ask(f, &i, VOLUME_AGENT_READ_LINK, "way", "", 0, 0);

        assert_int_equal(o.rc, 0);
        assert_true(str_eq_c(o.reply.rows, "real"));
    }
}

struct seen {
    int files, dirs, links, others, skipped;
    size_t deepest;
    char wanted[16];
};

static int see(void *ctx, struct str path UNUSED, struct str rel, const struct volume_file *file,
               struct err *e)
{
    struct seen *s = ctx;

    s->files += file->type == VOLUME_FILE;
    s->dirs += file->type == VOLUME_DIR;
    s->links += file->type == VOLUME_LINK;
    s->others += file->type == VOLUME_OTHER;
    s->deepest = rel.len > s->deepest ? rel.len : s->deepest;
    return s->wanted[0] && str_eq_c(rel, s->wanted) ? err_set(e, ERR_CONFLICT, "of the callback")
                                                    : 0;
}

static void see_skipped(void *ctx, struct str rel UNUSED, const struct err *why UNUSED)
{
    ((struct seen *)ctx)->skipped++;
}

static const struct volume_walk_ops seeing = {see, see_skipped};

static void a_walk_sees_everything_once(void **state)
{
    struct fixture *f = *state;
    struct volume_info i;
    struct seen s = {0};
    struct err e = {0};
    char name[64];

    NEEDS_ROOT();
    i = make(f, "data");
    for (int n = 0; n < 3000; n++) { /* several packets */
        int fd;

        (void)snprintf(name, sizeof(name), "a-file-with-a-name-%05d", n);
        fd = open(host(&i, name), O_CREAT | O_WRONLY, 0644);
        assert_true(fd >= 0);
        (void)close(fd);
    }
    for (int n = 0; n < 40; n++) {
        (void)snprintf(name, sizeof(name), "dir%d/inner", n);
        write_file(f, &i, name, "x");
    }
    assert_int_equal(symlink(".", host(&i, "dir0/loop")), 0);
    assert_int_equal(mkfifo(host(&i, "dir0/pipe"), 0666), 0);
    assert_int_equal(volume_walk(f->store, &i, STR_EMPTY, &seeing, &s, &e), 0);
    assert_int_equal(s.files, 3040);
    assert_int_equal(s.dirs, 40);
    assert_int_equal(s.links, 1);
    assert_int_equal(s.others, 1);
    assert_int_equal(s.skipped, 0);
    s = (struct seen){0};
    assert_int_equal(volume_walk(f->store, &i, STR("dir0"), &seeing, &s, &e), 0);
    assert_int_equal(s.files, 1);
    assert_int_equal(s.deepest, strlen("inner"));
    assert_int_equal(volume_walk(f->store, &i, STR("none"), &seeing, &s, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    s = (struct seen){.wanted = "dir7/inner"};
    assert_int_equal(volume_walk(f->store, &i, STR_EMPTY, &seeing, &s, &e), -1);
    assert_string_equal(e.msg, "of the callback"); /* and no folder was skipped for it */
    assert_int_equal(s.skipped, 0);
}

static void a_walk_goes_as_deep_as_paths_do_and_says_where_it_stopped(void **state)
{
    struct fixture *f = *state;
    struct volume_info i;
    struct seen s = {0};
    struct err e = {0};
    int at;

    NEEDS_ROOT();
    i = make(f, "data");
    at = open(host(&i, ""), O_RDONLY | O_DIRECTORY);
    for (int n = 0; n < 2100; n++) { /* "d/d/d": 4,199 bytes */
        int next;

        assert_int_equal(mkdirat(at, "d", 0777), 0);
        assert_int_equal(fchownat(at, "d", ID_BASE, ID_BASE, 0), 0);
        next = openat(at, "d", O_RDONLY | O_DIRECTORY);
        assert_true(next >= 0);
        (void)close(at);
        at = next;
    }
    (void)close(at);
    assert_int_equal(volume_walk(f->store, &i, STR_EMPTY, &seeing, &s, &e), 0);
    assert_int_equal(s.deepest, 4095);
    assert_int_equal(s.dirs, 2048);
    assert_int_equal(s.skipped, 1);
}

static void walks_at_once_are_few_and_fewer_for_one_user(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};

    NEEDS_ROOT();
    for (int64_t user = 1; user <= LIMIT_WALKS / LIMIT_USER_WALKS; user++) {
        for (int n = 0; n < LIMIT_USER_WALKS; n++) {
            assert_int_equal(volume_walk_enter(f->store, user, &e), 0);
        }
        assert_int_equal(volume_walk_enter(f->store, user, &e), -1);
        assert_int_equal(e.kind, ERR_UNAVAILABLE);
    }
    assert_int_equal(volume_walk_enter(f->store, 99, &e), -1);
    volume_walk_leave(f->store, 1);
    assert_int_equal(volume_walk_enter(f->store, 99, &e), 0);
}

static void names_of_any_bytes_and_255_of_them_are_kept(void **state)
{
    struct fixture *f = *state;
    struct volume_info i;
    char longest[256];
    struct volume_row row;
    struct str rest;

    NEEDS_ROOT();
    i = make(f, "data");
    memset(longest, 0xfe, 255);
    longest[255] = '\0';
    write_file(f, &i, "\xff\n\"\\", "x");
    write_file(f, &i, longest, "x");
    {
        SCOPED(outcome_done) struct outcome o = ask(f, &i, VOLUME_AGENT_LIST, "", "", 0, 10);

        rest = o.reply.rows;
        assert_int_equal(volume_row_next(&rest, &row, &o.e), 1);
        assert_true(str_eq_c(row.name, longest));
        assert_int_equal(volume_row_next(&rest, &row, &o.e), 1);
        assert_true(str_eq_c(row.name, "\xff\n\"\\"));
        assert_int_equal(volume_row_next(&rest, &row, &o.e), 0);
        assert_int_equal(o.reply.flags, 0);
    }
    assert_int_equal(kind_of(f, &i, VOLUME_AGENT_OPEN_READ, longest, "", 0), ERR_NONE);
}

/* --- many at once --- */

struct caller {
    struct fixture *f;
    const struct volume_info *volumes;
    size_t n, first;
    atomic_int *failed;
};

static void *call_all(void *arg)
{
    const struct caller *c = arg;

    for (size_t n = 0; n < 3 * c->n; n++) {
        struct volume_info i = c->volumes[(c->first + n) % c->n];

        if (kind_of(c->f, &i, VOLUME_AGENT_MAKE_DIR, n % 2 ? "a" : "b/c", "", 0) != ERR_NONE) {
            atomic_fetch_add(c->failed, 1);
        }
        volume_changed(c->f->store, STR("demo"), &i);
        volume_measure(c->f->store, &i, clock_mono_ms() + 100);
    }
    return NULL;
}

static void more_volumes_than_agents_are_served_to_many_threads(void **state)
{
    struct fixture *f = *state;
    struct volume_info volumes[36]; /* 32 agents at most */
    struct caller callers[6];
    pthread_t threads[6];
    atomic_int failed = 0;

    NEEDS_ROOT();
    for (size_t i = 0; i < ARRAY_LEN(volumes); i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "v%zu", i);
        volumes[i] = make(f, name);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        callers[i] = (struct caller){f, volumes, ARRAY_LEN(volumes), i * 6, &failed};
        assert_int_equal(pthread_create(&threads[i], NULL, call_all, &callers[i]), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        (void)pthread_join(threads[i], NULL);
    }
    assert_int_equal(atomic_load(&failed), 0);
}

static void one_request_at_a_time_works_on_an_upload(void **state)
{
    struct fixture *f = *state;

    NEEDS_ROOT();
    assert_true(volume_active_enter(f->store, "v-a", "up", clock_mono_ms()));
    assert_true(volume_active_enter(f->store, "v-a", "other", clock_mono_ms()));
    assert_false(volume_active_enter(f->store, "v-a", "up", clock_mono_ms() + 20));
    volume_active_leave(f->store, "v-a", "up");
    assert_true(volume_active_enter(f->store, "v-a", "up", clock_mono_ms()));
}

static void the_hash_of_a_part_is_found_at_its_offset_only(void **state)
{
    struct fixture *f = *state;
    struct sha256 h;

    NEEDS_ROOT();
    for (int n = 0; n < 2 * VOLUME_HASHES; n++) { /* the oldest make room */
        char upload[32];

        (void)snprintf(upload, sizeof(upload), "up-%d", n);
        sha256_init(&h);
        volume_hash_keep(f->store, "v-a", upload, 10 + n, &h);
        assert_null(h.ctx);
    }
    assert_false(volume_hash_take(f->store, "v-a", "up-0", 10, &h));
    assert_true(volume_hash_take(f->store, "v-a", "up-127", 137, &h));
    sha256_done(&h);
    assert_false(volume_hash_take(f->store, "v-a", "up-127", 137, &h));
    assert_false(volume_hash_take(f->store, "v-a", "up-126", 1, &h));
    assert_false(volume_hash_take(f->store, "v-a", "up-126", 136, &h)); /* of another life */
}

/* --- after a crash --- */

static void what_a_crash_left_half_made_is_removed_at_the_next_start(void **state)
{
    struct fixture *f = *state;
    struct volume_hooks hooks = {
        .ctx = f, .project = find_project, .event = on_event, .in_use = in_use};
    struct volume_info half, ready, again;
    int64_t deadline = clock_mono_ms() + 5000;
    struct err e = {0};
    char id[65];

    NEEDS_ROOT();
    half = make(f, "half");
    ready = make(f, "ready");
    write_file(f, &half, "a/b", "x");
    assert_int_equal(volume_row_set_state(f->store, &half, VOLUME_ROW_DELETING, &e), 0);
    volume_close(f->store);
    f->store = volume_open(f->state, f->helper, &hooks, &e);
    assert_non_null(f->store);
    while (access(host(&half, ""), F_OK) == 0 && clock_mono_ms() < deadline) {
        (void)sched_yield();
    }
    assert_int_equal(access(host(&half, ""), F_OK), -1);
    while (volume_create(f->store, STR("demo"), STR("half"), &again, &e) < 0 &&
           clock_mono_ms() < deadline) { /* its row goes a moment later */
        (void)sched_yield();
    }
    assert_int_equal(volume_find(f->store, 7, STR("half"), id, &e), 0);
    assert_int_equal(volume_find(f->store, 7, STR("ready"), id, &e), 0);
    assert_string_equal(id, ready.id);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_volume_belongs_to_the_project_and_goes_with_all_in_it),
        TEST(a_name_is_taken_once_and_the_error_lists_what_there_is),
        TEST(a_volume_in_use_is_not_deleted),
        TEST(files_written_belong_to_the_project),
        TEST(changes_are_told_at_most_once_a_second_and_the_last_is_told),
        TEST(figures_follow_what_is_uploaded),
        TEST(an_agent_is_nobody_outside_and_has_no_way_out),
        TEST(a_range_of_another_project_gets_no_agent),
        TEST(an_agent_that_dies_is_replaced),
        TEST(an_agent_lives_on_when_the_helper_has_died),
        TEST(links_that_leave_the_volume_are_not_followed),
        TEST(paths_with_dots_are_refused_by_the_agent_itself),
        TEST(links_inside_the_volume_are_followed),
        TEST(only_regular_files_are_opened),
        TEST(an_upload_that_a_job_has_swapped_is_not_written_to),
        TEST(the_hidden_directory_comes_back_when_a_job_has_replaced_it),
        TEST(a_race_of_links_never_leads_outside),
        TEST(a_commit_replaces_a_file_but_not_a_directory),
        TEST(a_commit_that_an_agent_sleeps_on_is_done_by_another_and_once),
        TEST(what_an_agent_slept_on_is_not_done_after_the_next_request),
        TEST(an_agent_of_another_volume_is_left_alone),
        TEST(a_commit_may_be_repeated_but_only_of_the_very_file),
        TEST(rename_replaces_only_when_asked),
        TEST(a_tree_is_removed_without_following_links),
        TEST(old_uploads_are_swept_and_young_ones_stay),
        TEST(ten_thousand_files_are_listed_in_order_page_by_page),
        TEST(a_folder_is_sorted_by_size_and_time_and_filtered),
        TEST(a_walk_reads_no_link_and_opens_nothing_through_one),
        TEST(a_walk_sees_everything_once),
        TEST(a_walk_goes_as_deep_as_paths_do_and_says_where_it_stopped),
        TEST(walks_at_once_are_few_and_fewer_for_one_user),
        TEST(names_of_any_bytes_and_255_of_them_are_kept),
        TEST(more_volumes_than_agents_are_served_to_many_threads),
        TEST(one_request_at_a_time_works_on_an_upload),
        TEST(the_hash_of_a_part_is_found_at_its_offset_only),
        TEST(what_a_crash_left_half_made_is_removed_at_the_next_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
