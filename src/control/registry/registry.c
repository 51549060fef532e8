#include "registry_priv.h"
#include "store_priv.h"

#include "base/cfg.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "fsck.h"
#include "labels.h"
#include "retention.h"
#include "state/state.h"
#include "store.h"

#include <stdlib.h>
#include <string.h>

const struct cfg_item registry_config[] = {
    {"registry.project_quota", CFG_BYTES, "0",
     "Bytes of images that a project may hold unless it has a quota of its own; 0: no limit."},
    {"registry.trash_days", CFG_INT, "7",
     "Days for which deleted images can be restored; 0: they are gone at once."},
    {0},
};

static int64_t trash_days(const struct cfg *cfg)
{
    enum { DAYS_MAX = 3650 };
    int64_t days = cfg ? cfg_i64(cfg, "registry.trash_days") : 0;

    return days < 0 ? 0 : days > DAYS_MAX ? DAYS_MAX : days;
}

struct registry *registry_open(struct state *s, struct content *c, struct access *a,
                               const struct cfg *cfg, const struct registry_hooks *hooks,
                               struct err *e)
{
    SCOPED(registry_closep) struct registry *r = xnew(struct registry);

    r->state = s;
    r->opened_ms = clock_wall_ms();
    r->content = c;
    r->access = a;
    r->project_quota = cfg ? cfg_i64(cfg, "registry.project_quota") : 0;
    r->trash_ms = trash_days(cfg) * 24 * 3600 * 1000;
    r->trash_max = (struct trash_size){.manifests = LIMIT_TRASH_MANIFESTS,
                                       .body_bytes = (int64_t)LIMIT_TRASH_BYTES};
    r->hooks = hooks ? *hooks : (struct registry_hooks){0};
    lock_init(&r->lock, LOCK_registry);
    r->tokens = token_cache_new();
    r->key = jwt_key_open("registry.key", e);
    if (r->key == NULL) {
        err_wrap(e, "registry");
        return NULL;
    }
    random_bytes(&r->next_shard, 1); /* each gets its turn also where restarts are frequent */
    jwt_key_derive(r->key, "upload ids", r->upload_secret);
    if (store_drop_recover(r, e) < 0 || retention_recover(r, e) < 0 || proxy_open(r, e) < 0) {
        err_wrap(e, "registry");
        return NULL;
    }
    return TAKE(r);
}

void registry_close(struct registry *r)
{
    struct err ignored; /* a minute of pulls */

    if (r == NULL) {
        return;
    }
    retention_stop(r);
    fsck_stop(r);
    proxy_close(r);
    (void)!registry_flush_pulls(r, &ignored);
    map_done(&r->retaining);
    token_cache_free(r->tokens);
    jwt_key_free(r->key);
    map_done(&r->pinned);
    registry_free_pulls(&r->pulls);
    lock_done(&r->lock);
    explicit_bzero(r->upload_secret, sizeof(r->upload_secret));
    free(r);
}

bool registry_try_pin(struct registry *r, const char *digest)
{
    struct lock *l = &r->lock;

    WITH_LOCK(l);
    if (map_get(&r->pinned, str_of(digest)) != NULL) {
        return false;
    }
    (void)map_put(&r->pinned, str_of(digest), r);
    return true;
}

void registry_pin(struct registry *r, const char *digest)
{
    struct lock *l = &r->lock;

    WITH_LOCK(l);
    while (map_get(&r->pinned, str_of(digest)) != NULL) {
        lock_wait(l);
    }
    (void)map_put(&r->pinned, str_of(digest), r);
}

void registry_unpin(struct registry *r, const char *digest)
{
    struct lock *l = &r->lock;

    WITH_LOCK(l);
    (void)map_del(&r->pinned, str_of(digest));
    lock_broadcast(l);
}

void registry_emit(struct registry *r, struct str repository, struct str tag, const char *digest,
                   const char *action)
{
    struct str project = name_project(repository);
    struct buf b = BUF_MAX(4096);
    struct jw w = JW(&b);

    log_info("registry.image", "repository=%s tag=%s digest=%s action=%s", Q(repository), Q(tag),
             digest, action);
    if (r->hooks.event != NULL) {
        jw_object(&w);
        jw_kv_str(&w, "project", project);
        jw_kv_str(&w, "repository", str_from(repository, project.len + 1));
        jw_kv_str(&w, "tag", tag);
        jw_kv_c(&w, "digest", digest);
        jw_kv_c(&w, "action", action);
        jw_end(&w);
        r->hooks.event(r->hooks.ctx, "image", project, buf_str(&b));
    }
    buf_done(&b);
}

int registry_housekeep(struct registry *r, struct err *e)
{
    return registry_flush_pulls(r, e) < 0 || store_trash_purge(r, e) < 0 ||
                   store_labels_purge(r, e) < 0
               ? -1
               : retention_due(r, e);
}

int registry_project_gone(struct registry *r, int64_t project_id, struct str name, struct err *e)
{
    return store_project_drop(r, project_id, name, e);
}
