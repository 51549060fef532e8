/* strata-ml - one algorithm, or a chain of them, in one process; runs inside job containers.
 * Words and exit codes: `strata-ml help`, docs/formats/module-manifest.md. */
#include "algorithms/chain.h"
#include "algorithms/check_step.h"
#include "algorithms/kernel/bigmem.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/progress.h"
#include "algorithms/kernel/spill.h"
#include "algorithms/manifest.h"
#include "algorithms/modules/modules.h"
#include "algorithms/plan.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: strata-ml [OPTIONS] MODULE --in PORT=FILE --out PORT=FILE --param NAME=VALUE ...\n"
    "       strata-ml [OPTIONS] chain STEP STEP ...\n"
    "       strata-ml [OPTIONS] plan -- NAME MODULE ... -- NAME MODULE ...\n"
    "       strata-ml --schema-only MODULE ...   the columns it would make, or what is wrong\n"
    "       strata-ml manifest [MODULE]     modules, ports and parameters as JSON\n"
    "       strata-ml --manifest            the same as one array\n"
    "       strata-ml list | help [MODULE] | version\n"
    "\n"
    "Each STEP of a chain is one argument in the words of a module; its ports are files (a name\n"
    "with a / or a .) or names of values kept in memory. A table whose file name ends in .csv is\n"
    "written as CSV. A plan runs steps one after the other as if each were alone; directories of\n"
    "outputs are made, and lines for programs say where each step begins and how it ends. The "
    "file\n"
    "- is standard input (--param path=-), or standard output, where tables are CSV:\n"
    "  strata-ml chain 'read_csv --param path=- --out table=t' 'sort --in table=t --param by=age\n"
    "    --out table=-' < people.csv\n"
    "\n"
    "  --threads N        default: the CPUs of the cgroup; results do not depend on it\n"
    "  --memory SIZE      most memory for data, such as 512Mi; default: what the cgroup has\n"
    "  --spill DIR        where columns lie that are larger than half of the memory\n"
    "  --progress MODE    auto, json, text or none\n"
    "  --outputs yes      write a preview beside each output file, and say its size and SHA-256\n"
    "  STRATA_THREADS, STRATA_MEMORY, STRATA_SPILL, ... say the same.\n"
    "\n"
    "exit: 0 done, 1 our fault or the machine's, 2 wrong words, 3 wrong data, 4 out of memory\n";

struct options {
    const char *threads, *memory, *spill, *progress, *outputs;
};

/* Commands that look like options. */
static bool is_command(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "--manifest") == 0 ||
           strcmp(word, "--schema-only") == 0 || strcmp(word, "--version") == 0;
}

static int unknown_option(const char *word, struct err *e)
{
    static const char *const names[] = {"threads",  "memory", "spill",   "progress",   "outputs",
                                        "manifest", "help",   "version", "schema-only"};
    const char *near = str_nearest(str_of(word + 2), names, ARRAY_LEN(names));

    return near ? err_set(e, ERR_INVALID, "'%s' is no option here: did you mean --%s?", word, near)
                : err_set(e, ERR_INVALID,
                          "'%s' is no option here; there are --threads, --memory, --spill, "
                          "--progress and --outputs",
                          word);
}

/* Takes options off the front of argv; the number of words taken, or -1. */
static int take_options(struct options *o, int argc, char **argv, struct err *e)
{
    int i = 0;

    for (; i < argc && strncmp(argv[i], "--", 2) == 0 && !is_command(argv[i]); i += 2) {
        const char **slot = strcmp(argv[i], "--threads") == 0    ? &o->threads
                            : strcmp(argv[i], "--memory") == 0   ? &o->memory
                            : strcmp(argv[i], "--spill") == 0    ? &o->spill
                            : strcmp(argv[i], "--progress") == 0 ? &o->progress
                            : strcmp(argv[i], "--outputs") == 0  ? &o->outputs
                                                                 : NULL;

        if (slot == NULL) {
            return unknown_option(argv[i], e);
        }
        if (i + 1 >= argc) {
            return err_set(e, ERR_INVALID, "%s needs a value", argv[i]);
        }
        *slot = argv[i + 1];
    }
    return i;
}

static int threads_of(const char *text, unsigned *n, struct err *e)
{
    uint64_t v = 0;

    *n = threads_default();
    if (text == NULL || *text == '\0') {
        return 0;
    }
    if (str_to_u64(str_of(text), &v) < 0 || v < 1 || v > ML_LIMIT_THREADS) {
        return err_set(e, ERR_INVALID, "--threads: '%s' is not a number from 1 to %d", text,
                       ML_LIMIT_THREADS);
    }
    *n = (unsigned)v;
    return 0;
}

static int progress_of(const char *text, enum progress_mode *mode, struct err *e)
{
    static const char *const names[] = {"auto", "json", "text", "none"};

    *mode = PROGRESS_AUTO;
    for (size_t i = 0; text && *text && i < ARRAY_LEN(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *mode = (enum progress_mode)i;
            return 0;
        }
    }
    return text && *text
               ? err_set(e, ERR_INVALID, "--progress: '%s' is none of auto, json, text, none", text)
               : 0;
}

static int set_memory(const char *text, struct err *e)
{
    int64_t bytes = 0;

    if (text && *text && (str_parse_bytes(str_of(text), &bytes, e) < 0 || bytes <= 0)) {
        return err_set(e, ERR_INVALID, "--memory: '%s' is no size: write 512Mi or 2G", text);
    }
    big_set_budget((uint64_t)bytes);
    return 0;
}

/* The exit code, or -1. */
static int run(struct options *o, int argc, char **argv, struct err *e)
{
    bool chain = strcmp(argv[0], "chain") == 0;
    int more = chain ? take_options(o, argc - 1, argv + 1, e) : 0;
    enum progress_mode mode;
    struct progress progress;
    unsigned n;
    SCOPED(threads_closep) struct threads *threads = NULL;

    if (more < 0 || threads_of(o->threads, &n, e) < 0 || progress_of(o->progress, &mode, e) < 0 ||
        set_memory(o->memory, e) < 0) {
        return -1;
    }
    spill_set_dir(o->spill && *o->spill ? o->spill : NULL);
    progress_init(&progress, mode);
    progress.outputs = o->outputs && strcmp(o->outputs, "yes") == 0;
    threads = threads_open(n);
    if (chain) {
        return chain_run(modules_all, argv + 1 + more, (size_t)(argc - 1 - more), threads,
                         &progress, e);
    }
    if (strcmp(argv[0], "plan") == 0) {
        return plan_run(modules_all, argv + 1, (size_t)argc - 1, threads, &progress, e);
    }
    return chain_run_one(modules_all, argv, (size_t)argc, threads, &progress, e);
}

/* A full disk may show only when the stream is closed (NFS). */
static int print(struct buf *b)
{
    bool written = fwrite(b->p, 1, b->len, stdout) == b->len;

    buf_done(b);
    if (fclose(stdout) == 0 && written) {
        return EXIT_DONE;
    }
    (void)fprintf(stderr, "strata-ml: cannot write to standard output\n");
    return EXIT_OURS;
}

/* Mistakes are told as JSON on standard output, and by the exit code. */
static int schema_only(int argc, char **argv, struct err *e)
{
    struct buf out = BUF_MAX(16 * MIB);
    bool ok = false;
    int rc;

    if (check_step_json(modules_all, argv, (size_t)argc, &out, &ok, e) < 0) {
        buf_done(&out);
        return failure_exit_code(e->kind);
    }
    rc = print(&out);
    return rc == EXIT_DONE && !ok ? EXIT_USER : rc;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* manifest, list, help: what needs no threads. -1 when the words are others. */
static int describe(int argc, char **argv, struct err *e)
{
    struct buf out = BUF_MAX(4 * MIB);
    const struct module *m = NULL;
    bool list = strcmp(argv[0], "list") == 0, manifest = strcmp(argv[0], "manifest") == 0;
    bool array = strcmp(argv[0], "--manifest") == 0;
    bool help = strcmp(argv[0], "help") == 0 || is_help(argv[0]);
    bool version = strcmp(argv[0], "version") == 0 || strcmp(argv[0], "--version") == 0;

    if (argc == 2 && !help && is_help(argv[1])) { /* split --help */
        return describe(2, (char *[]){"help", argv[0], NULL}, e);
    }
    if (strcmp(argv[0], "--schema-only") == 0) {
        return schema_only(argc - 1, argv + 1, e);
    }
    if (!list && !manifest && !array && !help && !version) {
        return -1;
    }
    if (argc > 1 && (manifest || help)) {
        m = step_find_module(modules_all, str_of(argv[1]), e);
        if (m == NULL) {
            return EXIT_USER;
        }
    }
    if (manifest) {
        manifest_json(modules_all, m, &out);
    } else if (array) {
        manifest_array(modules_all, &out);
    } else if (list) {
        for (size_t i = 0; modules_all[i]; i++) {
            (void)buf_printf(&out, "%-22s %s\n", modules_all[i]->name, modules_all[i]->title);
        }
    } else if (help && m) {
        manifest_help(m, &out);
    } else if (help) {
        (void)buf_add_c(&out, usage);
    } else {
        (void)buf_printf(&out, "strata-ml %s\n", STRATA_VERSION);
    }
    return print(&out);
}

/* A mapped file that became shorter while it was read: nothing else of ours maps files. */
static void on_bus_error(int signal_number)
{
    static const char text[] = "strata-ml: an input file became shorter while it was read\n";

    (void)signal_number;
    (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    _exit(EXIT_DATA);
}

int main(int argc, char **argv)
{
    struct options o = {getenv("STRATA_THREADS"), getenv("STRATA_MEMORY"), getenv("STRATA_SPILL"),
                        getenv("STRATA_PROGRESS"), getenv("STRATA_OUTPUTS")};
    struct err e = {0};
    int taken = take_options(&o, argc - 1, argv + 1, &e), rc = -1;

    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGBUS, on_bus_error);
    if (taken >= 0 && taken == argc - 1) {
        (void)fputs(usage, stderr);
        return EXIT_USER;
    }
    if (taken >= 0) {
        rc = describe(argc - 1 - taken, argv + 1 + taken, &e);
        if (rc >= 0 && e.kind == ERR_NONE) {
            return rc;
        }
    }
    if (e.kind == ERR_NONE) {
        rc = run(&o, argc - 1 - taken, argv + 1 + taken, &e);
        if (rc >= 0) {
            return rc;
        }
    }
    progress_plain(e.msg);
    (void)fprintf(stderr, "strata-ml: %s\n", e.msg);
    return failure_exit_code(e.kind);
}
