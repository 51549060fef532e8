/* queue - jobs that wait, in the order of submission. An array sorted by job->seq with its free
 * room at the front and the back: the head leaves, and a new one joins, without moving others.
 * Guarded by jobs.lock. */
#pragma once
#include <stddef.h>

struct job;

struct queue_slot {
    struct job *job;
};

struct queue {
    struct queue_slot *p;
    size_t head, len, cap; /* the jobs are p[head .. head + len) */
};

void jobs_queue_done(struct queue *q);
/* At its place by seq: a retry is older than those who came later and stands before them. */
void jobs_queue_add(struct queue *q, struct job *j);
/* Not in the queue: nothing. */
void jobs_queue_remove(struct queue *q, const struct job *j);
struct job *jobs_queue_first(const struct queue *q); /* or NULL */
/* 1 is the head; 0: not in the queue. */
size_t jobs_queue_position(const struct queue *q, const struct job *j);
