#include "runtime/runtime_priv.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

int crun_find(struct crun *out, struct err *e)
{
    static const struct crun known[] = {
        {"/usr/bin/crun", false}, {"/usr/local/bin/crun", false}, {"/usr/sbin/runc", true},
        {"/usr/bin/runc", true},  {"/usr/local/sbin/runc", true},
    };

    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (access(known[i].path, X_OK) == 0) {
            *out = known[i];
            return 0;
        }
    }
    return err_set(e, ERR_UNAVAILABLE,
                   "neither crun nor runc is installed: run `apt-get install crun`");
}

size_t crun_argv(const struct crun *c, const char *root, const char *log, const char *argv[])
{
    size_t n = 0;

    argv[n++] = c->path;
    argv[n++] = "--root";
    argv[n++] = root;
    argv[n++] = "--log";
    argv[n++] = log;
    if (!c->is_runc) {
        argv[n++] = "--cgroup-manager=cgroupfs";
    }
    return n;
}

/* What crun 1.8 to 1.15 and runc 1.1 say, and what it means to whoever wrote the job. The first row
 * that is found counts. */
struct meaning {
    const char *text;
    enum err_kind kind;
    int code;
    const char *sentence; /* %s is the command */
};

static const struct meaning meanings[] = {
    {"hybrid mode not supported", ERR_UNAVAILABLE, 0,
     "this host mixes cgroup v1 and v2 in a way that crun refuses; `strata doctor --mend` repairs "
     "it%.0s"},
    {"missing dynamic library", ERR_INVALID, 126,
     "command %s cannot be run: its interpreter or dynamic loader is not in the image"},
    {"Exec format error", ERR_INVALID, 126,
     "command %s cannot be run: it is a program for another architecture, or a script without "
     "#! in its first line"},
    {"exec format error", ERR_INVALID, 126,
     "command %s cannot be run: it is a program for another architecture, or a script without "
     "#! in its first line"},
    {"executable file not found", ERR_INVALID, 127, "command %s was not found in the image"},
    {"executable file `", ERR_INVALID, 127, "command %s was not found in the image"},
    {"open executable: Permission denied", ERR_INVALID, 126,
     "command %s is in the image but may not be executed by the job's user"},
    {"open executable", ERR_INVALID, 126, "command %s is in the image but is no program"},
    {"exec container process", ERR_INVALID, 126, "command %s cannot be run"},
    {"is a directory", ERR_INVALID, 126, "command %s is a directory in the image"},
    {"permission denied: unknown", ERR_INVALID, 126,
     "command %s is in the image but may not be executed by the job's user"},
    {"no such file or directory: unknown", ERR_INVALID, 127,
     "command %s was not found in the image"},
    {"chdir", ERR_INVALID, 126, "the working directory of %s cannot be entered"},
};

/* A mount whose place is taken: by something else in the image, or in a volume. With the
 * container's own tree only; what is wrong with the host's may pass. */
static bool is_taken_place(struct str said)
{
    static const char *const doing[] = {"the target `", "mount `", "mkdir `", "openat2 `",
                                        "box/rootfs"};
    static const char *const why[] = {"Not a directory", "Read-only file system",
                                      "No such file or directory",
                                      "Too many levels of symbolic links", "Is a directory"};
    bool is_mount = false, is_why = false;

    for (size_t i = 0; i < ARRAY_LEN(doing); i++) {
        is_mount |= str_find(said, str_of(doing[i])) >= 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(why); i++) {
        is_why |= str_find(said, str_of(why[i])) >= 0;
    }
    return is_mount && is_why && str_find(said, STR("cgroup")) < 0;
}

/* crun repeats itself on its log: the last line that says something. */
static struct str last_line(struct str text)
{
    struct str last = STR_EMPTY;

    while (text.p) {
        struct str line = str_trim(str_cut(&text, '\n'));

        last = line.len > 0 ? line : last;
    }
    return str_first(last, 300);
}

int crun_explain(struct str text, const char *command, int *code, struct err *e)
{
    struct str said = last_line(text);
    char sentence[240], quoted[100];

    *code = 0;
    for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
        const struct meaning *m = &meanings[i];

        if (str_find(text, str_of(m->text)) >= 0) {
            *code = m->code;
            (void)snprintf(quoted, sizeof(quoted), "\"%.90s\"", command);
            (void)snprintf(sentence, sizeof(sentence), m->sentence, quoted);
            return err_set(e, m->kind, "%s (%.*s)", sentence, STR_ARG(str_first(said, 160)));
        }
    }
    if (is_taken_place(said)) {
        return err_set(e, ERR_INVALID,
                       "a directory of the container cannot be mounted: a file or a link of the "
                       "image is in its place (%.*s)",
                       STR_ARG(str_first(said, 160)));
    }
    return err_set(e, ERR_UNAVAILABLE, "the container runtime failed: %.*s",
                   STR_ARG(said.len > 0 ? said : STR("crun says nothing")));
}
