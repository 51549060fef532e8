/* Which tags are kept: a function of the rules and of what there is. */
#include "retention.h"

#include "registry_priv.h"

#include <stdlib.h>

#define DAY_MS (24 * 3600 * 1000LL)

/* --- one rule --- */

struct ranking {
    const struct tag_rule *rule;
    struct retained **in; /* what the rule is about */
    size_t n, n_images;   /* images: of the whole repository */
};

static bool has_label(struct str lines, struct str name)
{
    while (lines.len > 0) {
        if (str_eq(str_cut(&lines, '\n'), name)) {
            return true;
        }
    }
    return false;
}

static bool has_labels(struct str lines, struct str names)
{
    while (names.len > 0) {
        if (!has_label(lines, str_cut(&names, ','))) {
            return false;
        }
    }
    return true;
}

/* Untagged manifests have no name that a pattern could match: a rule is about them or it is not. */
static bool is_about(const struct tag_rule *rule, const struct retained *item)
{
    return has_labels(item->labels, rule->labels) &&
           (item->tag.p != NULL ? selector_matches(&rule->tags, item->tag) : rule->untagged);
}

static int newest_first(int64_t a, int64_t b)
{
    return a > b ? -1 : a < b;
}

static int by_pushed(const void *a, const void *b)
{
    const struct retained *x = *(struct retained *const *)a, *y = *(struct retained *const *)b;
    int order = newest_first(x->pushed_ms, y->pushed_ms);

    return order != 0 ? order : newest_first(x->manifest_id, y->manifest_id);
}

static int by_pulled(const void *a, const void *b)
{
    const struct retained *x = *(struct retained *const *)a, *y = *(struct retained *const *)b;
    int order = newest_first(x->pulled_ms, y->pulled_ms);

    return order != 0 ? order : by_pushed(a, b);
}

static void keep(struct retained *item, const char *why)
{
    if (!item->is_kept) {
        item->is_kept = true;
        item->why = why;
    }
}

/* The first `n` images: several tags of one image are one, which counts where its newest tag
 * stands. */
static void keep_latest(const struct ranking *k, struct arena *a, const char *why)
{
    bool by_pull = k->rule->keep == KEEP_LATEST_PULLED;
    bool *is_among = arena_new_array(a, bool, k->n_images);
    int64_t n = 0;

    qsort(k->in, k->n, sizeof(struct retained *), by_pull ? by_pulled : by_pushed);
    for (size_t i = 0; i < k->n; i++) {
        bool *among = &is_among[k->in[i]->image];

        if (by_pull && k->in[i]->pulled_ms == 0) {
            break; /* what was never pulled is not among the latest that were */
        }
        if (!*among && n < k->rule->n) {
            *among = true;
            n++;
        }
        if (*among) {
            keep(k->in[i], why);
        }
    }
}

static void keep_by_age(const struct ranking *k, int64_t now_ms, const char *why)
{
    int64_t since_ms = now_ms - k->rule->n * DAY_MS;

    for (size_t i = 0; i < k->n; i++) {
        const struct retained *item = k->in[i];
        int64_t at_ms = k->rule->keep == KEEP_PULLED_DAYS ? item->pulled_ms : item->pushed_ms;

        if (k->rule->keep == KEEP_ALWAYS || at_ms >= since_ms) {
            keep(k->in[i], why);
        }
    }
}

static const char *say_kept(const struct tag_rule *rule, struct arena *a)
{
    static const char *const says[KEEPS] = {
        [KEEP_LATEST_PUSHED] = "among the latest %lld pushed (rule %lld)",
        [KEEP_LATEST_PULLED] = "among the latest %lld pulled (rule %lld)",
        [KEEP_PUSHED_DAYS] = "pushed in the last %lld days (rule %lld)",
        [KEEP_PULLED_DAYS] = "pulled in the last %lld days (rule %lld)",
    };

    if (rule->keep == KEEP_ALWAYS) {
        return arena_printf(a, "always kept (rule %lld)", (long long)rule->id);
    }
    return arena_printf(a, says[rule->keep], (long long)rule->n, (long long)rule->id);
}

static void apply_rule(const struct tag_rule *rule, struct arena *a, struct retained *items,
                       size_t n, size_t n_images, int64_t now_ms)
{
    struct ranking k = {
        .rule = rule, .in = arena_new_array(a, struct retained *, n), .n_images = n_images};
    const char *why = say_kept(rule, a);

    for (size_t i = 0; i < n; i++) {
        if (is_about(rule, &items[i])) {
            items[i].is_named = true;
            k.in[k.n++] = &items[i];
        }
    }
    if (k.n == 0) {
        return;
    }
    if (rule->keep == KEEP_LATEST_PUSHED || rule->keep == KEEP_LATEST_PULLED) {
        keep_latest(&k, a, why);
    } else {
        keep_by_age(&k, now_ms, why);
    }
}

/* --- all of them --- */

static void judge_rest(const struct policy *p, struct arena *a, struct str repository,
                       struct retained *item, int64_t now_ms)
{
    const struct tag_rule *frozen =
        item->tag.p != NULL ? policy_immutable(p, repository, item->tag) : NULL;

    if (item->is_kept) {
        return;
    }
    if (item->tag.p == NULL && item->pushed_ms > now_ms - BLOB_GRACE_MS) {
        keep(item, "pushed less than a day ago: its tag or index may still come");
    } else if (frozen != NULL) {
        keep(item, arena_printf(a, "immutable (rule %lld)", (long long)frozen->id));
    } else if (item->is_named) {
        item->why = "no rule keeps it";
    } else if (p->removes_others && item->tag.p != NULL) {
        item->why = "no rule is about it, and others are removed";
    } else {
        keep(item, "no rule is about it");
    }
}

static int by_manifest(const void *a, const void *b)
{
    const struct retained *x = *(struct retained *const *)a, *y = *(struct retained *const *)b;

    return x->manifest_id < y->manifest_id ? -1 : x->manifest_id > y->manifest_id;
}

/* Numbers the images from 0; returns how many there are. */
static size_t number_images(struct arena *a, struct retained *items, size_t n)
{
    struct retained **sorted = arena_new_array(a, struct retained *, n);
    size_t images = 0;

    for (size_t i = 0; i < n; i++) {
        sorted[i] = &items[i];
    }
    qsort(sorted, n, sizeof(struct retained *), by_manifest);
    for (size_t i = 0; i < n; i++) {
        images += i == 0 || sorted[i]->manifest_id != sorted[i - 1]->manifest_id;
        sorted[i]->image = images - 1;
    }
    return images;
}

bool retention_is_about(const struct policy *p, struct str repository)
{
    for (size_t i = 0; i < p->n_rules; i++) {
        if (selector_matches(&p->rules[i].repositories, repository)) {
            return true;
        }
    }
    return false;
}

void retention_decide(const struct policy *p, struct arena *a, struct str repository,
                      struct retained *items, size_t n, int64_t now_ms)
{
    size_t n_images = n > 0 ? number_images(a, items, n) : 0;

    for (size_t i = 0; i < p->n_rules && n > 0; i++) {
        if (selector_matches(&p->rules[i].repositories, repository)) {
            apply_rule(&p->rules[i], a, items, n, n_images, now_ms);
        }
    }
    for (size_t i = 0; i < n; i++) {
        judge_rest(p, a, repository, &items[i], now_ms);
    }
}
