/* list - intrusive doubly linked: put a `struct list link` into the element.
 * A head is a list that points at itself (list_init). */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *prev, *next;
};

static inline void list_init(struct list *l)
{
    l->prev = l->next = l;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

static inline void list_append(struct list *head, struct list *l)
{
    l->prev = head->prev;
    l->next = head;
    head->prev->next = l;
    head->prev = l;
}

/* Leaves `l` as a list of its own, so removing twice is harmless. */
static inline void list_remove(struct list *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    list_init(l);
}

#define list_entry(l, T, member) ((T *)((char *)(l)-offsetof(T, member)))
/* The current element may be removed inside the loop. */
#define list_each(it, head)                                                                        \
    for (struct list *it = (head)->next, *it##_next = it->next; it != (head);                      \
         it = it##_next, it##_next = it->next)
