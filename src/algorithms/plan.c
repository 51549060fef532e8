#include "algorithms/plan.h"

#include "algorithms/chain.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/progress.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static bool is_mark(const char *word)
{
    return strcmp(word, "--") == 0;
}

/* How many words until the next step. */
static size_t length(char *const *words, size_t n)
{
    size_t i = 0;

    while (i < n && !is_mark(words[i])) {
        i++;
    }
    return i;
}

/* The directory of "table=/out/read/table.arrow", which others have made or we make. */
static int make_dir_of(const char *output, struct err *e)
{
    const char *path = strchr(output, '='), *slash = path ? strrchr(path, '/') : NULL;
    char dir[512];

    if (slash == NULL || slash == path + 1) {
        return 0;
    }
    if (str_copy(str_n(path + 1, (size_t)(slash - path) - 1), dir, sizeof(dir)) < 0) {
        return err_set(e, ERR_INVALID, "--out: the name of its directory is too long");
    }
    return mkdir(dir, 0755) < 0 && errno != EEXIST ? err_sys(e, "%s", dir) : 0;
}

static int make_dirs(char *const *words, size_t n, struct err *e)
{
    for (size_t i = 0; i + 1 < n; i++) {
        if (strcmp(words[i], "--out") == 0 && make_dir_of(words[i + 1], e) < 0) {
            return -1;
        }
    }
    return 0;
}

/* words: the step's name, its module, the module's words. Its exit code. */
static int run_one(const struct module *const *modules, char *const *words, size_t n,
                   struct threads *threads, struct progress *progress)
{
    struct progress own = *progress;
    struct err e = {0};
    int rc;

    own.last_ms = 0;
    progress_step_begins(&own, words[0]);
    rc = make_dirs(words, n, &e);
    if (rc == 0) {
        rc = chain_run_one(modules, words + 1, n - 1, threads, &own, &e);
    }
    if (rc < 0) {
        progress_plain(e.msg);
        (void)fprintf(stderr, "strata-ml: %s\n", e.msg);
        rc = failure_exit_code(e.kind);
    }
    progress_step_ends(&own, words[0], rc, rc > 0 ? e.msg : NULL);
    return rc;
}

/* Before anything runs. */
static int check(char *const *words, size_t n, struct err *e)
{
    for (size_t at = 0, len; at < n; at += 1 + len) {
        len = length(words + at + 1, n - at - 1);
        if (!is_mark(words[at]) || len < 2) {
            return err_set(e, ERR_INVALID,
                           "a plan is steps: plan -- NAME MODULE ... -- NAME MODULE ...");
        }
    }
    return n > 0 ? 0 : err_set(e, ERR_INVALID, "plan: there is no step");
}

int plan_run(const struct module *const *modules, char *const *words, size_t n,
             struct threads *threads, struct progress *progress, struct err *e)
{
    if (check(words, n, e) < 0) {
        return -1;
    }
    for (size_t at = 0, len; at < n; at += 1 + len) {
        int rc;

        len = length(words + at + 1, n - at - 1);
        rc = run_one(modules, words + at + 1, len, threads, progress);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}
