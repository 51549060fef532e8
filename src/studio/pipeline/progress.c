/* What a step says while it runs: lines of its log that begin with {"t":
 * (docs/formats/progress.md).
 */
#include "pipeline/pipeline_priv.h"

#include "base/limits.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    CHUNK = 16 * 1024,
    CHUNKS_AT_ONCE = 16,
    TAIL = 16 * 1024,
    LAST = 1024 * 1024,
    WARNINGS_READ = 100
};

static void read_output(struct run *r, struct run_node *n, const json_t *line)
{
    const char *port = json_string_value(json_object_get(line, "port"));
    const struct module *m = run_module(r, n);

    for (size_t i = 0; port && m->outputs[i].name; i++) {
        if (strcmp(port, m->outputs[i].name) == 0) {
            const json_t *rows = json_object_get(line, "rows");

            n->outputs[i].sha256[0] = '?'; /* said; hashed when it is taken */
            n->outputs[i].sha256[1] = '\0';
            n->outputs[i].rows = json_is_integer(rows) ? json_integer_value(rows) : -1;
            n->outputs[i].columns = json_integer_value(json_object_get(line, "columns"));
        }
    }
}

/* The newest take the place of those before, so that no step fills our memory with them. */
static void read_metrics(struct run_node *n, const json_t *metrics)
{
    struct buf out = BUF_MAX(LIMIT_STEP_METRICS_BYTES);
    struct jw w = JW(&out);

    jw_object(&w);
    for (void *it = json_object_iter((json_t *)metrics); it;
         it = json_object_iter_next((json_t *)metrics, it)) {
        const json_t *v = json_object_iter_value(it);

        if (json_is_number(v)) {
            jw_key(&w, json_object_iter_key(it));
            jw_double(&w, json_number_value(v));
        }
    }
    jw_end(&w);
    if (out.failed) {
        buf_done(&out);
        return;
    }
    buf_done(&n->metrics);
    n->metrics = out;
    n->row.metrics = n->metrics.p;
}

/* The first that fit are kept, each once: a server that starts again reads the log again. */
static void keep_warning(struct run_node *n, const char *text)
{
    struct buf out = BUF_MAX(LIMIT_STEP_WARNINGS_BYTES);
    struct jw w = JW(&out);
    struct err ignored;
    SCOPED(json_decrefp)
    json_t *told = n->row.warnings ? json_parse(str_of(n->row.warnings), &ignored) : NULL;
    bool is_new = true;

    jw_array(&w);
    for (size_t i = 0; i < json_array_size(told); i++) {
        const char *before = json_string_value(json_array_get(told, i));

        jw_str(&w, str_of(before ? before : ""));
        is_new = is_new && before && strcmp(before, text) != 0;
    }
    if (is_new) {
        jw_str(&w, str_of(text));
    }
    jw_end(&w);
    if (out.failed || !is_new) {
        buf_done(&out);
        return;
    }
    buf_done(&n->warnings);
    n->warnings = out;
    n->row.warnings = n->warnings.p;
}

/* Whether it was looked at: a log of nothing else must not hold up other runs. */
static bool read_warning(struct run_node *n, const json_t *line)
{
    const char *text = json_string_value(json_object_get(line, "text"));

    if (text == NULL || n->n_warned == WARNINGS_READ) {
        return false;
    }
    n->n_warned++;
    keep_warning(n, text);
    return true;
}

static bool read_progress(struct pipelines *s, struct run_node *n, const json_t *line)
{
    const json_t *done = json_object_get(line, "done"), *metric = json_object_get(line, "metric");
    const char *text = json_string_value(json_object_get(line, "text"));
    double part = json_number_value(done);
    struct lock *l = &s->lock;

    if (json_is_object(metric)) {
        read_metrics(n, metric);
    }
    WITH_LOCK(l);
    n->done = part >= 0 && part <= 1 ? part : n->done;
    if (text) {
        (void)snprintf(n->text, sizeof(n->text), "%s", text);
    }
    return true;
}

/* {"t":"step","name":...,"state":"begins"|"ended","at":ms,"exit":code,"error":...} */
static void read_step(struct run_node *n, const json_t *line)
{
    const char *name = json_string_value(json_object_get(line, "name"));
    const char *state = json_string_value(json_object_get(line, "state"));
    const char *error = json_string_value(json_object_get(line, "error"));
    int64_t at_ms = json_integer_value(json_object_get(line, "at"));

    if (name == NULL || state == NULL || strcmp(name, n->row.node) != 0) {
        return;
    }
    if (strcmp(state, "begins") == 0) {
        n->part = PART_WITHIN;
        n->begun_ms = at_ms;
    } else if (n->part == PART_WITHIN) {
        n->part = PART_ENDED;
        n->ended_ms = at_ms;
        n->exit_code = (int)json_integer_value(json_object_get(line, "exit"));
        (void)snprintf(n->said, sizeof(n->said), "%s", error ? error : "");
    }
}

static bool read_line(struct pipelines *s, struct run *r, struct run_node *n, struct str line)
{
    struct err e;
    SCOPED(json_decrefp)
    json_t *j = str_starts(line, STR("{\"t\":")) ? json_parse(line, &e) : NULL;
    const char *kind = json_string_value(json_object_get(j, "t"));

    if (kind && strcmp(kind, "step") == 0) {
        read_step(n, j);
        return false;
    }
    if (n->row.image == NULL && n->part != PART_WITHIN) {
        return false; /* of another that shares the container */
    }
    if (kind && strcmp(kind, "output") == 0) {
        read_output(r, n, j);
        return false;
    }
    if (kind && strcmp(kind, "warning") == 0) {
        return read_warning(n, j);
    }
    return kind && strcmp(kind, "progress") == 0 && read_progress(s, n, j);
}

bool progress_read(struct pipelines *s, struct run *r, struct run_node *n, int fd)
{
    bool said = false;
    char chunk[CHUNK];

    for (int i = 0; i < CHUNKS_AT_ONCE; i++) {
        ssize_t got = pread(fd, chunk, sizeof(chunk), n->log_at);
        struct str rest = str_n(chunk, got > 0 ? (size_t)got : 0);

        if (got <= 0) {
            break;
        }
        n->log_at += got;
        n->line.max = LIMIT_STEP_LINE_BYTES;
        while (rest.p && rest.len > 0) {
            ptrdiff_t end = str_find_char(rest, '\n');

            (void)buf_add(&n->line, str_first(rest, end < 0 ? rest.len : (size_t)end));
            if (end < 0) {
                break;
            }
            said = (!n->line.failed && read_line(s, r, n, buf_str(&n->line))) || said;
            buf_done(&n->line);
            n->line.max = LIMIT_STEP_LINE_BYTES;
            rest = str_from(rest, (size_t)end + 1);
        }
    }
    return said;
}

bool progress_read_last(struct pipelines *s, struct run *r, struct run_node *n, int fd)
{
    off_t size = lseek(fd, 0, SEEK_END);
    bool said = false;

    if (size - n->log_at > LAST) {
        n->log_at = size - LAST;
        n->line.failed = true; /* we are within a line: it does not count */
    }
    while (n->log_at < size) {
        int64_t from = n->log_at;

        said = progress_read(s, r, n, fd) || said;
        if (n->log_at == from) {
            break;
        }
    }
    return said;
}

/* What is told at the end of a log. */
struct last_words {
    struct str ours, any;    /* the last of strata-ml, and of anybody */
    struct str fatal, cause; /* of a Python that cannot start */
};

static void hear(struct last_words *w, struct str line)
{
    static const struct str mark = {"strata-ml: ", 11}, fatal = {"Fatal Python error: ", 20};

    if (str_starts(line, mark)) {
        w->ours = str_from(line, mark.len);
    } else if (str_starts(line, fatal)) {
        w->fatal = str_from(line, fatal.len);
    } else if (w->fatal.p && w->cause.p == NULL && str_find(line, STR("Error: ")) >= 0) {
        w->cause = line;
    } else if (line.len > 0 && line.p[0] != '{') {
        w->any = line;
    }
}

const char *progress_error(struct arena *a, int fd)
{
    char tail[TAIL];
    off_t size = lseek(fd, 0, SEEK_END);
    ssize_t got = pread(fd, tail, sizeof(tail), size > TAIL ? size - TAIL : 0);
    struct str rest = str_n(tail, got > 0 ? (size_t)got : 0), last;
    struct last_words w = {0};

    while (rest.p && rest.len > 0) {
        hear(&w, str_trim(str_cut(&rest, '\n')));
    }
    if (w.ours.p == NULL && w.fatal.p && str_is_utf8(w.fatal) && str_is_utf8(w.cause)) {
        return arena_printf(a,
                            "the image's Python cannot start: %.*s%s%.*s; take an image in which "
                            "python3 -c pass works",
                            STR_ARG(str_first(w.fatal, 400)), w.cause.p ? ": " : "",
                            STR_ARG(str_first(w.cause, 400)));
    }
    last = w.ours.p ? w.ours : w.any;
    return last.p && str_is_utf8(last) ? arena_strdup(a, str_first(last, 1000)) : NULL;
}

/* --- the log of one step among others --- */

struct section {
    struct str begins, ended; /* how the lines look */
    int64_t from, to;
};

static void see_line(struct section *x, struct str line, int64_t at)
{
    if (x->from < 0 && str_starts(line, x->begins)) {
        x->from = at + (int64_t)line.len + 1;
        x->to = -1;
    } else if (x->from >= 0 && x->to < 0 && str_starts(line, x->ended)) {
        x->to = at;
    }
}

/* Lines longer than a piece are none of ours. */
static void scan(int fd, struct section *x)
{
    char piece[CHUNK];
    int64_t at = 0;
    ssize_t got;

    while (x->to < 0 && (got = pread(fd, piece, sizeof(piece), at)) > 0) {
        struct str rest = str_n(piece, (size_t)got);
        ptrdiff_t end;

        if (str_find_char(rest, '\n') < 0) {
            at += got;
            continue;
        }
        while (x->to < 0 && (end = str_find_char(rest, '\n')) >= 0) {
            see_line(x, str_first(rest, (size_t)end), at);
            at += end + 1;
            rest = str_from(rest, (size_t)end + 1);
        }
    }
}

void progress_section(int fd, const char *node, int64_t *from, int64_t *to)
{
    char begins[160], ended[160];
    struct section x = {.from = -1, .to = -1};

    (void)snprintf(begins, sizeof(begins), "{\"t\":\"step\",\"name\":\"%s\",\"state\":\"begins\"",
                   node);
    (void)snprintf(ended, sizeof(ended), "{\"t\":\"step\",\"name\":\"%s\",\"state\":\"ended\"",
                   node);
    x.begins = str_of(begins);
    x.ended = str_of(ended);
    scan(fd, &x);
    *from = x.from < 0 ? 0 : x.from;
    *to = x.to < 0 ? lseek(fd, 0, SEEK_END) : x.to;
}
