/* policy - what a project decided about its tags: which may never change, which are kept.
 *
 * As JSON (docs/formats/registry.md), normalized and kept in registry_projects.policy:
 *
 *   {"immutable": [{"id": 1, "repositories": "**", "tags": "v*"}],
 *    "retention": {"schedule": "@daily", "others": "keep",
 *                  "rules": [{"id": 2, "repositories": "**", "tags": "!stable", "untagged": true,
 *                             "labels": ["release"], "keep": "latest_pushed", "n": 10}]}}
 *
 * Patterns are globs (base/glob.h) over names without the project; "!" in front turns one around.
 */
#pragma once
#include "base/arena.h"
#include "base/cron.h"
#include "base/glob.h"
#include "base/json.h"

enum { POLICY_RULES_MAX = 50, POLICY_BYTES_MAX = 64 * 1024, POLICY_N_MAX = 100000 };

enum keep {
    KEEP_LATEST_PUSHED,
    KEEP_LATEST_PULLED,
    KEEP_PUSHED_DAYS,
    KEEP_PULLED_DAYS,
    KEEP_ALWAYS,
    KEEPS
};

struct selector {
    struct str text; /* with its "!" */
    bool is_not;
    const struct glob *glob;
};

struct tag_rule {
    int64_t id; /* of the project, given once and kept: others name it */
    struct selector repositories, tags;
    struct str labels; /* of retention, as all below: "a,b", the image has all; empty: any */
    bool untagged;     /* manifests without any tag too */
    enum keep keep;
    int64_t n;
};

struct policy {
    struct tag_rule *immutable, *rules;
    size_t n_immutable, n_rules;
    bool removes_others; /* retention: also what no rule is about */
    struct str schedule; /* p == NULL: only when asked */
    struct cron cron;
};

/* From a project's own JSON, or from a body: every mistake at once, by its key. Rules without an id
 * get the next free one. The result lives in the arena. */
int policy_of_json(struct arena *a, const json_t *doc, struct policy *out, struct err *e) MUST_USE;
int policy_parse(struct arena *a, struct str text, struct policy *out, struct err *e) MUST_USE;
void policy_write(const struct policy *p, struct jw *w);

/* Both names without the project. */
bool selector_matches(const struct selector *s, struct str name);
/* The rule that forbids to change or delete the tag; NULL: none. */
const struct tag_rule *policy_immutable(const struct policy *p, struct str repository,
                                        struct str tag);
const char *keep_name(enum keep k);
