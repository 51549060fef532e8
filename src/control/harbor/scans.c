/* What scanners found in an image, in the shapes of Harbor: reports come from a scanner or were
 * uploaded (supply), and one of them is told for an index and the images that it lists. */
#include "images.h"
#include "supply/rows.h"

#include <stdio.h>

#define REPORT_TYPE "application/vnd.security.vulnerability.report; version=1.1"
#define REPORT_TYPE_OLD "application/vnd.scanner.adapter.vuln.report.harbor+json; version=1.0"

/* Reports are of a digest in a project, whichever repository holds it. */
#define REPORTS_OF_PARTS                                                                           \
    "SELECT r.id FROM manifests m JOIN supply_reports r ON r.project_id = m.project_id"            \
    " AND r.digest = m.digest WHERE m.id IN ids"

static const char *const severities[SEVERITIES] = {"Unknown", "Low", "Medium", "High", "Critical"};

static const char *report_type(struct str asked)
{
    static const struct {
        const char *type, *version, *is;
    } types[] = {{"application/vnd.security.vulnerability.report", "version=1.1", REPORT_TYPE},
                 {"application/vnd.scanner.adapter.vuln.report.harbor+json", "version=1.0",
                  REPORT_TYPE_OLD}};
    struct str version = asked, type = str_trim(str_cut(&version, ';'));

    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (str_eq_c(type, types[i].type) &&
            (version.p == NULL || str_eq_c(str_trim(version), types[i].version))) {
            return types[i].is;
        }
    }
    return NULL;
}

const char *report_type_of(const struct http_req *r)
{
    struct str rest = http_header(r, "X-Accept-Vulnerabilities");
    const char *found = NULL;

    if (rest.p == NULL || rest.len == 0) {
        return REPORT_TYPE_OLD;
    }
    while (rest.p != NULL && found == NULL) {
        found = report_type(str_trim(str_cut(&rest, ',')));
    }
    return found;
}

/* --- the overview --- */

struct overview {
    int64_t reports, counts[SEVERITIES], created_ms, fixable, started_ms, ended_ms;
    const char *status; /* NULL: there is neither report nor scan */
    char tool[256];
};

static int read_reports(struct state_db *db, int64_t manifest_id, struct overview *out,
                        struct err *e)
{
    SCOPED(query_done) struct query q = {0};

    if (query_open(&q, db, e,
                   WITH_PARTS "SELECT count(*), total(unknown), total(low), total(medium),"
                              " total(high), total(critical), max(created_ms), max(tool),"
                              " (SELECT count(*) FROM supply_findings f"
                              "  WHERE f.report_id IN (" REPORTS_OF_PARTS ") AND f.fixed <> '')"
                              " FROM supply_reports r WHERE r.id IN (" REPORTS_OF_PARTS ")",
                   "i", manifest_id) < 0 ||
        query_step(&q, e) < 0) {
        return -1;
    }
    out->reports = query_i64(&q, 0);
    for (int i = 0; i < SEVERITIES; i++) {
        out->counts[i] = query_i64(&q, 1 + i);
    }
    out->created_ms = query_i64(&q, 1 + SEVERITIES);
    (void)!str_copy(str_first(query_str(&q, 2 + SEVERITIES), sizeof(out->tool) - 1), out->tool,
                    sizeof(out->tool));
    out->fixable = query_i64(&q, 3 + SEVERITIES);
    return 0;
}

static const char *status_of(struct str state)
{
    return str_eq_c(state, "waiting")   ? "Pending"
           : str_eq_c(state, "running") ? "Running"
           : str_eq_c(state, "failed")  ? "Error"
           : str_eq_c(state, "stopped") ? "Stopped"
                                        : "Success";
}

/* A scan that goes on is told before those that have ended. */
static int read_scan(struct state_db *db, int64_t manifest_id, struct overview *out, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   WITH_PARTS "SELECT state, started_ms, ended_ms FROM supply_scans"
                              " WHERE manifest_id IN ids"
                              " ORDER BY next_ms IS NULL, started_ms DESC LIMIT 1",
                   "i", manifest_id) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    out->status = r > 0 ? status_of(query_str(&q, 0)) : out->reports > 0 ? "Success" : NULL;
    out->started_ms = r > 0 ? query_i64(&q, 1) : out->created_ms;
    out->ended_ms = r > 0 ? query_i64(&q, 2) : out->created_ms;
    return 0;
}

static const char *worst_of(const struct overview *o)
{
    int worst = SEVERITIES - 1;

    while (worst >= 0 && o->counts[worst] == 0) {
        worst--;
    }
    return worst < 0 ? "None" : severities[worst];
}

static void write_counts(const struct overview *o, struct jw *w)
{
    int64_t total = 0;

    jw_key(w, "summary");
    jw_object(w);
    jw_key(w, "summary");
    jw_object(w);
    for (int i = 0; i < SEVERITIES; i++) {
        total += o->counts[i];
        if (o->counts[i] > 0) {
            jw_kv_i64(w, severities[i], o->counts[i]);
        }
    }
    jw_end(w);
    jw_kv_i64(w, "total", total);
    jw_kv_i64(w, "fixable", o->fixable);
    jw_end(w);
}

static void write_scanner(struct jw *w, struct str tool)
{
    jw_key(w, "scanner");
    jw_object(w);
    jw_kv_str(w, "name", tool);
    jw_kv_c(w, "vendor", "");
    jw_kv_c(w, "version", "");
    jw_end(w);
}

static void write_overview(const struct overview *o, int64_t id, const char *type, struct jw *w)
{
    char report_id[24];

    (void)snprintf(report_id, sizeof(report_id), "%lld", (long long)id);
    jw_key(w, "scan_overview");
    jw_object(w);
    jw_key(w, type);
    jw_object(w);
    jw_kv_c(w, "report_id", report_id);
    jw_kv_c(w, "scan_status", o->status);
    if (o->reports > 0) {
        jw_kv_c(w, "severity", worst_of(o));
        write_counts(o, w);
        write_scanner(w, str_of(o->tool));
    }
    jw_kv_time(w, "start_time", o->started_ms);
    if (o->ended_ms != 0) {
        jw_kv_time(w, "end_time", o->ended_ms);
        jw_kv_i64(w, "duration", (o->ended_ms - o->started_ms) / 1000);
    }
    jw_kv_i64(w, "complete_percent", o->ended_ms != 0 ? 100 : 0);
    jw_end(w);
    jw_end(w);
}

int scan_overview_write(struct state_db *db, int64_t manifest_id, const char *type, struct jw *w,
                        struct err *e)
{
    struct overview o = {0};

    if (type == NULL) {
        return 0;
    }
    if (read_reports(db, manifest_id, &o, e) < 0 || read_scan(db, manifest_id, &o, e) < 0) {
        return -1;
    }
    if (o.status != NULL) {
        write_overview(&o, manifest_id, type, w);
    }
    return 0;
}

/* --- the report --- */

struct report_op {
    const struct artifacts *of;
    const struct stored_manifest *m;
    struct jw *w;
};

static int write_findings(struct state_db *db, int64_t manifest_id, struct jw *w, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   WITH_PARTS "SELECT f.vulnerability, f.package, f.version, f.fixed, f.severity,"
                              " f.title, f.link, r.digest FROM supply_findings f"
                              " JOIN supply_reports r ON r.id = f.report_id"
                              " WHERE r.id IN (" REPORTS_OF_PARTS ")"
                              " ORDER BY f.severity DESC, r.id, f.number",
                   "i", manifest_id) < 0) {
        return -1;
    }
    jw_key(w, "vulnerabilities");
    jw_array(w);
    while ((r = query_step(&q, e)) > 0) {
        jw_object(w);
        jw_kv_str(w, "id", query_str(&q, 0));
        jw_kv_str(w, "package", query_str(&q, 1));
        jw_kv_str(w, "version", query_str(&q, 2));
        jw_kv_str(w, "fix_version", query_str(&q, 3));
        jw_kv_c(w, "severity", severities[query_i64(&q, 4)]);
        jw_kv_str(w, "description", query_str(&q, 5));
        jw_key(w, "links");
        jw_array(w);
        if (query_str(&q, 6).len > 0) {
            jw_str(w, query_str(&q, 6));
        }
        jw_end(w);
        jw_key(w, "artifact_digests");
        jw_array(w);
        jw_str(w, query_str(&q, 7));
        jw_end(w);
        jw_end(w);
    }
    jw_end(w);
    return r;
}

static int report_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct report_op *op = ctx;
    struct jw *w = op->w;
    struct overview o = {0};
    int result;

    if (read_reports(db, op->m->id, &o, e) < 0) {
        return -1;
    }
    if (o.reports == 0 || op->of->report_type == NULL) {
        return 0;
    }
    jw_key(w, op->of->report_type);
    jw_object(w);
    jw_kv_time(w, "generated_at", o.created_ms);
    jw_key(w, "artifact");
    jw_object(w);
    jw_kv_str(w, "repository", op->of->repository);
    jw_kv_c(w, "digest", op->m->digest);
    jw_kv_str(w, "mime_type", op->m->media_type);
    jw_end(w);
    write_scanner(w, str_of(o.tool));
    jw_kv_c(w, "severity", worst_of(&o));
    result = write_findings(db, op->m->id, w, e);
    jw_end(w);
    return result;
}

/* {} without a report. */
int harbor_vulnerabilities(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct artifacts of = {.report_type = report_type_of(r)};
    struct buf b = BUF_MAX(32 * MIB);
    struct jw w = JW(&b);
    struct stored_manifest m;
    int result;

    if (artifact_of(r, &of, &m, e) < 0) {
        return -1;
    }
    jw_object(&w);
    result = state_read(h->state, report_fn, &(struct report_op){&of, &m, &w}, e);
    jw_end(&w);
    return harbor_reply_and_free(r, 200, &b, result, e);
}

/* --- scans --- */

struct scan_of {
    int64_t manifest_id;
    struct overview *out;
};

static int scan_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct scan_of *op = ctx;

    return read_scan(db, op->manifest_id, op->out, e);
}

/* Of an index its images are scanned. */
int harbor_scan(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct artifacts of = {0};
    struct stored_manifest m;
    struct artifact whole;
    struct artifact_list parts;

    if (artifact_of(r, &of, &m, e) < 0 ||
        artifact_find(h->registry, &r->arena, of.repository, str_of(m.digest), &whole, e) < 0 ||
        artifacts_below(h->registry, &r->arena, &whole, &parts, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < parts.n; i++) {
        if (scan_start(h->supply, &parts.items[i], r->who.user_id, str_of(r->who.name), e) < 0) {
            return -1;
        }
    }
    return parts.n == 0 && scan_start(h->supply, &whole, r->who.user_id, str_of(r->who.name), e) < 0
               ? -1
               : http_reply_empty(r, 202, e);
}

/* One that has ended stays as it is; one that was never begun is a mistake. */
int harbor_scan_stop(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct artifacts of = {0};
    struct stored_manifest m;
    struct overview o = {0};
    struct artifact whole;
    size_t n = 0;

    if (artifact_of(r, &of, &m, e) < 0 ||
        artifact_find(h->registry, &r->arena, of.repository, str_of(m.digest), &whole, e) < 0 ||
        scan_stop(h->supply, &whole, str_of(r->who.name), &n, e) < 0 ||
        (n == 0 && state_read(h->state, scan_fn, &(struct scan_of){m.id, &o}, e) < 0)) {
        return -1;
    }
    return n == 0 && o.status == NULL ? err_set(e, ERR_INVALID, "the artifact was not scanned here")
                                      : http_reply_empty(r, 202, e);
}

struct log_op {
    int64_t manifest_id;
    struct buf *out;
};

static int log_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct log_op *op = ctx;
    SCOPED(query_done) struct query q = {0};
    int r, n = 0;

    if (query_open(&q, db, e,
                   WITH_PARTS "SELECT state, started_by, tries, coalesce(error, ''), repository,"
                              " digest FROM supply_scans WHERE manifest_id IN ids"
                              " ORDER BY started_ms",
                   "i", op->manifest_id) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        struct str state = query_str(&q, 0), by = query_str(&q, 1), why = query_str(&q, 3);
        struct str repository = query_str(&q, 4), digest = query_str(&q, 5);

        n++;
        buf_printf(op->out, "%.*s@%.*s: %.*s, started by %.*s, %lld failed tries%s%.*s\n",
                   STR_ARG(repository), STR_ARG(digest), STR_ARG(state), STR_ARG(by),
                   (long long)query_i64(&q, 2), why.len > 0 ? ": " : "", STR_ARG(why));
    }
    return r < 0 ? -1 : n > 0 ? 0 : err_set(e, ERR_NOT_FOUND, "the artifact was not scanned here");
}

int harbor_scan_log(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(buf_done) struct buf b = BUF_MAX(1 * MIB);
    struct artifacts of = {0};
    struct stored_manifest m;
    int64_t id;

    if (harbor_path_id(r, "id", &id, e) < 0 || artifact_of(r, &of, &m, e) < 0) {
        return -1;
    }
    if (id != m.id) {
        return err_set(e, ERR_NOT_FOUND, "the artifact has no report of that id");
    }
    return state_read(h->state, log_fn, &(struct log_op){m.id, &b}, e) < 0
               ? -1
               : harbor_reply_log(r, &b, e);
}

/* --- of all images --- */

static int metrics_fn(struct state_db *db, void *ctx, struct err *e)
{
    static const struct {
        const char *state, *told;
    } states[] = {{"waiting", "Pending"},
                  {"running", "Running"},
                  {"succeeded", "Success"},
                  {"failed", "Error"},
                  {"stopped", "Stopped"}};
    struct jw *w = ctx;
    SCOPED(query_done) struct query q = {0};
    int64_t total = 0, ended = 0;
    int r;

    if (query_open(&q, db, e,
                   "SELECT state, count(*), sum(ended_ms IS NOT NULL) FROM supply_scans"
                   " GROUP BY state",
                   "") < 0) {
        return -1;
    }
    jw_key(w, "metrics");
    jw_object(w);
    while ((r = query_step(&q, e)) > 0) {
        for (size_t i = 0; i < ARRAY_LEN(states); i++) {
            if (str_eq_c(query_str(&q, 0), states[i].state)) {
                jw_kv_i64(w, states[i].told, query_i64(&q, 1));
            }
        }
        total += query_i64(&q, 1);
        ended += query_i64(&q, 2);
    }
    jw_end(w);
    jw_kv_i64(w, "total", total);
    jw_kv_i64(w, "completed", ended);
    jw_kv_bool(w, "ongoing", ended < total);
    jw_kv_c(w, "trigger", "Event");
    return r;
}

/* The last scan of each image: they are scanned when they come, or one by one. */
int harbor_scans_metrics(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct buf b = BUF_MAX(4096);
    struct jw w = JW(&b);
    int result;

    jw_object(&w);
    result = state_read(h->state, metrics_fn, &w, e);
    jw_end(&w);
    return harbor_reply_and_free(r, 200, &b, result, e);
}
