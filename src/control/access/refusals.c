#include "refusals.h"

#include "base/list.h"
#include "base/lock.h"
#include "base/map.h"
#include "base/mem.h"

#include <stdlib.h>

enum { MINUTE_MS = 60000 };

struct row {
    struct list link;
    int64_t minute;
    unsigned written, more;
    struct refusal last;
};

struct refusals {
    struct lock lock; /* guards all */
    struct map by_user;
    struct list rows; /* in the order of their minutes */
};

struct refusals *access_refusals_new(void)
{
    struct refusals *r = xnew(struct refusals);

    lock_init(&r->lock, LOCK_access);
    list_init(&r->rows);
    return r;
}

static void row_remove(struct refusals *r, struct row *row)
{
    (void)map_del(&r->by_user, str_of(row->last.user));
    list_remove(&row->link);
    free(row);
}

void access_refusals_free(struct refusals *r)
{
    if (r == NULL) {
        return;
    }
    list_each(it, &r->rows)
    {
        row_remove(r, list_entry(it, struct row, link));
    }
    map_done(&r->by_user);
    lock_done(&r->lock);
    free(r);
}

static struct row *row_new(struct refusals *r, const struct refusal *one, int64_t minute)
{
    struct row *row = xnew(struct row);

    row->minute = minute;
    row->last = *one;
    (void)map_put(&r->by_user, str_of(one->user), row);
    list_append(&r->rows, &row->link);
    return row;
}

/* A row of an earlier minute that was not summed up goes on counting: nothing of it is lost. */
bool access_refusals_note(struct refusals *r, const struct refusal *one, int64_t now_ms)
{
    struct row *row;

    WITH_LOCK(&r->lock);
    row = map_get(&r->by_user, str_of(one->user));
    if (row == NULL && r->by_user.len >= LIMIT_AUDIT_USERS) {
        return false;
    }
    if (row == NULL) {
        row = row_new(r, one, now_ms / MINUTE_MS);
    }
    if (row->written < LIMIT_AUDIT_REFUSALS) {
        row->written++;
        return true;
    }
    row->last = *one;
    row->more++;
    return false;
}

unsigned access_refusals_sum(struct refusals *r, int64_t now_ms, struct refusal *last)
{
    unsigned more = 0;

    WITH_LOCK(&r->lock);
    while (more == 0 && !list_empty(&r->rows)) {
        struct row *row = list_entry(r->rows.next, struct row, link);

        if (row->minute == now_ms / MINUTE_MS) {
            return 0;
        }
        more = row->more;
        *last = row->last;
        row_remove(r, row);
    }
    return more;
}
