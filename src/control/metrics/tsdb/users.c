#include "tsdb/tsdb_priv.h"

#include <string.h>

/* Series and tables are read without the lock by appenders and views. What is taken out of the
 * tables is kept until all of those have gone who came before. */

void series_free(struct series *s)
{
    run_done(&s->run);
    free(s->late);
    free(s);
}

static void free_retired(struct retired *r)
{
    if (r->series != NULL) {
        series_free(r->series);
    }
    free(r->p);
}

void retire(struct tsdb *db, void *p, struct series *s)
{
    struct retired r = {db->epoch, p, s};

    if (list_empty(&db->users)) {
        free_retired(&r);
        return;
    }
    *vec_push(&db->retired) = r;
}

void users_enter(struct tsdb *db, struct user *u)
{
    u->epoch = ++db->epoch;
    u->seq = db->head.seq;
    list_append(&db->users, &u->link);
    db->n_views += u->is_view;
}

/* Of what had been before, only what an open view may ask for. */
static void trim_undo(struct tsdb *db)
{
    uint64_t oldest = UINT64_MAX;
    size_t gone = 0;

    list_each(l, &db->users)
    {
        const struct user *u = list_entry(l, struct user, link);

        if (u->is_view) {
            oldest = u->seq;
            break;
        }
    }
    while (gone < db->undo.len && db->undo.p[gone].seq <= oldest) {
        gone++;
    }
    if (gone == db->undo.len) {
        vec_done(&db->undo);
    } else if (gone > db->undo.len / 2) {
        memmove(db->undo.p, db->undo.p + gone, (db->undo.len - gone) * sizeof(*db->undo.p));
        db->undo.len -= gone;
    }
}

void users_want_no_past(struct tsdb *db, struct user *u)
{
    if (u->is_view) {
        u->is_view = false;
        db->n_views--;
        trim_undo(db);
    }
}

void users_leave(struct tsdb *db, struct user *u)
{
    uint64_t oldest = UINT64_MAX;
    size_t gone = 0;

    list_remove(&u->link);
    users_want_no_past(db, u);
    if (!list_empty(&db->users)) {
        oldest = list_entry(db->users.next, struct user, link)->epoch;
    }
    while (gone < db->retired.len && db->retired.p[gone].epoch < oldest) {
        free_retired(&db->retired.p[gone++]);
    }
    if (gone > 0) {
        memmove(db->retired.p, db->retired.p + gone,
                (db->retired.len - gone) * sizeof(*db->retired.p));
        db->retired.len -= gone;
    }
}
