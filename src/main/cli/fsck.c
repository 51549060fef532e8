/* The store of all images: what it takes, collecting now, and whether it is whole. */
#include "main/cli/cli.h"

#include "base/limits.h"
#include "main/main_priv.h"
#include "main/wire.h"
#include "registry/registry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ANSWER_MAX = 4 * 1024 * 1024 };

int verb_registry_storage(struct cli *c, struct err *e)
{
    static const char *const bytes[][2] = {{"stored", "stored_bytes"},
                                           {"unreferenced", "unreferenced_bytes"},
                                           {"freed in the last day", "freed_bytes"},
                                           {"uploads under way", "upload_bytes"}};
    static const char *const counts[] = {"blobs", "unreferenced_blobs", "freed_blobs", "uploads"};
    SCOPED(json_decrefp) json_t *s = NULL;
    const json_t *last;
    char size[16];

    if (client_call(c->client, "GET", NULL, &s, e, "/api/v1/registry/storage") < 0) {
        return -1;
    }
    if (print_json(c, s)) {
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(bytes); i++) {
        (void)printf("%-22s %10s %8lld %s\n", bytes[i][0],
                     str_format_bytes(json_number(s, bytes[i][1]), size),
                     (long long)json_number(s, counts[i]), i == 3 ? "uploads" : "blobs");
    }
    last = json_object_get(s, "last_fsck");
    if (json_is_object(last)) {
        (void)printf("%-22s %10s %8lld problems, %lld repaired\n", "last check",
                     json_is_null(json_object_get(last, "ended_at")) ? "runs" : "ended",
                     (long long)json_number(last, "problems"),
                     (long long)json_number(last, "repaired"));
    }
    return 0;
}

/* The server answers after a while although there is more. */
int verb_registry_collect(struct cli *c, struct err *e)
{
    int64_t blobs = 0, freed = 0;
    bool more = true;
    char size[16];

    while (more) {
        SCOPED(json_decrefp) json_t *step = NULL;

        if (client_call(c->client, "POST", NULL, &step, e, "/api/v1/registry/collect") < 0) {
            return -1;
        }
        blobs += json_number(step, "blobs");
        freed += json_number(step, "bytes");
        more = json_is_true(json_object_get(step, "more"));
    }
    if (c->json) {
        SCOPED(json_decrefp)
        json_t *all =
            json_pack("{s:I, s:I}", "blobs", (json_int_t)blobs, "bytes", (json_int_t)freed);

        (void)print_json(c, all);
        return 0;
    }
    (void)printf("%lld blobs deleted, %s freed.\n", (long long)blobs,
                 str_format_bytes(freed, size));
    return 0;
}

/* --- fsck --- */

static int print_check(struct cli *c, const json_t *check, const json_t *findings)
{
    static const struct column columns[] = {{"LEVEL", "level", COLUMN_TEXT},
                                            {"NAME", "name", COLUMN_TEXT},
                                            {"FOUND", "text", COLUMN_TEXT},
                                            {"DETAILS", "details", COLUMN_TEXT},
                                            {"REPAIRED", "repaired", COLUMN_YES}};
    SCOPED(json_decrefp)
    json_t *both = json_pack("{s:O, s:O}", "check", check, "findings", findings);
    char size[16];

    c->exit_code = json_number(check, "problems") > 0 || json_text(check, "error")[0] != '\0';
    if (print_json(c, both)) {
        return 0;
    }
    if (json_array_size(findings) > 0) {
        table_print(findings, columns, ARRAY_LEN(columns), "");
        (void)putchar('\n');
    }
    (void)printf("%lld blobs (%s) and %lld manifests checked%s: %lld problems, %lld repaired, "
                 "%lld notes.\n",
                 (long long)json_number(check, "blobs"),
                 str_format_bytes(json_number(check, "bytes"), size),
                 (long long)json_number(check, "manifests"),
                 json_is_true(json_object_get(check, "deep")) ? ", each byte" : "",
                 (long long)json_number(check, "problems"),
                 (long long)json_number(check, "repaired"), (long long)json_number(check, "notes"));
    if (json_text(check, "error")[0] != '\0') {
        (void)printf("It ended early: ");
        print_safe(stdout, str_of(json_text(check, "error")));
        (void)putchar('\n');
    }
    return 0;
}

/* Asked twice a second; with --json nothing is shown meanwhile. */
static int wait_check(struct cli *c, json_t **check, struct err *e)
{
    struct meter p;
    int rc = 0;

    meter_begin(&p, "checking");
    while (rc == 0 && json_is_null(json_object_get(*check, "ended_at"))) {
        int64_t total = json_number(*check, "total");

        meter_fraction(&p, total > 0 ? (double)json_number(*check, "done") / (double)total : 0, "");
        (void)usleep(500 * 1000);
        json_decref(*check);
        *check = NULL;
        rc = client_call(c->client, "GET", NULL, check, e, "/api/v1/registry/fsck");
    }
    meter_end(&p);
    return rc;
}

static int check_server(struct cli *c, unsigned flags, struct err *e)
{
    SCOPED(json_decrefp)
    json_t *body = json_pack("{s:b, s:b}", "deep", (flags & REGISTRY_CHECK_DEEP) != 0, "repair",
                             (flags & REGISTRY_CHECK_REPAIR) != 0);
    SCOPED(json_decrefp) json_t *check = NULL;
    SCOPED(json_decrefp) json_t *findings = NULL;

    if (client_call(c->client, "POST", body, &check, e, "/api/v1/registry/fsck") < 0 ||
        wait_check(c, &check, e) < 0 ||
        list_all(c, STR("/api/v1/registry/fsck/findings"), &findings, e) < 0) {
        return -1;
    }
    return print_check(c, check, findings);
}

/* As the user strata, who owns the files: what root made the server could not write. */
static int check_directory(struct cli *c, const char *state, unsigned flags, struct err *e)
{
    SCOPED(freep) char *db = xasprintf("%s/state.db", state);
    SCOPED(cfg_freep) struct cfg *cfg = NULL;
    SCOPED(buf_done) struct buf json = BUF_MAX(ANSWER_MAX);
    SCOPED(json_decrefp) json_t *both = NULL;
    struct up_options o = {.state_dir = state};
    struct boot b = {.state_dir = state};
    SCOPED(closep) int lock_fd = -1;
    struct stat st;

    if (stat(db, &st) < 0) {
        return err_sys(e, "%s", db);
    }
    if (geteuid() != 0) {
        return err_set(e, ERR_FORBIDDEN, "a state directory is checked as root: sudo strata ...");
    }
    if (up_load_config(&o, &cfg, e) < 0 || statedir_user(&b.uid, &b.gid, e) < 0 ||
        statedir_enter(state, b.uid, b.gid, &lock_fd, e) < 0 || confine_drop(b.uid, b.gid, e) < 0) {
        return -1;
    }
    b.cfg = cfg;
    if (wire_check(&b, flags, &json, e) < 0 || (both = json_parse(buf_str(&json), e)) == NULL) {
        return -1;
    }
    return print_check(c, json_object_get(both, "check"), json_object_get(both, "findings"));
}

int verb_registry_fsck(struct cli *c, struct err *e)
{
    const char *state = cli_option(c, "state");
    unsigned flags = (cli_option(c, "deep") ? REGISTRY_CHECK_DEEP : 0) |
                     (cli_option(c, "repair") ? REGISTRY_CHECK_REPAIR : 0);

    return state ? check_directory(c, state, flags, e) : check_server(c, flags, e);
}
