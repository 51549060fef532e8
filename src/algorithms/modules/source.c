#include "algorithms/modules/source.h"

#include "base/mem.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEITHER "there is no file: give path, or connect the input file"

const char *source_path(const struct step *s, struct err *e)
{
    const char *file = step_file_in(s, "file"), *path = step_text(s, "path").p;
    bool given = path && *path;

    if (file && given) {
        err_set(e, ERR_INVALID, "both path and the input file are given: leave one out");
        return NULL;
    }
    if (file == NULL && !given) {
        err_set(e, ERR_INVALID, NEITHER);
        return NULL;
    }
    return file ? file : path;
}

static bool is_connected(const struct check *c)
{
    for (size_t i = 0; c->step.module->inputs[i].name; i++) {
        if (c->step.module->inputs[i].type == VALUE_FILE && c->in[i]) {
            return true;
        }
    }
    return false;
}

bool source_is_there(struct check *c)
{
    bool given = step_text(&c->step, "path").len > 0, connected = is_connected(c);

    if (given == connected) {
        check_mistake(c, /* port */ NULL, "path", /* column */ NULL, "%s",
                      given ? "both path and the input file are given: leave one out" : NEITHER);
    }
    return given && !connected && c->open_file;
}

static void mistake(struct check *c, const char *sentence)
{
    check_mistake(c, /* port */ NULL, "path", /* column */ NULL, "%s: %s",
                  step_text(&c->step, "path").p, sentence);
}

int source_head_open(struct check *c, uint64_t *size)
{
    struct err e = {0};
    struct stat st;
    int fd = c->open_file(c->ctx, step_text(&c->step, "path").p, &e);

    if (fd < 0) {
        check_mistake(c, /* port */ NULL, "path", /* column */ NULL, "%s", e.msg);
        return -1;
    }
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        mistake(c, "not a regular file");
        (void)close(fd);
        return -1;
    }
    *size = (uint64_t)st.st_size;
    return fd;
}

char *source_head_read(struct check *c, int fd, uint64_t at, size_t n)
{
    SCOPED(freep) char *bytes = xcalloc(1, n + 1);

    for (size_t got = 0; got < n;) {
        ssize_t more = pread(fd, bytes + got, n - got, (off_t)(at + got));

        if (more <= 0) {
            mistake(c, more < 0 ? "it cannot be read" : "it became shorter while it was read");
            return NULL;
        }
        got += (size_t)more;
    }
    return TAKE(bytes);
}

void source_gives(struct check *c, struct table *columns, const struct err *e)
{
    if (columns == NULL) {
        mistake(c, e->msg);
        return;
    }
    check_out_table(c, "table", columns, /* open */ false);
}
