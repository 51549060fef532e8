#include "base/cron.h"

#include <string.h>
#include <time.h>

struct field {
    const char *name;
    unsigned min, max;
    const char *words; /* names of three letters, from `min` on; NULL: none */
};

static const struct field fields[] = {
    {"minute", 0, 59, NULL},
    {"hour", 0, 23, NULL},
    {"day of month", 1, 31, NULL},
    {"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
    {"day of week", 0, 7, "sunmontuewedthufrisat"},
};

static const struct {
    const char *name, *means;
} shortcuts[] = {
    {"@hourly", "0 * * * *"},   {"@daily", "0 0 * * *"},   {"@midnight", "0 0 * * *"},
    {"@weekly", "0 0 * * 0"},   {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"},
    {"@annually", "0 0 1 1 *"},
};

static int wrong_field(const struct field *f, struct str part, struct err *e)
{
    return err_set(e, ERR_INVALID,
                   "schedule: \"%.*s\" is no %s: give numbers from %u to %u, as in *, 5, 1-3, */2",
                   STR_ARG(str_first(part, 32)), f->name, f->min, f->max);
}

static int parse_value(const struct field *f, struct str text, unsigned *out, struct err *e)
{
    uint64_t n;

    for (unsigned i = 0; f->words != NULL && i < strlen(f->words) / 3; i++) {
        if (str_eq_nocase(text, str_n(f->words + 3 * (size_t)i, 3))) {
            *out = f->min + i;
            return 0;
        }
    }
    if (str_to_u64(text, &n) < 0 || n < f->min || n > f->max) {
        return wrong_field(f, text, e);
    }
    *out = (unsigned)n;
    return 0;
}

/* "*", "5", "1-3", and each with "/step". */
static int parse_part(const struct field *f, struct str part, uint64_t *bits, struct err *e)
{
    struct str whole = part, step_text, high_text = STR_EMPTY;
    unsigned low = f->min, high = f->max;
    uint64_t step = 1;
    struct str range = str_cut(&part, '/');

    step_text = part;
    if (step_text.p != NULL && (str_to_u64(step_text, &step) < 0 || step == 0 || step > f->max)) {
        return wrong_field(f, whole, e);
    }
    if (!str_eq_c(range, "*")) {
        high_text = range;
        if (parse_value(f, str_cut(&high_text, '-'), &low, e) < 0) {
            return -1;
        }
        if (high_text.p != NULL) {
            if (parse_value(f, high_text, &high, e) < 0) {
                return -1;
            }
        } else if (step_text.p == NULL) {
            high = low;
        }
    }
    if (low > high) {
        return wrong_field(f, whole, e);
    }
    for (unsigned i = low; i <= high; i += (unsigned)step) {
        *bits |= 1ULL << i;
    }
    return 0;
}

static int parse_field(const struct field *f, struct str text, uint64_t *bits, struct err *e)
{
    struct str rest = text;

    *bits = 0;
    while (rest.p != NULL) {
        if (parse_part(f, str_cut(&rest, ','), bits, e) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Up to `max` words; more are counted. */
static size_t split_words(struct str text, struct str *words, size_t max)
{
    size_t n = 0;

    while (text.p != NULL) {
        struct str word = str_cut(&text, ' ');

        if (word.len > 0 && n++ < max) {
            words[n - 1] = word;
        }
    }
    return n;
}

static struct str spell_out(struct str text)
{
    for (size_t i = 0; i < ARRAY_LEN(shortcuts); i++) {
        if (str_eq_c(text, shortcuts[i].name)) {
            return str_of(shortcuts[i].means);
        }
    }
    return text;
}

int cron_parse(struct str text, struct cron *out, struct err *e)
{
    struct str words[6], *w = words;
    size_t n = text.len <= CRON_BYTES_MAX ? split_words(spell_out(str_trim(text)), words, 6) : 0;
    struct cron c = {0};
    uint64_t bits[ARRAY_LEN(fields)], second = 0;

    if (n != 5 && n != 6) {
        return err_set(e, ERR_INVALID,
                       "schedule \"%.*s\": expected minute, hour, day of month, month and day of "
                       "week, as in \"30 3 * * *\" (every night at 03:30 UTC), or @daily",
                       STR_ARG(str_first(text, 64)));
    }
    if (n == 6 && (str_to_u64(*w++, &second) < 0 || second > 59)) {
        return err_set(e, ERR_INVALID, "schedule: the seconds \"%.*s\" are no number up to 59",
                       STR_ARG(str_first(words[0], 32)));
    }
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if (parse_field(&fields[i], w[i], &bits[i], e) < 0) {
            return -1;
        }
    }
    c.second = (unsigned char)second;
    c.minutes = bits[0];
    c.hours = (uint32_t)bits[1];
    c.days = (uint32_t)bits[2];
    c.months = (uint32_t)bits[3];
    c.weekdays = (uint32_t)(bits[4] | bits[4] >> 7) & 0x7F; /* 7 is Sunday too */
    c.any_day = w[2].p[0] == '*';
    c.any_weekday = w[4].p[0] == '*';
    *out = c;
    return 0;
}

static bool has_day(const struct cron *c, const struct tm *t)
{
    bool by_date = c->days >> t->tm_mday & 1, by_weekday = c->weekdays >> t->tm_wday & 1;

    return c->any_day || c->any_weekday ? by_date && by_weekday : by_date || by_weekday;
}

/* Makes *t the beginning of the next month, day, hour or minute: fields past their end are what
 * timegm(3) carries over. */
static void advance(struct tm *t, int *field)
{
    (*field)++;
    if (field == &t->tm_mon) {
        t->tm_mday = 1;
    }
    if (field == &t->tm_mon || field == &t->tm_mday) {
        t->tm_hour = 0;
    }
    if (field != &t->tm_min) {
        t->tm_min = 0;
    }
}

int64_t cron_next(const struct cron *c, int64_t ms)
{
    time_t now = (time_t)(ms / 1000), at = now - now % 60;
    struct tm t;
    int last_year;

    if (at + c->second <= now) {
        at += 60;
    }
    if (gmtime_r(&at, &t) == NULL) {
        return -1;
    }
    for (last_year = t.tm_year + 8; t.tm_year <= last_year;) {
        if (!(c->months >> (t.tm_mon + 1) & 1)) {
            advance(&t, &t.tm_mon);
        } else if (!has_day(c, &t)) {
            advance(&t, &t.tm_mday);
        } else if (!(c->hours >> t.tm_hour & 1)) {
            advance(&t, &t.tm_hour);
        } else if (!(c->minutes >> t.tm_min & 1)) {
            advance(&t, &t.tm_min);
        } else {
            return ((int64_t)at + c->second) * 1000;
        }
        t.tm_sec = 0;
        at = timegm(&t);
        if (gmtime_r(&at, &t) == NULL) {
            return -1;
        }
    }
    return -1;
}
