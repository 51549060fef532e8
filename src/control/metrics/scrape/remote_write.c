#include "scrape/remote_write.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/vec.h"
#include "scrape/proto.h"
#include "scrape/snappy.h"
#include "tsdb/tsdb.h"

#include <stdio.h>

#include <stdlib.h>
#include <string.h>

enum { AHEAD_MS = 600000 };

/* What a request brings, while it is read. */
struct intake {
    struct tsdb_appender *a;
    const struct remote_write_owner *owner;
    int64_t latest_ms;  /* of a sample: as for pages, or it would hold back all that follow */
    struct arena arena; /* of one series */
    VEC(struct str) symbols;
    struct remote_write_answer *out;
    uint64_t refused; /* samples, by the store or because we have no such kind */
    char why[200];    /* the first of them */
    struct err *e;
};

static int damaged(struct intake *in, const char *what)
{
    return err_set(in->e, ERR_INVALID, "protobuf: %s is damaged", what);
}

static void refuse(struct intake *in, uint64_t n, const char *why, struct labels s)
{
    in->refused += n;
    if (in->why[0] == '\0') {
        struct str name = labels_get(s, STR(LABEL_NAME));

        (void)snprintf(in->why, sizeof(in->why), "%s (first: %.*s)", why,
                       STR_ARG(str_first(name, 80)));
    }
}

/* --- one series: its labels are known before its samples are looked at --- */

static int check_labels(struct intake *in, struct labels *s)
{
    struct labels all = {.p = arena_new_array(&in->arena, struct label, s->len + 2)};
    const struct label *own = &in->owner->label;
    struct err why;

    for (size_t i = 0; i < s->len; i++) {
        if (own->name.len == 0 || !str_eq(own->name, s->p[i].name)) {
            all.p[all.len++] = s->p[i];
        }
    }
    if (own->name.len > 0) {
        all.p[all.len++] = *own;
    }
    for (size_t i = 0; i < s->len; i++) {
        if (!label_name_is_valid(s->p[i].name) || !str_is_utf8(s->p[i].value) ||
            s->p[i].value.len > LIMIT_LABEL_VALUE_BYTES) {
            return err_set(in->e, ERR_INVALID, "a label is empty, too long or no UTF-8: %.*s",
                           STR_ARG(str_first(s->p[i].name, 80)));
        }
    }
    if (labels_normalize(&all, &why) < 0) {
        return err_set(in->e, ERR_INVALID, "%s", why.msg);
    }
    if (labels_get(all, STR(LABEL_NAME)).len == 0) {
        return err_set(in->e, ERR_INVALID, "a series has no __name__");
    }
    if (own->name.len > 0 && (str_eq_c(labels_get(all, STR(LABEL_NAME)), "ALERTS") ||
                              str_eq_c(labels_get(all, STR(LABEL_NAME)), "ALERTS_FOR_STATE"))) {
        return err_set(in->e, ERR_INVALID, "ALERTS and ALERTS_FOR_STATE are written by rules only");
    }
    if (all.len > LIMIT_SERIES_LABELS) {
        return err_set(in->e, ERR_LIMIT, "a series has more than %d labels: %.*s",
                       LIMIT_SERIES_LABELS,
                       STR_ARG(str_first(labels_get(all, STR(LABEL_NAME)), 80)));
    }
    *s = all;
    return 0;
}

static int take_sample(struct intake *in, struct labels s, tsdb_ref *ref, struct str bytes)
{
    static const char *const why[] = {"", "too old", "out of order",
                                      "another value is there at that time", "too many series"};
    struct proto_field f;
    double v = 0;
    int64_t ts = 0;
    enum tsdb_taken t;
    int r;

    while ((r = proto_next(&bytes, &f)) > 0) {
        if (f.number == 1 && f.wire == PROTO_64) {
            v = proto_double(f.value);
        } else if (f.number == 2 && f.wire == PROTO_VARINT) {
            ts = (int64_t)f.value;
        }
    }
    if (r < 0 || ts > TSDB_TIME_MAX || ts < TSDB_TIME_MIN) {
        return damaged(in, "a sample");
    }
    if (ts > in->latest_ms) {
        refuse(in, 1, "more than ten minutes ahead of the server's clock", s);
        return 0;
    }
    *ref = *ref == 0 ? tsdb_series(in->a, s) : *ref;
    t = *ref == 0 ? TSDB_TOO_MANY_SERIES : tsdb_append(in->a, *ref, ts, v);
    if (t == TSDB_TAKEN) {
        in->out->samples++;
    } else {
        refuse(in, 1,
               t == TSDB_TOO_MANY_SERIES && in->owner->label.name.len > 0
                   ? "too many series (metrics.project_series, metrics.max_series)"
               : t < ARRAY_LEN(why) ? why[t]
                                    : "not taken",
               s);
    }
    return 0;
}

/* Field numbers of the two versions. */
struct numbers {
    unsigned series, samples, exemplars, histograms;
};
static const struct numbers version1 = {1, 2, 3, 4}, version2 = {5, 2, 4, 3};

static int take_samples(struct intake *in, const struct numbers *n, struct labels s,
                        struct str bytes)
{
    struct proto_field f;
    tsdb_ref ref = 0;
    int r;

    while ((r = proto_next(&bytes, &f)) > 0) {
        if (f.wire != PROTO_BYTES) {
            continue;
        }
        if (f.number == n->samples && take_sample(in, s, &ref, f.bytes) < 0) {
            return -1;
        }
        if (f.number == n->histograms) {
            refuse(in, 1, "native histograms are not supported yet", s);
        }
    }
    return r < 0 ? damaged(in, "a series") : 0;
}

static int add_label(struct intake *in, struct labels *s, struct str name, struct str value)
{
    if (s->len == LIMIT_SERIES_LABELS) {
        return err_set(in->e, ERR_LIMIT, "a series has more than %d labels", LIMIT_SERIES_LABELS);
    }
    s->p[s->len++] = (struct label){name, value};
    return 0;
}

/* Version 1: Label{1: name, 2: value}. */
static int read_label(struct intake *in, struct str bytes, struct labels *s)
{
    struct proto_field f;
    struct str name = STR_EMPTY, value = STR_EMPTY;
    int r;

    while ((r = proto_next(&bytes, &f)) > 0) {
        if (f.number == 1 && f.wire == PROTO_BYTES) {
            name = f.bytes;
        } else if (f.number == 2 && f.wire == PROTO_BYTES) {
            value = f.bytes;
        }
    }
    return r < 0 ? damaged(in, "a label") : add_label(in, s, name, value);
}

static int symbol(struct intake *in, uint64_t ref, struct str *out)
{
    if (ref >= in->symbols.len) {
        return err_set(in->e, ERR_INVALID, "a label refers to symbol %llu of %zu",
                       (unsigned long long)ref, in->symbols.len);
    }
    *out = in->symbols.p[ref];
    return 0;
}

/* Version 2: pairs of numbers of symbols. */
static int read_refs(struct intake *in, struct str packed, struct labels *s)
{
    uint64_t name, value;
    int r;

    while ((r = proto_varint(&packed, &name)) > 0) {
        struct str a, b;

        if (proto_varint(&packed, &value) <= 0) {
            return damaged(in, "the list of labels");
        }
        if (symbol(in, name, &a) < 0 || symbol(in, value, &b) < 0 || add_label(in, s, a, b) < 0) {
            return -1;
        }
    }
    return r < 0 ? damaged(in, "the list of labels") : 0;
}

static int take_series(struct intake *in, const struct numbers *n, struct str bytes)
{
    struct str rest = bytes;
    struct proto_field f;
    struct labels s;
    int r;

    arena_reset(&in->arena);
    s = (struct labels){.p = arena_new_array(&in->arena, struct label, LIMIT_SERIES_LABELS)};
    while ((r = proto_next(&rest, &f)) > 0) {
        if (f.number != 1 || f.wire != PROTO_BYTES) {
            continue;
        }
        if ((n == &version1 ? read_label(in, f.bytes, &s) : read_refs(in, f.bytes, &s)) < 0) {
            return -1;
        }
    }
    if (r < 0) {
        return damaged(in, "a series");
    }
    return check_labels(in, &s) < 0 ? -1 : take_samples(in, n, s, bytes);
}

/* --- the request --- */

static int read_symbols(struct intake *in, struct str rest)
{
    struct proto_field f;
    int r;

    while ((r = proto_next(&rest, &f)) > 0) {
        if (f.number == 4 && f.wire == PROTO_BYTES) {
            *vec_push(&in->symbols) = f.bytes;
        }
    }
    if (r < 0) {
        return damaged(in, "the request");
    }
    if (in->symbols.len > 0 && in->symbols.p[0].len > 0) {
        return err_set(in->e, ERR_INVALID, "the first symbol must be empty");
    }
    return 0;
}

static int take_all(struct intake *in, struct str rest)
{
    const struct numbers *n = in->out->is_v2 ? &version2 : &version1;
    struct proto_field f;
    int r;

    if (in->out->is_v2 && read_symbols(in, rest) < 0) {
        return -1;
    }
    while ((r = proto_next(&rest, &f)) > 0) {
        if (f.number == n->series && f.wire == PROTO_BYTES && take_series(in, n, f.bytes) < 0) {
            return -1;
        }
    }
    return r < 0 ? damaged(in, "the request") : 0;
}

static int check_headers(struct str type, struct str encoding, struct remote_write_answer *out,
                         struct err *e)
{
    struct str rest = type, media = str_trim(str_cut(&rest, ';'));

    out->status = 415;
    if (type.p != NULL && !str_eq_nocase(media, STR("application/x-protobuf"))) {
        return err_set(e, ERR_INVALID,
                       "the Content-Type of remote write is application/x-protobuf");
    }
    while (rest.p != NULL) {
        struct str value = str_cut(&rest, ';'), name = str_trim(str_cut(&value, '='));

        value = value.p != NULL ? str_trim(value) : STR_EMPTY;
        if (value.len >= 2 && value.p[0] == '"') {
            value = str_first(str_from(value, 1), value.len - 2);
        }
        if (!str_eq_nocase(name, STR("proto"))) {
            continue;
        }
        out->is_v2 = str_eq_c(value, "io.prometheus.write.v2.Request");
        if (!out->is_v2 && !str_eq_c(value, "prometheus.WriteRequest")) {
            return err_set(e, ERR_INVALID,
                           "the message is prometheus.WriteRequest or "
                           "io.prometheus.write.v2.Request, not %.*s",
                           STR_ARG(str_first(value, 80)));
        }
    }
    if (encoding.p != NULL && encoding.len > 0 && !str_eq_nocase(encoding, STR("snappy"))) {
        return err_set(e, ERR_INVALID, "the Content-Encoding of remote write is snappy");
    }
    return 0;
}

/* The status that tells a sender whether to try again. */
static int fail(struct remote_write_answer *out, const struct err *e)
{
    bool again = e->kind == ERR_IO || e->kind == ERR_NO_SPACE || e->kind == ERR_UNAVAILABLE ||
                 e->kind == ERR_INTERNAL || e->kind == ERR_TIMEOUT;

    out->status = again ? 503 : e->kind == ERR_LIMIT ? 413 : 400;
    return -1;
}

static int take(struct intake *in, struct tsdb *db, struct str body)
{
    in->a = tsdb_appender_new(db);
    if (in->owner->label.name.len > 0) {
        tsdb_appender_limit(in->a, in->owner->label, in->owner->max_series);
    }
    if (take_all(in, body) < 0 || tsdb_commit(in->a, TSDB_DURABLE, in->e) < 0) {
        in->out->samples = 0; /* all or nothing, but for single samples */
        return fail(in->out, in->e);
    }
    in->out->status = 204;
    if (in->refused > 0) {
        in->out->status = 400;
        return err_set(in->e, ERR_INVALID, "%llu samples were not taken: %s",
                       (unsigned long long)in->refused, in->why);
    }
    return 0;
}

int remote_write_take(struct tsdb *db, struct str content_type, struct str content_encoding,
                      struct str body, const struct remote_write_owner *owner,
                      struct remote_write_answer *out, struct err *e)
{
    struct intake in = {.owner = owner,
                        .latest_ms =
                            owner->label.name.len > 0 ? clock_wall_ms() + AHEAD_MS : TSDB_TIME_MAX,
                        .out = out,
                        .e = e};
    struct buf whole = BUF_MAX(LIMIT_REMOTE_WRITE_WHOLE_BYTES + 1);
    int rc;

    *out = (struct remote_write_answer){0};
    if (check_headers(content_type, content_encoding, out, e) < 0) {
        return -1;
    }
    rc = snappy_unpack(body, &whole, e) < 0 ? fail(out, e) : take(&in, db, buf_str(&whole));
    tsdb_appender_free(in.a);
    vec_done(&in.symbols);
    arena_done(&in.arena);
    buf_done(&whole);
    return rc;
}
