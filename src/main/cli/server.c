/* What administrators see of the server: health, settings, roles, machines, the audit log. */
#include "main/cli/cli.h"

#include "base/limits.h"

/* An answer of one page: as it is with --json, else its items as a table. */
static int show_page(struct cli *c, const char *path, const struct column *columns, size_t n,
                     const char *empty, struct err *e)
{
    SCOPED(json_decrefp) json_t *page = NULL;

    if (client_call(c->client, "GET", NULL, &page, e, "%s", path) < 0) {
        return -1;
    }
    if (!print_json(c, page)) {
        table_print(json_object_get(page, "items"), columns, n, empty);
    }
    return 0;
}

int verb_server_health(struct cli *c, struct err *e)
{
    static const struct column columns[] = {{"CHECK", "check", COLUMN_TEXT},
                                            {"LEVEL", "level", COLUMN_TEXT},
                                            {"FOUND", "found", COLUMN_TEXT},
                                            {"TO MEND IT", "mend", COLUMN_TEXT}};

    return show_page(c, "/api/v1/health", columns, ARRAY_LEN(columns), "No checks.", e);
}

int verb_server_settings(struct cli *c, struct err *e)
{
    static const struct column columns[] = {{"KEY", "key", COLUMN_TEXT},
                                            {"VALUE", "value", COLUMN_TEXT},
                                            {"DEFAULT", "default", COLUMN_TEXT},
                                            {"CHANGED", "changed", COLUMN_YES}};

    return show_page(c, "/api/v1/settings", columns, ARRAY_LEN(columns), "No settings.", e);
}

/* A role a line, with what it may do. */
static void print_roles(const json_t *roles)
{
    const char *role;
    const json_t *permissions, *one;
    size_t i;

    json_object_foreach((json_t *)(uintptr_t)roles, role, permissions)
    {
        print_safe(stdout, str_of(role));
        (void)printf(":");
        json_array_foreach(permissions, i, one)
        {
            (void)putchar(' ');
            print_safe(stdout, str_of(json_string_value(one)));
        }
        (void)putchar('\n');
    }
}

int verb_role_list(struct cli *c, struct err *e)
{
    SCOPED(json_decrefp) json_t *table = NULL;

    if (client_call(c->client, "GET", NULL, &table, e, "/api/v1/permissions") < 0) {
        return -1;
    }
    if (!print_json(c, table)) {
        print_roles(json_object_get(table, "roles"));
    }
    return 0;
}

static int add_query(struct buf *path, const char *name, const char *value)
{
    return value ? buf_printf(path, "&%s=%s", name, url_segment(value)) : 0;
}

int verb_audit(struct cli *c, struct err *e)
{
    static const struct column columns[] = {
        {"AT", "at", COLUMN_TEXT},           {"USER", "user", COLUMN_TEXT},
        {"METHOD", "method", COLUMN_TEXT},   {"PATH", "path", COLUMN_TEXT},
        {"STATUS", "status", COLUMN_NUMBER}, {"FROM", "peer", COLUMN_TEXT}};
    static const char *const filters[] = {"user", "since", "until"};
    const char *limit = cli_option(c, "limit");
    SCOPED(buf_done) struct buf path = BUF_MAX(LIMIT_TARGET_BYTES);
    int rc = buf_printf(&path, "/api/v1/audit?limit=%s", limit ? url_segment(limit) : "50");

    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(filters); i++) {
        rc = add_query(&path, filters[i], cli_option(c, filters[i]));
    }
    if (rc < 0 || add_query(&path, "q", cli_option(c, "filter")) < 0 ||
        add_query(&path, "project", c->project) < 0) {
        return err_set(e, ERR_LIMIT, "the filters are longer than an address may be");
    }
    return show_page(c, path.p, columns, ARRAY_LEN(columns), empty_text(c, "No entries."), e);
}

static int take_export(void *ctx, struct str bytes)
{
    return fwrite(bytes.p, 1, bytes.len, ctx) == bytes.len ? 0 : -1;
}

int verb_audit_export(struct cli *c, struct err *e)
{
    static const char *const filters[] = {"user", "since", "until", "format"};
    SCOPED(buf_done) struct buf path = BUF_MAX(64 * 1024);
    struct client_request q = {.method = "GET", .sink = take_export, .ctx = stdout};
    struct client_answer a = {0};
    int rc;

    (void)buf_printf(&path, "/api/v1/audit/export?");
    for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
        add_query(&path, filters[i], cli_option(c, filters[i]));
    }
    add_query(&path, "q", cli_option(c, "filter"));
    add_query(&path, "project", c->project);
    q.path = buf_str(&path);
    rc = client_send(c->client, &q, &a, e);
    if (rc == 0 && a.status >= 400) {
        rc = client_error(&a, e);
    }
    client_answer_done(&a);
    return rc;
}

int verb_node_list(struct cli *c, struct err *e)
{
    static const struct column columns[] = {{"NAME", "name", COLUMN_TEXT},
                                            {"STATE", "state", COLUMN_TEXT},
                                            {"ARCH", "arch", COLUMN_TEXT},
                                            {"CPU", "cpu_milli", COLUMN_CPU},
                                            {"FREE", "cpu_milli_free", COLUMN_CPU},
                                            {"MEMORY", "memory_bytes", COLUMN_BYTES},
                                            {"FREE", "memory_bytes_free", COLUMN_BYTES},
                                            {"GPU", "gpus", COLUMN_NUMBER},
                                            {"FREE", "gpus_free", COLUMN_NUMBER}};

    return show_page(c, "/api/v1/nodes", columns, ARRAY_LEN(columns), "No nodes.", e);
}
