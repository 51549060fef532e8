#include "algorithms/kernel/progress.h"

#include "algorithms/kernel/number.h"
#include "base/clock.h"
#include "base/limits.h"

#include <stdio.h>
#include <unistd.h>

enum { EVERY_MS = 200, BAR_WIDTH = 30 };

/* One write per line, so that lines of a log never mix; a closed log does not stop the work. */
static void put(const struct progress *p, struct buf *text)
{
    for (size_t at = 0; at < text->len;) {
        ssize_t n = write(p->fd, text->p + at, text->len - at);

        if (n <= 0) {
            break;
        }
        at += (size_t)n;
    }
    buf_done(text);
}

void progress_end(struct progress *p)
{
    struct buf line = BUF_MAX(KIB);

    if (p->is_drawn) {
        (void)buf_add_c(&line, "\r\033[K");
        put(p, &line);
    }
    p->is_drawn = false;
}

void progress_plain(char *text)
{
    for (unsigned char *c = (unsigned char *)text; *c; c++) {
        bool is_c1 = c[0] == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f;

        if (*c == '\n' || *c == '\r' || *c == '\t') {
            *c = ' ';
        } else if (*c < ' ' || *c == 0x7f || is_c1) {
            *c = '?';
        }
        if (is_c1) {
            *++c = '?';
        }
    }
}

static void put_line(struct progress *p, struct buf *line)
{
    progress_end(p);
    (void)buf_add(line, STR("\n"));
    put(p, line);
}

/* Long texts are cut by the terminal, so that the bar stays one line. */
static void draw(struct progress *p, double done, const char *text)
{
    struct buf line = BUF_MAX(KIB);
    int full = (int)((done < 0 ? 0 : done > 1 ? 1 : done) * BAR_WIDTH);

    (void)buf_printf(&line, "\r\033[K\033[?7l%s ", p->module);
    for (int i = 0; i < BAR_WIDTH; i++) {
        (void)buf_add_c(&line, i < full ? "█" : "░");
    }
    (void)buf_printf(&line, " %3.0f %%  %s\033[?7h", done * 100, text);
    put(p, &line);
    p->is_drawn = true;
}

static void look_at_terminal(struct progress *p)
{
    p->on_terminal = isatty(p->fd) == 1;
    if (p->is_auto) {
        p->mode = p->on_terminal ? PROGRESS_TEXT : PROGRESS_JSON;
    }
}

void progress_init(struct progress *p, enum progress_mode mode)
{
    *p = (struct progress){.mode = mode, .fd = STDOUT_FILENO, .is_auto = mode == PROGRESS_AUTO};
    look_at_terminal(p);
}

void progress_move_to_stderr(struct progress *p)
{
    p->fd = STDERR_FILENO;
    look_at_terminal(p);
}

void progress_begin(struct progress *p, const char *module, unsigned step, unsigned steps)
{
    p->module = module;
    p->step = step;
    p->steps = steps;
    p->last_ms = clock_mono_ms();
}

static void head(struct jw *w, const struct progress *p, double done)
{
    jw_object(w);
    jw_kv_c(w, "t", "progress");
    jw_kv_c(w, "module", p->module);
    jw_kv_i64(w, "step", p->step);
    jw_kv_i64(w, "steps", p->steps);
    number_json_kv(w, "done", (double)(int64_t)(done * 10000) / 10000);
}

void progress_update(struct progress *p, double done, const struct metric *metrics, size_t n,
                     const char *fmt, ...)
{
    struct buf line = BUF_MAX(16 * KIB);
    struct jw w = JW(&line);
    int64_t now = clock_mono_ms();
    char part[256];
    va_list ap;

    if (p->mode == PROGRESS_NONE || now - p->last_ms < EVERY_MS) {
        return;
    }
    p->last_ms = now;
    va_start(ap, fmt);
    (void)vsnprintf(part, sizeof(part), fmt, ap);
    va_end(ap);
    progress_plain(part);
    if (p->mode == PROGRESS_TEXT && p->on_terminal) {
        draw(p, done, part);
        return;
    }
    if (p->mode == PROGRESS_TEXT) {
        (void)buf_printf(&line, "%s: %.0f %% %s", p->module, done * 100, part);
        put_line(p, &line);
        return;
    }
    head(&w, p, done);
    jw_kv_c(&w, "text", part);
    for (size_t i = 0; i < n; i++) {
        number_json_kv(&w, metrics[i].name, metrics[i].value);
    }
    jw_end(&w);
    put_line(p, &line);
}

void progress_result(struct progress *p, const struct metric *metrics, size_t n)
{
    struct buf line = BUF_MAX(16 * KIB);
    struct jw w = JW(&line);

    if (p->mode != PROGRESS_JSON) {
        return;
    }
    head(&w, p, 1);
    jw_key(&w, "metric");
    jw_object(&w);
    for (size_t i = 0; i < n; i++) {
        number_json_kv(&w, metrics[i].name, metrics[i].value);
    }
    jw_end(&w);
    jw_end(&w);
    put_line(p, &line);
}

void progress_say(struct progress *p, const char *fmt, ...)
{
    struct buf line = BUF_MAX(64 * KIB);
    char text[2048];
    va_list ap;

    if (p->mode == PROGRESS_NONE) {
        return;
    }
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    progress_plain(text);
    (void)buf_printf(&line, "%s: %s", p->module, text);
    put_line(p, &line);
}

void progress_warn(struct progress *p, const char *fmt, ...)
{
    struct buf line = BUF_MAX(16 * KIB);
    struct jw w = JW(&line);
    char text[2048];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    progress_say(p, "warning: %s", text);
    if (p->mode == PROGRESS_JSON) {
        jw_object(&w);
        jw_kv_c(&w, "t", "warning");
        jw_kv_c(&w, "module", p->module);
        jw_kv_i64(&w, "step", p->step);
        jw_kv_c(&w, "text", text);
        jw_end(&w);
        put_line(p, &line);
    }
}

static void step_line(struct progress *p, const char *name, const char *state, int exit_code,
                      const char *error)
{
    struct buf line = BUF_MAX(16 * KIB);
    struct jw w = JW(&line);

    if (p->mode != PROGRESS_JSON) {
        return;
    }
    jw_object(&w);
    jw_kv_c(&w, "t", "step");
    jw_kv_c(&w, "name", name);
    jw_kv_c(&w, "state", state);
    jw_kv_i64(&w, "at", clock_wall_ms());
    jw_kv_i64(&w, "exit", exit_code);
    if (error) {
        jw_kv_c(&w, "error", error);
    }
    jw_end(&w);
    put_line(p, &line);
}

void progress_step_begins(struct progress *p, const char *name)
{
    step_line(p, name, "begins", 0, NULL);
}

void progress_step_ends(struct progress *p, const char *name, int exit_code, const char *error)
{
    step_line(p, name, "ended", exit_code, error);
}

void progress_output(struct progress *p, const struct progress_file *f)
{
    struct buf line = BUF_MAX(16 * KIB);
    struct jw w = JW(&line);

    if (p->mode != PROGRESS_JSON) {
        return;
    }
    jw_object(&w);
    jw_kv_c(&w, "t", "output");
    jw_kv_c(&w, "module", p->module);
    jw_kv_i64(&w, "step", p->step);
    jw_kv_c(&w, "port", f->port);
    jw_kv_c(&w, "type", f->type);
    jw_kv_c(&w, "path", f->path);
    if (f->is_table) {
        jw_kv_i64(&w, "rows", (int64_t)f->rows);
        jw_kv_i64(&w, "columns", (int64_t)f->columns);
    }
    jw_kv_i64(&w, "bytes", (int64_t)f->bytes);
    jw_kv_c(&w, "sha256", f->sha256);
    jw_end(&w);
    put_line(p, &line);
}
