/* A run as it goes: its events (server-sent) become bars, lines or JSON. */
#include "main/cli/pipeline.h"

#include "base/clock.h"
#include "base/limits.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { RETRY_SECONDS = 120, RETRY_MS = 300, LOOK_MS = 300, BAR_WIDTH = 30, REDRAW_MS = 100 };
enum { ROWS_DEFAULT = 24, LINE_BYTES = 2 * 1024 * 1024 };

struct watch {
    struct cli *c;
    enum follow_show show;
    bool on_terminal, is_over;
    json_t *nodes; /* by name, as they were told last */
    json_t *read;  /* by name: how much of its log was shown */
    struct buf line;
    char event[16];
    int drawn; /* lines of bars that stand at the end of the screen */
    int64_t drawn_ms;
};

static bool has_ended(const char *state)
{
    return strcmp(state, "waiting") != 0 && strcmp(state, "queued") != 0 &&
           strcmp(state, "running") != 0;
}

/* --- on a terminal: bars at its end, lines above them --- */

static void take_bars_away(struct watch *w)
{
    if (w->drawn > 0) {
        (void)fprintf(stderr, "\033[%dA\033[J", w->drawn);
        w->drawn = 0;
    }
}

static int rows_of_terminal(void)
{
    struct winsize size = {0};

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 3 ? size.ws_row
                                                                           : ROWS_DEFAULT;
}

static void draw_bar(const char *name, const json_t *node)
{
    double done = json_number_value(json_object_get(node, "done"));
    int full = (int)((done < 0 ? 0 : done > 1 ? 1 : done) * BAR_WIDTH);

    (void)fprintf(stderr, "%-24.63s ", name);
    for (int i = 0; i < BAR_WIDTH; i++) {
        (void)fputs(i < full ? "█" : "░", stderr);
    }
    (void)fprintf(stderr, " %3.0f%%  ", done * 100);
    print_safe(stderr, str_of(json_text(node, "text")));
    (void)fputc('\n', stderr);
}

/* Lines are cut by the terminal (no wrap): what is drawn is as many lines as were counted. */
static void draw_bars(struct watch *w)
{
    int room = rows_of_terminal() - 2, more = 0, waiting = 0;
    const json_t *node;
    const char *name;

    take_bars_away(w);
    w->drawn_ms = clock_mono_ms();
    (void)fputs("\033[?7l", stderr);
    json_object_foreach(w->nodes, name, node)
    {
        const char *state = json_text(node, "state");

        if (strcmp(state, "running") == 0 && w->drawn < room) {
            draw_bar(name, node);
            w->drawn++;
        } else {
            more += strcmp(state, "running") == 0;
            waiting += strcmp(state, "running") != 0 && !has_ended(state);
        }
    }
    if (more + waiting > 0) {
        (void)fprintf(stderr, "%d more run, %d wait\n", more, waiting);
        w->drawn++;
    }
    (void)fputs("\033[?7h", stderr);
    (void)fflush(stderr);
}

/* --- lines --- */

static void print_end(const char *name, const json_t *node)
{
    const json_t *error = json_object_get(node, "error"), *cache = json_object_get(node, "cache");

    (void)fprintf(stderr, "%-24.63s %-10s ", name, json_text(node, "state"));
    if (json_is_object(error)) {
        print_safe(stderr, str_of(json_text(error, "message")));
    } else if (json_is_true(json_object_get(cache, "hit"))) {
        print_safe(stderr, str_of(json_text(cache, "why")));
        (void)fputs("  ", stderr);
    }
    pipeline_print_metrics(stderr, node);
    (void)fputc('\n', stderr);
}

struct log {
    struct watch *w;
    const char *name;
    int64_t bytes; /* whole lines that were shown */
    struct buf line;
};

/* Lines for programs ({"t":...}) are the bars already. */
static void print_line(struct log *l)
{
    struct str line = buf_str(&l->line);

    if (line.len > 0 && !str_starts(line, STR("{\"t\":"))) {
        take_bars_away(l->w);
        (void)fprintf(stderr, "%.63s | ", l->name);
        print_safe(stderr, line);
        (void)fputc('\n', stderr);
    }
    buf_clear(&l->line);
}

static int take_log(void *ctx, struct str bytes)
{
    struct log *l = ctx;

    while (bytes.len > 0) {
        ptrdiff_t end = str_find_char(bytes, '\n');
        struct str part = str_first(bytes, end < 0 ? bytes.len : (size_t)end);

        (void)buf_add(&l->line, part);
        if (end < 0) {
            break;
        }
        l->bytes += (int64_t)l->line.len + 1;
        print_line(l);
        bytes = str_from(bytes, part.len + 1);
    }
    return 0;
}

/* What is new in the log of a node's job; one that cannot be had is shown by `pipeline logs`. */
static void print_log(struct watch *w, const char *name, const json_t *node)
{
    SCOPED(client_answer_done) struct client_answer a = {0};
    const char *job = json_text(node, "job");
    struct log l = {
        .w = w, .name = name, .bytes = json_number(w->read, name), .line = BUF_MAX(LINE_BYTES)};
    struct err ignored;
    SCOPED(freep)
    char *path = xasprintf("/api/v1/projects/%s/jobs/%s/log?offset=%lld",
                           url_segment(w->c->project), url_segment(job), (long long)l.bytes);

    if (job[0] &&
        client_send(w->c->client,
                    &(struct client_request){
                        .method = "GET", .path = str_of(path), .sink = take_log, .ctx = &l},
                    &a, &ignored) == 0) {
        if (has_ended(json_text(node, "state"))) {
            print_line(&l); /* the last one may lack its end */
        }
        (void)json_object_set_new(w->read, name, json_integer(l.bytes));
    }
    buf_done(&l.line);
}

/* --- changes --- */

static void print_event(const char *kind, const json_t *value)
{
    SCOPED(json_decrefp) json_t *line = json_pack("{s:s,s:O}", "event", kind, kind, value);
    SCOPED(freep) char *text = line ? json_dumps(line, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;

    (void)printf("%s\n", text ? text : "{}");
    (void)fflush(stdout);
}

static void take_node(struct watch *w, const char *name, const json_t *node)
{
    const json_t *before = json_object_get(w->nodes, name);
    bool is_other, is_end;

    if (before && json_equal(before, node)) {
        return;
    }
    is_other = strcmp(json_text(before, "state"), json_text(node, "state")) != 0;
    is_end = is_other && has_ended(json_text(node, "state"));
    if (is_end && (w->show == FOLLOW_BARS || w->show == FOLLOW_LOGS)) {
        take_bars_away(w);
        print_end(name, node);
    }
    (void)json_object_set(w->nodes, name, (json_t *)node);
    if (w->on_terminal && (is_other || clock_mono_ms() - w->drawn_ms >= REDRAW_MS)) {
        draw_bars(w);
    }
}

static void take_event(struct watch *w, struct str data)
{
    struct err ignored;
    SCOPED(json_decrefp) json_t *j = json_parse(data, &ignored);

    if (j && w->show == FOLLOW_EVENTS) {
        print_event(w->event, j);
    }
    if (j && strcmp(w->event, "node") == 0) {
        take_node(w, json_text(j, "node"), json_object_get(j, "value"));
    } else if (j && strcmp(w->event, "run") == 0) {
        w->is_over = pipeline_is_final(json_text(j, "state"));
    }
}

static int take_events(void *ctx, struct str bytes)
{
    struct watch *w = ctx;

    while (bytes.len > 0) {
        ptrdiff_t end = str_find_char(bytes, '\n');
        struct str part = str_first(bytes, end < 0 ? bytes.len : (size_t)end);
        struct str line;

        (void)buf_add(&w->line, part);
        bytes = str_from(bytes, part.len + (end >= 0));
        if (end < 0) {
            break;
        }
        line = buf_str(&w->line);
        if (str_starts(line, STR("event: "))) {
            (void)!str_copy(str_from(line, 7), w->event, sizeof(w->event));
        } else if (str_starts(line, STR("data: "))) {
            take_event(w, str_from(line, 6));
        }
        buf_clear(&w->line);
    }
    return ferror(stdout) ? -1 : 0;
}

/* One stream of events, to its end or to where it breaks. */
static int stream(struct watch *w, int64_t id, struct err *e)
{
    SCOPED(client_answer_done) struct client_answer a = {0};
    SCOPED(freep)
    char *path = xasprintf("/api/v1/projects/%s/runs/%lld/events", url_segment(w->c->project),
                           (long long)id);

    buf_clear(&w->line);
    if (client_send(w->c->client,
                    &(struct client_request){
                        .method = "GET", .path = str_of(path), .sink = take_events, .ctx = w},
                    &a, e) < 0) {
        return -1;
    }
    return a.status >= 400 ? client_error(&a, e) : 0;
}

/* With logs: a look at all of it, again and again. */
static int look(struct watch *w, const char *id, struct err *e)
{
    SCOPED(json_decrefp) json_t *run = NULL;
    const json_t *node;
    const char *name;

    if (pipeline_get_run(w->c, id, &run, e) < 0) {
        return -1;
    }
    json_object_foreach(json_object_get(run, "nodes"), name, node)
    {
        const json_t *before = json_object_get(w->nodes, name);

        if (!(before && has_ended(json_text(before, "state")))) {
            print_log(w, name, node);
        }
        take_node(w, name, node);
    }
    w->is_over = pipeline_is_final(json_text(run, "state"));
    if (!w->is_over) {
        (void)usleep(LOOK_MS * 1000);
    }
    return 0;
}

/* To the run's end and what came of it. A server that is away for a while, at whichever question,
 * is only a pause. */
static int watch(struct watch *w, int64_t id, const char *text, json_t **run, struct err *e)
{
    int64_t lost_ms = 0;

    for (;;) {
        bool was_over = w->is_over;
        int rc = was_over                 ? pipeline_get_run(w->c, text, run, e)
                 : w->show == FOLLOW_LOGS ? look(w, text, e)
                                          : stream(w, id, e);

        if (rc == 0 && was_over) {
            return 0;
        }
        if (rc == 0) {
            lost_ms = 0;
            continue;
        }
        if (e->kind != ERR_UNAVAILABLE && e->kind != ERR_TIMEOUT) {
            return -1;
        }
        lost_ms = lost_ms > 0 ? lost_ms : clock_mono_ms();
        if (clock_mono_ms() - lost_ms > RETRY_SECONDS * 1000) {
            return -1;
        }
        (void)usleep(RETRY_MS * 1000);
    }
}

int pipeline_follow(struct cli *c, int64_t id, enum follow_show show, json_t **run, struct err *e)
{
    SCOPED(json_decrefp) json_t *nodes = json_object();
    SCOPED(json_decrefp) json_t *read = json_object();
    SCOPED(freep) char *text = xasprintf("%lld", (long long)id);
    struct watch w = {.c = c,
                      .show = show,
                      .nodes = nodes,
                      .read = read,
                      .line = BUF_MAX(LINE_BYTES),
                      .on_terminal = (show == FOLLOW_BARS || show == FOLLOW_LOGS) &&
                                     isatty(STDERR_FILENO) == 1};
    int rc = watch(&w, id, text, run, e);

    take_bars_away(&w);
    buf_done(&w.line);
    return rc;
}
