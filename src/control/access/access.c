#include "access_priv.h"

#include "base/cfg.h"
#include "base/log.h"
#include "base/mem.h"
#include "state/state.h"

#include <stdlib.h>
#include <string.h>

enum {
    KNOWN_SLOTS = 1024, /* 260 bytes each */
    PLACE_SLOTS = 2048, /* 90 bytes each */
    CACHE_TTL_MS = 60000,
    THROTTLE_ENTRIES = 8192, /* 240 bytes each */
};

const struct cfg_item access_config[] = {
    {"access.session_idle", CFG_SECONDS, "12h",
     "A console session ends when it was not used for this time."},
    {"access.session_max", CFG_SECONDS, "7d", "A console session ends after this time at last."},
    {"access.users_create_projects", CFG_BOOL, "true",
     "Whether every user may create projects; false: only admins."},
    {"access.projects_per_user", CFG_INT, "100",
     "Projects that one user may have made and not deleted, admins excepted; 0: no limit."},
    {"access.robot_expiry_max", CFG_SECONDS, "0s",
     "The longest time that a robot may be given to live; 0s: also without end."},
    {"access.audit_keep", CFG_SECONDS, "365d", "Audit entries older than this are deleted."},
    {"access.audit_rows", CFG_INT, "1000000",
     "Audit entries at most, about 300 bytes each: the oldest ones are deleted; 0: no limit."},
    {0},
};

static void read_settings(struct access *a, const struct cfg *cfg)
{
    a->session_idle_ms = cfg_i64(cfg, "access.session_idle") * 1000;
    a->session_max_ms = cfg_i64(cfg, "access.session_max") * 1000;
    a->audit_keep_ms = cfg_i64(cfg, "access.audit_keep") * 1000;
    a->audit_rows = cfg_i64(cfg, "access.audit_rows");
    a->robot_expiry_max_ms = cfg_i64(cfg, "access.robot_expiry_max") * 1000;
    a->projects_per_user = cfg_i64(cfg, "access.projects_per_user");
    a->users_create_projects = cfg_bool(cfg, "access.users_create_projects");
}

static void read_defaults(struct access *a)
{
    static const struct cfg_item *const tables[] = {access_config, NULL};
    SCOPED(cfg_freep) struct cfg *cfg = cfg_new(tables);

    read_settings(a, cfg);
}

/* A deletion that a crash interrupted: the project is shown again with what is left of it, so that
 * somebody deletes it once more. */
static int show_half_deleted(struct state_db *db, void *ctx UNUSED, struct err *e)
{
    return state_run(db, e, "UPDATE projects SET deleting = 0 WHERE deleting <> 0", "");
}

struct access *access_open(struct state *s, const struct cfg *cfg, const struct access_hooks *hooks,
                           struct err *e)
{
    SCOPED(access_closep) struct access *a = xnew(struct access);

    a->state = s;
    if (hooks) {
        a->hooks = *hooks;
    }
    if (cfg) {
        read_settings(a, cfg);
    } else {
        read_defaults(a);
    }
    random_bytes(a->key, sizeof(a->key));
    a->known = access_cache_new(KNOWN_SLOTS, sizeof(struct known), CACHE_TTL_MS);
    a->places = access_cache_new(PLACE_SLOTS, sizeof(struct place), CACHE_TTL_MS);
    a->throttle = access_throttle_new(THROTTLE_ENTRIES);
    a->refusals = access_refusals_new();
    access_password_slots_init(&a->slots);
    if (state_write(s, show_half_deleted, NULL, e) < 0) {
        return NULL;
    }
    access_audit_prune(a);
    return TAKE(a);
}

static int nothing(struct state_db *db UNUSED, void *ctx UNUSED, struct err *e UNUSED)
{
    return 0;
}

void access_close(struct access *a)
{
    struct err ignored;

    if (a == NULL) {
        return;
    }
    (void)!state_write(a->state, nothing, NULL, &ignored); /* audit entries before it use `a` */
    access_cache_free(a->known);
    access_cache_free(a->places);
    access_throttle_free(a->throttle);
    access_refusals_free(a->refusals);
    access_password_slots_done(&a->slots);
    explicit_bzero(a->key, sizeof(a->key));
    free(a);
}

void access_set_bearer(struct access *a, access_bearer *fn, void *ctx)
{
    a->bearer = fn;
    a->bearer_ctx = ctx;
}

void access_forget(struct access *a)
{
    (void)atomic_fetch_add(&a->epoch, 1);
}

struct cache_key access_cache_key(const struct access *a, char kind, struct str one, struct str two)
{
    struct buf b = BUF_MAX(2048);
    struct cache_key key;

    buf_printf(&b, "%c%zu ", kind, one.len);
    buf_add(&b, one);
    buf_add(&b, two);
    hmac_sha256(str_n((const char *)a->key, sizeof(a->key)), buf_str(&b), key.hash);
    explicit_bzero(b.p, b.len);
    buf_done(&b);
    return key;
}

static int count_users(struct state_db *db, void *out, struct err *e)
{
    return state_one_i64(db, out, e, "", "SELECT count(*) FROM users", "");
}

int access_is_empty(struct access *a, struct err *e)
{
    int64_t n = 0;

    return state_read(a->state, count_users, &n, e) < 0 ? -1 : n == 0;
}

int access_bootstrap_with(struct access *a, struct str password, struct err *e)
{
    struct user admin;
    struct principal who = {0};
    int empty = access_is_empty(a, e);

    if (empty <= 0) {
        return empty;
    }
    access_set_principal(&who, PRINCIPAL_PASSWORD, 0, USER_ADMIN, STR("admin"));
    /* The project first: what interrupts us in between is begun again. */
    if (access_project_add(a, &who, STR("library"), PROJECT_PUBLIC, e) < 0 &&
        e->kind != ERR_CONFLICT) {
        return -1;
    }
    return access_user_add(a, STR("admin"), password, USER_ADMIN, &admin, e) < 0 ? -1 : 1;
}

int access_reset_admin(struct access *a, struct str password, struct err *e)
{
    const struct user_change change = {
        .password = password, .is_admin = CHANGE_SET, .disabled = CHANGE_CLEAR};
    struct user admin;

    if (access_user_change(a, STR("admin"), &change, &admin, e) == 0) {
        return 0;
    }
    return e->kind == ERR_NOT_FOUND
               ? access_user_add(a, STR("admin"), password, USER_ADMIN, &admin, e)
               : -1;
}

int access_bootstrap(struct access *a, char password[33], struct err *e)
{
    char word[21];
    int made;

    random_name(word, sizeof(word) - 1);
    made = access_bootstrap_with(a, str_of(word), e);
    if (made > 0) {
        (void)!str_copy(str_of(word), password, 33);
    }
    explicit_bzero(word, sizeof(word));
    return made;
}
