/* The store, the collector and image resolution, over a real state, content store and access. */
#include "store.h"

#include "access/access.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "refresh.h"
#include "registry_priv.h"
#include "state/state.h"
#include "store_priv.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define DAY_MS (24 * 3600 * 1000LL)

static char dir[64];
static struct err e;
static struct arena a;
static struct state *st;
static struct content *content;
static struct access *acc;
static struct registry *r;
static unsigned events;
static const char *code;

static const char *held_digest; /* what a job waits for, or NULL */

static int name_held(void *ctx UNUSED, registry_digest *each, void *each_ctx,
                     struct err *err UNUSED)
{
    if (held_digest) {
        each(each_ctx, held_digest);
        each(each_ctx, held_digest);
    }
    return 0;
}

static void on_event(void *ctx, const char *type, struct str project, struct str json)
{
    (void)ctx;
    assert_string_equal(type, "image");
    assert_true(str_eq_c(project, "library"));
    assert_true(str_find(json, STR("\"action\":\"pushed\"")) > 0);
    events++;
}

static int open_all(void)
{
    static const struct state_schema *const schemas[] = {&access_schema, &registry_schema, NULL};
    char password[33];

    if (!(st = state_open("state.db", schemas, &e)) || !(acc = access_open(st, NULL, NULL, &e)) ||
        access_bootstrap(acc, password, &e) < 0 ||
        !(r = registry_open(st, content, acc, NULL,
                            &(struct registry_hooks){.event = on_event, .held = name_held}, &e))) {
        (void)fprintf(stderr, "%s\n", e.msg);
        return -1;
    }
    return 0;
}

static void close_all(void)
{
    registry_close(r);
    access_close(acc);
    state_close(st);
}

static int setup(void **state)
{
    (void)state;
    return open_all();
}

static int teardown(void **state)
{
    static const char *const files[] = {"state.db", "state.db-wal", "state.db-shm"};

    (void)state;
    close_all();
    arena_done(&a);
    clock_set_wall_ms(0);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        (void)unlink(files[i]);
    }
    return 0;
}

/* The store of blobs has 512 directories: one for all tests. */
static int make_dir(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/strata-registry-test-XXXXXX");
    if (mkdtemp(dir) == NULL || chdir(dir) < 0) {
        return -1;
    }
    content = content_open("blobs", &e);
    return content ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    content_close(content);
    return fs_remove_tree(AT_FDCWD, dir, &e);
}

static int key_of(const char *repository, struct repo_key *out)
{
    uint32_t id_base;

    *out = (struct repo_key){.name = str_of(repository)};
    return access_project(acc, name_project(out->name), &out->project_id, &id_base, &e);
}

static char *push_blob(const char *repository, const char *text)
{
    char *digest = arena_alloc(&a, CONTENT_DIGEST_MAX);
    struct repo_key key;

    assert_int_equal(key_of(repository, &key), 0);
    assert_int_equal(content_blob_put(content, str_of(text), digest, &e), 0);
    assert_int_equal(store_blob_link(r, &key, digest, (int64_t)strlen(text), &code, &e), 0);
    return digest;
}

static int push_manifest(const char *repository, const char *tag, const char *type,
                         const char *text, char digest[CONTENT_DIGEST_MAX])
{
    struct manifest m;
    struct str name = tag ? str_of(tag) : (struct str){0};
    struct manifest_put put = {.tags = &name,
                               .n_tags = tag != NULL,
                               .digest = digest,
                               .manifest = &m,
                               .body = str_of(text),
                               .platform = STR_EMPTY};

    assert_int_equal(key_of(repository, &put.repository), 0);
    assert_int_equal(content_digest_of(put.body, STR("sha256"), digest, &e), 0);
    assert_int_equal(manifest_parse(&a, str_of(type), put.body, &m, &e), 0);
    return store_manifest_put(r, &put, &code, &e);
}

#define CONFIG_TEXT(arch, diff)                                                                    \
    "{\"os\":\"linux\",\"architecture\":\"" arch "\",\"config\":{\"Cmd\":[\"/x\"]},"               \
    "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[" diff "]}}"
#define DIFF "\"sha256:2222222222222222222222222222222222222222222222222222222222222222\""

static char *image_text(const char *repository, const char *config, const char *layer)
{
    return arena_printf(
        &a,
        "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" MEDIA_OCI_CONFIG
        "\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[{\"mediaType\":"
        "\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\",\"size\":%zu}]}",
        push_blob(repository, config), strlen(config), push_blob(repository, layer), strlen(layer));
}

/* Pushes an image of one layer; returns its digest. */
static char *push_image(const char *repository, const char *tag, const char *architecture,
                        const char *layer)
{
    char *config = arena_printf(&a, CONFIG_TEXT("%s", DIFF), architecture);
    char *digest = arena_alloc(&a, CONTENT_DIGEST_MAX);

    assert_int_equal(push_manifest(repository, tag, MEDIA_OCI_MANIFEST,
                                   image_text(repository, config, layer), digest),
                     0);
    return digest;
}

static int exists(const char *repository, const char *ref)
{
    struct stored_manifest m;
    struct reference reference;

    assert_int_equal(reference_of(str_of(repository), str_of(ref), &reference, &e), 0);
    return store_manifest_get(r, &a, &reference, &m, &code, &e) == 0;
}

static void a_blob_belongs_to_the_repositories_it_was_pushed_to(void **state)
{
    char *digest = push_blob("library/app", "layer");
    struct stored_blob blob = {0};

    (void)state;
    assert_int_equal(store_blob_find(r, STR("library/app"), digest, &blob, &code, &e), 0);
    assert_int_equal(blob.size_bytes, 5);
    assert_false(blob.is_stale);
    assert_int_equal(store_blob_find(r, STR("library/other"), digest, &blob, &code, &e), -1);
    assert_string_equal(code, "NAME_UNKNOWN");
    (void)push_blob("library/other", "x");
    assert_int_equal(store_blob_find(r, STR("library/other"), digest, &blob, &code, &e), -1);
    assert_string_equal(code, "BLOB_UNKNOWN");
}

static void a_blob_is_mounted_from_where_it_is(void **state)
{
    char *digest = push_blob("library/app", "layer");
    struct stored_blob blob;
    struct repo_key key;

    (void)state;
    assert_int_equal(key_of("library/two", &key), 0);
    assert_int_equal(store_blob_mount(r, STR("library/none"), &key, digest, &code, &e), -1);
    assert_int_equal(store_blob_mount(r, STR("library/app"), &key, digest, &code, &e), 0);
    assert_int_equal(store_blob_find(r, STR("library/two"), digest, &blob, &code, &e), 0);
}

static void a_manifest_needs_what_it_refers_to(void **state)
{
    char digest[CONTENT_DIGEST_MAX];
    char *text = image_text("library/app", CONFIG_TEXT("amd64", DIFF), "layer");

    (void)state;
    assert_int_equal(push_manifest("library/two", "v1", MEDIA_OCI_MANIFEST, text, digest), -1);
    assert_string_equal(code, "MANIFEST_BLOB_UNKNOWN");
    assert_int_equal(e.kind, ERR_INVALID);
    assert_false(exists("library/two", "v1"));
    assert_int_equal(push_manifest("library/app", "v1", MEDIA_OCI_MANIFEST, text, digest), 0);
    assert_true(exists("library/app", "v1"));
    assert_true(exists("library/app", digest));
}

static void a_wrong_size_in_a_manifest_is_refused(void **state)
{
    char digest[CONTENT_DIGEST_MAX];
    char *text = arena_printf(&a,
                              "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x/y\",\"digest\":"
                              "\"%s\",\"size\":6},\"layers\":[]}",
                              push_blob("library/app", "layer"));

    (void)state;
    assert_int_equal(push_manifest("library/app", "v1", MEDIA_OCI_MANIFEST, text, digest), -1);
    assert_string_equal(code, "MANIFEST_INVALID");
}

static void a_tag_moves_and_the_old_manifest_stays(void **state)
{
    char *one = push_image("library/app", "latest", "amd64", "one");
    char *two = push_image("library/app", "latest", "amd64", "two");
    struct stored_manifest m;
    struct reference ref = {.repository = STR("library/app"), .tag = STR("latest")};

    (void)state;
    assert_int_equal(store_manifest_get(r, &a, &ref, &m, &code, &e), 0);
    assert_string_equal(m.digest, two);
    assert_true(exists("library/app", one));
}

static void deleting_by_digest_takes_the_tags_along(void **state)
{
    char *digest = push_image("library/app", "v1", "amd64", "one");
    struct reference ref = {.repository = STR("library/app")};

    (void)state;
    (void)push_image("library/app", "v2", "amd64", "one");
    memcpy(ref.digest, digest, CONTENT_DIGEST_MAX);
    assert_int_equal(store_manifest_delete(r, &ref, STR("ada"), &code, &e), 0);
    assert_false(exists("library/app", "v1"));
    assert_false(exists("library/app", "v2"));
    assert_int_equal(store_manifest_delete(r, &ref, STR("ada"), &code, &e), -1);
    assert_string_equal(code, "MANIFEST_UNKNOWN");
}

static void deleting_a_tag_keeps_the_manifest(void **state)
{
    char *digest = push_image("library/app", "v1", "amd64", "one");
    struct reference ref = {.repository = STR("library/app"), .tag = STR("v1")};

    (void)state;
    assert_int_equal(store_manifest_delete(r, &ref, STR("ada"), &code, &e), 0);
    assert_false(exists("library/app", "v1"));
    assert_true(exists("library/app", digest));
}

static void a_used_blob_cannot_be_deleted(void **state)
{
    char *layer = push_blob("library/app", "one");

    (void)state;
    (void)push_image("library/app", "v1", "amd64", "one");
    assert_int_equal(store_blob_unlink(r, STR("library/app"), layer, &code, &e), -1);
    assert_int_equal(e.kind, ERR_UNSUPPORTED);
    assert_int_equal(store_repository_drop(r, STR("library/app"), STR("ada"), &e), 0);
    assert_int_equal(store_repository_drop(r, STR("library/app"), STR("ada"), &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
}

static char *index_of(const char *one, const char *two)
{
    return arena_printf(&a,
                        "{\"schemaVersion\":2,\"manifests\":["
                        "{\"mediaType\":\"" MEDIA_OCI_MANIFEST "\",\"digest\":\"%s\",\"size\":1,"
                        "\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\"}},"
                        "{\"mediaType\":\"" MEDIA_OCI_MANIFEST "\",\"digest\":\"%s\",\"size\":1,"
                        "\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}}]}",
                        one, two);
}

static void dropping_the_last_tag_of_an_index_drops_what_only_it_held(void **state)
{
    char *arm = push_image("library/app", NULL, "arm64", "arm");
    char *amd = push_image("library/app", "amd", "amd64", "amd");
    char index[CONTENT_DIGEST_MAX], dropped[CONTENT_DIGEST_MAX];

    (void)state;
    assert_int_equal(push_manifest("library/app", "v1", MEDIA_OCI_INDEX, index_of(arm, amd), index),
                     0);
    assert_int_equal(store_tag_drop(r, STR("library/app"), STR("v1"), STR("ada"), dropped, &e), 0);
    assert_string_equal(dropped, index);
    assert_false(exists("library/app", index));
    assert_false(exists("library/app", arm));
    assert_true(exists("library/app", amd)); /* has a tag of its own */
    assert_int_equal(store_tag_drop(r, STR("library/app"), STR("v1"), STR("ada"), dropped, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
}

static void dropping_one_of_two_tags_keeps_the_image(void **state)
{
    char dropped[CONTENT_DIGEST_MAX];
    char *digest = push_image("library/app", "v1", "amd64", "one");

    (void)state;
    (void)push_image("library/app", "v2", "amd64", "one");
    assert_int_equal(store_tag_drop(r, STR("library/app"), STR("v1"), STR("ada"), dropped, &e), 0);
    assert_true(exists("library/app", digest));
    assert_true(exists("library/app", "v2"));
}

static void signatures_go_with_the_image_they_are_about(void **state)
{
    char *image = push_image("library/app", "v1", "amd64", "one");
    char signature[CONTENT_DIGEST_MAX], dropped[CONTENT_DIGEST_MAX];
    char *text = arena_printf(&a,
                              "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x/sig\",\"digest\":"
                              "\"%s\",\"size\":3},\"layers\":[],\"subject\":{\"mediaType\":\"x\","
                              "\"digest\":\"%s\",\"size\":1}}",
                              push_blob("library/app", "sig"), image);

    (void)state;
    assert_int_equal(push_manifest("library/app", NULL, MEDIA_OCI_MANIFEST, text, signature), 0);
    assert_int_equal(store_tag_drop(r, STR("library/app"), STR("v1"), STR("ada"), dropped, &e), 0);
    assert_false(exists("library/app", signature));
}

static bool stored(const char *digest)
{
    int64_t size;

    return content_blob_size(content, digest, &size, &e) == 0;
}

static void the_collector_takes_old_unused_blobs_only(void **state)
{
    char *unused = push_blob("library/app", "unused"), *used = push_blob("library/app", "used");
    char *fresh;

    (void)state;
    (void)push_image("library/app", "v1", "amd64", "used");
    assert_int_equal(registry_collect(r, 100, &e), 0);
    assert_true(stored(unused));
    clock_set_wall_ms(clock_wall_ms() + DAY_MS + 1000);
    fresh = push_blob("library/app", "fresh");
    assert_int_equal(registry_collect(r, 100, &e), 1);
    assert_false(stored(unused));
    assert_true(stored(used));
    assert_true(stored(fresh));
    assert_int_equal(registry_collect(r, 100, &e), 0);
}

static void a_deleted_image_is_collected(void **state)
{
    char *layer = push_blob("library/app", "one");
    char dropped[CONTENT_DIGEST_MAX];

    (void)state;
    (void)push_image("library/app", "v1", "amd64", "one");
    (void)push_image("library/two", "v1", "amd64", "one");
    assert_int_equal(store_tag_drop(r, STR("library/app"), STR("v1"), STR("ada"), dropped, &e), 0);
    clock_set_wall_ms(clock_wall_ms() + DAY_MS + 1000);
    assert_int_equal(registry_collect(r, 100, &e), 0); /* library/two still has it */
    assert_true(stored(layer));
    assert_int_equal(registry_project_gone(r, 1, STR("library"), &e), 0);
    assert_int_equal(registry_collect(r, 100, &e), 2); /* layer and config */
    assert_false(stored(layer));
}

static void a_layer_that_a_waiting_job_needs_outlives_its_image(void **state)
{
    char *layer = push_blob("library/app", "one");

    (void)state;
    (void)push_image("library/app", "v1", "amd64", "one");
    assert_int_equal(registry_project_gone(r, 1, STR("library"), &e), 0);
    held_digest = layer;
    assert_int_equal(registry_collect(r, 100, &e), 1); /* the config */
    assert_true(stored(layer));
    assert_int_equal(registry_collect(r, 100, &e), 0);
    held_digest = NULL;
    assert_int_equal(registry_collect(r, 100, &e), 1);
    assert_false(stored(layer));
}

static void a_blob_asked_for_again_gets_new_grace(void **state)
{
    char *digest = push_blob("library/app", "one");
    struct stored_blob blob;

    (void)state;
    clock_set_wall_ms(clock_wall_ms() + DAY_MS + 1000);
    assert_int_equal(store_blob_find(r, STR("library/app"), digest, &blob, &code, &e), 0);
    assert_true(blob.is_stale);
    store_blob_renew(r, STR("library/app"), digest);
    assert_int_equal(registry_collect(r, 100, &e), 0);
    assert_true(stored(digest));
}

static void the_collector_leaves_a_digest_that_is_being_pushed(void **state)
{
    char *digest = push_blob("library/app", "one");

    (void)state;
    clock_set_wall_ms(clock_wall_ms() + DAY_MS + 1000);
    registry_pin(r, digest);
    assert_int_equal(registry_collect(r, 100, &e), 0);
    assert_true(stored(digest));
    registry_unpin(r, digest);
    assert_int_equal(registry_collect(r, 100, &e), 1);
    assert_false(stored(digest));
    (void)push_blob("library/app", "one"); /* comes back whole */
    assert_true(stored(digest));
}

static int sweep_all(void)
{
    int n = 0;

    for (int i = 0; i < CONTENT_SHARDS; i++) {
        int one = registry_sweep(r, &e);

        assert_true(one >= 0);
        n += one;
    }
    return n;
}

/* What kill -9 between the rename of a file and the commit of its row leaves. */
static void a_file_without_a_row_is_swept_after_an_hour(void **state)
{
    char *used = push_blob("library/app", "used");
    char lost[CONTENT_DIGEST_MAX], pushing[CONTENT_DIGEST_MAX];
    int64_t now = clock_wall_ms();

    (void)state;
    (void)sweep_all(); /* of the tests before */
    assert_int_equal(content_blob_put(content, STR("lost"), lost, &e), 0);
    assert_int_equal(content_blob_put(content, STR("pushing"), pushing, &e), 0);
    assert_int_equal(sweep_all(), 0);
    clock_set_wall_ms(now + 2 * 3600 * 1000);
    registry_pin(r, pushing);
    (void)sweep_all();
    assert_false(stored(lost));
    assert_true(stored(pushing));
    assert_true(stored(used));
    registry_unpin(r, pushing);
    assert_int_equal(sweep_all(), 1);
    assert_false(stored(pushing));
}

/* --- the trash --- */

static int add_manifests(struct state_db *db, void *ctx, struct err *err)
{
    return state_run(db, err,
                     "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)"
                     " INSERT INTO manifests(repository_id, project_id, digest, media_type,"
                     " artifact_type, platform, total_bytes, pushed_ms, body) SELECT r.id,"
                     " r.project_id, format('sha256:%064d', i), 'm', 'a', '', 2, 0, x'7b7d'"
                     " FROM repositories r, n WHERE r.name = 'library/app'",
                     "i", *(const int64_t *)ctx);
}

struct count {
    const char *sql;
    int64_t n;
    const char *text;
};

static int count_fn(struct state_db *db, void *ctx, struct err *err)
{
    struct count *c = ctx;

    return state_one_i64(db, &c->n, err, "rows", c->sql, "");
}

static int plan_fn(struct state_db *db, void *ctx, struct err *err)
{
    struct count *c = ctx;
    SCOPED(query_done) struct query q = {0};
    int step;

    c->text = "";
    if ((strstr(c->sql, "?3") ? query_open(&q, db, err, c->sql, "iii", 0LL, 0LL, 0LL)
                              : query_open(&q, db, err, c->sql, "ii", 0LL, 0LL)) < 0) {
        return -1;
    }
    while ((step = query_step(&q, err)) > 0) {
        c->text = arena_printf(&a, "%s%.*s\n", c->text, STR_ARG(query_str(&q, 3)));
    }
    return step;
}

static int64_t count_of(const char *sql)
{
    struct count c = {.sql = sql};

    assert_int_equal(state_read(st, count_fn, &c, &e), 0);
    return c.n;
}

/* What the query's plan says, line by line. */
static const char *plan_of(const char *sql)
{
    struct count c = {.sql = arena_printf(&a, "EXPLAIN QUERY PLAN %s", sql)};

    assert_int_equal(state_read(st, plan_fn, &c, &e), 0);
    return c.text;
}

static void a_step_of_a_deletion_reads_what_it_deletes(void **state)
{
    (void)state;
    assert_non_null(
        strstr(plan_of("SELECT id, length(body) FROM " SQL_MANIFESTS_BY_ID
                       "<= ?2 ORDER BY id DESC LIMIT ?3"),
               "SEARCH manifests USING INDEX manifests_repository (repository_id=? AND rowid<?)"));
    assert_null(strstr(plan_of("SELECT id, length(body) FROM " SQL_MANIFESTS_BY_ID
                               "<= ?2 ORDER BY id DESC LIMIT ?3"),
                       "TEMP B-TREE"));
    assert_non_null(strstr(plan_of("DELETE FROM " SQL_MANIFESTS_BY_ID "BETWEEN ?2 AND ?3"),
                           "(repository_id=? AND rowid>? AND rowid<?)"));
    assert_non_null(strstr(plan_of("SELECT 1 WHERE EXISTS (SELECT 1 FROM manifests m INDEXED BY"
                                   " manifests_project WHERE m.project_id = ?1 AND m.digest = ?2)"),
                           "(project_id=? AND digest=?)"));
}

/* --- pulls --- */

static const char *rows_of(int (*rows)(struct registry *, struct str, struct page *, struct jw *,
                                       struct err *),
                           const char *of)
{
    struct page page = {.arena = &a, .limit = 10, .q = STR_EMPTY};
    struct buf b = BUF_MAX(65536);
    struct jw w = JW(&b);
    char *text;

    jw_array(&w);
    assert_int_equal(rows(r, str_of(of), &page, &w, &e), 0);
    jw_end(&w);
    text = arena_strdup(&a, buf_str(&b));
    buf_done(&b);
    return text;
}

static struct stored_manifest manifest_of(const char *repository, const char *digest)
{
    struct stored_manifest m;
    struct reference ref = {.repository = str_of(repository)};

    (void)!str_copy(str_of(digest), ref.digest, sizeof(ref.digest));
    assert_int_equal(store_manifest_get(r, &a, &ref, &m, &code, &e), 0);
    return m;
}

static void lists_tell_of_pulls_before_they_are_written(void **state)
{
    char *digest = push_image("library/app", "v1", "amd64", "one");
    struct stored_manifest m = manifest_of("library/app", digest), other = m;
    int64_t n = 1200;

    (void)state;
    assert_int_equal(state_write(st, add_manifests, &n, &e), 0);
    assert_non_null(
        strstr(rows_of(store_tag_rows, "library/app"), "\"pulled_at\":null,\"pulls\":0"));
    registry_note_pull(r, &m);
    registry_note_pull(r, &m);
    assert_non_null(strstr(rows_of(store_tag_rows, "library/app"), "\"pulls\":2"));
    assert_non_null(strstr(rows_of(store_repository_rows, "library"), "\"pulls\":2"));
    assert_null(strstr(rows_of(store_repository_rows, "library"), "\"pulled_at\":null"));
    assert_int_equal(count_of("SELECT count(*) FROM manifest_pulls"), 0);
    for (int64_t i = 1; i <= n; i++) { /* more than go into one transaction */
        (void)snprintf(other.digest, sizeof(other.digest), "sha256:%064lld", (long long)i);
        registry_note_pull(r, &other);
    }
    assert_int_equal(registry_flush_pulls(r, &e), 0);
    assert_int_equal(count_of("SELECT count(*) FROM manifest_pulls"), n + 1);
    assert_int_equal(count_of("SELECT pulls FROM repositories"), n + 2);
    assert_non_null(strstr(rows_of(store_tag_rows, "library/app"), "\"pulls\":2"));
    registry_note_pull(r, &m);
    assert_non_null(strstr(rows_of(store_tag_rows, "library/app"), "\"pulls\":3"));
    assert_non_null(strstr(rows_of(store_repository_rows, "library"), "\"pulls\":1203"));
    /* A stop that was asked for loses none. */
    close_all();
    assert_int_equal(open_all(), 0);
    assert_non_null(strstr(rows_of(store_tag_rows, "library/app"), "\"pulls\":3"));
    assert_int_equal(store_repository_drop(r, STR("library/app"), STR("ada"), &e), 0);
    assert_int_equal(count_of("SELECT count(*) FROM manifest_pulls"), 0);
}

/* The next image, and the next repository, get the ids of those that are gone. */
static void pulls_of_what_is_gone_are_nobodys(void **state)
{
    char *digest = push_image("library/app", "v1", "amd64", "one");
    char dropped[CONTENT_DIGEST_MAX];
    struct stored_manifest m = manifest_of("library/app", digest);
    int64_t id = count_of("SELECT max(id) FROM manifests");

    (void)state;
    registry_note_pull(r, &m);
    assert_int_equal(store_tag_drop(r, STR("library/app"), STR("v1"), STR("ada"), dropped, &e), 0);
    (void)push_image("library/app", "v2", "amd64", "two");
    assert_int_equal(count_of("SELECT max(id) FROM manifests"), id);
    assert_non_null(strstr(rows_of(store_tag_rows, "library/app"), "\"pulls\":0"));
    assert_int_equal(registry_flush_pulls(r, &e), 0);
    assert_int_equal(count_of("SELECT count(*) FROM manifest_pulls"), 0);
    assert_int_equal(count_of("SELECT pulls FROM repositories"), 1);
    registry_note_pull(r, &m);
    assert_int_equal(store_repository_drop(r, STR("library/app"), STR("ada"), &e), 0);
    clock_set_wall_ms(clock_wall_ms() + 1000);
    (void)push_image("library/next", "v1", "amd64", "one");
    assert_int_equal(count_of("SELECT id FROM repositories"), m.repository_id);
    assert_non_null(strstr(rows_of(store_repository_rows, "library"), "\"pulls\":0"));
    assert_int_equal(registry_flush_pulls(r, &e), 0);
    assert_int_equal(count_of("SELECT pulls FROM repositories"), 0);
    assert_int_equal(count_of("SELECT count(*) FROM manifest_pulls"), 0);
}

static int old_rows(struct state_db *db, void *ctx UNUSED, struct err *err)
{
    return state_run(db, err,
                     "INSERT INTO repositories(id, project_id, name, created_ms, updated_ms, pulls)"
                     " VALUES (1, 1, 'library/app', 0, 0, 5)",
                     "") < 0 ||
                   state_run(
                       db, err,
                       "INSERT INTO manifests(id, repository_id, project_id, digest,"
                       " media_type, artifact_type, platform, total_bytes, pushed_ms, body,"
                       " pulled_ms, pulls) VALUES (7, 1, 1, 'd7', 'm', 'a', '', 2, 0, x'7b7d',"
                       " 99, 5), (8, 1, 1, 'd8', 'm', 'a', '', 2, 0, x'7b7d', 0, 0)",
                       "") < 0
               ? -1
               : 0;
}

static void pulls_of_an_older_state_are_kept(void **state)
{
    const char *steps[32] = {0};
    struct state_schema old = {"registry", steps};
    const struct state_schema *const schemas[] = {&access_schema, &old, NULL};

    for (size_t i = 0; strstr(registry_schema.steps[i], "CREATE TABLE manifest_pulls") == NULL;
         i++) {
        steps[i] = registry_schema.steps[i];
    }
    (void)teardown(state);
    assert_non_null(st = state_open("state.db", schemas, &e));
    assert_int_equal(state_write(st, old_rows, NULL, &e), 0);
    state_close(st);
    assert_int_equal(open_all(), 0);
    assert_int_equal(count_of("SELECT manifest_id * 1000 + pulled_ms * 10 + pulls"
                              " FROM manifest_pulls WHERE repository_id = 1"),
                     7995);
    assert_int_equal(count_of("SELECT count(*) FROM manifest_pulls"), 1);
    assert_int_equal(count_of("SELECT count(*) FROM manifests"), 2);
}

static size_t told, left_out;

static int on_change(void *ctx UNUSED, struct state_db *db UNUSED, const struct registry_change *c,
                     struct err *err UNUSED)
{
    told = c->what == REGISTRY_DELETED ? c->n_artifacts : told;
    left_out = c->what == REGISTRY_DELETED ? c->n_left_out : left_out;
    return 0;
}

static void a_large_repository_is_kept_in_several_entries(void **state)
{
    int64_t n = 2500;

    (void)state;
    r->trash_ms = 24 * 3600 * 1000;
    (void)push_image("library/app", "v1", "amd64", "layer");
    assert_int_equal(state_write(st, add_manifests, &n, &e), 0);
    r->hooks.changed = on_change;
    assert_int_equal(store_repository_drop(r, STR("library/app"), STR("ada"), &e), 0);
    assert_int_equal(told, REGISTRY_ARTIFACTS_MAX); /* what others are told of it has an end */
    assert_int_equal(told + left_out, n + 1);
    assert_int_equal(count_of("SELECT count(*) FROM repositories"), 0);
    assert_int_equal(count_of("SELECT count(*) FROM trash"), 3);
    assert_int_equal(count_of("SELECT max(manifests) FROM trash"), LIMIT_TRASH_ENTRY_MANIFESTS);
    assert_int_equal(count_of("SELECT manifests FROM trash_totals WHERE project_id = 0"), 2501);
    assert_int_equal(count_of("SELECT count(*) FROM trash_tags"), 1);
    /* One round takes all that is due, however much was deleted in a minute. */
    assert_int_equal(store_trash_purge(r, &e), 0);
    assert_int_equal(count_of("SELECT count(*) FROM trash"), 3);
    clock_set_wall_ms(clock_wall_ms() + 2 * r->trash_ms);
    assert_int_equal(store_trash_purge(r, &e), 0);
    assert_int_equal(count_of("SELECT count(*) FROM trash"), 0);
    assert_int_equal(count_of("SELECT count(*) FROM trash_manifests"), 0);
    assert_int_equal(count_of("SELECT sum(entries + manifests + body_bytes + blob_bytes) FROM"
                              " trash_totals"),
                     0);
}

static void a_full_trash_gives_up_no_more_than_it_must(void **state)
{
    char digest[CONTENT_DIGEST_MAX];

    (void)state;
    r->trash_ms = 24 * 3600 * 1000;
    for (int i = 0; i < 5; i++) {
        (void)push_image("library/app", "v1", "amd64", arena_printf(&a, "layer %d", i));
        assert_int_equal(store_tag_drop(r, STR("library/app"), STR("v1"), STR("ada"), digest, &e),
                         0);
    }
    r->trash_max.manifests = 4;
    assert_int_equal(store_trash_purge(r, &e), 0);
    assert_int_equal(count_of("SELECT count(*) FROM trash"), 4);
    r->trash_max.body_bytes = count_of("SELECT body_bytes FROM trash_totals WHERE project_id = 0");
    assert_int_equal(store_trash_purge(r, &e), 0);
    assert_int_equal(count_of("SELECT count(*) FROM trash"), 4);
    r->trash_max.body_bytes--;
    assert_int_equal(store_trash_purge(r, &e), 0);
    assert_int_equal(count_of("SELECT count(*) FROM trash"), 3);
    assert_int_equal(count_of("SELECT min(id) FROM trash"), 3);
}

static void the_trash_of_a_project_holds_no_more_than_the_project_may(void **state)
{
    struct repo_key key;
    int64_t last;

    (void)state;
    r->trash_ms = 24 * 3600 * 1000;
    assert_int_equal(key_of("library/app", &key), 0);
    for (int i = 0; i < 5; i++) {
        char layer[1001];
        char digest[CONTENT_DIGEST_MAX];

        memset(layer, 'a' + i, sizeof(layer) - 1);
        layer[1000] = '\0';
        (void)push_image("library/app", "v1", "amd64", layer);
        assert_int_equal(store_tag_drop(r, STR("library/app"), STR("v1"), STR("ada"), digest, &e),
                         0);
    }
    assert_int_equal(store_trash_purge(r, &e), 0);
    assert_int_equal(count_of("SELECT count(*) FROM trash"), 5);
    last = count_of("SELECT max(id) FROM trash");
    assert_int_equal(store_quota_set(r, key.project_id, 3000, &e), 0);
    assert_int_equal(store_trash_purge(r, &e), 0);
    assert_in_range(count_of("SELECT count(*) FROM trash"), 1, 2);
    assert_int_equal(count_of("SELECT max(id) FROM trash"), last);
}

static void names_in_a_deleted_project_are_not_touched_elsewhere(void **state)
{
    (void)state;
    (void)push_image("library/app", "v1", "amd64", "one");
    assert_int_equal(registry_project_gone(r, 9, STR("lib"), &e), 0);
    assert_true(exists("library/app", "v1"));
}

static int replace_library(struct state_db *db, void *ctx UNUSED, struct err *err)
{
    return state_run(db, err, "DELETE FROM projects WHERE name = 'library'", "") < 0
               ? -1
               : state_run(db, err,
                           "INSERT INTO projects(name, created_ms, created_by, slot)"
                           " VALUES('library', 1, 'admin', 9)",
                           "");
}

static int set_deleting(struct state_db *db, void *ctx UNUSED, struct err *err)
{
    return state_run(db, err, "UPDATE projects SET deleting = 1", "");
}

static int put_with(const struct repo_key *to, char *text)
{
    char digest[CONTENT_DIGEST_MAX];
    struct manifest m;
    struct str tag = STR("v1");
    struct manifest_put put = {.repository = *to,
                               .tags = &tag,
                               .n_tags = 1,
                               .digest = digest,
                               .manifest = &m,
                               .body = str_of(text),
                               .platform = STR_EMPTY};

    assert_int_equal(content_digest_of(put.body, STR("sha256"), digest, &e), 0);
    assert_int_equal(manifest_parse(&a, STR(MEDIA_OCI_MANIFEST), put.body, &m, &e), 0);
    return store_manifest_put(r, &put, &code, &e);
}

/* A push that began before the project was deleted ends after another one got its name. */
static void a_push_never_lands_in_a_later_project_of_the_same_name(void **state)
{
    char *text = image_text("library/app", CONFIG_TEXT("amd64", DIFF), "one");
    char *layer = push_blob("library/app", "one");
    struct repo_key before, after;
    struct stored_blob blob;

    (void)state;
    (void)push_image("library/app", "left", "amd64", "one");
    assert_int_equal(key_of("library/app", &before), 0);
    assert_int_equal(state_write(st, replace_library, NULL, &e), 0);
    assert_int_equal(key_of("library/app", &after), 0);
    assert_true(after.project_id != before.project_id);
    assert_int_equal(store_blob_link(r, &before, layer, 3, &code, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_int_equal(put_with(&before, text), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    /* nor is what the first one left found in the second */
    assert_int_equal(store_blob_find(r, STR("library/app"), layer, &blob, &code, &e), -1);
    assert_string_equal(code, "NAME_UNKNOWN");
    assert_false(exists("library/app", "left"));
}

static void a_project_that_is_being_deleted_takes_nothing(void **state)
{
    char *text = image_text("library/app", CONFIG_TEXT("amd64", DIFF), "one");
    char *layer = push_blob("library/app", "one");
    struct repo_key key, other;

    (void)state;
    assert_int_equal(key_of("library/app", &key), 0);
    assert_int_equal(key_of("library/other", &other), 0);
    assert_int_equal(state_write(st, set_deleting, NULL, &e), 0);
    assert_int_equal(store_blob_link(r, &key, layer, 3, &code, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_int_equal(store_blob_mount(r, STR("library/app"), &other, layer, &code, &e), -1);
    assert_int_equal(put_with(&key, text), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
}

static void everything_is_there_after_a_restart(void **state)
{
    (void)state;
    (void)push_image("library/app", "v1", "amd64", "one");
    close_all();
    assert_int_equal(open_all(), 0);
    assert_true(exists("library/app", "v1"));
}

static int resolve(const char *reference, struct registry_image *image)
{
    return registry_resolve(r, str_of(reference), "amd64", STR_EMPTY, &a, image, &e);
}

static void an_image_is_resolved_for_a_job(void **state)
{
    struct registry_image image;
    char *digest = push_image("library/app", "v1", "amd64", "layer");

    (void)state;
    assert_int_equal(resolve("library/app:v1", &image), 0);
    assert_string_equal(image.digest, digest);
    assert_int_equal(image.n_layers, 1);
    assert_string_equal(image.cmd[0], "/x");
    assert_null(image.entrypoint[0]);
    assert_int_equal(resolve(arena_printf(&a, "library/app@%s", digest), &image), 0);
    assert_int_equal(resolve("library/app", &image), -1); /* no latest */
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_non_null(strstr(e.msg, "no tag latest"));
}

static void an_index_is_followed_to_this_platform(void **state)
{
    struct registry_image image;
    char *arm = push_image("library/app", NULL, "arm64", "arm");
    char *amd = push_image("library/app", NULL, "amd64", "amd");
    char index[CONTENT_DIGEST_MAX];

    (void)state;
    assert_int_equal(push_manifest("library/app", "v1", MEDIA_OCI_INDEX, index_of(arm, amd), index),
                     0);
    assert_int_equal(resolve("library/app:v1", &image), 0);
    assert_string_equal(image.digest, amd);
    assert_int_equal(registry_resolve(r, STR("library/app:v1"), "s390x", STR_EMPTY, &a, &image, &e),
                     -1);
    assert_non_null(strstr(e.msg, "linux/arm64, linux/amd64"));
}

static void an_image_for_another_machine_says_so(void **state)
{
    struct registry_image image;

    (void)state;
    (void)push_image("library/app", "v1", "arm64", "layer");
    assert_int_equal(resolve("library/app:v1", &image), -1);
    assert_non_null(strstr(e.msg, "it is for linux/arm64, this machine runs linux/amd64"));
}

static void layers_and_diff_ids_must_be_as_many(void **state)
{
    struct registry_image image;
    char digest[CONTENT_DIGEST_MAX];
    char *text = image_text("library/app", CONFIG_TEXT("amd64", DIFF "," DIFF), "layer");

    (void)state;
    assert_int_equal(push_manifest("library/app", "v1", MEDIA_OCI_MANIFEST, text, digest), 0);
    assert_int_equal(resolve("library/app:v1", &image), -1);
    assert_non_null(strstr(e.msg, "1 layers, the configuration 2"));
}

static void tags_are_listed_in_pages(void **state)
{
    struct page page = {.limit = 2, .arena = &a};
    struct buf b = BUF_MAX(4096);
    struct jw w = JW(&b);

    (void)state;
    (void)push_image("library/app", "b", "amd64", "one");
    (void)push_image("library/app", "a", "amd64", "one");
    (void)push_image("library/app", "C", "amd64", "one");
    jw_array(&w);
    assert_int_equal(store_tag_names(r, STR("library/app"), &page, &w, &code, &e), 0);
    assert_true(str_eq_c(page.last, "a"));
    page.after = page.last;
    page.last = (struct str){0};
    assert_int_equal(store_tag_names(r, STR("library/app"), &page, &w, &code, &e), 0);
    assert_null(page.last.p);
    jw_end(&w);
    assert_string_equal(b.p, "[\"C\",\"a\",\"b\"]");
    buf_done(&b);
}

static int add_projects(struct state_db *db, void *ctx UNUSED, struct err *err)
{
    return state_run(db, err,
                     "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 400)"
                     " INSERT INTO projects(name, public, created_ms, created_by, slot)"
                     " SELECT printf('p%03d', i), i % 2, 1, 'admin', i FROM n",
                     "") < 0
               ? -1
               : state_run(db, err,
                           "INSERT INTO projects(name, public, created_ms, created_by, slot)"
                           " VALUES('library-more', 1, 1, 'admin', 900)",
                           "");
}

/* The names of one page, with commas between. */
static char *catalog(const struct principal *who, const char *from, const char *after,
                     struct page *page)
{
    struct project_ref refs[300];
    struct project_refs found = {.arena = &a, .refs = refs, .max = ARRAY_LEN(refs)};
    struct buf b = BUF_MAX(4096);
    struct jw w = JW(&b);
    char *out;

    page->after = str_of(after);
    page->arena = &a;
    assert_int_equal(access_visible(acc, who, str_of(from), &found, &e), 0);
    jw_array(&w);
    assert_int_equal(store_catalog_names(r, &found, page, &w, &e), 0);
    jw_end(&w);
    out = arena_strdup(&a, buf_str(&b));
    buf_done(&b);
    return out;
}

static void the_catalog_asks_for_visible_projects_only(void **state)
{
    struct principal stranger = {.scopes = PERM_ALL, .name = "anonymous"};
    struct principal admin = {.user_id = 1, .is_admin = true, .scopes = PERM_ALL, .name = "admin"};
    struct page page = {.limit = 10}, first = {.limit = 2}, next = {.limit = 2};

    (void)state;
    assert_int_equal(state_write(st, add_projects, NULL, &e), 0);
    (void)push_image("library/app", "v1", "amd64", "one");
    (void)push_image("library-more/app", "v1", "amd64", "one");
    (void)push_image("p002/private", "v1", "amd64", "one");
    (void)push_image("p003/public", "v1", "amd64", "one");
    (void)push_blob("p005/empty", "one");
    assert_string_equal(catalog(&stranger, "", "", &page),
                        "[\"library-more/app\",\"library/app\",\"p003/public\"]");
    assert_null(page.last.p);
    assert_string_equal(catalog(&stranger, "", "", &first),
                        "[\"library-more/app\",\"library/app\"]");
    assert_true(str_eq_c(first.last, "library/app"));
    assert_string_equal(catalog(&stranger, "library/", "library/app", &next), "[\"p003/public\"]");
    page = (struct page){.limit = 10};
    assert_non_null(strstr(catalog(&admin, "", "", &page), "p002/private"));
}

static int share_blobs(struct state_db *db, void *ctx, struct err *err)
{
    return state_run(db, err,
                     "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)"
                     " INSERT INTO blobs(digest, size_bytes) SELECT format('sha256:%064d', i), 1"
                     " FROM n",
                     "i", *(const int64_t *)ctx) < 0
               ? -1
               : state_run(db, err,
                           "INSERT INTO repository_blobs(repository_id, digest, manifests,"
                           " touched_ms, project_id) SELECT r.id, b.digest, r.name = 'library/two',"
                           " 0, r.project_id FROM repositories r, blobs b WHERE b.size_bytes = 1"
                           " AND ?1 > 0",
                           "i", *(const int64_t *)ctx);
}

/* Of what one repository gives up nothing can be deleted as long as another has it. */
static void collecting_says_when_there_may_be_more(void **state)
{
    int64_t n = 33000; /* more than one step gives up */
    struct collected c;

    (void)state;
    (void)push_blob("library/one", "layer");
    (void)push_blob("library/two", "layer");
    assert_int_equal(state_write(st, share_blobs, &n, &e), 0);
    assert_int_equal(registry_collect_now(r, &c, &e), 0);
    assert_int_equal(c.blobs, 0);
    assert_false(c.more);
    assert_int_equal(count_of("SELECT count(*) FROM repository_blobs WHERE manifests = 0"), 2);
}

static void events_name_the_repository_without_the_project(void **state)
{
    (void)state;
    events = 0;
    registry_emit(r, STR("library/a/b"), STR("v1"), "sha256:0", "pushed");
    assert_int_equal(events, 1);
}

static void a_refresh_token_holds_its_password_for_its_user_only(void **state)
{
    struct buf b = BUF_MAX(1024);
    struct str password;

    (void)state;
    assert_int_equal(refresh_seal(r->key, STR("ann"), STR("secret"), &b, &e), 0);
    assert_int_equal(refresh_open(r->key, &a, STR("ann"), buf_str(&b), &password, &e), 0);
    assert_true(str_eq_c(password, "secret"));
    assert_int_equal(refresh_open(r->key, &a, STR("bob"), buf_str(&b), &password, &e), -1);
    b.p[20] = b.p[20] == 'A' ? 'B' : 'A';
    assert_int_equal(refresh_open(r->key, &a, STR("ann"), buf_str(&b), &password, &e), -1);
    assert_int_equal(refresh_open(r->key, &a, STR("ann"), STR("x"), &password, &e), -1);
    assert_int_equal(e.kind, ERR_UNAUTHENTICATED);
    buf_done(&b);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_blob_belongs_to_the_repositories_it_was_pushed_to),
        T(a_blob_is_mounted_from_where_it_is),
        T(a_manifest_needs_what_it_refers_to),
        T(a_wrong_size_in_a_manifest_is_refused),
        T(a_tag_moves_and_the_old_manifest_stays),
        T(deleting_by_digest_takes_the_tags_along),
        T(deleting_a_tag_keeps_the_manifest),
        T(a_used_blob_cannot_be_deleted),
        T(dropping_the_last_tag_of_an_index_drops_what_only_it_held),
        T(dropping_one_of_two_tags_keeps_the_image),
        T(signatures_go_with_the_image_they_are_about),
        T(the_collector_takes_old_unused_blobs_only),
        T(a_deleted_image_is_collected),
        T(a_layer_that_a_waiting_job_needs_outlives_its_image),
        T(a_blob_asked_for_again_gets_new_grace),
        T(the_collector_leaves_a_digest_that_is_being_pushed),
        T(a_step_of_a_deletion_reads_what_it_deletes),
        T(lists_tell_of_pulls_before_they_are_written),
        T(pulls_of_what_is_gone_are_nobodys),
        T(pulls_of_an_older_state_are_kept),
        T(a_large_repository_is_kept_in_several_entries),
        T(the_trash_of_a_project_holds_no_more_than_the_project_may),
        T(a_full_trash_gives_up_no_more_than_it_must),
        T(names_in_a_deleted_project_are_not_touched_elsewhere),
        T(a_file_without_a_row_is_swept_after_an_hour),
        T(a_push_never_lands_in_a_later_project_of_the_same_name),
        T(a_project_that_is_being_deleted_takes_nothing),
        T(everything_is_there_after_a_restart),
        T(an_image_is_resolved_for_a_job),
        T(an_index_is_followed_to_this_platform),
        T(an_image_for_another_machine_says_so),
        T(layers_and_diff_ids_must_be_as_many),
        T(tags_are_listed_in_pages),
        T(the_catalog_asks_for_visible_projects_only),
        T(collecting_says_when_there_may_be_more),
        T(events_name_the_repository_without_the_project),
        T(a_refresh_token_holds_its_password_for_its_user_only),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
