#include "main/cli/migrate.h"

#include "base/fs.h"
#include "base/limits.h"
#include "main/cli/transfer.h"
#include "registry/names.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of the report; a migration may tell of millions. */
enum { ROWS_BYTES_MAX = 64 * MIB };

static const char *const outcomes[OUTCOMES] = {"brought", "would bring", "there",
                                               "skipped", "failed",      "to do"};

/* --- the report --- */

/* One line, whatever a name holds. */
static void print_line(char *line)
{
    for (char *p = line; *p; p++) {
        *p = *p == '\n' || *p == '\t' ? ' ' : *p;
    }
    print_safe(stdout, str_of(line));
    (void)putchar('\n');
}

/* Sentences are cut at a limit, which may be in the middle of a letter. */
static json_t *text_of(const char *s)
{
    SCOPED(freep) char *copy = xstrndup(s, 1024);
    json_t *text = json_string(copy);

    for (char *p = copy; text == NULL && *p; p++) {
        *p = (unsigned char)*p < 128 ? *p : '?';
    }
    return text ? text : json_string(copy);
}

/* With --json all are told of at the end, else only what somebody has to see to. What came is the
 * most: it takes at most half of the room. */
static void keep_row(struct migration *m, enum outcome o, const char *kind, const char *name,
                     const char *why)
{
    bool is_plain = o == BROUGHT || o == WOULD;
    int64_t size = (int64_t)(256 + strnlen(name, 1024) + strnlen(why, 1024));
    json_t *row;

    if (is_plain && !m->c->json) {
        return;
    }
    if (m->rows_bytes + size > (is_plain ? ROWS_BYTES_MAX / 2 : ROWS_BYTES_MAX)) {
        m->rows_left_out++;
        return;
    }
    m->rows_bytes += size;
    row = json_pack("{s:s, s:s, s:o}", "outcome", outcomes[o], "kind", kind, "name", text_of(name));
    if (why[0]) {
        (void)json_object_set_new(row, "why", text_of(why));
    }
    (void)json_array_append_new(m->rows, row);
}

void migrate_note(struct migration *m, enum outcome o, const char *kind, const char *name,
                  const char *why_fmt, ...)
{
    SCOPED(freep) char *why = NULL;
    va_list ap;

    va_start(ap, why_fmt);
    if (vasprintf(&why, why_fmt, ap) < 0) {
        why = xstrdup("");
    }
    va_end(ap);
    m->counts[o]++;
    if (o == THERE) { /* the most, and the least to say of */
        return;
    }
    keep_row(m, o, kind, name, why);
    if (!m->c->json) {
        SCOPED(freep)
        char *line = xasprintf("%-11s  %-10s  %.1024s%s%s", outcomes[o], kind, name,
                               why[0] ? "  " : "", why);

        print_line(line);
        (void)fflush(stdout);
    }
}

void migrate_never(struct migration *m, const char *kind, const char *name, const char *why)
{
    m->never++;
    migrate_note(m, FAILED, kind, name, "%s", why);
}

void migrate_refused(struct migration *m, const char *kind, const char *name, const struct err *e)
{
    migrate_note(m, e->kind == ERR_INVALID || e->kind == ERR_UNSUPPORTED ? SKIPPED : FAILED, kind,
                 name, "%s", e->msg);
}

static json_t *report(const struct migration *m)
{
    struct transfer_total t = {0};
    json_t *counts = json_object();

    transfer_totals(m->transfer, &t);
    for (int i = 0; i < OUTCOMES; i++) {
        (void)json_object_set_new(counts, outcomes[i], json_integer(m->counts[i]));
    }
    return json_pack("{s:b, s:O, s:I, s:o, s:O, s:{s:I, s:I, s:I, s:I}}", "dry_run", m->is_dry,
                     "items", m->rows, "left_out", (json_int_t)m->rows_left_out, "counts", counts,
                     "secrets", m->secrets, "moved", "manifests", (json_int_t)t.manifests, "blobs",
                     (json_int_t)t.blobs, "mounted", (json_int_t)t.mounted, "bytes",
                     (json_int_t)t.bytes);
}

static void print_rows(const struct migration *m, enum outcome o, const char *title)
{
    const json_t *row;
    size_t i;

    if (m->counts[o] == 0) {
        return;
    }
    (void)printf("\n%s\n", title);
    json_array_foreach(m->rows, i, row)
    {
        if (strcmp(json_text(row, "outcome"), outcomes[o]) == 0) {
            SCOPED(freep)
            char *line = xasprintf("  %s %s: %s", json_text(row, "kind"), json_text(row, "name"),
                                   json_text(row, "why"));

            print_line(line);
        }
    }
}

static void print_secrets(const struct migration *m)
{
    const json_t *one;
    size_t i;

    if (json_array_size(m->secrets) > 0) {
        (void)printf("\nSecrets of robots; they are not shown again:\n");
    }
    json_array_foreach(m->secrets, i, one)
    {
        SCOPED(freep)
        char *line = xasprintf("  %s  %s", json_text(one, "robot"), json_text(one, "secret"));

        print_line(line);
    }
}

static void tell(const struct migration *m)
{
    SCOPED(json_decrefp) json_t *all = report(m);
    struct transfer_total t = {0};
    char size[16];

    m->c->exit_code = m->counts[FAILED] > 0;
    if (print_json(m->c, all)) {
        return;
    }
    transfer_totals(m->transfer, &t);
    print_rows(m, TODO, "To do by hand:");
    print_rows(m, SKIPPED, "Skipped:");
    print_rows(m, FAILED, "Failed:");
    if (m->rows_left_out > 0) {
        (void)printf("\n%lld more of these stand above alone.\n", (long long)m->rows_left_out);
    }
    print_secrets(m);
    (void)printf(
        "\n%lld %s, %lld there already, %lld skipped, %lld failed; %lld blobs moved (%s).\n",
        (long long)m->counts[m->is_dry ? WOULD : BROUGHT],
        m->is_dry ? "would be brought" : "brought", (long long)m->counts[THERE],
        (long long)m->counts[SKIPPED], (long long)m->counts[FAILED], (long long)t.blobs,
        str_format_bytes(t.bytes, size));
}

/* --- what is here --- */

static int each_here(const json_t *page, source_row *each, void *ctx, struct err *e)
{
    const json_t *row;
    size_t i;

    json_array_foreach(page, i, row)
    {
        if (each(ctx, row, e) < 0) {
            return -1;
        }
    }
    return 0;
}

int here_each(struct migration *m, const char *path, source_row *each, void *ctx, struct err *e)
{
    for (int page = 1;; page++) {
        SCOPED(json_decrefp) json_t *some = NULL;

        if (client_call(m->c->client, "GET", NULL, &some, e, "/api/v2.0%s%cpage=%d&page_size=100",
                        path, strchr(path, '?') ? '&' : '?', page) < 0) {
            return -1;
        }
        if (!json_is_array(some)) {
            return err_set(e, ERR_INTERNAL, "the server's list %s is none", path);
        }
        if (each_here(some, each, ctx, e) < 0) {
            return -1;
        }
        if (json_array_size(some) < 100) {
            return 0;
        }
    }
}

static int take_row(void *ctx, const json_t *row, struct err *e UNUSED)
{
    return json_array_append(ctx, (json_t *)(uintptr_t)row);
}

int here_list(struct migration *m, const char *path, json_t **items, struct err *e)
{
    SCOPED(json_decrefp) json_t *all = json_array();

    if (here_each(m, path, take_row, all, e) < 0) {
        return -1;
    }
    *items = json_incref(all);
    return 0;
}

const json_t *here_find(const json_t *items, const char *key, const char *value)
{
    const json_t *one;
    size_t i;

    json_array_foreach(items, i, one)
    {
        if (strcmp(json_text(one, key), value) == 0) {
            return one;
        }
    }
    return NULL;
}

bool here_add(struct migration *m, const char *kind, const char *name, const char *path,
              const json_t *body)
{
    struct err e = {0};

    if (m->is_dry) {
        migrate_note(m, WOULD, kind, name, "%s", "");
        return true;
    }
    if (body == NULL) {
        migrate_note(m, SKIPPED, kind, name, "it is no UTF-8");
        return false;
    }
    if (client_call(m->c->client, "POST", body, NULL, &e, "/api/v2.0%s", path) < 0) {
        migrate_refused(m, kind, name, &e);
        return false;
    }
    migrate_note(m, BROUGHT, kind, name, "%s", "");
    return true;
}

/* --- projects --- */

const char *migrate_map(const struct migration *m, const char *name)
{
    const char *to = json_text(m->maps, name);

    return to[0] ? to : NULL;
}

static bool is_public(const json_t *project)
{
    return strcmp(json_text(json_object_get(project, "metadata"), "public"), "true") == 0;
}

/* p->id stays 0 when there is none yet. What nobody but members saw there is not laid open here. */
static int find_here(struct migration *m, struct project *p, struct err *e)
{
    SCOPED(freep) char *path = xasprintf("/projects?q=name%%3D%s", url_segment(p->to));
    SCOPED(json_decrefp) json_t *found = NULL;
    const json_t *have;

    if (here_list(m, path, &found, e) < 0) {
        return -1;
    }
    have = here_find(found, "name", p->to);
    p->id = json_number(have, "project_id");
    return is_public(have) && !is_public(p->row)
               ? err_set(e, ERR_CONFLICT,
                         "the project is public here and not there: strata project set %s --public "
                         "no, or give it another name, --map %s=NAME",
                         p->to, shell_word(p->name))
               : 0;
}

/* Bytes that it may hold; 0: no limit of its own, or it is not told. */
static int64_t quota_of(struct migration *m, const struct project *p)
{
    SCOPED(freep) char *path = xasprintf("/projects/%s/summary", url_segment(p->name));
    SCOPED(json_decrefp) json_t *summary = NULL;
    struct err e = {0};
    int64_t n;

    if (source_get(m->from, path, &summary, &e) < 0) {
        migrate_note(m, TODO, "project", p->to, "its quota is not told: %s", e.msg);
        return 0;
    }
    n = json_number(json_object_get(json_object_get(summary, "quota"), "hard"), "storage");
    return n > 0 ? n : 0;
}

/* What the rules of the project have not, though those there have it. Of a project that is here
 * already nothing is changed, so that is told. */
static void tell_rules(struct migration *m, const struct project *p, const json_t *here)
{
    static const char *const switches[][2] = {
        {"prevent_vul", "--block SEVERITY --block-unscanned yes"},
        {"auto_scan", "--scan-on-push yes"},
        {"enable_content_trust", "--signed pull"},
        {"enable_content_trust_cosign", "--signed pull"},
    };
    const json_t *there = json_object_get(p->row, "metadata");

    for (size_t i = 0; i < ARRAY_LEN(switches); i++) {
        if (strcmp(json_text(there, switches[i][0]), "true") == 0 &&
            strcmp(json_text(here, switches[i][0]), "true") != 0) {
            migrate_note(m, TODO, "project", p->to,
                         "%s is on there and off here: strata trust set %s -p %s", switches[i][0],
                         switches[i][1], shell_word(p->to));
        }
    }
}

static void tell_there(struct migration *m, const struct project *p)
{
    SCOPED(json_decrefp) json_t *have = NULL;
    struct err e = {0};

    if (client_call(m->c->client, "GET", NULL, &have, &e, "/api/v2.0/projects/%lld",
                    (long long)p->id) < 0) {
        migrate_note(m, FAILED, "project", p->to, "%s", e.msg);
        return;
    }
    tell_rules(m, p, json_object_get(have, "metadata"));
}

/* What its rules need that does not come from there. */
static void tell_needs(struct migration *m, const struct project *p, const json_t *metadata)
{
    if (json_object_get(metadata, "enable_content_trust") != NULL ||
        json_object_get(metadata, "enable_content_trust_cosign") != NULL) {
        migrate_note(m, TODO, "project", p->to,
                     "only signed images are pulled, as there, and signatures count by keys here: "
                     "strata key add NAME FILE -p %s",
                     shell_word(p->to));
    }
    if (json_object_get(metadata, "prevent_vul") != NULL) {
        migrate_note(m, TODO, "project", p->to,
                     "only images that were scanned are pulled, as there, and reports do not come: "
                     "strata scanner add NAME --url URL, and scan them");
    }
    if (json_array_size(json_object_get(json_object_get(p->row, "cve_allowlist"), "items")) > 0 &&
        json_number(json_object_get(p->row, "cve_allowlist"), "expires_at") > 0) {
        migrate_note(m, TODO, "project", p->to,
                     "its list of allowed findings ends one day there, which one here cannot: "
                     "strata trust set --allow ID -p %s",
                     shell_word(p->to));
    }
}

/* false: told of, and nothing more is to be done with it. Its rules are there from the first: what
 * may not be pulled there may not be pulled here either. */
static bool make_project(struct migration *m, struct project *p)
{
    int64_t quota = quota_of(m, p);
    SCOPED(json_decrefp) json_t *body = translate_metadata(p->row);
    struct err e = {0};

    (void)json_object_set_new(body, "project_name", json_string(p->to));
    if (quota > 0) {
        (void)json_object_set_new(body, "storage_limit", json_integer(quota));
    }
    if (!here_add(m, "project", p->to, "/projects", body)) {
        return false;
    }
    tell_needs(m, p, json_object_get(body, "metadata"));
    if (!m->is_dry && find_here(m, p, &e) < 0) {
        migrate_note(m, FAILED, "project", p->to, "%s", e.msg);
    }
    return m->is_dry || p->id != 0;
}

static bool is_legal(struct migration *m, const struct project *p)
{
    SCOPED(freep) char *full = xasprintf("%s/x", p->to);
    struct err e = {0};

    if (strchr(p->to, '/') == NULL && strlen(p->to) <= LIMIT_NAME_BYTES &&
        name_check(str_of(full), &e) == 0) {
        return true;
    }
    migrate_note(m, FAILED, "project", p->name,
                 "no project here can be called so (lower-case letters and digits, joined by '.', "
                 "'_' or '-', at most %d): give it another name, --map %s=NAME",
                 LIMIT_NAME_BYTES, shell_word(p->name));
    return false;
}

static int bring_project(void *ctx, const json_t *row, struct err *e)
{
    struct migration *m = ctx;
    const char *name = json_text(row, "name"), *to = migrate_map(m, name);
    struct project p = {
        .name = name, .to = to ? to : name, .there_id = json_number(row, "project_id"), .row = row};
    struct err why = {0};
    int64_t waits;

    if (json_number(row, "registry_id") > 0) {
        migrate_note(m, SKIPPED, "project", name,
                     "it is a cache of another registry: strata project create %s --proxy "
                     "REGISTRY; what it holds comes again by itself",
                     shell_word(p.to));
        return 0;
    }
    if (!is_legal(m, &p)) {
        return 0;
    }
    if (find_here(m, &p, &why) < 0) {
        migrate_note(m, FAILED, "project", p.to, "%s", why.msg);
        return 0;
    }
    if (p.id != 0) {
        migrate_note(m, THERE, "project", p.to, "%s", "");
        tell_there(m, &p);
    } else if (!make_project(m, &p)) {
        return 0;
    }
    migrate_members(m, &p);
    migrate_robots(m, &p);
    waits = m->counts[FAILED] - m->never;
    migrate_labels(m, &p);
    if (migrate_images(m, &p, &why) < 0) {
        if (why.kind == ERR_UNAVAILABLE || why.kind == ERR_TIMEOUT || why.kind == ERR_NO_SPACE ||
            why.kind == ERR_THROTTLED) {
            *e = why;
            return err_wrap(e, "cut short (run it again, and it goes on)");
        }
        migrate_note(m, FAILED, "images", p.to, "%s", why.msg);
    }
    /* Rules about the newest would count what came late as new. What never comes is not waited for.
     */
    if (m->counts[FAILED] - m->never > waits) {
        migrate_note(m, TODO, "policies", p.to,
                     "rules and webhooks wait until all images are here: run it again");
    } else {
        migrate_policies(m, &p);
    }
    return 0;
}

/* The list of the system, where there is none here. A Harbor may have none to tell. */
static void bring_allowlist(struct migration *m)
{
    SCOPED(json_decrefp) json_t *there = NULL;
    SCOPED(json_decrefp) json_t *here = NULL;
    SCOPED(json_decrefp) json_t *body = NULL;
    struct err e = {0};
    bool is_told = source_get(m->from, "/system/CVEAllowlist", &there, &e) == 0;

    if (!is_told && (e.kind == ERR_UNAVAILABLE || e.kind == ERR_TIMEOUT)) {
        migrate_note(m, FAILED, "allowlist", "system", "%s", e.msg);
    }
    body = is_told ? translate_allowlist(there) : NULL;
    if (body == NULL) {
        return;
    }
    if (client_call(m->c->client, "GET", NULL, &here, &e, "/api/v2.0/system/CVEAllowlist") < 0) {
        migrate_note(m, FAILED, "allowlist", "system", "%s", e.msg);
    } else if (json_array_size(json_object_get(here, "items")) > 0) {
        migrate_note(m, THERE, "allowlist", "system", "%s", "");
    } else if (m->is_dry) {
        migrate_note(m, WOULD, "allowlist", "system", "%s", "");
    } else if (client_call(m->c->client, "PUT", body, NULL, &e, "/api/v2.0/system/CVEAllowlist") <
               0) {
        migrate_refused(m, "allowlist", "system", &e);
    } else {
        migrate_note(m, BROUGHT, "allowlist", "system", "%s", "");
    }
}

struct wanted {
    struct migration *m;
    const char *name;
    bool found;
};

static int bring_wanted(void *ctx, const json_t *row, struct err *e)
{
    struct wanted *w = ctx;

    if (w->found || strcmp(json_text(row, "name"), w->name) != 0) {
        return 0;
    }
    w->found = true;
    return bring_project(w->m, row, e);
}

/* Those of --project, or all and what belongs to none. */
static int bring_all(struct migration *m, struct err *e)
{
    struct wanted w = {.m = m};

    for (size_t i = 0; (w.name = cli_option_nth(m->c, "project", i)) != NULL; i++) {
        SCOPED(freep) char *path = xasprintf("/projects?q=name%%3D%s", url_segment(w.name));

        w.found = false;
        if (source_each(m->from, path, bring_wanted, &w, e) < 0) {
            return -1;
        }
        if (!w.found) {
            migrate_note(m, FAILED, "project", w.name, "the Harbor has none of this name");
        }
    }
    if (cli_option(m->c, "project")) {
        return 0;
    }
    migrate_labels(m, NULL);
    bring_allowlist(m);
    if (source_each(m->from, "/projects", bring_project, m, e) < 0) {
        return -1;
    }
    migrate_robots(m, NULL);
    migrate_replication(m);
    return 0;
}

/* --- options --- */

static int read_maps(struct migration *m, struct err *e)
{
    const char *one;

    for (size_t i = 0; (one = cli_option_nth(m->c, "map", i)) != NULL; i++) {
        const char *sign = strchr(one, '=');
        SCOPED(freep) char *old = sign ? xstrndup(one, (size_t)(sign - one)) : NULL;

        if (old == NULL || old[0] == '\0' || sign[1] == '\0' ||
            (strchr(old, '/') != NULL) != (strchr(sign, '/') != NULL)) {
            return err_set(e, ERR_INVALID,
                           "--map is OLD=NEW, both projects or both PROJECT/REPOSITORY, not "
                           "'%.200s'",
                           one);
        }
        if (json_object_set_new(m->maps, old, json_string(sign + 1)) < 0) {
            return err_set(e, ERR_INVALID, "--map: names are UTF-8");
        }
    }
    return 0;
}

static int read_password(struct cli *c, struct buf *out, struct err *e)
{
    const char *of_environment = getenv("STRATA_HARBOR_PASSWORD");

    if (cli_option(c, "user") == NULL) {
        return 0;
    }
    if (of_environment != NULL && of_environment[0] && !cli_option(c, "password-stdin")) {
        return buf_add_c(out, of_environment) < 0
                   ? err_set(e, ERR_LIMIT, "STRATA_HARBOR_PASSWORD is too long")
                   : 0;
    }
    return ask_password(c, out, e);
}

static int read_trust(struct cli *c, struct buf *pem, struct fetch_options *out, struct err *e)
{
    const char *file = cli_option(c, "ca"), *insecure = cli_option(c, "insecure");

    if (insecure && strcmp(insecure, "yes") != 0 && strcmp(insecure, "no") != 0) {
        return err_set(e, ERR_INVALID, "--insecure is yes or no, not '%.40s'", insecure);
    }
    if (file && fs_read(AT_FDCWD, file, pem, e) < 0) {
        return -1;
    }
    out->ca_pem = file ? pem->p : NULL;
    out->insecure = insecure && insecure[0] == 'y';
    return 0;
}

static int open_source(struct migration *m, const char *password, const struct fetch_options *trust,
                       struct err *e)
{
    const char *given = cli_option(m->c, "from-harbor");
    /* A password does not go unencrypted unless that is said. */
    SCOPED(freep)
    char *full = strstr(given, "://") ? xstrdup(given) : xasprintf("https://%s", given);
    SCOPED(freep) char *url = client_base_url(full);
    const char *user = cli_option(m->c, "user");
    struct source_options api = {.url = url, .user = user, .password = password, .fetch = *trust};
    struct remote_options images = {.url = url,
                                    .user = user,
                                    .password = password,
                                    .fetch = *trust,
                                    .stays = !cli_option(m->c, "follow-redirects")};

    m->from = source_open(&api, e);
    m->images_from = m->from ? remote_open(&images, e) : NULL;
    return m->images_from ? 0 : -1;
}

/* Before anything is made: it is a Harbor, and takes this user and password. */
static int check_source(struct migration *m, struct err *e)
{
    SCOPED(json_decrefp) json_t *info = NULL;

    if (source_get(m->from, "/systeminfo", &info, e) < 0) {
        return e->kind == ERR_UNAUTHENTICATED ? -1 : err_wrap(e, "is this a Harbor?");
    }
    return remote_ping(m->images_from, e);
}

static int open_all(struct migration *m, struct err *e)
{
    SCOPED(buf_done) struct buf password = BUF_MAX(4 * KIB);
    SCOPED(buf_done) struct buf pem = BUF_MAX(64 * KIB);
    SCOPED(freep) char *spool = transfer_spool(m->c);
    struct fetch_options trust = {0};
    struct transfer_options t = {.spool = spool};
    int result;

    if (read_maps(m, e) < 0 || read_trust(m->c, &pem, &trust, e) < 0 ||
        read_password(m->c, &password, e) < 0) {
        return -1;
    }
    result = open_source(m, password.p, &trust, e);
    if (password.p) {
        explicit_bzero(password.p, password.len);
    }
    if (result < 0 || check_source(m, e) < 0 || (m->images_to = transfer_here(m->c, e)) == NULL) {
        return -1;
    }
    t.from = m->images_from;
    t.to = m->images_to;
    m->transfer = transfer_open(&t, e);
    return m->transfer ? migrate_secrets_open(m, cli_option(m->c, "secrets"), e) : -1;
}

static void close_all(struct migration *m)
{
    transfer_close(m->transfer);
    remote_close(m->images_from);
    remote_close(m->images_to);
    source_close(m->from);
    closep(&m->secrets_fd);
    json_decref(m->maps);
    json_decref(m->rows);
    json_decref(m->secrets);
    json_decref(m->known);
    json_decref(m->robot_rights);
    json_decref(m->labels_here);
    json_decref(m->project_labels_here);
    json_decref(m->label_names);
}

/* What was done is told of also when the rest could not be. */
int verb_image_migrate(struct cli *c, struct err *e)
{
    struct migration m = {.c = c,
                          .is_dry = cli_option(c, "dry-run") != NULL,
                          .maps = json_object(),
                          .rows = json_array(),
                          .secrets = json_array(),
                          .label_names = json_object(),
                          .secrets_fd = -1};
    int result;

    if (cli_option(c, "from-harbor") == NULL) {
        result = err_set(e, ERR_INVALID, "--from-harbor says which: https://harbor.example");
    } else {
        result = open_all(&m, e);
    }
    if (result == 0) {
        result = bring_all(&m, e);
        tell(&m);
    }
    close_all(&m);
    return result;
}
