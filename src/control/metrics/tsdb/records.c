#include "tsdb/tsdb_priv.h"

#include "base/limits.h"
#include "tsdb/bytes.h"

#include <string.h>

/* What stands in the log, and how a start puts it into the head again. */

/* A sample: [step of the number of its series : 4 | bytes of the value : 4], then what did not fit.
 * The value without the zero bytes at its end: whole numbers take two or three. */
enum { STEP_FAR = 0, STEP_TIMED = 15 };

static char *put_varint(char *to, uint64_t v)
{
    for (; v >= 0x80; v >>= 7) {
        *to++ = (char)(v | 0x80);
    }
    *to++ = (char)v;
    return to;
}

enum { SAMPLE_MAX = 1 + 10 + 10 + 8 };

/* Behind what it wrote. */
static char *put_sample(const struct sample *x, int64_t base, uint32_t before, char *to)
{
    uint64_t bits;
    int64_t step = (int64_t)x->id - before;
    int bytes;
    int code = x->ts != base ? STEP_TIMED : step > 0 && step < STEP_TIMED ? (int)step : STEP_FAR;

    memcpy(&bits, &x->v, sizeof(bits));
    bytes = bits == 0 ? 0 : 8 - __builtin_ctzll(bits) / 8;
    *to++ = (char)(code << 4 | bytes);
    if (code == STEP_FAR || code == STEP_TIMED) {
        to = put_varint(to, bytes_zigzag(step));
        if (code == STEP_TIMED) {
            to = put_varint(to, bytes_zigzag((int64_t)((uint64_t)x->ts - (uint64_t)base)));
        }
    }
    bits = __builtin_bswap64(bits);
    memcpy(to, &bits, sizeof(bits));
    return to + bytes;
}

void wal_put_samples(uint8_t type, const struct sample *p, size_t n, struct buf *out)
{
    uint32_t before = 0;
    size_t begun;

    if (n == 0) {
        return;
    }
    begun = wal_begin(out, type);
    column_put_varint(bytes_zigzag(p[0].ts), out);
    for (size_t i = 0; i < n; i++) {
        char *to = out->p + out->len;

        if (out->cap - out->len <= SAMPLE_MAX) {
            to = buf_reserve(out, SAMPLE_MAX);
        }
        if (to == NULL) {
            return; /* the buffer says that it failed */
        }
        out->len = (size_t)(put_sample(&p[i], p[0].ts, before, to) - out->p);
        before = p[i].id;
    }
    wal_end(out, begun);
}

static int get_sample(struct str *in, int64_t base, uint32_t *id, int64_t *ts, double *v)
{
    unsigned head = (unsigned char)in->p[0], code = head >> 4, bytes = head & 15;
    uint64_t step = code, late = 0, bits = 0;

    *in = str_from(*in, 1);
    if (code == STEP_FAR || code == STEP_TIMED) {
        if (column_get_varint(in, &step) < 0) {
            return -1;
        }
        step = (uint64_t)bytes_unzigzag(step);
    }
    if (code == STEP_TIMED && column_get_varint(in, &late) < 0) {
        return -1;
    }
    if (bytes > 8 || in->len < bytes) {
        return -1;
    }
    memcpy(&bits, in->p, bytes);
    bits = __builtin_bswap64(bits);
    memcpy(v, &bits, sizeof(*v));
    *in = str_from(*in, bytes);
    *id = (uint32_t)(*id + step);
    *ts = (int64_t)((uint64_t)base + (uint64_t)bytes_unzigzag(late));
    return 0;
}

void wal_put_series(const struct tsdb *db, const struct series *s, struct buf *out)
{
    size_t begun = wal_begin(out, WAL_SERIES);

    column_put_varint(s->id, out);
    column_put_varint(s->n_pairs, out);
    for (size_t i = 0; i < s->n_pairs; i++) {
        const struct pair *p = index_at(db->head.index, s->pairs[i]);

        bytes_put_text(p->name, out);
        bytes_put_text(p->value, out);
    }
    wal_end(out, begun);
}

/* --- replay --- */

int wal_get_series(struct str in, uint32_t *id, struct labels *l)
{
    uint32_t n;

    if (bytes_get_u32v(&in, id) < 0 || *id == 0 || *id > UINT32_MAX / 2 ||
        bytes_get_u32v(&in, &n) < 0 || n > LIMIT_SERIES_LABELS) {
        return -1;
    }
    for (l->len = 0; l->len < n; l->len++) {
        if (bytes_get_text(&in, &l->p[l->len].name) < 0 ||
            bytes_get_text(&in, &l->p[l->len].value) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Where the number stands among the aliases, or belongs. */
static size_t alias_place(const struct tsdb *db, uint32_t id)
{
    size_t from = 0, to = db->aliases.len;

    while (from < to) {
        size_t mid = from + (to - from) / 2;

        if (db->aliases.p[mid].id < id) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    return from;
}

/* Numbers come in order, or nearly so. */
static void note_alias(struct tsdb *db, struct alias a)
{
    size_t at = alias_place(db, a.id), n = db->aliases.len;

    if (at == n || db->aliases.p[at].id != a.id) {
        (void)vec_push(&db->aliases);
        memmove(db->aliases.p + at + 1, db->aliases.p + at, (n - at) * sizeof(a));
    }
    db->aliases.p[at] = a;
}

static int replay_series(struct tsdb *db, struct str in)
{
    struct label room[LIMIT_SERIES_LABELS];
    struct labels l = {room, 0};
    struct series *s;
    uint64_t hash;
    uint32_t id;
    size_t begun;

    if (wal_get_series(in, &id, &l) < 0) {
        return -1;
    }
    hash = labels_hash(l);
    s = head_find(db, l, hash);
    if (head_series(db, id) != NULL) {
        return 0; /* the checkpoint has it */
    }
    if (s != NULL) { /* it was forgotten and came again before a checkpoint said so */
        note_alias(db, (struct alias){id, s->id});
        db->head.last_id = id > db->head.last_id ? id : db->head.last_id;
        if (db->followers.len > 0) { /* no checkpoint has the number, and they may read of it */
            begun = wal_begin(&db->gone, WAL_SERIES);
            (void)buf_add(&db->gone, in);
            wal_end(&db->gone, begun);
        }
        return 0;
    }
    s = head_add(db, id, l, hash);
    s->logged = true;
    return 0;
}

int wal_samples_begin(struct str payload, struct wal_samples *out)
{
    *out = (struct wal_samples){.in = payload};
    return bytes_get_signed(&out->in, &out->base);
}

int wal_samples_next(struct wal_samples *r)
{
    if (r->in.len == 0) {
        return 0;
    }
    return get_sample(&r->in, r->base, &r->id, &r->ts, &r->v) < 0 ? -1 : 1;
}

struct series *head_series_named(struct tsdb *db, uint32_t id)
{
    struct series *s = head_series(db, id);
    size_t at = s == NULL ? alias_place(db, id) : db->aliases.len;

    return at < db->aliases.len && db->aliases.p[at].id == id
               ? head_series(db, db->aliases.p[at].is)
               : s;
}

static int replay_samples(struct tsdb *db, struct str in, bool late)
{
    struct wal_samples r;
    int rc;

    if (wal_samples_begin(in, &r) < 0) {
        return -1;
    }
    db->head.seq++;
    while ((rc = wal_samples_next(&r)) > 0) {
        struct series *s = head_series_named(db, r.id);

        if (s == NULL) {
            db->status.samples_lost++;
        } else {
            (void)(late ? head_append_late : head_append)(db, s, r.ts, r.v);
        }
    }
    return rc;
}

static int replay_deleted(struct tsdb *db, struct str in)
{
    struct deleted_range d;
    struct series *s;

    while (in.len > 0) {
        if (deleted_get(&in, &d.id, &d.from, &d.to) < 0) {
            return -1;
        }
        s = head_series_named(db, d.id);
        if (s != NULL) {
            d.id = s->id;
            series_note_deleted(s, d.from, d.to);
        }
        *vec_push(&db->deleted) = d;
    }
    return 0;
}

int apply_record(struct tsdb *db, uint8_t type, struct str payload)
{
    switch (type) {
    case WAL_SERIES:
        return replay_series(db, payload);
    case WAL_SAMPLES:
        return replay_samples(db, payload, false);
    case WAL_LATE:
        return replay_samples(db, payload, true);
    case WAL_DELETED:
        return replay_deleted(db, payload);
    default:
        return -1;
    }
}
