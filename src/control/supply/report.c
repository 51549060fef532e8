/* What scanners say about an image, in three formats, as one list of findings. */
#include "supply_priv.h"

#include "base/vec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_LOOK = 4096 };

static const char *const severities[SEVERITIES] = {"unknown", "low", "medium", "high", "critical"};

/* What others call them; SARIF's levels are the last three. */
static const struct {
    const char *name;
    enum severity severity;
} aliases[] = {
    {"critical", SEV_CRITICAL}, {"important", SEV_HIGH}, {"high", SEV_HIGH},
    {"moderate", SEV_MEDIUM},   {"medium", SEV_MEDIUM},  {"low", SEV_LOW},
    {"negligible", SEV_LOW},    {"info", SEV_LOW},       {"error", SEV_HIGH},
    {"warning", SEV_MEDIUM},    {"note", SEV_LOW},
};

const char *severity_name(enum severity s)
{
    return severities[s];
}

int severity_parse(struct str text, enum severity *out)
{
    for (int i = 0; i < SEVERITIES; i++) {
        if (str_eq_c(text, severities[i])) {
            *out = (enum severity)i;
            return 0;
        }
    }
    return -1;
}

static enum severity severity_of(struct str text)
{
    for (size_t i = 0; i < ARRAY_LEN(aliases); i++) {
        if (str_eq_nocase(text, str_of(aliases[i].name))) {
            return aliases[i].severity;
        }
    }
    return SEV_UNKNOWN;
}

/* CVSS 3.1 section 5. */
static enum severity severity_of_score(double score)
{
    return score >= 9.0   ? SEV_CRITICAL
           : score >= 7.0 ? SEV_HIGH
           : score >= 4.0 ? SEV_MEDIUM
           : score > 0.0  ? SEV_LOW
                          : SEV_UNKNOWN;
}

static double number_of(const json_t *j)
{
    double d = json_is_string(j) ? strtod(json_string_value(j), NULL) : json_number_value(j);

    return isfinite(d) ? d : 0.0;
}

static struct str text_of(const json_t *object, const char *key)
{
    const json_t *j = json_object_get(object, key);

    return json_is_string(j) ? str_n(json_string_value(j), json_string_length(j)) : STR_EMPTY;
}

/* Not in the middle of a character of UTF-8. */
static struct str shortened_to(struct str s, size_t n)
{
    if (s.len <= n) {
        return s;
    }
    while (n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80) {
        n--;
    }
    return str_first(s, n);
}

static struct str shortened(struct str s)
{
    return shortened_to(s, LIMIT_FINDING_TEXT);
}

/* One text of megabytes may be that of thousands of findings: no more of it is looked at. */
static struct str first_line(struct str s)
{
    struct str beginning = shortened_to(s, LINE_LOOK);

    return str_trim(str_cut(&beginning, '\n'));
}

/* Whoever clicks it shall land on a page. */
static struct str link_of(struct str s)
{
    bool is_web = str_starts(s, STR("https://")) || str_starts(s, STR("http://"));

    return is_web && s.len <= LIMIT_FINDING_TEXT ? s : STR_EMPTY;
}

static int add(struct report *out, struct finding f, struct err *e)
{
    if (f.id.len == 0) {
        return err_set(e, ERR_INVALID, "a finding has no id");
    }
    if (out->n == LIMIT_FINDINGS) {
        return err_set(e, ERR_LIMIT, "the report has more than %d findings", LIMIT_FINDINGS);
    }
    f.id = shortened(f.id);
    f.package = shortened(f.package);
    f.version = shortened(f.version);
    f.fixed = shortened(f.fixed);
    f.title = shortened(first_line(f.title));
    f.link = link_of(f.link);
    out->counts[f.severity]++;
    out->findings[out->n++] = f;
    return 0;
}

/* --- the pluggable scanning API 1.1, "HarborVulnerabilityReport" --- */

static int read_scanner(const json_t *doc, struct report *out, struct err *e)
{
    const json_t *one;
    size_t i;

    const json_t *list = json_object_get(doc, "vulnerabilities");

    out->format = "scanner";
    out->tool = shortened(text_of(json_object_get(doc, "scanner"), "name"));
    if (list != NULL && !json_is_null(list) && !json_is_array(list)) {
        return err_set(e, ERR_INVALID, "vulnerabilities: expected a list");
    }
    json_array_foreach(list, i, one)
    {
        const json_t *link = json_array_get(json_object_get(one, "links"), 0);
        struct finding f = {.id = text_of(one, "id"),
                            .package = text_of(one, "package"),
                            .version = text_of(one, "version"),
                            .fixed = text_of(one, "fix_version"),
                            .title = text_of(one, "description"),
                            .severity = severity_of(text_of(one, "severity"))};

        if (json_is_string(link)) {
            f.link = str_n(json_string_value(link), json_string_length(link));
        }
        if (add(out, f, e) < 0) {
            return err_wrap(e, "vulnerabilities[%zu]", i);
        }
    }
    return 0;
}

/* --- SARIF 2.1.0 --- */

/* Scanners of images have no fields for these there, and write lines into the message. */
static struct str line_of(struct str text, struct str label)
{
    while (text.p != NULL) {
        struct str line = str_cut(&text, '\n');

        if (str_starts(line, label)) {
            return str_trim(str_from(line, label.len));
        }
    }
    return STR_EMPTY;
}

static const json_t *rule_of(const json_t *run, const struct map *rules, struct str id,
                             const json_t *result)
{
    const json_t *index = json_object_get(result, "ruleIndex");
    const json_t *list =
        json_object_get(json_object_get(json_object_get(run, "tool"), "driver"), "rules");
    const json_t *rule = id.len > 0 ? map_get(rules, id) : NULL;

    if (rule == NULL && json_is_integer(index) && json_integer_value(index) >= 0) {
        rule = json_array_get(list, (size_t)json_integer_value(index));
    }
    return rule;
}

static enum severity sarif_severity(const json_t *result, const json_t *rule, struct str message)
{
    const json_t *own = json_object_get(json_object_get(result, "properties"), "security-severity");
    const json_t *score =
        own ? own : json_object_get(json_object_get(rule, "properties"), "security-severity");
    struct str said = line_of(message, STR("Severity:")), level = text_of(result, "level");

    if (severity_of(said) != SEV_UNKNOWN) {
        return severity_of(said);
    }
    if (score != NULL && number_of(score) > 0) {
        return severity_of_score(number_of(score));
    }
    if (level.len == 0) {
        level = text_of(json_object_get(rule, "defaultConfiguration"), "level");
    }
    return severity_of(level.len > 0 ? level : STR("warning")); /* SARIF 3.27.10 */
}

/* What somebody looked at and put aside, and what was no failure. */
static bool does_not_count(const json_t *result)
{
    struct str kind = text_of(result, "kind");

    return json_array_size(json_object_get(result, "suppressions")) > 0 ||
           (kind.len > 0 && !str_eq_c(kind, "fail"));
}

static int read_result(const json_t *run, const struct map *rules, const json_t *result,
                       struct report *out, struct err *e)
{
    struct str message = text_of(json_object_get(result, "message"), "text");
    struct str id = text_of(result, "ruleId");
    const json_t *rule;

    if (does_not_count(result)) {
        return 0;
    }
    if (id.len == 0) {
        id = text_of(json_object_get(result, "rule"), "id");
    }
    rule = rule_of(run, rules, id, result);
    if (id.len == 0) {
        id = text_of(rule, "id");
    }
    return add(
        out,
        (struct finding){.id = id,
                         .package = line_of(message, STR("Package:")),
                         .version = line_of(message, STR("Installed Version:")),
                         .fixed = line_of(message, STR("Fixed Version:")),
                         .link = text_of(rule, "helpUri"),
                         .title = text_of(json_object_get(rule, "shortDescription"), "text").len > 0
                                      ? text_of(json_object_get(rule, "shortDescription"), "text")
                                      : message,
                         .severity = sarif_severity(result, rule, message)},
        e);
}

static int read_run(const json_t *run, struct report *out, struct err *e)
{
    const json_t *driver = json_object_get(json_object_get(run, "tool"), "driver");
    const json_t *result;
    struct map rules = {0};
    json_t *rule;
    size_t i;
    int r = 0;

    if (!json_is_array(json_object_get(run, "results"))) { /* SARIF 3.14.23 */
        return err_set(e, ERR_INVALID,
                       "results: there are none, so nothing was looked for: give the report of a "
                       "run that has ended");
    }
    if (out->tool.len == 0) {
        out->tool = shortened(text_of(driver, "name"));
    }
    json_array_foreach(json_object_get(driver, "rules"), i, rule)
    {
        if (text_of(rule, "id").len > 0) {
            (void)map_put(&rules, text_of(rule, "id"), rule);
        }
    }
    json_array_foreach(json_object_get(run, "results"), i, result)
    {
        r = read_result(run, &rules, result, out, e);
        if (r < 0) {
            err_wrap(e, "results[%zu]", i);
            break;
        }
    }
    map_done(&rules);
    return r;
}

static int read_sarif(const json_t *doc, struct report *out, struct err *e)
{
    const json_t *run;
    size_t i;

    out->format = "sarif";
    if (!str_eq_c(text_of(doc, "version"), "2.1.0")) {
        return err_set(e, ERR_INVALID, "SARIF: version 2.1.0 is taken, not \"%.*s\"",
                       STR_ARG(str_first(text_of(doc, "version"), 20)));
    }
    json_array_foreach(json_object_get(doc, "runs"), i, run)
    {
        if (read_run(run, out, e) < 0) {
            return err_wrap(e, "runs[%zu]", i);
        }
    }
    return 0;
}

/* --- CycloneDX 1.4 to 1.6 --- */

struct component_list {
    const json_t *items;
};

/* By their bom-ref, those inside others too. */
static void note_components(const json_t *doc, struct map *by_ref)
{
    VEC(struct component_list) lists = {0};
    json_t *whole = json_object_get(json_object_get(doc, "metadata"), "component");

    if (text_of(whole, "bom-ref").len > 0) { /* what the document is about: the image itself */
        (void)map_put(by_ref, text_of(whole, "bom-ref"), whole);
    }
    *vec_push(&lists) = (struct component_list){json_object_get(doc, "components")};
    for (size_t n = 0; n < lists.len; n++) {
        const json_t *list = lists.p[n].items;
        json_t *one;
        size_t i;

        json_array_foreach(list, i, one)
        {
            if (text_of(one, "bom-ref").len > 0) {
                (void)map_put(by_ref, text_of(one, "bom-ref"), one);
            }
            if (json_is_array(json_object_get(one, "components"))) {
                *vec_push(&lists) = (struct component_list){json_object_get(one, "components")};
            }
        }
    }
    vec_done(&lists);
}

/* A reference into another document names its part behind '#'. */
static const json_t *component_of(const struct map *by_ref, struct str ref)
{
    ptrdiff_t hash = str_rfind_char(ref, '#');

    return map_get(by_ref, hash >= 0 ? str_from(ref, (size_t)hash + 1) : ref);
}

static enum severity worst_rating(const json_t *v)
{
    enum severity worst = SEV_UNKNOWN;
    const json_t *one;
    size_t i;

    json_array_foreach(json_object_get(v, "ratings"), i, one)
    {
        enum severity said = severity_of(text_of(one, "severity"));

        if (said == SEV_UNKNOWN) {
            said = severity_of_score(number_of(json_object_get(one, "score")));
        }
        worst = said > worst ? said : worst;
    }
    return worst;
}

/* VEX: somebody looked, and it does not concern this image. */
static bool is_dismissed(const json_t *v)
{
    static const char *const states[] = {"not_affected", "false_positive", "resolved",
                                         "resolved_with_pedigree"};
    struct str state = text_of(json_object_get(v, "analysis"), "state");

    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        if (str_eq_c(state, states[i])) {
            return true;
        }
    }
    return false;
}

static struct str fixed_version(const json_t *v, const json_t *affected)
{
    const json_t *one;
    size_t i;

    json_array_foreach(json_object_get(affected, "versions"), i, one)
    {
        if (str_eq_c(text_of(one, "status"), "unaffected")) {
            return text_of(one, "version");
        }
    }
    return first_line(text_of(v, "recommendation"));
}

static int read_vulnerability(const json_t *v, const struct map *by_ref, struct report *out,
                              struct err *e)
{
    const json_t *affects = json_object_get(v, "affects");
    struct finding f = {.id = text_of(v, "id"),
                        .title = text_of(v, "description"),
                        .link = text_of(json_object_get(v, "source"), "url"),
                        .severity = worst_rating(v)};
    size_t n = json_array_size(affects);

    if (is_dismissed(v)) {
        return 0;
    }
    for (size_t i = 0; i < (n > 0 ? n : 1); i++) {
        const json_t *one = json_array_get(affects, i);
        const json_t *component = component_of(by_ref, text_of(one, "ref"));

        f.package = text_of(component, "name");
        f.version = text_of(component, "version");
        f.fixed = fixed_version(v, one);
        if (add(out, f, e) < 0) {
            return -1;
        }
    }
    return 0;
}

static struct str cyclonedx_tool(const json_t *doc)
{
    const json_t *tools = json_object_get(json_object_get(doc, "metadata"), "tools");

    if (json_is_object(tools)) { /* since 1.5 */
        tools = json_object_get(tools, "components");
    }
    return shortened(text_of(json_array_get(tools, 0), "name"));
}

static int read_cyclonedx(const json_t *doc, struct report *out, struct err *e)
{
    struct str version = text_of(doc, "specVersion");
    struct map by_ref = {0};
    const json_t *v;
    size_t i;
    int r = 0;

    out->format = "cyclonedx";
    out->tool = cyclonedx_tool(doc);
    if (!str_eq_c(version, "1.4") && !str_eq_c(version, "1.5") && !str_eq_c(version, "1.6")) {
        return err_set(e, ERR_INVALID, "CycloneDX: specVersion 1.4 to 1.6 is taken, not \"%.*s\"",
                       STR_ARG(str_first(version, 20)));
    }
    if (!json_is_array(json_object_get(doc, "vulnerabilities"))) {
        return err_set(e, ERR_INVALID,
                       "this CycloneDX document is an SBOM without \"vulnerabilities\": attach it "
                       "to the image instead (cosign attach sbom, oras attach)");
    }
    note_components(doc, &by_ref);
    json_array_foreach(json_object_get(doc, "vulnerabilities"), i, v)
    {
        r = read_vulnerability(v, &by_ref, out, e);
        if (r < 0) {
            err_wrap(e, "vulnerabilities[%zu]", i);
            break;
        }
    }
    map_done(&by_ref);
    return r;
}

static int by_severity(const void *a, const void *b)
{
    const struct finding *x = a, *y = b;
    int c = (int)y->severity - (int)x->severity;

    c = c ? c : str_cmp(x->package, y->package);
    return c ? c : str_cmp(x->id, y->id);
}

int report_of_json(struct arena *a, const json_t *doc, struct report *out, struct err *e)
{
    int r;

    *out = (struct report){.tool = STR_EMPTY,
                           .findings = arena_new_array(a, struct finding, LIMIT_FINDINGS)};
    if (str_eq_c(text_of(doc, "bomFormat"), "CycloneDX")) {
        r = read_cyclonedx(doc, out, e);
    } else if (json_is_array(json_object_get(doc, "runs"))) {
        r = read_sarif(doc, out, e);
    } else if (json_is_array(json_object_get(doc, "vulnerabilities")) ||
               json_is_object(json_object_get(doc, "scanner"))) {
        r = read_scanner(doc, out, e);
    } else {
        r = err_set(e, ERR_INVALID,
                    "this is no report: expected SARIF 2.1.0, CycloneDX 1.4 to 1.6 in JSON, or the "
                    "report of a scanner adapter");
    }
    if (r == 0) {
        qsort(out->findings, out->n, sizeof(*out->findings), by_severity);
    }
    return r;
}
