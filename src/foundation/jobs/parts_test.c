/* The small parts: what a machine has, the order of the queue, the words for an end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "jobs/jobs_priv.h"
#include "rootfs/rootfs.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- names --- */

static void a_name_of_a_job_becomes_a_host_name(void **state UNUSED)
{
    static const char *const rows[][2] = {
        {"web", "web"},           {"my_trainer", "my-trainer"},
        {"a__b.c-1", "a--b.c-1"}, {"tail_", "tail"},
        {"_-.a.-_", "a"},         {"___", "job"},
        {"a b\xc3\xa9/", "a-b"},  {"", "job"},
    };
    char long_name[80], out[64];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        job_host_name(rows[i][0], out);
        assert_string_equal(out, rows[i][1]);
    }
    memset(long_name, 'x', sizeof(long_name));
    long_name[62] = '_';
    long_name[79] = '\0';
    job_host_name(long_name, out);
    assert_int_equal(strlen(out), 62);
}

static void a_working_directory_is_cleaned_as_docker_does(void **state UNUSED)
{
    static const char *const rows[][2] = {
        {"/app/", "/app"},       {"app", "/app"}, {"/app//x", "/app/x"},
        {"/app/../tmp", "/tmp"}, {"..", "/"},     {"/a/b/../../../c/.", "/c"},
        {"./a/./b", "/a/b"},     {"/", "/"},      {"//", "/"},
    };
    SCOPED(arena_done) struct arena a = {0};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_string_equal(job_clean_path(&a, str_of(rows[i][0])), rows[i][1]);
    }
}

/* --- machine --- */

static void put(int root, const char *dir, const char *path, const char *text)
{
    struct err e = {0};
    struct str rest = str_of(dir);
    size_t len = 0;

    while (rest.p) { /* each parent */
        struct str part = str_cut(&rest, '/');
        SCOPED(freep) char *so_far = NULL;

        len += part.len + (len > 0);
        so_far = str_dup(str_n(dir, len));
        assert_int_equal(fs_mkdir(root, so_far, 0755, &e), 0);
    }
    assert_int_equal(fs_write_atomic(root, path, str_of(text), 0644, &e), 0);
}

static void the_machine_is_cut_by_its_cgroup_and_its_settings(void **state UNUSED)
{
    static const struct cfg_item *const tables[] = {jobs_config, NULL};
    char dir[] = "/tmp/strata-jobs-XXXXXX";
    SCOPED(closep) int root = -1;
    SCOPED(cfg_freep) struct cfg *cfg = cfg_new(tables);
    struct machine m;
    struct err e;

    assert_non_null(mkdtemp(dir));
    root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    put(root, "proc", "proc/meminfo", "MemTotal:       16777216 kB\nMemFree: 1 kB\n");
    jobs_machine_probe(&m, root, 8, cfg);
    assert_int_equal(m.cpu_milli, 8000);
    assert_int_equal(m.memory_bytes, 16 * GIB - 512 * MIB);
    assert_int_equal(m.gpus, 0);

    put(root, "sys/fs/cgroup", "sys/fs/cgroup/cpu.max", "150000 100000\n");
    put(root, "sys/fs/cgroup", "sys/fs/cgroup/memory.max", "1073741824\n");
    put(root, "dev", "dev/nvidia10", "");
    put(root, "dev", "dev/nvidia2", "");
    put(root, "dev", "dev/nvidiactl", "");
    put(root, "dev", "dev/nvidia-uvm", "");
    jobs_machine_probe(&m, root, 8, cfg);
    assert_int_equal(m.cpu_milli, 1500);
    assert_int_equal(m.memory_bytes, GIB - 256 * MIB); /* the reserve is a quarter at most */
    assert_int_equal(m.gpus, 2);
    assert_int_equal(m.gpu_minor[0], 2);
    assert_int_equal(m.gpu_minor[1], 10);

    put(root, "sys/fs/cgroup", "sys/fs/cgroup/cpu.max", "max 100000\n");
    put(root, "sys/fs/cgroup", "sys/fs/cgroup/memory.max", "max\n");
    assert_int_equal(cfg_set(cfg, STR("jobs.cpu=500m"), &e), 0);
    assert_int_equal(cfg_set(cfg, STR("jobs.memory=1Gi"), &e), 0);
    jobs_machine_probe(&m, root, 8, cfg);
    assert_int_equal(m.cpu_milli, 500);
    assert_int_equal(m.memory_bytes, GIB);
    assert_int_equal(fs_remove_tree(AT_FDCWD, dir, &e), 0);
}

static void gpus_are_given_one_by_one_and_come_back(void **state UNUSED)
{
    struct machine m = {.cpu_milli = 8000, .memory_bytes = 8LL << 30, .gpus = 3};
    const struct machine_need two = {1000, 1 << 20, 2}, one = {1000, 1 << 20, 1}, none = {1, 1, 0};
    struct err e;
    uint64_t a, b;

    a = jobs_machine_take(&m, &two, 0);
    assert_int_equal(a, 3);
    assert_false(jobs_machine_fits(&m, &two));
    assert_true(jobs_machine_fits(&m, &one));
    assert_int_equal(jobs_machine_take(&m, &none, 0), 0);
    b = jobs_machine_take(&m, &one, 0);
    assert_int_equal(b, 4);
    jobs_machine_give(&m, &two, a);
    assert_int_equal(jobs_machine_take(&m, &one, 2), 2); /* found running with that one */
    assert_int_equal(jobs_machine_gpus_free(&m), 1);
    assert_int_equal(jobs_machine_could(&m, &(struct machine_need){1, 1, 4}, &e), -1);
    assert_string_equal(e.msg, "resources.gpu: asks for 4 GPUs; this machine has 3");
}

/* --- queue --- */

static void the_queue_keeps_the_order_of_submission_whatever_comes_and_goes(void **state UNUSED)
{
    enum { N = 1000 };
    struct job *jobs = xnew_array(struct job, N);
    struct queue q = {0};

    for (size_t i = 0; i < N; i++) {
        jobs[i].seq = (int64_t)i + 1;
    }
    for (size_t i = 0; i < N; i++) {
        jobs_queue_add(&q, &jobs[(i * 7) % N]); /* 7 and 1000 have no common factor */
    }
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(jobs_queue_position(&q, &jobs[i]), i + 1);
    }
    for (size_t i = 0; i < N; i += 2) {
        jobs_queue_remove(&q, &jobs[i]);
        jobs_queue_remove(&q, &jobs[i]); /* twice is harmless */
    }
    assert_int_equal(q.len, N / 2);
    for (size_t i = 1; i < N; i += 2) {
        assert_ptr_equal(jobs_queue_first(&q), &jobs[i]);
        jobs_queue_remove(&q, &jobs[i]);
        if (i % 5 == 0) { /* a retry keeps its place: before all who came later */
            jobs_queue_add(&q, &jobs[i]);
            assert_int_equal(jobs_queue_position(&q, &jobs[i]), 1);
            jobs_queue_remove(&q, &jobs[i]);
        }
    }
    assert_null(jobs_queue_first(&q));
    assert_int_equal(jobs_queue_position(&q, &jobs[0]), 0);
    jobs_queue_done(&q);
    free(jobs);
}

/* --- outcome --- */

static void an_end_is_told_in_plain_words(void **state UNUSED)
{
    static const struct {
        struct runtime_status s;
        enum job_stop stop;
        enum job_state state;
        enum job_exit_kind kind;
        int code;
        const char *text;
    } rows[] = {
        {{.end = RUNTIME_EXITED, .code = 0}, 0, JOB_SUCCEEDED, JOB_EXIT_CODE, 0, "exit code 0"},
        {{.end = RUNTIME_EXITED, .code = 3}, 0, JOB_FAILED, JOB_EXIT_CODE, 3, "exit code 3"},
        {{.end = RUNTIME_EXITED, .code = 127},
         0,
         JOB_FAILED,
         JOB_EXIT_CODE,
         127,
         "exit code 127: command not found"},
        {{.end = RUNTIME_EXITED, .code = 126},
         0,
         JOB_FAILED,
         JOB_EXIT_CODE,
         126,
         "exit code 126: the command cannot be executed"},
        {{.end = RUNTIME_EXITED, .code = 127, .detail = "no such file"},
         0,
         JOB_FAILED,
         JOB_EXIT_CODE,
         127,
         "exit code 127: no such file"},
        {{.end = RUNTIME_SIGNALED, .code = SIGSEGV},
         0,
         JOB_FAILED,
         JOB_EXIT_SIGNAL,
         SIGSEGV,
         "killed by SIGSEGV (Segmentation fault)"},
        {{.end = RUNTIME_SIGNALED, .code = 40},
         0,
         JOB_FAILED,
         JOB_EXIT_SIGNAL,
         40,
         "killed by signal 40"},
        {{.end = RUNTIME_OOM, .code = 9, .memory_peak_bytes = GIB},
         0,
         JOB_FAILED,
         JOB_EXIT_OOM,
         137,
         "killed: out of memory: used 1.0 GiB of 1.0 GiB; try resources.memory: 1536Mi"},
        {{.end = RUNTIME_OOM, .code = 9},
         JOB_STOP_TIMEOUT,
         JOB_FAILED,
         JOB_EXIT_OOM,
         137,
         "killed: out of memory (limit 1.0 GiB); try resources.memory: 1536Mi"},
        {{.end = RUNTIME_EXITED, .code = 0},
         JOB_STOP_TIMEOUT,
         JOB_FAILED,
         JOB_EXIT_TIMEOUT,
         124,
         "stopped: it ran longer than its timeout of 1 h 0 min"},
        {{.end = RUNTIME_SIGNALED, .code = 15},
         JOB_STOP_CANCEL,
         JOB_CANCELLED,
         JOB_EXIT_SIGNAL,
         15,
         "cancelled by bob"},
        {{.end = RUNTIME_LOST},
         0,
         JOB_LOST,
         JOB_EXIT_NONE,
         0,
         "its container is gone without an exit code (was the machine restarted?)"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct job_bounds b = {rows[i].stop, "bob", GIB, 3600000};
        struct job_outcome o;

        job_outcome_of_status(&rows[i].s, &b, &o);
        assert_int_equal(o.state, rows[i].state);
        assert_int_equal(o.kind, rows[i].kind);
        assert_int_equal(o.code, rows[i].code);
        assert_string_equal(o.text, rows[i].text);
    }
}

static void a_start_that_failed_has_the_code_a_shell_would_give(void **state UNUSED)
{
    const struct job_bounds b = {0};
    struct job_outcome o;
    struct err e;

    err_set(&e, ERR_INVALID, "command \"x\" was not found in the image (crun: ...)");
    job_outcome_of_error(&e, &b, &o);
    assert_int_equal(o.kind, JOB_EXIT_CODE);
    assert_int_equal(o.code, 127);
    err_set(&e, ERR_INVALID, "command \"x\" is in the image but may not be executed");
    job_outcome_of_error(&e, &b, &o);
    assert_int_equal(o.code, 126);
    err_set(&e, ERR_NOT_FOUND, "secret 'k' does not exist");
    job_outcome_of_error(&e, &b, &o);
    assert_int_equal(o.kind, JOB_EXIT_NONE);
    assert_int_equal(o.state, JOB_FAILED);
}

static void what_was_pinned_is_read_back(void **state UNUSED)
{
    struct rootfs_layer layers[2] = {{"sha256:a", "sha256:b"}, {"sha256:c", "sha256:d"}};
    const char *entrypoint[] = {"/bin/sh", "-c", NULL}, *none[] = {NULL},
               *env[] = {"A=\xe4\xbd\xa0", NULL};
    struct job_pin p = {.id_base = 4294901760U,
                        .image = {.digest = "sha256:e",
                                  .layers = layers,
                                  .n_layers = 2,
                                  .entrypoint = entrypoint,
                                  .cmd = none,
                                  .env = env,
                                  .user = "1000"}},
                   q;
    SCOPED(buf_done) struct buf out = BUF_MAX(MIB);
    SCOPED(arena_done) struct arena a = {0};
    struct jw w = JW(&out);
    struct err e = {0};

    job_pin_json(&p, &w);
    assert_int_equal(job_pin_parse(&a, buf_str(&out), &q, &e), 0);
    assert_int_equal(q.id_base, 4294901760U);
    assert_int_equal(q.image.n_layers, 2);
    assert_string_equal(q.image.layers[1].diff_id, "sha256:d");
    assert_string_equal(q.image.entrypoint[1], "-c");
    assert_null(q.image.entrypoint[2]);
    assert_null(q.image.cmd[0]);
    assert_string_equal(q.image.env[0], env[0]);
    assert_string_equal(q.image.user, "1000");
    assert_string_equal(q.image.cwd, "");
    assert_int_equal(job_pin_parse(&a, STR("{"), &q, &e), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_of_a_job_becomes_a_host_name),
        cmocka_unit_test(a_working_directory_is_cleaned_as_docker_does),
        cmocka_unit_test(the_machine_is_cut_by_its_cgroup_and_its_settings),
        cmocka_unit_test(gpus_are_given_one_by_one_and_come_back),
        cmocka_unit_test(the_queue_keeps_the_order_of_submission_whatever_comes_and_goes),
        cmocka_unit_test(an_end_is_told_in_plain_words),
        cmocka_unit_test(a_start_that_failed_has_the_code_a_shell_would_give),
        cmocka_unit_test(what_was_pinned_is_read_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
