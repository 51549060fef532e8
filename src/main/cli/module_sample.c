/* What a module is tried on when nobody brings a table: a small one, and words that fit it. */
#include "main/cli/pipeline.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS = 120 };

/* Days go on by one; label and target follow x1 and x2. */
void module_sample_csv(struct buf *out)
{
    static const char *const kinds[] = {"red", "green", "blue"};
    static const char *const words[] = {"quick brown fox", "lazy dog", "brown dog", "quick cat"};
    uint32_t chance = 12345;

    (void)buf_add_c(out, "row,day,x1,x2,kind,words,user,item,target,label,guess\n");
    for (int i = 0; i < ROWS; i++) {
        double x[2];
        bool yes;

        for (int k = 0; k < 2; k++) {
            chance = chance * 1664525U + 1013904223U;
            x[k] = (double)(chance >> 8) / (1 << 24);
        }
        yes = x[0] + x[1] > 1;
        (void)buf_printf(out, "%d,2024-%02d-%02d,%.4f,", i + 1, 1 + i / 28, 1 + i % 28, x[0]);
        (void)buf_printf(out, "%.4f,%s,%s,%d,%d,%.4f,%s,%s\n", x[1], kinds[i % 3], words[i % 4],
                         1 + i % 10, 1 + i % 7, 10 + 5 * x[0] - 3 * x[1] + 2 * (i % 7),
                         yes ? "yes" : "no", yes == (i % 9 != 0) ? "yes" : "no");
    }
}

/* --- words --- */

static const char *label_of(const json_t *module)
{
    const char *name = json_text(module, "name"), *category = json_text(module, "category");

    return strcmp(category, "regression") == 0 || strstr(name, "regress") || strstr(name, "fore")
               ? strcmp(name, "logistic_regression") == 0 ? "label" : "target"
               : "label";
}

/* For a parameter that must be given, by its name; NULL: nobody knows. */
static const char *word_for(const json_t *module, const char *param)
{
    static const char *const known[][2] = {{"path", SAMPLE_VOLUME ":sample.csv"},
                                           {"columns", "row,x1,kind"},
                                           {"keys", "kind"},
                                           {"by", "x1"},
                                           {"expr", "x1 > 0.5"},
                                           {"exprs", "z = x1 * 2"},
                                           {"query", "SELECT kind, x1 FROM t1"},
                                           {"col", "words"},
                                           {"items_col", "words"},
                                           {"user_col", "user"},
                                           {"item_col", "item"},
                                           {"value_col", "target"},
                                           {"learner", "decision_tree"},
                                           {"space", "max_depth=2,3"}};

    if (strcmp(param, "label_col") == 0) {
        return label_of(module);
    }
    if (strcmp(param, "path") == 0 && strcmp(json_text(module, "name"), "read_csv") != 0) {
        return NULL; /* of another kind than the sample */
    }
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (strcmp(param, known[i][0]) == 0) {
            return known[i][1];
        }
    }
    return NULL;
}

/* What a judge looks at, which predict would have made. */
static const char *judged_word(const json_t *module, const char *param)
{
    if (!str_starts(str_of(json_text(module, "name")), STR("evaluate_"))) {
        return NULL;
    }
    if (strcmp(param, "pred_col") == 0) {
        return strcmp(label_of(module), "label") == 0 ? "guess" : "x1";
    }
    return strcmp(param, "prob_col") == 0      ? "x1"
           : strcmp(param, "cluster_col") == 0 ? "item"
                                               : NULL;
}

static json_t *params_of(const struct cli *c, const json_t *module, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = json_object();
    json_t *given;
    const json_t *p;
    size_t i;

    if (pipeline_read_params((struct cli *)c, body, e) < 0) {
        return NULL;
    }
    given = json_object_get(body, "params");
    json_array_foreach(json_object_get(module, "params"), i, p)
    {
        const char *name = json_text(p, "name");
        const char *word = json_is_true(json_object_get(p, "required")) ? word_for(module, name)
                                                                        : judged_word(module, name);

        if (word && json_object_get(given, name) == NULL) {
            (void)json_object_set_new(given, name, json_string(word));
        }
    }
    return json_incref(given);
}

/* --- nodes --- */

static const char *file_for(const struct cli *c, const char *port)
{
    const char *given;

    for (size_t i = 0; (given = cli_option_nth(c, "in", i)); i++) {
        struct str rest = str_of(given), name = str_cut(&rest, '=');

        if (str_eq_c(name, port)) {
            return rest.p ? rest.p : "";
        }
    }
    return NULL;
}

/* What learns the model or the transform that the module wants. */
static json_t *maker(const char *module, const char *type)
{
    bool is_transform = strcmp(type, "transform") == 0;
    const char *name = is_transform                       ? "standard_scaler"
                       : strcmp(module, "recommend") == 0 ? "als"
                       : strcmp(module, "forecast") == 0  ? "holt_winters"
                                                          : "decision_tree";

    return strcmp(name, "als") == 0
               ? json_pack("{s:s,s:{s:s,s:s},s:{s:s}}", "module", name, "params", "user_col",
                           "user", "item_col", "item", "inputs", "train", "sample.table")
           : strcmp(name, "holt_winters") == 0
               ? json_pack("{s:s,s:{s:s},s:{s:s}}", "module", name, "params", "value_col", "target",
                           "inputs", "train", "sample.table")
           : is_transform
               ? json_pack("{s:s,s:{s:s}}", "module", name, "inputs", "table", "sample.table")
               : json_pack("{s:s,s:{s:s,s:s},s:{s:s}}", "module", name, "params", "label_col",
                           "label", "feature_cols", "x1,x2", "inputs", "train", "sample.table");
}

/* "sample.table", and its node; or that of what makes a model. */
static char *source_for(const struct cli *c, json_t *nodes, const json_t *module,
                        const json_t *port)
{
    const char *name = json_text(port, "name"), *type = json_text(port, "type");
    bool is_given = file_for(c, name) != NULL;
    SCOPED(freep) char *node = is_given ? xasprintf("in_%s", name) : xstrdup("sample");
    SCOPED(freep)
    char *path = xasprintf(SAMPLE_VOLUME ":%s.csv", is_given ? name : "sample");

    (void)json_object_set_new(
        nodes, node, json_pack("{s:s,s:{s:s}}", "module", "read_csv", "params", "path", path));
    if (strcmp(type, "model") != 0 && strcmp(type, "transform") != 0) {
        return xasprintf("%s.table", node);
    }
    (void)json_object_set_new(nodes, type, maker(json_text(module, "name"), type));
    return xasprintf("%s.%s", type, type);
}

json_t *module_sample_document(const struct cli *c, const json_t *module, struct err *e)
{
    SCOPED(json_decrefp) json_t *nodes = json_object();
    SCOPED(json_decrefp) json_t *inputs = json_object();
    SCOPED(json_decrefp) json_t *params = params_of(c, module, e);
    const json_t *port;
    size_t i;

    if (params == NULL) {
        return NULL;
    }
    json_array_foreach(json_object_get(module, "inputs"), i, port)
    {
        const char *name = json_text(port, "name");

        if (!json_is_true(json_object_get(port, "optional")) || file_for(c, name)) {
            SCOPED(freep) char *from = source_for(c, nodes, module, port);

            (void)json_object_set_new(inputs, name, json_string(from));
        }
    }
    (void)json_object_set_new(nodes, "tried",
                              json_pack("{s:O,s:O,s:O}", "module", json_object_get(module, "name"),
                                        "params", params, "inputs", inputs));
    return json_pack("{s:i,s:s,s:O}", "pipeline", 1, "volume", SAMPLE_VOLUME, "nodes", nodes);
}
