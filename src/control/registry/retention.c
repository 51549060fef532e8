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
            if (items[i].subject_id == SUBJECT_NONE) {
                k.in[k.n++] = &items[i];
            }
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

static bool is_frozen(const struct policy *p, struct arena *a, struct str repository,
                      struct retained *item)
{
    const struct tag_rule *frozen =
        item->tag.p != NULL ? policy_immutable(p, repository, item->tag) : NULL;

    if (frozen != NULL) {
        keep(item, arena_printf(a, "immutable (rule %lld)", (long long)frozen->id));
    }
    return frozen != NULL;
}

static void judge_rest(const struct policy *p, struct arena *a, struct str repository,
                       struct retained *item, int64_t now_ms)
{
    if (item->is_kept || item->subject_id != SUBJECT_NONE || is_frozen(p, a, repository, item)) {
        return;
    }
    if (item->tag.p == NULL && item->pushed_ms > now_ms - BLOB_GRACE_MS) {
        keep(item, "pushed less than a day ago: its tag or index may still come");
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

/* Those of one image stand together. */
static struct retained **sort_by_manifest(struct arena *a, struct retained *items, size_t n)
{
    struct retained **sorted = arena_new_array(a, struct retained *, n);

    for (size_t i = 0; i < n; i++) {
        sorted[i] = &items[i];
    }
    qsort(sorted, n, sizeof(struct retained *), by_manifest);
    return sorted;
}

/* Numbers the images from 0; returns how many there are. */
static size_t number_images(struct retained **sorted, size_t n)
{
    size_t images = 0;

    for (size_t i = 0; i < n; i++) {
        images += i == 0 || sorted[i]->manifest_id != sorted[i - 1]->manifest_id;
        sorted[i]->image = images - 1;
    }
    return images;
}

enum fate { FATE_STAYS, FATE_GOES, FATE_UNKNOWN };

static size_t first_of(struct retained **sorted, size_t n, int64_t manifest_id)
{
    size_t lo = 0, hi = n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (sorted[mid]->manifest_id < manifest_id) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

/* Of an image, whichever of its tags stays; an SBOM that is signed belongs to an image itself.
 * Unknown: no tag of it was looked at. */
static enum fate fate_of(struct retained **sorted, size_t n, int64_t manifest_id)
{
    enum fate fate = FATE_UNKNOWN;

    for (int step = 0; step < 4 && fate == FATE_UNKNOWN && manifest_id > 0; step++) {
        int64_t next_id = SUBJECT_NONE;

        for (size_t i = first_of(sorted, n, manifest_id);
             i < n && sorted[i]->manifest_id == manifest_id; i++) {
            if (sorted[i]->subject_id != SUBJECT_NONE) {
                next_id = sorted[i]->subject_id;
            } else if (fate != FATE_STAYS) {
                fate = sorted[i]->is_kept ? FATE_STAYS : FATE_GOES;
            }
        }
        manifest_id = next_id;
    }
    return fate;
}

/* A signature or SBOM below a tag of its own: as its image, which may be one of an index and so
 * have no tag that we looked at. */
static void judge_belonging(const struct policy *p, struct arena *a, struct str repository,
                            struct retained **sorted, size_t n, struct retained *item,
                            int64_t now_ms)
{
    if (is_frozen(p, a, repository, item)) {
        return;
    }
    if (item->subject_id == SUBJECT_GONE) {
        if (item->pushed_ms > now_ms - BLOB_GRACE_MS) {
            keep(item, "pushed less than a day ago: its image may still come");
        } else if (item->is_named || p->removes_others) {
            item->why = "its image is gone";
        } else {
            keep(item, "no rule is about it");
        }
    } else if (fate_of(sorted, n, item->subject_id) == FATE_GOES) {
        item->why = "goes with its image";
    } else {
        keep(item, "stays with its image");
    }
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
    struct retained **sorted = n > 0 ? sort_by_manifest(a, items, n) : NULL;
    size_t n_images = n > 0 ? number_images(sorted, n) : 0;

    for (size_t i = 0; i < p->n_rules && n > 0; i++) {
        if (selector_matches(&p->rules[i].repositories, repository)) {
            apply_rule(&p->rules[i], a, items, n, n_images, now_ms);
        }
    }
    for (size_t i = 0; i < n; i++) {
        judge_rest(p, a, repository, &items[i], now_ms);
    }
    for (size_t i = 0; i < n; i++) {
        if (items[i].subject_id != SUBJECT_NONE) {
            judge_belonging(p, a, repository, sorted, n, &items[i], now_ms);
        }
    }
}
