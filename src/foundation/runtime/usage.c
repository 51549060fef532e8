#include "runtime/runtime_priv.h"

#include "base/limits.h"

#include <string.h>

/*   strata-usage 1                              samples are the same lines, in the order of the
 *   interval_ms 1000                            fields below, with "-" for what is unknown;
 *   started_ms 1795460088329                    later versions may add words and keys
 *
 *   1795460089329 991204 507904 ...
 */
#define USAGE_HEAD "strata-usage 1"
#define USAGE_TIME_MAX 253402300799999ULL /* the year 9999: what a time of the API can say */

/* --- writing --- */

void usage_head_put(struct buf *b, const struct runtime_usage *u)
{
    (void)buf_printf(b, USAGE_HEAD "\ninterval_ms %lld\nstarted_ms %lld\n\n",
                     (long long)u->interval_ms, (long long)u->started_ms);
}

static void put_figure(struct buf *b, int64_t v)
{
    if (v < 0) {
        (void)buf_add_c(b, " -");
    } else {
        (void)buf_printf(b, " %lld", (long long)v);
    }
}

void usage_sample_put(struct buf *b, const struct runtime_sample *s)
{
    (void)buf_printf(b, "%lld", (long long)s->at_ms);
    put_figure(b, s->cpu_usec);
    put_figure(b, s->memory_bytes);
    put_figure(b, s->memory_peak_bytes);
    put_figure(b, s->io_read_bytes);
    put_figure(b, s->io_write_bytes);
    put_figure(b, s->processes);
    (void)buf_add_c(b, "\n");
}

/* --- reading --- */

static int parse_head(struct str *text, struct runtime_usage *out, struct err *e)
{
    uint64_t interval = 0, started = 0;
    const struct record_field fields[] = {{"interval_ms", INT64_MAX, &interval},
                                          {"started_ms", USAGE_TIME_MAX, &started}};

    if (!str_eq_c(str_cut(text, '\n'), USAGE_HEAD)) {
        return err_set(e, ERR_INVALID, "they do not begin with \"" USAGE_HEAD "\"");
    }
    while (text->p) {
        struct str value = str_cut(text, '\n'), key = str_cut(&value, ' ');

        if (key.len == 0) {
            break;
        }
        if (record_set_field(fields, ARRAY_LEN(fields), key, value.p ? value : STR_EMPTY, e) < 0) {
            return -1;
        }
    }
    if (interval == 0) {
        return err_set(e, ERR_INVALID, "interval_ms is missing");
    }
    *out = (struct runtime_usage){.interval_ms = (int64_t)interval, .started_ms = (int64_t)started};
    return 0;
}

static int parse_figure(struct str *line, uint64_t max, int64_t *out)
{
    struct str word = line->p ? str_cut(line, ' ') : STR_EMPTY;
    uint64_t v;

    if (str_eq_c(word, "-")) {
        *out = RUNTIME_UNKNOWN;
        return 0;
    }
    if (str_to_u64(word, &v) < 0 || v > max) {
        return -1;
    }
    *out = (int64_t)v;
    return 0;
}

static int parse_sample(struct str line, struct runtime_sample *out)
{
    int64_t *const figures[] = {&out->cpu_usec,      &out->memory_bytes,   &out->memory_peak_bytes,
                                &out->io_read_bytes, &out->io_write_bytes, &out->processes};

    if (parse_figure(&line, USAGE_TIME_MAX, &out->at_ms) < 0 || out->at_ms < 0) {
        return -1;
    }
    for (size_t i = 0; i < ARRAY_LEN(figures); i++) {
        if (parse_figure(&line, INT64_MAX, figures[i]) < 0) {
            return -1;
        }
    }
    return 0;
}

static size_t count_lines(struct str text)
{
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++) {
        n += text.p[i] == '\n';
    }
    return n;
}

int usage_parse(struct str text, struct arena *a, struct runtime_usage *out, struct err *e)
{
    struct runtime_usage u;
    size_t n;

    if (parse_head(&text, &u, e) < 0) {
        return -1;
    }
    n = text.p ? count_lines(text) : 0;
    if (n > LIMIT_USAGE_SAMPLES) {
        return err_set(e, ERR_INVALID, "there are more than %d", LIMIT_USAGE_SAMPLES);
    }
    u.samples = arena_new_array(a, struct runtime_sample, n + 1);
    for (; u.n < n; u.n++) {
        if (parse_sample(str_cut(&text, '\n'), &u.samples[u.n]) < 0) {
            return err_set(e, ERR_INVALID, "number %zu cannot be read", u.n + 1);
        }
    }
    *out = u;
    return 0;
}

/* --- growing --- */

/* Keeps the second of each two, so the newest stays and the next one is a whole interval away. */
static void thin(struct runtime_usage *u)
{
    for (size_t i = 0; i < u->n / 2; i++) {
        u->samples[i] = u->samples[2 * i + 1];
    }
    u->n /= 2;
    u->interval_ms *= 2;
}

bool usage_add(struct runtime_usage *u, const struct runtime_sample *s)
{
    u->samples[u->n++] = *s;
    if (u->n < LIMIT_USAGE_SAMPLES) {
        return false;
    }
    thin(u);
    return true;
}
