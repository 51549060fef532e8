/* What handlers read of a request, besides its body. */
#include "net/net_priv.h"

#include "base/words.h"

const char *http_method_name(enum http_method m)
{
    static const char *const names[HTTP_METHODS] = {"GET",   "HEAD",   "POST",   "PUT",
                                                    "PATCH", "DELETE", "OPTIONS"};

    return m < HTTP_METHODS ? names[m] : "?";
}

struct str http_header(const struct http_req *r, const char *name)
{
    struct str want = str_of(name);

    for (size_t i = 0; i < r->n_headers; i++) {
        if (str_eq_nocase(r->headers[i].name, want)) {
            return r->headers[i].value;
        }
    }
    return (struct str){NULL, 0};
}

/* "q=0", "q=0.", ... "q=0.000" among parameters. */
static bool weighs_nothing(struct str params)
{
    while (params.p) {
        struct str weight = str_trim(str_cut(&params, ';'));
        bool nothing = true;

        if (!str_starts(weight, STR("q=")) && !str_starts(weight, STR("Q="))) {
            continue;
        }
        for (size_t i = 2; i < weight.len; i++) {
            nothing = nothing && (weight.p[i] == '0' || weight.p[i] == '.');
        }
        return nothing;
    }
    return false;
}

bool http_takes(const struct http_req *r, const char *header, const char *what)
{
    struct str rest = http_header(r, header);

    while (rest.p) {
        struct str params = str_cut(&rest, ','), name = str_trim(str_cut(&params, ';'));

        if (str_eq_nocase(name, str_of(what)) || str_eq_c(name, "*")) {
            return !weighs_nothing(params);
        }
    }
    return false;
}

static struct str find_param(const struct http_param *params, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq_c(params[i].name, name)) {
            return params[i].value;
        }
    }
    return (struct str){NULL, 0};
}

struct str http_query(const struct http_req *r, const char *name)
{
    return find_param(r->query, r->n_query, name);
}

struct str http_path_param(const struct http_req *r, const char *name)
{
    return find_param(r->path_params, r->n_path_params, name);
}

int http_query_i64(const struct http_req *r, const char *name, int64_t def, int64_t min,
                   int64_t max, int64_t *out, struct err *e)
{
    struct str text = http_query(r, name);
    bool negative = text.len > 0 && text.p[0] == '-';
    uint64_t n = 0;
    int64_t value;

    if (text.p == NULL) {
        *out = def;
        return 0;
    }
    if (str_to_u64(negative ? str_from(text, 1) : text, &n) < 0 || n > INT64_MAX) {
        return err_set(e, ERR_INVALID, "?%s=%.*s is not a number", name,
                       STR_ARG(str_first(text, 40)));
    }
    value = negative ? -(int64_t)n : (int64_t)n;
    if (value < min || value > max) {
        return err_set(e, ERR_INVALID, "?%s=%.*s is not between %lld and %lld", name,
                       STR_ARG(str_first(text, 40)), (long long)min, (long long)max);
    }
    *out = value;
    return 0;
}

int http_query_filter(const struct http_req *r, struct str *out, struct err *e)
{
    struct str q = http_query(r, "q");
    struct words w;
    int rc = words_init(&w, q.p ? q : STR_EMPTY, e);

    words_done(&w);
    *out = q.p ? q : STR_EMPTY;
    return rc;
}
