/* Reports as they are kept: one an image, its findings in rows. */
#include "supply_priv.h"

#include "access/access.h"
#include "base/clock.h"
#include "registry/registry.h"

enum {
    UNUSED_MS = 3600 * 1000, /* whoever deletes an image may push it again at once */
    PURGE_STEP = 20          /* a minute; each with up to LIMIT_FINDINGS rows */
};

struct report_op {
    const struct artifact *of;
    const struct report *report;
    struct str by;
    struct finding_page *page;
    const struct trust_policy *policy;
    struct finding *worst;
    struct arena *arena;
    struct jw *w;
    int found;
};

static int add_findings(struct state_db *db, const struct report *r, int64_t report_id,
                        struct err *e)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct finding *f = &r->findings[i];

        if (state_run(db, e,
                      "INSERT INTO supply_findings(report_id, number, severity, vulnerability,"
                      " package, version, fixed, link, title) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                      "iiissssss", report_id, (int64_t)i + 1, (int64_t)f->severity, f->id,
                      f->package, f->version, f->fixed, f->link, f->title) < 0) {
            return -1;
        }
    }
    return 0;
}

static int store_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct report_op *op = ctx;
    const struct report *r = op->report;
    int64_t found;

    if (access_project_check(db, op->of->project_id, e) < 0 ||
        state_one_i64(db, &found, e, "the image was deleted meanwhile",
                      "SELECT id FROM manifests WHERE id = ? AND digest = ?", "iz", op->of->id,
                      op->of->digest) < 0 ||
        state_run(db, e, "DELETE FROM supply_reports WHERE project_id = ? AND digest = ?", "iz",
                  op->of->project_id, op->of->digest) < 0 ||
        state_run(db, e,
                  "INSERT INTO supply_reports(project_id, digest, format, tool, created_ms,"
                  " created_by, unknown, low, medium, high, critical)"
                  " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                  "izzsisiiiii", op->of->project_id, op->of->digest, r->format, r->tool,
                  clock_wall_ms(), op->by, r->counts[SEV_UNKNOWN], r->counts[SEV_LOW],
                  r->counts[SEV_MEDIUM], r->counts[SEV_HIGH], r->counts[SEV_CRITICAL]) < 0) {
        return -1;
    }
    return add_findings(db, r, state_last_id(db), e);
}

int report_store(struct supply *s, const struct artifact *of, const struct report *r, struct str by,
                 struct err *e)
{
    struct report_op op = {.of = of, .report = r, .by = by};

    return state_write(s->state, store_fn, &op, e);
}

static int write_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct report_op *op = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT unknown, low, medium, high, critical, format, tool, created_ms,"
                   " created_by FROM supply_reports WHERE project_id = ? AND digest = ?",
                   "iz", op->of->project_id, op->of->digest) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        jw_null(op->w);
        return 0;
    }
    jw_object(op->w);
    for (int i = 0; i < SEVERITIES; i++) {
        jw_kv_i64(op->w, severity_name((enum severity)i), query_i64(&q, i));
    }
    jw_kv_str(op->w, "format", query_str(&q, 5));
    jw_kv_str(op->w, "tool", query_str(&q, 6));
    jw_kv_time(op->w, "created_at", query_i64(&q, 7));
    jw_kv_str(op->w, "created_by", query_str(&q, 8));
    jw_end(op->w);
    return 0;
}

int report_write(struct supply *s, const struct artifact *of, struct jw *w, struct err *e)
{
    struct report_op op = {.of = of, .w = w};

    return state_read(s->state, write_fn, &op, e);
}

#define COLUMNS "number, severity, vulnerability, package, version, fixed, link, title"
#define OF_REPORT                                                                                  \
    "report_id = (SELECT id FROM supply_reports WHERE project_id = ?1 AND digest = ?2)"

static void read_finding(const struct query *q, struct arena *a, struct finding *out)
{
    *out = (struct finding){.severity = (enum severity)query_i64(q, 1),
                            .id = arena_str(a, query_str(q, 2)),
                            .package = arena_str(a, query_str(q, 3))};
}

static void write_row(struct jw *w, const struct query *q)
{
    static const char *const keys[] = {"id",   "package", "version", "fixed_version",
                                       "link", "title"};

    jw_object(w);
    jw_kv_c(w, "severity", severity_name((enum severity)query_i64(q, 1)));
    for (int i = 0; i < (int)ARRAY_LEN(keys); i++) {
        jw_kv_str(w, keys[i], query_str(q, 2 + i));
    }
    jw_end(w);
}

static int findings_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct report_op *op = ctx;
    struct finding_page *p = op->page;
    SCOPED(query_done) struct query q = {0};
    int64_t n = 0, last = 0;
    int r;

    if (query_open(&q, db, e,
                   "SELECT " COLUMNS " FROM supply_findings WHERE " OF_REPORT " AND number > ?3"
                   " AND severity >= ?4 AND has_words(?5, vulnerability, package, version, title)"
                   " ORDER BY number LIMIT ?6",
                   "iziisi", op->of->project_id, op->of->digest, p->after, (int64_t)p->at_least,
                   p->q, p->limit + 1) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        if (n++ == p->limit) {
            p->next = last;
            return 0;
        }
        last = query_i64(&q, 0);
        write_row(op->w, &q);
    }
    return r;
}

int findings_write(struct supply *s, const struct artifact *of, struct finding_page *p,
                   struct jw *w, struct err *e)
{
    struct report_op op = {.of = of, .page = p, .w = w};

    return state_read(s->state, findings_fn, &op, e);
}

/* The list that is in force. */
static int list_of(struct state_db *db, const struct report_op *op, struct trust_policy *out,
                   struct err *e)
{
    if (!trust_policy_lists(op->policy)) {
        return trust_policy_load(db, op->arena, TRUST_OF_SYSTEM, out, e);
    }
    *out = *op->policy;
    return 0;
}

static bool is_allowed(const struct trust_policy *p, struct str id)
{
    for (size_t i = 0; i < p->n_allowed; i++) {
        if (str_eq(p->allowed[i], id)) {
            return true;
        }
    }
    return false;
}

static int judge_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct report_op *op = ctx;
    SCOPED(query_done) struct query q = {0};
    struct trust_policy list;
    int64_t reports;
    int r;

    if (state_one_i64(db, &reports, e, "",
                      "SELECT count(*) FROM supply_reports WHERE project_id = ? AND digest = ?",
                      "iz", op->of->project_id, op->of->digest) < 0) {
        return -1;
    }
    op->found = (int)reports;
    if (reports == 0 || !op->policy->blocks) {
        return 0;
    }
    if (list_of(db, op, &list, e) < 0 ||
        query_open(&q, db, e,
                   "SELECT " COLUMNS " FROM supply_findings WHERE " OF_REPORT
                   " AND severity >= ?3 ORDER BY number",
                   "izi", op->of->project_id, op->of->digest, (int64_t)op->policy->severity) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        if (!is_allowed(&list, query_str(&q, 2))) {
            read_finding(&q, op->arena, op->worst);
            return 0;
        }
    }
    return r;
}

int findings_judge(struct supply *s, struct arena *a, const struct artifact *of,
                   const struct trust_policy *p, struct finding *worst, struct err *e)
{
    struct report_op op = {.of = of, .arena = a, .policy = p, .worst = worst};

    return state_read(s->state, judge_fn, &op, e) < 0 ? -1 : op.found;
}

/* --- reports of what is gone --- */

/* Of all that was deleted from the repository: an index comes with images of other entries. */
int supply_restoring(struct state_db *db, const struct registry_restore *x, struct err *e)
{
    return x->from_project_id == x->project_id
               ? 0
               : state_run(db, e,
                           "UPDATE OR IGNORE supply_reports SET project_id = ?1 WHERE project_id ="
                           " ?2 AND digest IN (SELECT x.digest FROM trash z JOIN trash y"
                           " ON y.project_id = z.project_id AND y.repository = z.repository"
                           " JOIN trash_manifests x ON x.trash_id = y.id WHERE z.id = ?3)",
                           "iii", x->project_id, x->from_project_id, x->trash_id);
}

#define DUE "id IN (SELECT id FROM supply_reports WHERE unused_ms < ?1 ORDER BY unused_ms LIMIT ?2)"
#define IS_USED                                                                                    \
    "EXISTS (SELECT 1 FROM manifests m INDEXED BY manifests_project"                               \
    " WHERE m.project_id = supply_reports.project_id AND m.digest = supply_reports.digest)"
#define IS_IN_TRASH                                                                                \
    "EXISTS (SELECT 1 FROM trash_manifests t WHERE t.digest = supply_reports.digest)"

/* What another repository of the project still has waits until it is deleted there too; what is in
 * the trash is looked at again an hour later. */
static int purge_fn(struct state_db *db, void *ctx UNUSED, struct err *e)
{
    static const char *const steps[] = {
        "UPDATE supply_reports SET unused_ms = NULL WHERE " DUE " AND " IS_USED " AND ?3 > 0",
        "UPDATE supply_reports SET unused_ms = ?3 WHERE " DUE " AND " IS_IN_TRASH,
        "DELETE FROM supply_reports WHERE " DUE " AND NOT " IS_USED " AND NOT " IS_IN_TRASH
        " AND ?3 > 0",
    };
    int64_t now = clock_wall_ms();

    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        if (state_run(db, e, steps[i], "iii", now - UNUSED_MS, (int64_t)PURGE_STEP, now) < 0) {
            return -1;
        }
    }
    return 0;
}

static int is_due_fn(struct state_db *db, void *ctx, struct err *e)
{
    return state_one_i64(db, ctx, e, "rows",
                         "SELECT EXISTS (SELECT 1 FROM supply_reports WHERE unused_ms < ?)", "i",
                         clock_wall_ms() - UNUSED_MS);
}

int supply_housekeep(struct supply *s, struct err *e)
{
    int64_t due;

    return state_read(s->state, is_due_fn, &due, e) < 0 ? -1
           : due == 0                                   ? 0
                                                        : state_write(s->state, purge_fn, NULL, e);
}
