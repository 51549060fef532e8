/* import_url - a file from the web. */
#include "algorithms/modules/importing.h"
#include "algorithms/modules/modules.h"

static const struct port outputs[] = {
    {"file", VALUE_FILE, 0, "The bytes as they came: connect it to read_csv, read_parquet, ..."},
    {0},
};

static const struct param params[] = {
    {"url", PARAM_TEXT, NULL, 0, 0, NULL, "Where the file lies: http:// or https://."},
    {"auth", PARAM_CHOICE, "none", 0, 0, "none|bearer|basic|header",
     "What the secret is: a bearer token, user:password, or the value of the header auth_header."},
    IMPORT_SECRET("The name of the project's secret that is shown to the server."),
    {"auth_header", PARAM_TEXT, "X-API-Key", 0, 0, NULL,
     "The header that carries the secret when auth is header."},
    {"headers", PARAM_TEXT, "", 0, 0, NULL,
     "More headers of the request, one a line: Name: value. Everybody can read them here."},
    {"sha256", PARAM_TEXT, "", 0, 0, NULL,
     "What the SHA-256 of the file must be, as 64 hexadecimal digits; then it is brought once "
     "only."},
    IMPORT_MAX_SIZE,
    IMPORT_RETRIES,
    {0},
};

static bool is_hex(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f'))) {
            return false;
        }
    }
    return s.len == 64;
}

/* RFC 9110 5.6.2: a token. */
static bool is_header_name(struct str s)
{
    static const struct str more = {"!#$%&'*+-.^_`|~", 15};

    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (!letter && str_find_char(more, c) < 0) {
            return false;
        }
    }
    return s.len > 0 && s.len <= 128;
}

static void check_headers(struct check *c)
{
    struct str rest = step_text(&c->step, "headers");
    size_t n = 0;

    while (rest.p && rest.len > 0) {
        struct str line = str_trim(str_cut(&rest, '\n')), value = line;
        struct str name = str_cut(&value, ':');

        if (line.len == 0) {
            continue;
        }
        if (value.p == NULL || !is_header_name(name) || ++n > 16) {
            check_mistake(c, NULL, "headers", NULL,
                          n > 16 ? "more than 16 headers" : "write each header as Name: value");
            return;
        }
        if (str_eq_nocase(name, STR("authorization")) || str_eq_nocase(name, STR("cookie"))) {
            check_mistake(c, NULL, "headers", NULL,
                          "everybody who sees the pipeline sees the header: put it into a secret");
        }
    }
}

static void check(struct check *c)
{
    struct str sum = step_text(&c->step, "sha256");

    import_check_url(c, "url");
    import_check_size(c);
    import_check_secret(c, step_choice(&c->step, "auth") > 0, "auth");
    check_headers(c);
    if (!is_header_name(step_text(&c->step, "auth_header"))) {
        check_mistake(c, NULL, "auth_header", NULL, "it is no name of a header");
    }
    if (sum.len > 0 && !is_hex(sum)) {
        check_mistake(c, NULL, "sha256", NULL, "a SHA-256 has 64 digits of 0-9 and a-f");
    }
}

const struct module module_import_url = {
    .name = "import_url",
    .title = "Import from the web",
    .description = "Brings a file by HTTP or HTTPS, as it is. The server fetches it, so that no "
                   "computing step needs the network; what follows is spared when it has not "
                   "changed.",
    .category = "data",
    .version = "1.0.0",
    .inputs = (const struct port[]){{0}},
    .outputs = outputs,
    .params = params,
    .flags = MODULE_NETWORK,
    .run = import_is_of_pipelines,
    .check = check,
};
