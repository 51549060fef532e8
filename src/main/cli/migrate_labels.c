/* Labels by their names: global ones, those of projects. On artifacts they are put by
 * migrate_images.c. */
#include "main/cli/migrate.h"

#include <stdlib.h>
#include <string.h>

struct labels {
    struct migration *m;
    const struct project *p; /* NULL: global ones */
    json_t *ids;             /* {"name": id here}; 0: it cannot be here, -1: it would be */
};

static int64_t project_id(const struct labels *of)
{
    return of->p ? of->p->id : 0;
}

static int take_id(void *ctx, const json_t *row, struct err *e UNUSED)
{
    struct labels *of = ctx;
    const char *name = json_text(row, "name");

    (void)json_object_set_new(of->ids, name, json_integer(json_number(row, "id")));
    (void)json_object_set_new(of->m->label_names, name, json_true());
    return 0;
}

static int learn(struct labels *of, struct err *e)
{
    SCOPED(freep)
    char *path = of->p ? xasprintf("/labels?scope=p&project_id=%lld", (long long)of->p->id)
                       : xstrdup("/labels?scope=g");

    /* In a dry run the project may not be here yet. */
    return of->p && of->p->id == 0 ? 0 : here_each(of->m, path, take_id, of, e);
}

/* As they are here: asked for once, of a project when it is begun. */
static int open_labels(struct migration *m, const struct project *p, struct labels *out,
                       struct err *e)
{
    json_t **ids = p ? &m->project_labels_here : &m->labels_here;
    bool is_known = *ids != NULL;

    if (!is_known) {
        *ids = json_object();
    }
    *out = (struct labels){.m = m, .p = p, .ids = *ids};
    return is_known ? 0 : learn(out, e);
}

static int64_t id_of(const struct labels *of, const char *name)
{
    return json_integer_value(json_object_get(of->ids, name));
}

/* One that cannot be here is told of once. */
static int64_t make(struct labels *of, const json_t *row)
{
    const char *name = json_text(row, "name");
    SCOPED(freep) char *what = of->p ? xasprintf("%s: %s", of->p->to, name) : xstrdup(name);
    SCOPED(json_decrefp) json_t *body = translate_label(row, project_id(of));
    bool is_made = here_add(of->m, "label", what, "/labels", body);
    struct err e = {0};

    (void)json_object_set_new(of->ids, name, json_integer(is_made && of->m->is_dry ? -1 : 0));
    if (is_made && of->m->is_dry) {
        (void)json_object_set_new(of->m->label_names, name, json_true());
    } else if (is_made && learn(of, &e) < 0) {
        migrate_note(of->m, FAILED, "label", what, "%s", e.msg);
    }
    return id_of(of, name);
}

static int bring_label(void *ctx, const json_t *row, struct err *e UNUSED)
{
    struct labels *of = ctx;

    if (json_object_get(of->ids, json_text(row, "name")) != NULL) {
        migrate_note(of->m, THERE, "label", json_text(row, "name"), "%s", "");
    } else {
        (void)make(of, row);
    }
    return 0;
}

void migrate_labels(struct migration *m, const struct project *p)
{
    SCOPED(freep)
    char *path = p ? xasprintf("/labels?scope=p&project_id=%lld", (long long)p->there_id)
                   : xstrdup("/labels?scope=g");
    struct labels of;
    struct err e = {0};

    if (p != NULL) { /* those of the one before */
        json_decref(m->project_labels_here);
        m->project_labels_here = NULL;
    }
    if (open_labels(m, p, &of, &e) < 0 || source_each(m->from, path, bring_label, &of, &e) < 0) {
        migrate_note(m, FAILED, "labels", p ? p->to : "global", "%s", e.msg);
    }
}

int64_t migrate_label_id(struct migration *m, const struct project *p, const json_t *label)
{
    bool is_global = strcmp(json_text(label, "scope"), "p") != 0;
    const char *name = json_text(label, "name");
    struct labels of;
    struct err e = {0};

    if (name[0] == '\0') {
        return 0;
    }
    if (open_labels(m, is_global ? NULL : p, &of, &e) < 0) {
        migrate_note(m, FAILED, "label", name, "%s", e.msg);
        return 0;
    }
    return json_object_get(of.ids, name) != NULL ? id_of(&of, name) : make(&of, label);
}
