#include "algorithms/modules/importing.h"

int import_is_of_pipelines(struct step *s, struct err *e)
{
    return err_set(e, ERR_INVALID,
                   "%s reads the network, which this program never does: run it in a pipeline",
                   s->module->name);
}

void import_check_size(struct check *c)
{
    struct str text = step_text(&c->step, "max_size");
    struct err e = {0};
    int64_t bytes = 0;

    if (str_parse_bytes(text, &bytes, &e) < 0 || bytes <= 0) {
        check_mistake(c, NULL, "max_size", NULL, "'%.*s' is no size: write 512Mi or 2G",
                      STR_ARG(str_first(text, 60)));
    }
}

void import_check_one(struct check *c, const char *a, const char *b)
{
    bool has_a = step_text(&c->step, a).len > 0, has_b = step_text(&c->step, b).len > 0;

    if (has_a == has_b) {
        check_mistake(c, NULL, a, NULL, has_a ? "give %s or %s, not both" : "give %s or %s", a, b);
    }
}

void import_check_url(struct check *c, const char *param)
{
    struct str url = step_text(&c->step, param), rest = url, host;
    bool http = str_starts(url, STR("http://")), https = str_starts(url, STR("https://"));

    if (!http && !https) {
        check_mistake(c, NULL, param, NULL, "'%.*s' is no address of http:// or https://",
                      STR_ARG(str_first(url, 100)));
        return;
    }
    rest = str_from(url, http ? 7 : 8);
    host = str_cut(&rest, '/');
    if (host.len == 0) {
        check_mistake(c, NULL, param, NULL, "the address names no host");
    } else if (str_find_char(host, '@') >= 0) {
        check_mistake(c, NULL, param, NULL,
                      "everybody who sees the pipeline sees the address: put the password into a "
                      "secret of the project, and its name into 'secret'");
    }
}

void import_check_secret(struct check *c, bool is_needed, const char *what_for)
{
    struct str name = step_text(&c->step, "secret");

    if (is_needed && name.len == 0) {
        check_mistake(c, NULL, "secret", NULL, "%s needs the name of a secret of the project",
                      what_for);
    }
}
