#include "algorithms/modules/source.h"

#include "base/mem.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

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
