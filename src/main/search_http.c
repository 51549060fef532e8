/* The search over everything: a few of each kind, of what the one who asks may see. */
#include "main/search_http.h"

#include "access/access.h"
#include "base/limits.h"
#include "jobs/jobs.h"
#include "main/system_http.h"
#include "registry/registry.h"
#include "volume/volume.h"

#define OF_A_KIND 8
#define ANSWER_BYTES (64 * KIB)

struct search {
    struct system_http *parts;
    const struct principal *who;
    struct str words;
    struct jw *w;
};

/* Where to look: NULL everywhere. */
static int scope_of(const struct search *s, enum perm perm, struct buf *ids, const char **out,
                    struct err *e)
{
    if (access_search_scope(s->parts->access, s->who, perm, ids, e) < 0) {
        return -1;
    }
    *out = ids->len > 0 ? ids->p : NULL;
    return 0;
}

static void put_volume(void *ctx, int64_t project_id, struct str name)
{
    const struct search *s = ctx;
    char project[65];
    struct err ignored;

    if (access_project_name(s->parts->access, project_id, project, &ignored) < 0 ||
        project[0] == '\0') {
        return; /* it is just being deleted */
    }
    jw_object(s->w);
    jw_kv_c(s->w, "project", project);
    jw_kv_str(s->w, "name", name);
    jw_end(s->w);
}

static int find(struct search *s, struct err *e)
{
    SCOPED(buf_done) struct buf ids = BUF_MAX(32 * KIB);
    const char *projects;

    jw_key(s->w, "projects");
    jw_array(s->w);
    if (access_search_projects(s->parts->access, s->who, s->words, OF_A_KIND, s->w, e) < 0 ||
        scope_of(s, PERM_VOLUME_READ, &ids, &projects, e) < 0) {
        return -1;
    }
    jw_end(s->w);
    jw_key(s->w, "volumes");
    jw_array(s->w);
    if (volume_search(s->parts->volumes, projects, s->words, OF_A_KIND, put_volume, s, e) < 0 ||
        scope_of(s, PERM_IMAGE_PULL, &ids, &projects, e) < 0) {
        return -1;
    }
    jw_end(s->w);
    jw_key(s->w, "repositories");
    jw_array(s->w);
    if (registry_search(s->parts->registry, projects, s->words, OF_A_KIND, s->w, e) < 0 ||
        scope_of(s, PERM_JOB_READ, &ids, &projects, e) < 0) {
        return -1;
    }
    jw_end(s->w);
    jw_key(s->w, "jobs");
    jw_array(s->w);
    if (jobs_search(s->parts->jobs, projects, s->words, OF_A_KIND, s->w, e) < 0) {
        return -1;
    }
    jw_end(s->w);
    return 0;
}

int search_http(struct http_req *r, struct err *e)
{
    SCOPED(buf_done) struct buf b = BUF_MAX(ANSWER_BYTES);
    struct jw w = JW(&b);
    struct search s = {.parts = r->ctx, .who = &r->who, .w = &w};

    if (http_query_filter(r, &s.words, e) < 0) {
        return -1;
    }
    if (str_trim(s.words).len == 0) {
        return err_set(e, ERR_INVALID, "what is looked for? ?q=WORDS");
    }
    jw_object(&w);
    if (find(&s, e) < 0) {
        return -1;
    }
    jw_end(&w);
    return http_reply_json(r, 200, &b, e);
}
