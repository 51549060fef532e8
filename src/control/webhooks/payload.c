/* The bodies: Harbor's JSON, or the same in an envelope of CloudEvents 1.0 (structured mode). Names
 * and order of the fields are Harbor's, so that what was written for it goes on. */
#include "webhooks_priv.h"

#include "base/clock.h"
#include "base/glob.h"

/* Names as Harbor gives them: receivers choose by them. */
static const char *const cloud_types[WEBHOOK_EVENTS] = {"harbor.artifact.pushed",
                                                        "harbor.artifact.pulled",
                                                        "harbor.artifact.deleted",
                                                        "harbor.quota.exceeded",
                                                        "harbor.quota.warned",
                                                        "harbor.tag_retention.finished",
                                                        "harbor.replication.status.changed",
                                                        "harbor.scan.completed",
                                                        "harbor.scan.failed",
                                                        "harbor.scan.stopped",
                                                        "strata.webhook.ping"};

const char *payload_type(enum hook_format format)
{
    return format == HOOK_CLOUDEVENTS ? "application/cloudevents+json" : "application/json";
}

static bool is_of_scans(enum webhook_event event)
{
    return event == WEBHOOK_SCANNED || event == WEBHOOK_SCAN_FAILED ||
           event == WEBHOOK_SCAN_STOPPED;
}

static bool is_of_images(enum webhook_event event)
{
    return is_of_scans(event) || event == WEBHOOK_PUSH || event == WEBHOOK_PULL ||
           event == WEBHOOK_DELETE;
}

static struct str without_project(struct str repository)
{
    struct str rest = repository;

    (void)str_cut(&rest, '/');
    return rest.p ? rest : STR_EMPTY;
}

static bool fits(struct str pattern, struct str name)
{
    struct glob g;
    struct err ignored;

    return pattern.len == 0 || (glob_compile(&g, pattern, &ignored) == 0 && glob_match(&g, name));
}

bool payload_filter(const struct webhook_news *n, struct str repositories, struct str tags,
                    unsigned char *chosen)
{
    bool any = false;

    for (size_t i = 0; i < n->n_images; i++) {
        struct str tag = n->images[i].tag;

        chosen[i] = tags.len == 0 || (tag.p != NULL && fits(tags, tag));
        any |= chosen[i] != 0;
    }
    return !is_of_images(n->event) || (any && fits(repositories, without_project(n->repository)));
}

static void write_image(const struct payload *p, const struct webhook_image *one, struct jw *w)
{
    bool has_tag = one->tag.p != NULL;
    struct str name = has_tag ? one->tag : one->digest;
    struct buf url = BUF_MAX(2048);

    buf_printf(&url, "%s/%.*s%c%.*s", p->host, STR_ARG(p->news->repository), has_tag ? ':' : '@',
               STR_ARG(name));
    jw_object(w);
    jw_kv_str(w, "digest", one->digest);
    jw_kv_str(w, "tag", name);
    jw_kv_str(w, "resource_url", buf_str(&url));
    if (is_of_scans(p->news->event) && p->news->about.len > 0) {
        jw_key(w, "scan_overview");
        jw_raw(w, p->news->about);
    }
    jw_end(w);
    buf_done(&url);
}

static void write_repository(const struct payload *p, struct jw *w)
{
    const struct webhook_news *n = p->news;

    jw_key(w, "repository");
    jw_object(w);
    if (n->repository_created_ms > 0) {
        jw_kv_i64(w, "date_created", n->repository_created_ms / 1000);
    }
    jw_kv_str(w, "name", without_project(n->repository));
    jw_kv_c(w, "namespace", p->project);
    jw_kv_str(w, "repo_full_name", n->repository);
    jw_kv_c(w, "repo_type", p->is_public ? "public" : "private");
    jw_end(w);
}

/* The object that somebody above wrote, with this server's name in front. */
static void write_about(const struct payload *p, struct jw *w)
{
    struct buf text = BUF_MAX(LIMIT_WEBHOOK_PAYLOAD);
    struct jw host = JW(&text);

    jw_object(&host);
    jw_kv_c(&host, "harbor_hostname", p->host);
    if (p->news->about.len > 2) {
        buf_add_c(&text, ",");
        buf_add(&text, str_from(p->news->about, 1));
    } else {
        jw_end(&host);
    }
    w->out->failed |= text.failed;
    jw_key(w, p->news->event == WEBHOOK_RETENTION ? "retention" : "replication");
    jw_raw(w, buf_str(&text));
    buf_done(&text);
}

static void write_custom(const struct webhook_news *n, struct jw *w)
{
    struct buf count = BUF_MAX(32);

    jw_key(w, "custom_attributes");
    jw_object(w);
    if (n->details.len > 0) {
        jw_kv_str(w, "Details", n->details);
    }
    if (n->n_left_out > 0) {
        buf_printf(&count, "%zu", n->n_left_out);
        jw_kv_str(w, "left_out", buf_str(&count));
    }
    jw_end(w);
    buf_done(&count);
}

static void write_data(const struct payload *p, struct jw *w)
{
    const struct webhook_news *n = p->news;

    jw_object(w);
    if (n->n_images > 0) {
        jw_key(w, "resources");
        jw_array(w);
        for (size_t i = 0; i < n->n_images; i++) {
            if (p->chosen[i]) {
                write_image(p, &n->images[i], w);
            }
        }
        jw_end(w);
    }
    if (n->repository.len > 0) {
        write_repository(p, w);
    }
    if (n->about.len > 0 && !is_of_scans(n->event)) {
        write_about(p, w);
    }
    if (n->details.len > 0 || n->n_left_out > 0) {
        write_custom(n, w);
    }
    jw_end(w);
}

static void write_cloud_event(const struct payload *p, struct jw *w)
{
    struct buf source = BUF_MAX(256);

    buf_printf(&source, "/api/v1/projects/%s/webhooks/%lld", p->project, (long long)p->hook_id);
    jw_kv_c(w, "specversion", "1.0");
    jw_kv_c(w, "id", p->request_id);
    jw_kv_c(w, "requestid", p->request_id);
    jw_kv_str(w, "source", buf_str(&source));
    jw_kv_c(w, "type", cloud_types[p->news->event]);
    jw_kv_c(w, "datacontenttype", "application/json");
    jw_kv_time(w, "time", p->at_ms);
    jw_key(w, "data");
    write_data(p, w);
    jw_kv_str(w, "operator", p->news->by);
    buf_done(&source);
}

void payload_write(const struct payload *p, struct buf *out)
{
    struct jw w = JW(out);

    jw_object(&w);
    if (p->format == HOOK_CLOUDEVENTS) {
        write_cloud_event(p, &w);
    } else {
        jw_kv_c(&w, "type", event_name(p->news->event));
        jw_kv_i64(&w, "occur_at", p->at_ms / 1000);
        jw_kv_str(&w, "operator", p->news->by);
        jw_key(&w, "event_data");
        write_data(p, &w);
    }
    jw_end(&w);
}
