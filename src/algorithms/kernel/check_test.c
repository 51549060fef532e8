/* What a graph is told before any run, by the modules' own check functions. */
#include "algorithms/kernel/check.h"
#include "algorithms/modules/module_testing.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

static const struct module *module(const char *name)
{
    struct err e = {0};

    return step_find_module(modules_all, str_of(name), &e);
}

/* The schema of a table written as CSV. */
static struct schema schema_of_csv(const char *csv)
{
    struct value v = testing_table(csv);
    struct schema s;
    struct err e = {0};

    assert_int_equal(schema_of(&s, &v, &e), 0);
    assert_int_equal(s.table->n_rows, 0);
    value_done(&v);
    return s;
}

/* name=value words, ended by NULL. */
static void run_check(struct check *c, const char *name, const struct schema *in,
                      const char *const *params)
{
    check_init(c, module(name));
    if (in) {
        check_set_input(c, str_of(c->step.module->inputs[0].name), in, STR("read.table"));
    }
    for (; params && *params; params++) {
        struct str value = str_of(*params), key = str_cut(&value, '=');

        check_set_param(c, key, value);
    }
    check_run(c);
}

static void a_learner_says_what_its_model_will_be(void **state)
{
    static const char *const params[] = {"label_col=kind", "weight_col=w", NULL};
    struct schema in = schema_of_csv("a,b,w,kind\n1,2,1,x\n3,4,1,y\n");
    struct check c;

    (void)state;
    run_check(&c, "logistic_regression", &in, params);
    assert_int_equal(c.n_mistakes, 0);
    assert_int_equal(c.out[0].type, VALUE_MODEL);
    assert_int_equal(c.out[0].task, TASK_CLASSES);
    assert_string_equal(c.out[0].label, "kind");
    assert_int_equal(c.out[0].label_kind, COLUMN_TEXT);
    assert_int_equal(c.out[0].table->n_columns, 2); /* neither label nor weight */
    check_done(&c);
    schema_done(&in);
}

static void a_wrong_name_comes_with_the_right_one(void **state)
{
    static const char *const params[] = {"label_col=kinds", NULL};
    struct schema in = schema_of_csv("a,b,kind\n1,2,x\n3,4,y\n");
    struct check c;

    (void)state;
    run_check(&c, "logistic_regression", &in, params);
    assert_int_equal(c.n_mistakes, 1);
    assert_string_equal(c.mistakes[0].port, "train");
    assert_string_equal(c.mistakes[0].param, "label_col");
    assert_string_equal(c.mistakes[0].fix_value, "kind");
    assert_non_null(strstr(c.mistakes[0].message, "no column 'kinds'"));
    assert_int_equal(c.out[0].type, VALUE_MODEL); /* its type is certain */
    assert_null(c.out[0].table);
    check_done(&c);
    schema_done(&in);
}

static void text_where_numbers_are_needed_offers_an_encoder(void **state)
{
    static const char *const params[] = {"label_col=kind", "feature_cols=a,city", NULL};
    struct schema in = schema_of_csv("a,city,kind\n1,p,x\n3,q,y\n");
    struct buf out = BUF_MAX(4096);
    struct jw w = JW(&out);
    struct check c;

    (void)state;
    run_check(&c, "logistic_regression", &in, params);
    assert_int_equal(c.n_mistakes, 1);
    jw_array(&w);
    check_mistakes_json(&c, STR("learn"), &w);
    jw_end(&w);
    assert_string_equal(
        out.p, "[{\"node\":\"learn\",\"port\":\"train\",\"param\":\"feature_cols\","
               "\"column\":\"city\",\"message\":\"column 'city' holds text, and numbers are needed "
               "here: leave it out (@numeric) or encode first (one_hot, "
               "string_index)\",\"fix\":{\"insert\":{\"module\":\"one_hot\",\"port\":\"train\","
               "\"params\":{\"cols\":\"city\"}}}}]");
    buf_done(&out);
    check_done(&c);
    schema_done(&in);
}

static void what_is_not_known_is_no_mistake(void **state)
{
    static const char *const params[] = {"label_col=later", NULL};
    struct schema in = schema_of_csv("a\n1\n");
    struct schema nothing = {0};
    struct check c;

    (void)state;
    in.open = true; /* more columns may come */
    run_check(&c, "logistic_regression", &in, params);
    assert_int_equal(c.n_mistakes, 0);
    assert_true(c.out[0].open);
    check_done(&c);
    run_check(&c, "split", &nothing, NULL);
    assert_int_equal(c.n_mistakes, 0);
    assert_int_equal(c.out[1].type, VALUE_TABLE);
    check_done(&c);
    schema_done(&in);
}

static void ports_and_parameters_are_checked_together(void **state)
{
    static const char *const params[] = {"fraktion=0.5", "fraction=2", NULL};
    struct schema model = {.type = VALUE_MODEL};
    struct check c;

    (void)state;
    run_check(&c, "split", NULL, params);
    assert_int_equal(c.n_mistakes, 3); /* two words, and no table */
    assert_non_null(strstr(c.mistakes[0].message, "did you mean 'fraction'"));
    assert_non_null(strstr(c.mistakes[1].message, "2 is not between 0 and 1"));
    assert_non_null(strstr(c.mistakes[2].message, "input table is not connected"));
    check_done(&c);
    run_check(&c, "split", &model, NULL);
    assert_int_equal(c.n_mistakes, 1);
    assert_non_null(strstr(c.mistakes[0].message, "takes a table, and read.table is a model"));
    check_done(&c);
}

static int open_text(void *ctx, const char *path, struct err *e)
{
    int fd = memfd_create("text", MFD_CLOEXEC);
    const char *text = ctx;

    if (strcmp(path, "there.csv") != 0) {
        (void)close(fd);
        return err_set(e, ERR_NOT_FOUND, "no such file: %s", path);
    }
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    return fd;
}

static void sources_look_at_the_head_of_their_file(void **state)
{
    static const char *const there[] = {"path=there.csv", NULL}, *const gone[] = {"path=x", NULL};
    char text[] = "age,city\n12,Taipei\n40,Tainan\n", broken[] = "age,city\n12,\"Taipei\n";
    struct check c;

    (void)state;
    for (int i = 0; i < 3; i++) {
        check_init(&c, module("read_csv"));
        c.open_file = open_text;
        c.ctx = i == 2 ? broken : text;
        check_set_param(&c, STR("path"), str_from(str_of(i == 1 ? gone[0] : there[0]), 5));
        check_run(&c);
        assert_int_equal(c.n_mistakes, i == 0 ? 0 : 1);
        if (i == 0) {
            assert_int_equal(c.out[0].table->n_columns, 2);
            assert_int_equal(c.out[0].table->columns[1].kind, COLUMN_TEXT);
        } else {
            assert_non_null(strstr(c.mistakes[0].message, i == 1 ? "no such file" : "line 2"));
        }
        check_done(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_learner_says_what_its_model_will_be),
        cmocka_unit_test(a_wrong_name_comes_with_the_right_one),
        cmocka_unit_test(text_where_numbers_are_needed_offers_an_encoder),
        cmocka_unit_test(what_is_not_known_is_no_mistake),
        cmocka_unit_test(ports_and_parameters_are_checked_together),
        cmocka_unit_test(sources_look_at_the_head_of_their_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
