#include "net/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct arena a;
static struct err e;

static int nothing(struct http_req *r UNUSED, struct err *err UNUSED)
{
    return 0;
}

static const struct route routes[] = {
    {HTTP_GET, "/", PERM_PUBLIC, nothing, "root", .flags = 0},
    {HTTP_GET, "/v2/", PERM_PUBLIC, nothing, "version", .flags = 0},
    {HTTP_GET, "/v2/{repo...}/manifests/{ref}", PERM_PUBLIC, nothing, "manifest", .flags = 0},
    {HTTP_HEAD, "/v2/{repo...}/manifests/{ref}", PERM_PUBLIC, nothing, "manifest head", .flags = 0},
    {HTTP_PATCH, "/v2/{repo...}/blobs/uploads/{id}", PERM_PUBLIC, nothing, "upload", .flags = 0},
    {HTTP_GET, "/v2/{repo...}/blobs/{digest}", PERM_PUBLIC, nothing, "blob", .flags = 0},
    {HTTP_GET, "/p/{p}/jobs/{id}", PERM_PUBLIC, nothing, "job", .flags = 0},
    {HTTP_GET, "/p/{p}/jobs/all", PERM_PUBLIC, nothing, "all jobs", .flags = 0},
    {HTTP_DELETE, "/p/{p}/jobs/{id}", PERM_PUBLIC, nothing, "end job", .flags = 0},
    {HTTP_GET, "/p/{p}/tree", PERM_PUBLIC, nothing, "tree", .flags = 0},
    {HTTP_GET, "/p/{p}/tree/{path...}", PERM_PUBLIC, nothing, "below", .flags = 0},
    {HTTP_GET, "/raw/{path...}", PERM_PUBLIC, nothing, "raw", .flags = ROUTE_RAW_PATH},
    {0},
};
static const struct http_mount mount = {.routes = routes};
static struct route_table *table;

static int setup(void **state)
{
    (void)state;
    table = route_table_new(&mount, 1, &e);
    return table ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    route_table_free(table);
    arena_done(&a);
    return 0;
}

/* The summary of the route, or NULL. */
static const char *find(enum http_method method, const char *target, struct route_match *m)
{
    struct url u;

    if (url_parse(&a, str_of(target), &u, &e) < 0) {
        return "bad url";
    }
    route_find(table, method, &u, m);
    return m->route ? m->route->summary : NULL;
}

static void assert_param(const struct route_match *m, size_t i, const char *name, const char *value)
{
    assert_true(i < m->n_params);
    assert_true(str_eq_c(m->params[i].name, name));
    assert_true(str_eq_c(m->params[i].value, value));
}

static void more_literal_text_wins(void **state)
{
    struct route_match m;

    (void)state;
    assert_string_equal(find(HTTP_GET, "/p/x/jobs/all", &m), "all jobs");
    assert_string_equal(find(HTTP_GET, "/p/x/jobs/j-1", &m), "job");
    assert_param(&m, 0, "p", "x");
    assert_param(&m, 1, "id", "j-1");
    assert_string_equal(find(HTTP_DELETE, "/p/x/jobs/all", &m), "end job");
    assert_string_equal(find(HTTP_PATCH, "/v2/a/blobs/uploads/u", &m), "upload");
    assert_null(find(HTTP_GET, "/v2/a/blobs/uploads/u", &m));
    assert_int_equal(m.allowed, 1U << HTTP_PATCH);
}

static void a_parameter_in_the_middle_takes_the_last_fit(void **state)
{
    struct route_match m;

    (void)state;
    assert_string_equal(find(HTTP_GET, "/v2/a/manifests/b/manifests/c", &m), "manifest");
    assert_param(&m, 0, "repo", "a/manifests/b");
    assert_param(&m, 1, "ref", "c");
    assert_null(find(HTTP_GET, "/v2/manifests/c", &m));
}

static void empty_segments_fit_only_where_asked_for(void **state)
{
    struct route_match m;

    (void)state;
    assert_string_equal(find(HTTP_GET, "/", &m), "root");
    assert_string_equal(find(HTTP_GET, "/v2/", &m), "version");
    assert_null(find(HTTP_GET, "/v2", &m));
    assert_null(find(HTTP_GET, "/p/x/tree/", &m));
    assert_null(find(HTTP_GET, "/p//tree", &m));
    assert_string_equal(find(HTTP_GET, "/p/x/tree/a/b", &m), "below");
    assert_param(&m, 1, "path", "a/b");
    assert_string_equal(find(HTTP_GET, "/raw/a//../b/", &m), "raw");
    assert_param(&m, 0, "path", "a//../b/");
}

static void head_uses_its_own_route_or_get(void **state)
{
    struct route_match m;

    (void)state;
    assert_string_equal(find(HTTP_HEAD, "/v2/a/manifests/b", &m), "manifest head");
    assert_string_equal(find(HTTP_HEAD, "/p/x/tree", &m), "tree");
}

static void another_method_is_told_apart_from_nothing(void **state)
{
    struct route_match m;

    (void)state;
    assert_null(find(HTTP_PUT, "/p/x/jobs/1", &m));
    assert_int_equal(m.allowed, 1U << HTTP_GET | 1U << HTTP_DELETE);
    assert_null(find(HTTP_PUT, "/v2/nothing", &m));
    assert_int_equal(m.allowed, 0);
    assert_ptr_equal(m.mount, &mount); /* its neighbours give the error format */
    assert_null(find(HTTP_PUT, "/elsewhere", &m));
    assert_null(m.mount);
}

static void malformed_patterns_are_refused_at_start(void **state)
{
    static const char *const bad[] = {"", "x", "/{a...}/{b...}",
                                      "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        const struct route rows[] = {{HTTP_GET, bad[i], PERM_PUBLIC, nothing, "", .flags = 0}, {0}};
        const struct http_mount m = {.routes = rows};

        assert_null(route_table_new(&m, 1, &e));
        assert_int_equal(e.kind, ERR_INTERNAL);
    }
}

static void paths_are_decoded_and_their_oddities_flagged(void **state)
{
    static const struct {
        const char *target, *path;
        unsigned flags;
    } cases[] = {
        {"/a%20b/%41?x", "/a b/A", 0},
        {"/a%2Fb", "/a/b", URL_HAS_SLASH},
        {"/a/%2e%2E/b", "/a/../b", URL_HAS_DOTS},
        {"//a", "//a", URL_HAS_EMPTY},
        {"/a/", "/a/", URL_ENDS_IN_SLASH},
        {"http://h:1?q", "/", URL_ENDS_IN_SLASH},
    };
    struct url u;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(url_parse(&a, str_of(cases[i].target), &u, &e), 0);
        assert_true(str_eq_c(u.path, cases[i].path));
        assert_int_equal(u.flags, cases[i].flags);
    }
}

static void bad_targets_are_refused(void **state)
{
    static const char *const bad[] = {"a",    "/%",       "/%4",       "/%zz",
                                      "/%00", "ftp://h/", "http:///x", "http://u@h/"};
    struct url u;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(url_parse(&a, str_of(bad[i]), &u, &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
    }
}

static void forms_are_decoded(void **state)
{
    const struct http_param *p;
    size_t n;

    (void)state;
    assert_int_equal(url_parse_form(&a, STR("a=1&&b+c=%26+d&e&=f"), &p, &n, &e), 0);
    assert_int_equal(n, 4);
    assert_true(str_eq_c(p[1].name, "b c") && str_eq_c(p[1].value, "& d"));
    assert_true(str_eq_c(p[2].name, "e") && p[2].value.len == 0);
    assert_int_equal(url_parse_form(&a, STR("a=%"), &p, &n, &e), -1);
}

static void permissions_have_names(void **state)
{
    enum perm p;

    (void)state;
    for (int i = 0; i < PERM_COUNT; i++) {
        assert_int_equal(perm_parse(str_of(perm_name((enum perm)i)), &p, &e), 0);
        assert_int_equal(p, i);
    }
    assert_int_equal(perm_where(PERM_JOB_READ), PERM_WHERE_PROJECT);
    assert_int_equal(perm_parse(STR("job:reed"), &p, &e), -1);
    assert_non_null(strstr(e.msg, "job:read"));
}

static void an_unknown_path_has_the_errors_of_its_nearest_neighbours(void **state)
{
    static const struct route ours[] = {
        {HTTP_GET, "/api/v1/jobs", PERM_PUBLIC, nothing, "ours", .flags = 0}, {0}};
    static const struct route theirs[] = {
        {HTTP_GET, "/api/v2.0/longer/and/longer", PERM_PUBLIC, nothing, "theirs", .flags = 0}, {0}};
    static const struct http_mount mounts[] = {{.routes = ours}, {.routes = theirs}};
    struct route_table *t = route_table_new(mounts, 2, &e);
    struct route_match m;
    struct url u;

    (void)state;
    assert_non_null(t);
    assert_int_equal(url_parse(&a, STR("/api/v1/nowhere"), &u, &e), 0);
    route_find(t, HTTP_GET, &u, &m);
    assert_ptr_equal(m.mount, &mounts[0]);
    assert_int_equal(url_parse(&a, STR("/api/v2.0/nowhere"), &u, &e), 0);
    route_find(t, HTTP_GET, &u, &m);
    assert_ptr_equal(m.mount, &mounts[1]);
    route_table_free(t);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(more_literal_text_wins),
        cmocka_unit_test(a_parameter_in_the_middle_takes_the_last_fit),
        cmocka_unit_test(empty_segments_fit_only_where_asked_for),
        cmocka_unit_test(head_uses_its_own_route_or_get),
        cmocka_unit_test(another_method_is_told_apart_from_nothing),
        cmocka_unit_test(malformed_patterns_are_refused_at_start),
        cmocka_unit_test(paths_are_decoded_and_their_oddities_flagged),
        cmocka_unit_test(bad_targets_are_refused),
        cmocka_unit_test(forms_are_decoded),
        cmocka_unit_test(permissions_have_names),
        cmocka_unit_test(an_unknown_path_has_the_errors_of_its_nearest_neighbours),
    };

    return cmocka_run_group_tests(all, setup, teardown);
}
