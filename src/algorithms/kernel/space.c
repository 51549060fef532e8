#include "algorithms/kernel/space.h"

#include "algorithms/kernel/number.h"
#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void space_done(struct space *s)
{
    for (size_t i = 0; i < s->n; i++) {
        for (size_t k = 0; k < SPACE_VALUES; k++) {
            free(s->of[i].values[k]);
        }
    }
    *s = (struct space){0};
}

static int find_param(const struct space *s, const struct module *m, struct str name,
                      const struct param **out, struct err *e)
{
    const char *names[MODULE_PARAMS];
    size_t n = 0;
    const char *near;

    for (; m->params[n].name; n++) {
        names[n] = m->params[n].name;
        if (str_eq_c(name, names[n]) && strcmp(names[n], "label_col") != 0) {
            *out = &m->params[n];
        }
    }
    near = str_nearest(name, names, n);
    if (*out == NULL) {
        return err_set(e, ERR_INVALID, "%s has no parameter '%.*s' to search%s%s%s", m->name,
                       STR_ARG(str_first(name, 60)), near ? ": did you mean '" : "",
                       near ? near : "", near ? "'?" : "");
    }
    for (size_t i = 0; i < s->n; i++) {
        if (s->of[i].param == *out) {
            return err_set(e, ERR_INVALID, "parameter %s is given twice", (*out)->name);
        }
    }
    return 0;
}

static int add_value(struct dimension *d, struct str value, struct err *e)
{
    if (d->n_values == SPACE_VALUES) {
        return err_set(e, ERR_INVALID, "%s: a list has at most %d values", d->param->name,
                       SPACE_VALUES);
    }
    if (param_check(d->param, value, e) < 0) {
        return -1;
    }
    d->values[d->n_values++] = str_dup(value);
    return 0;
}

static int parse_list(struct dimension *d, struct str text, struct err *e)
{
    char sep = str_find_char(text, '|') >= 0 ? '|' : ',';

    while (text.p) {
        if (add_value(d, str_trim(str_cut(&text, sep)), e) < 0) {
            return -1;
        }
    }
    return 0;
}

static int parse_points(struct dimension *d, struct str text, struct err *e)
{
    uint64_t n = SPACE_POINTS;

    if (text.p && (str_to_u64(str_trim(text), &n) < 0 || n < 1 || n > SPACE_VALUES)) {
        return err_set(e, ERR_INVALID, "%s: '%.*s' points are not 1 to %d", d->param->name,
                       STR_ARG(str_first(text, 20)), SPACE_VALUES);
    }
    d->n_values = (size_t)n;
    return 0;
}

/* "from..to" */
static int parse_ends(struct dimension *d, struct str text, struct err *e)
{
    ptrdiff_t dots = str_find(text, STR(".."));
    struct str from = str_trim(str_first(text, dots < 0 ? 0 : (size_t)dots));
    struct str to = str_trim(str_from(text, dots < 0 ? text.len : (size_t)dots + 2));

    if (param_check(d->param, from, e) < 0 || param_check(d->param, to, e) < 0) {
        return -1;
    }
    if (number_parse(from, &d->from) < 0 || number_parse(to, &d->to) < 0 || !(d->from < d->to) ||
        !isfinite(d->to - d->from)) {
        return err_set(e, ERR_INVALID, "%s: write a range as from..to, from below to, not '%.*s'",
                       d->param->name, STR_ARG(str_first(text, 60)));
    }
    if (d->logarithmic && !(d->from > 0)) {
        return err_set(e, ERR_INVALID, "%s: log() is for ranges above 0", d->param->name);
    }
    return 0;
}

static int parse_range(struct dimension *d, struct str text, struct err *e)
{
    struct str points = text, ends = str_trim(str_cut(&points, ':'));

    d->is_range = true;
    d->whole = d->param->type == PARAM_INT;
    if (!d->whole && d->param->type != PARAM_REAL) {
        return err_set(e, ERR_INVALID, "%s is no number: list its values, with '|' between them",
                       d->param->name);
    }
    d->logarithmic = str_starts(ends, STR("log(")) && str_ends(ends, STR(")"));
    if (d->logarithmic) {
        ends = str_first(str_from(ends, 4), ends.len - 5);
    }
    if (parse_points(d, points, e) < 0 || parse_ends(d, ends, e) < 0) {
        return -1;
    }
    if (d->whole && d->to - d->from < (double)d->n_values) { /* each once */
        d->n_values = (size_t)(d->to - d->from) + 1;
        d->logarithmic = false;
    }
    return 0;
}

static int parse_one(struct space *s, const struct module *m, struct str text, struct err *e)
{
    struct str value = text, name = str_trim(str_cut(&value, '='));
    const struct param *p = NULL;
    struct dimension *d = &s->of[s->n];

    if (value.p == NULL || name.len == 0) {
        return err_set(e, ERR_INVALID, "write name=values;name=values, not '%.*s'",
                       STR_ARG(str_first(text, 60)));
    }
    if (find_param(s, m, name, &p, e) < 0) {
        return -1;
    }
    *d = (struct dimension){.param = p};
    s->n++; /* no more than the module has parameters: none is given twice */
    value = str_trim(value);
    if (str_find(value, STR("..")) >= 0 && p->type != PARAM_PATH && p->type != PARAM_TEXT &&
        p->type != PARAM_COLUMNS && p->type != PARAM_COLUMN) {
        return parse_range(d, value, e);
    }
    return parse_list(d, value, e);
}

int space_parse(struct space *s, const struct module *m, struct str text, struct err *e)
{
    *s = (struct space){0};
    while (text.p) {
        struct str one = str_trim(str_cut(&text, ';'));

        if (one.len > 0 && parse_one(s, m, one, e) < 0) {
            space_done(s);
            return -1;
        }
    }
    return s->n > 0 ? 0
                    : err_set(e, ERR_INVALID, "nothing to search: write such as %s=1,2,3",
                              m->params[0].name ? m->params[0].name : "name");
}

size_t space_grid(const struct space *s, size_t most)
{
    size_t n = 1;

    for (size_t i = 0; i < s->n; i++) {
        n *= s->of[i].n_values; /* < 64 x most: no overflow */
        if (n > most) {
            return most + 1;
        }
    }
    return n;
}

/* The value at 0 <= x <= 1 of a range. */
static char *in_range(const struct dimension *d, double x)
{
    char text[NUMBER_TEXT_BYTES];
    double v = d->logarithmic ? exp(log(d->from) + x * (log(d->to) - log(d->from)))
                              : d->from + x * (d->to - d->from);

    (void)snprintf(text, sizeof(text), d->whole ? "%.0f" : "%.6g", v); /* for people to read */
    if (number_parse(str_of(text), &v) < 0) {
        v = d->from;
    }
    v = x <= 0 || v < d->from ? d->from : x >= 1 || v > d->to ? d->to : v;
    return xstrdup(number_format(v, text));
}

char *space_at(const struct space *s, size_t point, size_t dimension)
{
    const struct dimension *d = &s->of[dimension];
    size_t at;

    for (size_t i = s->n - 1; i > dimension; i--) {
        point /= s->of[i].n_values;
    }
    at = point % d->n_values;
    if (!d->is_range) {
        return xstrdup(d->values[at]);
    }
    return in_range(d, d->n_values > 1 ? (double)at / (double)(d->n_values - 1) : 0);
}

/* Whole numbers of a uniform range are equally likely, its ends too. */
char *space_draw(const struct space *s, size_t dimension, struct rng *rng)
{
    const struct dimension *d = &s->of[dimension];
    char text[NUMBER_TEXT_BYTES];

    if (!d->is_range) {
        return xstrdup(d->values[rng_below(rng, d->n_values)]);
    }
    if (d->whole && !d->logarithmic) {
        double v = d->from + floor(rng_unit(rng) * (d->to - d->from + 1));

        return xstrdup(number_format(v > d->to ? d->to : v, text));
    }
    return in_range(d, rng_unit(rng));
}
