#include "main/wire.h"

#include "access/access.h"
#include "base/cidr.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"
#include "content/content.h"
#include "fetch/fetch.h"
#include "harbor/harbor.h"
#include "helper/helper.h"
#include "jobs/jobs.h"
#include "labels/labels.h"
#include "main/console.h"
#include "main/own_scrape.h"
#include "main/system_http.h"
#include "metrics/api/metrics.h"
#include "net/http.h"
#include "pipeline/pipeline.h"
#include "registry/registry.h"
#include "replication/replication.h"
#include "rootfs/rootfs.h"
#include "rules/rules.h"
#include "runtime/runtime.h"
#include "scrape/scrape.h"
#include "secrets/secrets.h"
#include "state/state.h"
#include "supply/supply.h"
#include "tsdb/tsdb.h"
#include "volume/volume.h"
#include "webhooks/webhooks.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { EVENT_RING = 4096, UPLOAD_KEEP_MS = 24 * 3600 * 1000, COLLECT_STEP = 1000 };

struct wire {
    struct state *state;
    struct secrets *secrets;
    struct content *content;
    struct http_events *events;
    struct access *access;
    struct registry *registry;
    struct supply *supply;
    struct webhooks *webhooks;
    struct replication *replication;
    struct cidr denied[FETCH_DENIED_MAX]; /* net.outbound_deny */
    size_t n_denied;
    struct cidr import_denied[2 * FETCH_DENIED_MAX]; /* with net.import_deny */
    size_t n_import_denied;
    struct runtime *runtime;
    struct helper_client *helper;
    struct rootfs *rootfs;
    struct volume_store *volumes;
    struct jobs *jobs;
    struct pipelines *pipelines;
    bool is_offline; /* wire_check */
    struct system_http system;
    struct tsdb *tsdb;
    struct scrape *scrape;
    struct rules *rules;
    size_t max_samples;       /* of a rule */
    int64_t query_timeout_ms; /* of a rule */
    char prometheus_url[340]; /* of what Prometheus serves, for links in alerts */
    struct metrics *metrics;
    struct own_scrape own_scrape;
    struct http_mount mounts[13];
    struct harbor harbor;
    struct http_server *http;
    /* Containers that end while jobs is still loading its table wait here; what ends after it is
     * closed is found by the next start. */
    struct lock lock; /* guards the two below; held over jobs_on_exit, so that jobs outlives it */
    bool jobs_ready;
    VEC(struct runtime_status) early_exits;
};

/* --- what a lower module asks of a higher one; ctx is the wire --- */

static void publish(void *ctx, const char *type, const struct http_audience *to, struct str json)
{
    struct wire *w = ctx;

    http_events_publish(w->events, type, to, json);
}

static void publish_image(void *ctx, const char *type, struct str project, struct str json)
{
    struct wire *w = ctx;

    publish(ctx, type, &(struct http_audience){.perm = PERM_IMAGE_PULL, .project = project}, json);
    replication_on_image(w->replication, json);
}

static void publish_replication(void *ctx, const char *type, struct str json)
{
    publish(ctx, type, &(struct http_audience){.perm = PERM_SYSTEM_MANAGE}, json);
}

/* Its own transaction, or (db == NULL) none. */
static int tell_webhooks(void *ctx, struct state_db *db, const struct registry_change *c,
                         struct err *e)
{
    static const enum webhook_event events[] = {[REGISTRY_PUSHED] = WEBHOOK_PUSH,
                                                [REGISTRY_PULLED] = WEBHOOK_PULL,
                                                [REGISTRY_DELETED] = WEBHOOK_DELETE,
                                                [REGISTRY_OVER_QUOTA] = WEBHOOK_QUOTA_EXCEED,
                                                [REGISTRY_NEAR_QUOTA] = WEBHOOK_QUOTA_WARNING,
                                                [REGISTRY_RETAINED] = WEBHOOK_RETENTION};
    struct wire *w = ctx;
    struct webhook_image images[REGISTRY_ARTIFACTS_MAX];
    struct webhook_news news = {.event = events[c->what],
                                .project_id = c->project_id,
                                .repository = c->repository,
                                .repository_created_ms = c->repository_created_ms,
                                .by = c->by,
                                .images = images,
                                .n_images = c->n_artifacts,
                                .n_left_out = c->n_left_out,
                                .details = c->details,
                                .about = c->retention};

    for (size_t i = 0; i < c->n_artifacts; i++) {
        images[i] = (struct webhook_image){c->artifacts[i].tag, c->artifacts[i].digest};
    }
    if (db == NULL) {
        webhooks_note(w->webhooks, &news);
        return 0;
    }
    return webhooks_queue(w->webhooks, db, &news, e);
}

static int tell_replicated(void *ctx, struct state_db *db, const struct replication_end *x,
                           struct err *e)
{
    struct wire *w = ctx;

    return webhooks_queue(w->webhooks, db,
                          &(struct webhook_news){.event = WEBHOOK_REPLICATION,
                                                 .project_id = x->project_id,
                                                 .by = x->by,
                                                 .about = x->about},
                          e);
}

static int tell_scanned(void *ctx, struct state_db *db, const struct supply_scanned *x,
                        struct err *e)
{
    static const enum webhook_event events[] = {[SCAN_SUCCEEDED] = WEBHOOK_SCANNED,
                                                [SCAN_FAILED] = WEBHOOK_SCAN_FAILED,
                                                [SCAN_STOPPED] = WEBHOOK_SCAN_STOPPED};
    struct wire *w = ctx;
    struct webhook_image image = {x->tag, x->digest};

    return webhooks_queue(w->webhooks, db,
                          &(struct webhook_news){.event = events[x->end],
                                                 .project_id = x->project_id,
                                                 .repository = x->repository,
                                                 .by = x->by,
                                                 .images = &image,
                                                 .n_images = 1,
                                                 .about = x->overview},
                          e);
}

static int may_pull(void *ctx, const struct registry_pull *p, struct err *e)
{
    const struct wire *w = ctx;

    return supply_may_pull(w->supply, p, e);
}

static void arrived(void *ctx, const struct registry_arrival *x)
{
    const struct wire *w = ctx;

    supply_arrived(w->supply, x);
}

static int add_metrics(void *ctx, struct state_db *db, struct buf *out, struct err *e)
{
    struct wire *w = ctx;

    if (w->http != NULL) {
        http_server_metrics(w->http, out);
    }
    if (w->metrics != NULL) {
        scrape_metrics(w->scrape, out);
        metrics_own(w->metrics, out);
    }
    return webhooks_metrics(db, out, e) < 0 || replication_metrics(db, out, e) < 0
               ? -1
               : supply_metrics(db, out, e);
}

static int projects_seen(void *ctx, const struct principal *who, struct arena *a,
                         struct str **names, size_t *n, struct err *e)
{
    const struct wire *w = ctx;

    return access_projects_of(w->access, who, PERM_METRIC_READ, a, names, n, e);
}

static int may_write_series(void *ctx, const struct principal *who, struct str project,
                            struct err *e)
{
    const struct wire *w = ctx;
    uint32_t id_base;
    int64_t id;

    return access_project(w->access, project, &id, &id_base, e) < 0 ? -1
           : access_still_may(w->access, who, PERM_METRIC_WRITE, project)
               ? 0
               : err_set(e, ERR_FORBIDDEN, "you may not write metrics of %.*s any more",
                         STR_ARG(project));
}

/* Our own scraper, or somebody with a JWT of the registry. */
static int bearer(void *ctx, struct http_req *r, struct str token, struct principal *out,
                  struct err *e)
{
    struct wire *w = ctx;

    return own_scrape_is(&w->own_scrape, token, out)
               ? 1
               : registry_bearer(w->registry, r, token, out, e);
}

static int restoring(void *ctx UNUSED, struct state_db *db, const struct registry_restore *x,
                     struct err *e)
{
    return supply_restoring(db, x, e);
}

static void publish_volume(void *ctx, const char *type, struct str project, struct str json)
{
    publish(ctx, type, &(struct http_audience){.perm = PERM_VOLUME_READ, .project = project}, json);
}

/* Every job takes from the queue and the machine, which all see. */
static void publish_job(void *ctx, const char *type, struct str project, struct str json)
{
    publish(ctx, type, &(struct http_audience){.perm = PERM_JOB_READ, .project = project}, json);
    publish(ctx, "machine", &(struct http_audience){.perm = PERM_SIGNED_IN}, STR("{}"));
    pipelines_on_job(((struct wire *)ctx)->pipelines);
}

static void publish_pipeline(void *ctx, const char *type, struct str project, struct str json)
{
    publish(ctx, type, &(struct http_audience){.perm = PERM_PIPELINE_READ, .project = project},
            json);
}

static int find_project(void *ctx, struct str name, int64_t *id, uint32_t *id_base, struct err *e)
{
    struct wire *w = ctx;

    return access_project(w->access, name, id, id_base, e);
}

static bool still_may(void *ctx, const struct principal *who, enum perm perm, struct str project)
{
    struct wire *w = ctx;

    return access_still_may(w->access, who, perm, project);
}

/* Whoever makes a project of the same name later must not see them. Its jobs are gone: first what
 * pages under way still tell of them comes in, and in the end goes what rules made of it meanwhile.
 */
static int forget_series(struct wire *w, struct str name, struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    int64_t recent = clock_wall_ms() - 3600 * 1000;
    struct label_matcher m;

    if (label_matcher_init(&m, &a, STR("project"), LABEL_IS, name, e) < 0) {
        return -1;
    }
    metrics_settle(w->metrics);
    scrape_settle(w->scrape);
    if (tsdb_delete(w->tsdb, &m, 1, TSDB_TIME_MIN, TSDB_TIME_MAX, e) < 0) {
        return -1;
    }
    rules_forget(w->rules, STR("project"), name);
    return tsdb_delete(w->tsdb, &m, 1, recent, TSDB_TIME_MAX, e);
}

static int project_gone(void *ctx, int64_t id, struct str name, struct err *e)
{
    struct wire *w = ctx;

    if (pipelines_project_gone(w->pipelines, id, e) < 0 || jobs_project_gone(w->jobs, id, e) < 0 ||
        volume_project_gone(w->volumes, id, e) < 0 ||
        registry_project_gone(w->registry, id, name, e) < 0 ||
        supply_project_gone(w->supply, id, e) < 0 ||
        webhooks_project_gone(w->webhooks, id, e) < 0) {
        return -1;
    }
    if (forget_series(w, name, e) < 0) {
        return -1;
    }
    http_events_forget(w->events, name);
    return secrets_project_gone(w->secrets, id, e);
}

/* From here on the registry looks whether a project is a cache. */
static int proxy_ok(void *ctx, struct state_db *db, struct str registry, struct err *e)
{
    struct wire *w = ctx;

    if (replication_has_registry(db, registry, e) < 0) {
        return err_wrap(e, "proxy.registry");
    }
    registry_upstream_changed(w->registry, (struct str){0});
    return 0;
}

static struct remote *open_upstream(void *ctx, struct str name, bool (*stop)(void *ctx),
                                    void *stop_ctx, struct err *e)
{
    struct wire *w = ctx;

    if (w->replication == NULL) {
        err_set(e, ERR_UNAVAILABLE, "the server is starting");
        return NULL;
    }
    return replication_open_remote(w->replication, name, stop, stop_ctx, e);
}

static bool volume_in_use(void *ctx, const char *volume_id)
{
    struct wire *w = ctx;

    return w->jobs && jobs_volume_in_use(w->jobs, volume_id);
}

static int held_blobs(void *ctx, registry_digest *each, void *each_ctx, struct err *e)
{
    struct wire *w = ctx;

    if (pipelines_held_blobs(w->pipelines, each, each_ctx, e) < 0) {
        return -1;
    }
    return w->jobs ? jobs_held_blobs(w->jobs, each, each_ctx, e) : 0;
}

/* Go's names, which image configurations use. */
static const char *architecture(void)
{
    static const char *const names[][2] = {{"x86_64", "amd64"},
                                           {"aarch64", "arm64"},
                                           {"riscv64", "riscv64"},
                                           {"ppc64le", "ppc64le"},
                                           {"s390x", "s390x"}};
    struct utsname u;

    (void)uname(&u);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(u.machine, names[i][0]) == 0) {
            return names[i][1];
        }
    }
    return "unknown";
}

static int check_pull(struct wire *w, const struct principal *who, struct str reference,
                      struct err *e)
{
    struct str rest = reference;
    struct str project = str_cut(&rest, '/');

    if (rest.p == NULL) {
        return err_set(e, ERR_INVALID,
                       "image '%.*s' names no project: write project/repository:tag, such as "
                       "library/strata-ml:latest",
                       STR_ARG(reference));
    }
    if (!(access_permissions(w->access, who, project) & PERM_BIT(PERM_IMAGE_PULL))) {
        return err_set(
            e, ERR_NOT_FOUND,
            "image '%.*s': there is no project '%.*s' in this registry that you may pull "
            "from; images of other registries are pushed here first (skopeo copy)",
            STR_ARG(reference), STR_ARG(project));
    }
    return 0;
}

/* "demo/app:1" of the image with this digest: what the rules of its project say. */
static int check_run(struct wire *w, struct str reference, const char *digest, struct err *e)
{
    struct str rest = reference, project = str_cut(&rest, '/');
    struct str repository;
    uint32_t id_base;
    int64_t id;

    return registry_repository_of(reference, &repository, e) < 0 ||
                   access_project(w->access, project, &id, &id_base, e) < 0
               ? -1
               : supply_may_run(w->supply, id, repository, digest, e);
}

static int find_image(void *ctx, const struct principal *who, struct str reference, struct arena *a,
                      struct job_image *out, struct err *e)
{
    struct wire *w = ctx;
    struct registry_image image = {0};

    if (check_pull(w, who, reference, e) < 0 ||
        registry_resolve(w->registry, reference, architecture(), str_of(who->name), a, &image, e) <
            0 ||
        check_run(w, reference, image.digest, e) < 0) {
        return -1;
    }
    *out = (struct job_image){.n_layers = image.n_layers,
                              .entrypoint = image.entrypoint,
                              .cmd = image.cmd,
                              .env = image.env,
                              .cwd = image.cwd,
                              .user = image.user,
                              .architecture = image.architecture,
                              .os = image.os};
    memcpy(out->digest, image.digest, sizeof(out->digest));
    out->layers = arena_new_array(a, struct rootfs_layer, image.n_layers + 1);
    for (size_t i = 0; i < image.n_layers; i++) {
        memcpy(out->layers[i].digest, image.layer_digests[i], sizeof(image.layer_digests[i]));
        memcpy(out->layers[i].diff_id, image.diff_ids[i], sizeof(image.diff_ids[i]));
    }
    return 0;
}

/* --- events from below --- */

static void on_exit_of_container(void *ctx, const struct runtime_status *s)
{
    struct wire *w = ctx;
    struct lock *l = &w->lock;

    WITH_LOCK(l);
    if (!w->jobs_ready) {
        *vec_push(&w->early_exits) = *s;
        return;
    }
    jobs_on_exit(w->jobs, s);
}

static void on_helper_event(void *ctx, enum helper_event event, struct str payload)
{
    struct wire *w = ctx;

    runtime_on_event(w->runtime, (int)event, payload);
}

/* Hands over what ended meanwhile; repeated because more may end while we hand over. */
static void release_early_exits(struct wire *w)
{
    struct lock *l = &w->lock;

    for (;;) {
        struct runtime_status one;

        lock_take(l);
        if (w->early_exits.len == 0) {
            w->jobs_ready = true;
            lock_drop(l);
            vec_done(&w->early_exits);
            return;
        }
        one = w->early_exits.p[--w->early_exits.len];
        lock_drop(l);
        jobs_on_exit(w->jobs, &one);
    }
}

/* --- making it all, layer by layer --- */

static const struct state_schema *const schemas[] = {
    &access_schema, &secrets_schema,  &registry_schema,    &supply_schema,   &volume_schema,
    &jobs_schema,   &webhooks_schema, &replication_schema, &pipeline_schema, NULL};

/* As others write it in front of an image's name. */
static void public_host(const struct cfg *cfg, char out[300])
{
    struct str set = cfg_str(cfg, "net.public_host"), listen = cfg_str(cfg, "net.listen");
    ptrdiff_t colon = str_rfind_char(listen, ':');
    struct str at = str_first(listen, colon < 0 ? listen.len : (size_t)colon);
    char name[256] = "localhost";

    if (set.len > 0 || !(str_eq_c(at, "0.0.0.0") || str_eq_c(at, "[::]"))) {
        (void)snprintf(out, 300, "%.*s", STR_ARG(str_first(set.len > 0 ? set : listen, 299)));
        return;
    }
    (void)gethostname(name, sizeof(name) - 1);
    (void)snprintf(out, 300, "%s%.*s", name, STR_ARG(str_from(listen, at.len)));
}

/* Where people and other programs find us: "https://strata.example.org". */
static void public_url(const struct cfg *cfg, char out[320])
{
    char host[300];

    public_host(cfg, host);
    (void)snprintf(out, 320, "%s://%s", cfg_str(cfg, "net.tls_cert").len > 0 ? "https" : "http",
                   host);
}

static int open_webhooks(struct wire *w, const struct boot *b, struct err *e)
{
    char host[300];

    public_host(b->cfg, host);
    w->webhooks = webhooks_open(&(struct webhooks_parts){.state = w->state,
                                                         .access = w->access,
                                                         .secrets = w->secrets,
                                                         .cfg = b->cfg,
                                                         .denied = w->denied,
                                                         .n_denied = w->n_denied,
                                                         .host = host,
                                                         .is_offline = w->is_offline},
                                e);
    return w->webhooks ? 0 : -1;
}

static int open_supply(struct wire *w, const struct boot *b, struct err *e)
{
    char url[320];

    public_url(b->cfg, url);
    w->supply = supply_open(&(struct supply_parts){.state = w->state,
                                                   .access = w->access,
                                                   .registry = w->registry,
                                                   .content = w->content,
                                                   .secrets = w->secrets,
                                                   .denied = w->denied,
                                                   .n_denied = w->n_denied,
                                                   .url = url,
                                                   .ctx = w,
                                                   .scanned = tell_scanned,
                                                   .is_offline = w->is_offline},
                            e);
    return w->supply ? 0 : -1;
}

/* What no request of ours reaches, and more. */
static int deny_imports(struct wire *w, const struct boot *b, struct err *e)
{
    size_t n = 0;

    memcpy(w->import_denied, w->denied, w->n_denied * sizeof(w->denied[0]));
    if (cidr_list(cfg_str(b->cfg, "net.import_deny"), "net.import_deny",
                  w->import_denied + w->n_denied, FETCH_DENIED_MAX, &n, e) < 0) {
        return -1;
    }
    w->n_import_denied = w->n_denied + n;
    return 0;
}

static int open_foundation(struct wire *w, const struct boot *b, struct err *e)
{
    w->events = http_events_new(EVENT_RING);
    if (!(w->state = state_open("state.db", schemas, e)) ||
        !(w->secrets = secrets_open(w->state, "secrets.key", e)) ||
        !(w->content = content_open("blobs", e)) ||
        cidr_list(cfg_str(b->cfg, "net.outbound_deny"), "net.outbound_deny", w->denied,
                  FETCH_DENIED_MAX, &w->n_denied, e) < 0 ||
        deny_imports(w, b, e) < 0) {
        return -1;
    }
    w->access = access_open(w->state, b->cfg,
                            &(struct access_hooks){.ctx = w,
                                                   .project_gone = project_gone,
                                                   .event = publish,
                                                   .proxy_ok = proxy_ok,
                                                   .secrets = w->secrets},
                            e);
    if (w->access == NULL || open_webhooks(w, b, e) < 0) {
        return -1;
    }
    w->registry = registry_open(w->state, w->content, w->access, b->cfg,
                                &(struct registry_hooks){.ctx = w,
                                                         .event = publish_image,
                                                         .changed = tell_webhooks,
                                                         .upstream = open_upstream,
                                                         .may_pull = may_pull,
                                                         .arrived = arrived,
                                                         .restoring = restoring,
                                                         .metrics = add_metrics,
                                                         .held = held_blobs},
                                e);
    if (w->registry == NULL) {
        return -1;
    }
    own_scrape_init(&w->own_scrape);
    access_set_bearer(w->access, bearer, w);
    return open_supply(w, b, e);
}

/* Last of all: what it copies is told to all the others. */
static int open_replication(struct wire *w, const struct boot *b, struct err *e)
{
    w->replication = replication_open(&(struct replication_parts){.state = w->state,
                                                                  .registry = w->registry,
                                                                  .access = w->access,
                                                                  .secrets = w->secrets,
                                                                  .denied = w->denied,
                                                                  .n_denied = w->n_denied,
                                                                  .cfg = b->cfg,
                                                                  .ctx = w,
                                                                  .event = publish_replication,
                                                                  .ended = tell_replicated},
                                      e);
    return w->replication ? replication_start(w->replication, e) : -1;
}

/* strata-ml lies beside this program; in a build folder, one folder down. */
static int open_step_program(void)
{
    static const char *const names[] = {"strata-ml", "src/algorithms/strata-ml"};
    char path[LIMIT_PATH_BYTES + 64];
    ssize_t n = readlink("/proc/self/exe", path, LIMIT_PATH_BYTES);
    char *slash;
    int fd = -1;

    path[n > 0 ? n : 0] = '\0';
    slash = strrchr(path, '/');
    for (size_t i = 0; slash && i < ARRAY_LEN(names) && fd < 0; i++) {
        (void)snprintf(slash + 1, sizeof(path) - (size_t)(slash + 1 - path), "%s", names[i]);
        fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    return fd;
}

static int open_compute(struct wire *w, const struct boot *b, int socket, struct err *e)
{
    SCOPED(closep) int program = open_step_program();

    w->runtime = runtime_new(on_exit_of_container, w);
    w->helper = helper_client_new(socket, on_helper_event, w);
    runtime_set_helper(w->runtime, w->helper);
    w->rootfs = rootfs_new(w->content, w->helper);
    w->volumes = volume_open(
        w->state, w->helper,
        &(struct volume_hooks){
            .ctx = w, .project = find_project, .event = publish_volume, .in_use = volume_in_use},
        e);
    if (w->volumes == NULL) {
        return -1;
    }
    w->jobs = jobs_open(&(struct jobs_parts){.state = w->state,
                                             .runtime = w->runtime,
                                             .rootfs = w->rootfs,
                                             .volumes = w->volumes,
                                             .secrets = w->secrets,
                                             .cfg = b->cfg,
                                             .hooks = {.ctx = w,
                                                       .project = find_project,
                                                       .image = find_image,
                                                       .event = publish_job,
                                                       .still_may = still_may}},
                        e);
    if (w->jobs == NULL) {
        return -1;
    }
    release_early_exits(w);
    w->pipelines = pipelines_open(
        &(struct pipeline_parts){.state = w->state,
                                 .access = w->access,
                                 .content = w->content,
                                 .jobs = w->jobs,
                                 .volumes = w->volumes,
                                 .secrets = w->secrets,
                                 .denied = w->import_denied,
                                 .n_denied = w->n_import_denied,
                                 .run_bytes = cfg_i64(b->cfg, "pipeline.run_documents"),
                                 .program_fd = TAKE_FD(program),
                                 .ctx = w,
                                 .event = publish_pipeline},
        e);
    return w->pipelines ? 0 : -1;
}

static const char *path_or_null(const struct cfg *c, const char *key)
{
    struct str s = cfg_str(c, key);

    return s.len > 0 ? s.p : NULL;
}

static void send_alert(void *ctx, const struct rule *rule, const struct rule_alert *alert,
                       int64_t ends_ms)
{
    struct wire *w = ctx;

    scrape_alert(w->scrape, &(struct scrape_alert){.labels = alert->labels,
                                                   .annotations = alert->annotations,
                                                   .expression = rule->text,
                                                   .external_url = str_of(w->prometheus_url),
                                                   .starts_ms = alert->fired_at_ms,
                                                   .ends_ms = ends_ms,
                                                   .is_resolved = alert->state == RULE_INACTIVE});
}

/* The rule files that the scrape configuration names. */
static int read_rules(struct wire *w, struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    struct rules_parts parts = {.db = w->tsdb,
                                .interval_ms = scrape_evaluation_interval_ms(w->scrape),
                                .patience_ms = w->query_timeout_ms,
                                .max_samples = w->max_samples,
                                .external = scrape_external_labels(w->scrape, &a),
                                .external_url = str_of(w->prometheus_url),
                                .sink = {send_alert, w}};
    const char **paths;
    struct str *files;
    int result = 0;

    scrape_rule_files(w->scrape, &a, &files, &parts.n_files);
    paths = arena_new_array(&a, const char *, parts.n_files + 1);
    for (size_t i = 0; i < parts.n_files; i++) {
        paths[i] = arena_strdup(&a, files[i]);
    }
    parts.files = paths;
    if (w->rules == NULL) {
        w->rules = rules_open(&parts, e);
        result = w->rules != NULL ? 0 : -1;
    } else {
        result = rules_reload(w->rules, &parts, e);
    }
    return result < 0 ? err_wrap(e, "rule_files of metrics.scrape_config") : 0;
}

static int reload_metrics(void *ctx, struct err *e)
{
    struct wire *w = ctx;

    return scrape_reload(w->scrape, e) < 0 ? -1 : read_rules(w, e);
}

static int open_metrics(struct wire *w, const struct boot *b, struct err *e)
{
    const struct tsdb_options o = {.retention_ms = cfg_i64(b->cfg, "metrics.retention") * 1000,
                                   .retention_bytes = cfg_i64(b->cfg, "metrics.retention_bytes"),
                                   .tier_5m_ms = cfg_i64(b->cfg, "metrics.retention_5m") * 1000,
                                   .tier_1h_ms = cfg_i64(b->cfg, "metrics.retention_1h") * 1000,
                                   .block_ms = 2 * 3600 * 1000,
                                   .out_of_order_ms =
                                       cfg_i64(b->cfg, "metrics.out_of_order") * 1000,
                                   .follow_bytes = cfg_i64(b->cfg, "metrics.remote_write_backlog"),
                                   .max_series = (size_t)cfg_i64(b->cfg, "metrics.max_series")};
    char url[320];

    public_url(b->cfg, url);
    (void)snprintf(w->prometheus_url, sizeof(w->prometheus_url), "%s/prometheus", url);
    w->max_samples = (size_t)cfg_i64(b->cfg, "metrics.max_samples");
    w->query_timeout_ms = cfg_i64(b->cfg, "metrics.query_timeout") * 1000;
    w->tsdb = tsdb_open("metrics", &o, e);
    if (w->tsdb == NULL) {
        return -1;
    }
    w->scrape = scrape_start(
        &(struct scrape_options){.db = w->tsdb,
                                 .config_file = path_or_null(b->cfg, "metrics.scrape_config"),
                                 .deny = {w->denied, w->n_denied}},
        e);
    if (w->scrape == NULL) {
        return err_wrap(e, "metrics.scrape_config");
    }
    if (read_rules(w, e) < 0) {
        return -1;
    }
    w->metrics = metrics_new(&(struct metrics_parts){.db = w->tsdb,
                                                     .scrape = w->scrape,
                                                     .rules = w->rules,
                                                     .cfg = b->cfg,
                                                     .hooks = {.ctx = w,
                                                               .projects = projects_seen,
                                                               .may_write = may_write_series,
                                                               .reload = reload_metrics}});
    return 0;
}

static int open_http(struct wire *w, const struct boot *b, struct err *e)
{
    w->mounts[0] = (struct http_mount){system_routes, &w->system, NULL};
    w->mounts[1] = (struct http_mount){access_routes, w->access, NULL};
    w->mounts[2] = (struct http_mount){registry_v2_routes, w->registry, &registry_v2_style};
    w->mounts[3] = (struct http_mount){registry_api_routes, w->registry, NULL};
    w->mounts[4] = (struct http_mount){volume_routes, w->volumes, NULL};
    w->mounts[5] = (struct http_mount){jobs_routes, w->jobs, NULL};
    w->mounts[6] = (struct http_mount){webhooks_routes, w->webhooks, NULL};
    w->mounts[7] = (struct http_mount){replication_routes, w->replication, NULL};
    w->mounts[8] = (struct http_mount){supply_routes, w->supply, NULL};
    w->harbor = (struct harbor){w->state,       w->access, w->registry, w->webhooks,
                                w->replication, w->supply, w->content,  b->cfg};
    w->mounts[9] = (struct http_mount){harbor_routes, &w->harbor, &harbor_style};
    w->mounts[10] = (struct http_mount){metrics_routes, w->metrics, &metrics_style};
    w->mounts[11] = (struct http_mount){pipeline_routes, w->pipelines, NULL};
    w->mounts[12] = (struct http_mount){console_routes, NULL, NULL};
    w->system = (struct system_http){.events = w->events,
                                     .access = w->access,
                                     .helper = w->helper,
                                     .cfg = b->cfg,
                                     .registry = w->registry,
                                     .volumes = w->volumes,
                                     .jobs = w->jobs};
    w->http = http_server_open(
        &(struct http_options){.listen = cfg_str(b->cfg, "net.listen"),
                               .tls_cert = path_or_null(b->cfg, "net.tls_cert"),
                               .tls_key = path_or_null(b->cfg, "net.tls_key"),
                               .trusted_proxies = cfg_str(b->cfg, "net.trusted_proxies"),
                               .mounts = w->mounts,
                               .n_mounts = ARRAY_LEN(w->mounts),
                               .hooks = {.ctx = w->access,
                                         .authenticate = access_authenticate,
                                         .authorize = access_authorize,
                                         .audit = access_audit}},
        e);
    return w->http ? 0 : -1;
}

struct wire *wire_open(const struct boot *b, int socket, struct err *e)
{
    struct wire *w = xnew(struct wire);

    lock_init(&w->lock, LOCK_wire);
    if (open_foundation(w, b, e) < 0 || open_compute(w, b, socket, e) < 0 ||
        open_replication(w, b, e) < 0 || open_metrics(w, b, e) < 0 || open_http(w, b, e) < 0) {
        wire_close(w);
        return NULL;
    }
    return w;
}

int wire_check(const struct boot *b, unsigned flags, struct buf *json, struct err *e)
{
    struct wire *w = xnew(struct wire);
    struct jw out = JW(json);
    int result;

    lock_init(&w->lock, LOCK_wire);
    w->is_offline = true;
    result = open_foundation(w, b, e) < 0 ? -1 : registry_check(w->registry, flags, &out, e);
    wire_close(w);
    return result;
}

struct http_server *wire_http(struct wire *w)
{
    return w->http;
}

void wire_serves(struct wire *w, const struct cfg *cfg)
{
    SCOPED(buf_done) struct buf yaml = BUF_MAX(4096);
    struct err e;

    own_scrape_config(&w->own_scrape, cfg, http_server_port(w->http), &yaml);
    if (scrape_set_own(w->scrape, yaml.p, &e) < 0) {
        log_warn("metrics.own_failed", "%s; this server does not scrape itself", e.msg);
    }
}

int wire_is_first_start(struct wire *w, struct err *e)
{
    return access_is_empty(w->access, e);
}

int wire_bootstrap(struct wire *w, struct str password, struct err *e)
{
    return access_bootstrap_with(w->access, password, e) < 0 ? -1 : 0;
}

int wire_reset_admin(struct wire *w, struct str password, struct err *e)
{
    return access_reset_admin(w->access, password, e);
}

void wire_housekeep(struct wire *w)
{
    struct err e, rules, reports;
    int blobs = registry_collect(w->registry, COLLECT_STEP, &e);
    int orphans = blobs < 0 ? -1 : registry_sweep(w->registry, &e);
    int uploads = content_uploads_sweep(w->content, UPLOAD_KEEP_MS);

    access_housekeep(w->access);
    if (registry_housekeep(w->registry, &rules) < 0) {
        log_warn("housekeep.retention_failed", "%s; trying again in a minute", rules.msg);
    }
    if (supply_housekeep(w->supply, &reports) < 0) {
        log_warn("housekeep.reports_failed", "%s; trying again in a minute", reports.msg);
    }
    if (orphans < 0) {
        log_warn("housekeep.collect_failed", "%s; trying again in a minute", e.msg);
    } else if (blobs + orphans + uploads > 0) {
        log_info("housekeep.collected", "blobs=%d orphans=%d uploads=%d", blobs, orphans, uploads);
    }
}

static void stop_exits(struct wire *w)
{
    struct lock *l = &w->lock;

    WITH_LOCK(l);
    w->jobs_ready = false;
}

void wire_close(struct wire *w)
{
    if (w == NULL) {
        return;
    }
    registry_stop(w->registry);
    http_server_close(w->http);
    metrics_free(w->metrics);
    rules_close(w->rules);
    scrape_stop(w->scrape);
    tsdb_close(w->tsdb);
    if (w->replication != NULL) {
        replication_halt(w->replication);
    }
    stop_exits(w);
    pipelines_close(w->pipelines);
    jobs_close(w->jobs);
    volume_close(w->volumes);
    rootfs_free(w->rootfs);
    helper_client_free(w->helper);
    runtime_free(w->runtime);
    supply_close(w->supply);
    registry_close(w->registry); /* its fetches ask for registries until then */
    replication_close(w->replication);
    webhooks_close(w->webhooks);
    access_close(w->access);
    content_close(w->content);
    secrets_close(w->secrets);
    http_events_free(w->events);
    state_close(w->state);
    vec_done(&w->early_exits);
    lock_done(&w->lock);
    free(w);
}
