#include "jobs/queue.h"

#include "jobs/jobs_priv.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

void jobs_queue_done(struct queue *q)
{
    free(q->p);
    *q = (struct queue){0};
}

/* Index of the first job that is not older than `seq`. */
static size_t place_of(const struct queue *q, int64_t seq)
{
    size_t lo = q->head, hi = q->head + q->len;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (q->p[mid].job->seq < seq) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

/* Room for one more behind the last. */
static void make_room(struct queue *q)
{
    if (q->head + q->len < q->cap) {
        return;
    }
    if (q->head > q->cap / 2) {
        memmove(q->p, q->p + q->head, q->len * sizeof(*q->p));
        q->head = 0;
        return;
    }
    q->cap = q->cap ? q->cap * 2 : 64;
    q->p = xrealloc(q->p, q->cap * sizeof(*q->p));
}

void jobs_queue_add(struct queue *q, struct job *j)
{
    size_t at = place_of(q, j->seq);

    if (at == q->head && q->head > 0) {
        q->head--;
        q->p[q->head].job = j;
        q->len++;
        return;
    }
    make_room(q);
    at = place_of(q, j->seq);
    memmove(q->p + at + 1, q->p + at, (q->head + q->len - at) * sizeof(*q->p));
    q->p[at].job = j;
    q->len++;
}

void jobs_queue_remove(struct queue *q, const struct job *j)
{
    size_t at = place_of(q, j->seq);

    if (at == q->head + q->len || q->p[at].job != j) {
        return;
    }
    q->len--;
    if (at == q->head) {
        q->head = q->len > 0 ? q->head + 1 : 0;
        return;
    }
    memmove(q->p + at, q->p + at + 1, (q->head + q->len - at) * sizeof(*q->p));
}

struct job *jobs_queue_first(const struct queue *q)
{
    return q->len > 0 ? q->p[q->head].job : NULL;
}

size_t jobs_queue_position(const struct queue *q, const struct job *j)
{
    size_t at = place_of(q, j->seq);

    return at < q->head + q->len && q->p[at].job == j ? at - q->head + 1 : 0;
}
