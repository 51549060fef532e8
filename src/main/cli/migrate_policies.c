/* Rules for tags, webhooks, and replication. They come after the images: nothing is told of, copied
 * or removed while those arrive. */
#include "main/cli/migrate.h"

#include <stdlib.h>
#include <string.h>

struct rows {
    struct migration *m;
    const struct project *p;
    json_t *here;
    json_t *ids; /* of registries: {"name": id} */
};

/* Both lists, and `each` for every row there. */
static void walk(struct migration *m, const struct project *p, const char *what, const char *there,
                 const char *here, source_row *each)
{
    SCOPED(json_decrefp) json_t *have = NULL;
    struct rows of = {.m = m, .p = p};
    struct err e = {0};

    if ((here != NULL && here_list(m, here, &have, &e) < 0) ||
        (of.here = have, source_each(m->from, there, each, &of, &e) < 0)) {
        migrate_note(m, FAILED, what, p ? p->to : "", "%s", e.msg);
    }
}

/* --- tags that never change --- */

static int bring_immutable(void *ctx, const json_t *row, struct err *e UNUSED)
{
    const struct rows *of = ctx;
    SCOPED(json_decrefp) json_t *body = translate_immutable(row);
    SCOPED(freep) char *path = xasprintf("/projects/%lld/immutabletagrules", (long long)of->p->id);
    const char *pattern =
        json_text(json_array_get(json_object_get(row, "tag_selectors"), 0), "pattern");
    SCOPED(freep) char *name = xasprintf("%s: %s", of->p->to, pattern);
    const json_t *one;
    size_t i;

    if (body == NULL) {
        migrate_note(of->m, SKIPPED, "immutable", name, "it is not in force");
        return 0;
    }
    json_array_foreach(of->here, i, one)
    {
        if (translate_same_immutable(one, body)) {
            migrate_note(of->m, THERE, "immutable", name, "%s", "");
            return 0;
        }
    }
    (void)here_add(of->m, "immutable", name, path, body);
    return 0;
}

/* --- which tags are kept --- */

static int has_retention(const struct migration *m, const struct project *p, struct err *e)
{
    SCOPED(json_decrefp) json_t *have = NULL;

    if (p->id == 0) {
        return 0;
    }
    return client_call(m->c->client, "GET", NULL, &have, e, "/api/v2.0/projects/%lld",
                       (long long)p->id) < 0
               ? -1
               : json_text(json_object_get(have, "metadata"), "retention_id")[0] != '\0';
}

/* Nothing was pulled here yet: such a rule would remove everything on its first run. */
static bool counts_pulls(const json_t *policy)
{
    const json_t *rule;
    size_t i;

    json_array_foreach(json_object_get(policy, "rules"), i, rule)
    {
        if (!json_is_true(json_object_get(rule, "disabled")) &&
            strstr(json_text(rule, "template"), "Pull") != NULL) {
            return true;
        }
    }
    return false;
}

static void bring_retention(struct migration *m, const struct project *p)
{
    const char *id = json_text(json_object_get(p->row, "metadata"), "retention_id");
    SCOPED(freep) char *path = xasprintf("/retentions/%s", url_segment(id));
    SCOPED(json_decrefp) json_t *policy = NULL;
    SCOPED(json_decrefp) json_t *body = NULL;
    struct err e = {0};
    int have;

    if (id[0] == '\0') {
        return;
    }
    have = has_retention(m, p, &e);
    if (have > 0) {
        migrate_note(m, THERE, "retention", p->to, "%s", "");
    } else if (have < 0 || source_get(m->from, path, &policy, &e) < 0) {
        migrate_note(m, FAILED, "retention", p->to, "%s", e.msg);
    } else if ((body = translate_retention(policy, p->id)) != NULL) {
        if (counts_pulls(policy)) {
            (void)json_object_del(body, "trigger");
            migrate_note(m, TODO, "retention", p->to,
                         "it counts pulls, and nothing was pulled here yet: it is brought without "
                         "its schedule; set that when clients have moved: strata retention set "
                         "--schedule @daily -p %s",
                         shell_word(p->to));
        }
        (void)here_add(m, "retention", p->to, "/retentions", body);
    }
}

/* --- webhooks --- */

static bool tells_header(const json_t *body)
{
    const json_t *target = json_array_get(json_object_get(body, "targets"), 0);

    return json_text(target, "auth_header")[0] != '\0';
}

static int bring_webhook(void *ctx, const json_t *row, struct err *e UNUSED)
{
    const struct rows *of = ctx;
    SCOPED(json_decrefp) json_t *body = translate_webhook(row);
    SCOPED(freep) char *path = xasprintf("/projects/%lld/webhook/policies", (long long)of->p->id);
    SCOPED(freep) char *name = xasprintf("%s: %s", of->p->to, json_text(row, "name"));

    if (here_find(of->here, "name", json_text(row, "name")) != NULL) {
        migrate_note(of->m, THERE, "webhook", name, "%s", "");
    } else if (here_add(of->m, "webhook", name, path, body) && !tells_header(body)) {
        migrate_note(of->m, TODO, "webhook", name,
                     "if it had an Authorization header, which is not told, set it: strata webhook "
                     "set %s --auth-header-file FILE -p %s",
                     shell_word(json_text(row, "name")), shell_word(of->p->to));
    }
    return 0;
}

void migrate_policies(struct migration *m, const struct project *p)
{
    SCOPED(freep) char *rules = xasprintf("/projects/%s/immutabletagrules", url_segment(p->name));
    SCOPED(freep) char *hooks = xasprintf("/projects/%s/webhook/policies", url_segment(p->name));
    SCOPED(freep)
    char *rules_here = xasprintf("/projects/%lld/immutabletagrules", (long long)p->id);
    SCOPED(freep)
    char *hooks_here = xasprintf("/projects/%lld/webhook/policies", (long long)p->id);

    walk(m, p, "immutable", rules, p->id ? rules_here : NULL, bring_immutable);
    bring_retention(m, p);
    walk(m, p, "webhooks", hooks, p->id ? hooks_here : NULL, bring_webhook);
}

/* --- replication --- */

static int bring_registry(void *ctx, const json_t *row, struct err *e UNUSED)
{
    const struct rows *of = ctx;
    const char *name = json_text(row, "name");
    bool has_secret;
    SCOPED(json_decrefp) json_t *body = translate_registry(row, &has_secret);

    if (of->m->is_dry) {
        (void)json_object_set_new(of->ids, name, json_integer(1));
    }
    if (here_find(of->here, "name", name) != NULL) {
        migrate_note(of->m, THERE, "registry", name, "%s", "");
    } else if (here_add(of->m, "registry", name, "/registries", body) && has_secret) {
        migrate_note(of->m, TODO, "registry", name,
                     "its password is not told: strata registry set %s --user %s", shell_word(name),
                     shell_word(json_text(json_object_get(row, "credential"), "access_key")));
    }
    return 0;
}

/* Whether it signs in there, with a password that nobody has set yet. */
static bool lacks_password(struct migration *m, const char *registry)
{
    SCOPED(json_decrefp) json_t *row = NULL;
    struct err ignored;

    return client_call(m->c->client, "GET", NULL, &row, &ignored, "/api/v1/registries/%s",
                       url_segment(registry)) == 0 &&
           json_text(row, "user")[0] != '\0' && !json_is_true(json_object_get(row, "has_password"));
}

/* The side that is another registry. */
static const char *registry_of(const json_t *rule)
{
    const json_t *src = json_object_get(rule, "src_registry");

    return json_text(json_number(src, "id") > 0 ? src : json_object_get(rule, "dest_registry"),
                     "name");
}

/* Why it is not to run yet, or NULL; the caller frees it. */
static char *why_off(struct migration *m, const json_t *row)
{
    const char *label = translate_missing_label(row, m->label_names);

    if (label != NULL) { /* without it nothing would be left out */
        return xasprintf("no label here is called %.200s, which its filter asks for: when there is "
                         "one,",
                         label);
    }
    return !m->is_dry && lacks_password(m, registry_of(row))
               ? xasprintf("%.200s has no password yet: when it has,", registry_of(row))
               : NULL;
}

/* One that could not do what it does there is off until somebody has seen to it. */
static int bring_rule(void *ctx, const json_t *row, struct err *e UNUSED)
{
    const struct rows *of = ctx;
    struct migration *m = of->m;
    const char *name = json_text(row, "name");
    SCOPED(json_decrefp) json_t *body = NULL;
    SCOPED(freep) char *why = NULL;

    if (here_find(of->here, "name", name) != NULL) {
        migrate_note(m, THERE, "rule", name, "%s", "");
        return 0;
    }
    body = translate_rule(row, of->ids, m->maps);
    if (body == NULL) {
        migrate_note(m, SKIPPED, "rule", name, "its registry %.200s is not here", registry_of(row));
        return 0;
    }
    why = why_off(m, row);
    if (why != NULL) {
        (void)json_object_set_new(body, "enabled", json_false());
    }
    if (here_add(m, "rule", name, "/replication/policies", body) && why != NULL) {
        migrate_note(m, TODO, "rule", name, "it is off: %s strata rule set %s --enabled yes", why,
                     shell_word(name));
    }
    return 0;
}

/* Ids of the registries here; in a dry run also of those that would come. */
static int learn_ids(struct rows *of, struct err *e)
{
    SCOPED(json_decrefp) json_t *have = NULL;
    const json_t *one;
    size_t i;

    if (here_list(of->m, "/registries", &have, e) < 0) {
        return -1;
    }
    json_array_foreach(have, i, one)
    {
        (void)json_object_set_new(of->ids, json_text(one, "name"),
                                  json_integer(json_number(one, "id")));
    }
    return 0;
}

void migrate_replication(struct migration *m)
{
    SCOPED(json_decrefp) json_t *registries = NULL;
    SCOPED(json_decrefp) json_t *rules = NULL;
    SCOPED(json_decrefp) json_t *ids = json_object();
    struct rows of = {.m = m, .ids = ids};
    struct err e = {0};

    if (here_list(m, "/registries", &registries, &e) < 0 ||
        here_list(m, "/replication/policies", &rules, &e) < 0 ||
        (of.here = registries, source_each(m->from, "/registries", bring_registry, &of, &e) < 0) ||
        learn_ids(&of, &e) < 0 ||
        (of.here = rules, source_each(m->from, "/replication/policies", bring_rule, &of, &e) < 0)) {
        migrate_note(m, FAILED, "replication", "", "%s", e.msg);
    }
}
