#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "jobs/spec.h"
#include "runtime/runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONG_40 "0123456789012345678901234567890123456789"
#define LONG_NAME LONG_40 LONG_40 LONG_40 LONG_40 LONG_40 LONG_40 LONG_40 /* 280 bytes */
#define HEAD "name: a\nimage: p/r:t\n"

struct parsed {
    struct arena a;
    struct err_list mistakes;
    struct job_spec spec;
    struct err e;
    int rc;
};

static struct parsed parse(struct str text)
{
    struct parsed p = {0};

    p.rc = job_spec_parse(&p.a, text, &p.spec, &p.mistakes, &p.e);
    return p;
}

static void parsed_done(struct parsed *p)
{
    arena_done(&p->a);
    err_list_done(&p->mistakes);
}

static void every_key_of_the_manual_is_read(void **state UNUSED)
{
    struct parsed p = parse(STR("name: digits\n"
                                "project: demo\n"
                                "image: library/strata-ml:latest\n"
                                "command: [strata-ml, chain]\n"
                                "args: [--threads, 2]\n"
                                "env: {OMP_NUM_THREADS: \"2\", EMPTY: \"\", YES: true}\n"
                                "secrets: {API_KEY: my-secret}\n"
                                "workdir: /data\n"
                                "resources: {cpu: 2, memory: 1Gi, gpu: 1, pids: 99}\n"
                                "volumes:\n"
                                "  - {name: digits, path: /data/, mode: rw}\n"
                                "  - {name: other, path: /o}\n"
                                "network: bridge\n"
                                "timeout: 1h\n"
                                "grace: 30s\n"
                                "retries: 3\n"));
    const struct job_spec *s = &p.spec;

    assert_int_equal(p.rc, 0);
    assert_string_equal(s->name, "digits");
    assert_string_equal(s->project, "demo");
    assert_string_equal(s->image, "library/strata-ml:latest");
    assert_string_equal(s->command[1], "chain");
    assert_null(s->command[2]);
    assert_string_equal(s->args[1], "2");
    assert_int_equal(s->n_env, 3);
    assert_string_equal(s->env[1].value, "");
    assert_string_equal(s->env[2].value, "true");
    assert_string_equal(s->secrets[0].name, "API_KEY");
    assert_string_equal(s->secrets[0].value, "my-secret");
    assert_string_equal(s->workdir, "/data");
    assert_int_equal(s->cpu_milli, 2000);
    assert_int_equal(s->memory_bytes, 1LL << 30);
    assert_int_equal(s->gpus, 1);
    assert_int_equal(s->pids, 99);
    assert_int_equal(s->n_volumes, 2);
    assert_string_equal(s->volumes[0].path, "/data");
    assert_false(s->volumes[0].read_only);
    assert_true(s->volumes[1].read_only);
    assert_int_equal(s->network, JOB_NET_BRIDGE);
    assert_int_equal(s->timeout_sec, 3600);
    assert_int_equal(s->grace_sec, 30);
    assert_int_equal(s->retries, 3);
    parsed_done(&p);
}

static void a_job_without_a_name_is_called_like_its_image(void **state UNUSED)
{
    static const char *const rows[][2] = {
        {"image: p/deep/tool:t", "tool"},
        {"image: p/tool@sha256:0", "tool"},
        {"image: p/UP:t\nname: ~", "job"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct parsed p = parse(str_of(rows[i][0]));

        assert_int_equal(p.rc, 0);
        assert_string_equal(p.spec.name, rows[i][1]);
        parsed_done(&p);
    }
}

static void what_is_left_out_has_the_documented_default(void **state UNUSED)
{
    struct parsed p = parse(STR(HEAD "timeout:\nenv: ~\n"));

    assert_int_equal(p.rc, 0);
    assert_null(p.spec.command);
    assert_null(p.spec.args);
    assert_int_equal(p.spec.cpu_milli, 1000);
    assert_int_equal(p.spec.memory_bytes, 512 * MIB);
    assert_int_equal(p.spec.gpus, 0);
    assert_int_equal(p.spec.pids, 1024);
    assert_int_equal(p.spec.timeout_sec, 0);
    assert_int_equal(p.spec.grace_sec, 10);
    assert_int_equal(p.spec.retries, 0);
    assert_int_equal(p.spec.network, JOB_NET_NONE);
    parsed_done(&p);
}

/* One mistake each: where it is, the key, and words that must be in the message. */
static const struct {
    const char *text;
    unsigned line;
    const char *key, *message;
} broken[] = {
    {HEAD "comand: [a]", 3, "comand", "did you mean 'command'?"},
    {HEAD "xyzzyplugh: 1", 3, "xyzzyplugh", "unknown key"},
    {"name: a", 0, "image", "is missing"},
    {"name: Upper\nimage: p/r:t", 1, "name", "'Upper' is no name"},
    {"name: [a]\nimage: p/r:t", 1, "name", "must be a name, but is a list"},
    {"name: -a\nimage: p/r:t", 1, "name", "is no name"},
    {HEAD "project: A", 3, "project", "is no name of a project"},
    {"name: a\nimage: busybox", 2, "image", "write project/repository:tag"},
    {"name: a\nimage: p/r", 2, "image", "write project/repository:tag"},
    {"name: a\nimage: 'p/r:'", 2, "image", "write project/repository:tag"},
    {"name: a\nimage: p/:t", 2, "image", "write project/repository:tag"},
    {HEAD "command: echo hello", 3, "command", "must be a list"},
    {HEAD "command: []", 3, "command", "is empty"},
    {HEAD "command: [a, {b: c}]", 3, "command[1]", "must be a text"},
    {HEAD "command: [\"a\\0b\"]", 3, "command[0]", "NUL byte"},
    {HEAD "args:\n  - a\n  - [b]", 5, "args[1]", "must be a text"},
    {HEAD "env: [A=b]", 3, "env", "must be a map"},
    {HEAD "env: {1A: b}", 3, "env.1A", "no name of a variable"},
    {HEAD "env:\n  A: x\n  B:\n", 5, "env.B", "is empty"},
    {HEAD "env: {A: b}\nsecrets: {A: s}", 4, "secrets", "A is set by env already"},
    {HEAD "secrets: {A: ''}", 3, "secrets", "is no name of a secret"},
    {HEAD "workdir: data", 3, "workdir", "is no absolute path"},
    {HEAD "workdir: /a/../b", 3, "workdir", "holds '..'"},
    {HEAD "workdir: /" LONG_NAME, 3, "workdir", "255 between two slashes"},
    {HEAD "volumes:\n  - {name: a, path: /" LONG_NAME "}", 4, "volumes[0].path", "is too long"},
    {HEAD "volumes:\n  - {name: a, path: //}", 4, "volumes[0].path", "over /"},
    {HEAD "volumes:\n  - {name: a, path: //proc}", 4, "volumes[0].path", "under /proc"},
    {HEAD "volumes:\n  - {name: a, path: /a//b}\n  - {name: b, path: //a/b/}", 5, "volumes[1].path",
     "path of another volume"},
    {HEAD "resources: 2", 3, "resources", "must be a map"},
    {HEAD "resources: {cpus: 2}", 3, "resources.cpus", "did you mean 'cpu'?"},
    {HEAD "resources: {cpu: two}", 3, "resources.cpu", "write 2, 0.5 or 500m"},
    {HEAD "resources: {cpu: 0}", 3, "resources.cpu", "must be 10m"},
    {HEAD "resources: {cpu: -1}", 3, "resources.cpu", "is no amount"},
    {HEAD "resources: {memory: 512MiB, cpu: 1e9}", 3, "resources.cpu", "is no amount"},
    {HEAD "resources:\n  cpu: 1\n  memory: 1Gb", 5, "resources.memory", "is no size"},
    {HEAD "resources: {memory: 1}", 3, "resources.memory", "must be 6Mi"},
    {HEAD "resources: {memory: 99999999999999999999}", 3, "resources.memory", "is no size"},
    {HEAD "resources: {gpu: 1.5}", 3, "resources.gpu", "is no whole number"},
    {HEAD "resources: {gpu: 65}", 3, "resources.gpu", "must be 0 to 64"},
    {HEAD "resources: {pids: 0}", 3, "resources.pids", "must be 1 to"},
    {HEAD "volumes: {name: a}", 3, "volumes", "must be a list"},
    {HEAD "volumes:\n  - {name: a}", 4, "volumes[0]", "'path' is missing"},
    {HEAD "volumes:\n  - {path: /a}", 4, "volumes[0]", "'name' is missing"},
    {HEAD "volumes:\n  - {name: a, path: a}", 4, "volumes[0].path", "is no absolute path"},
    {HEAD "volumes:\n  - {name: a, path: /}", 4, "volumes[0].path", "over /"},
    {HEAD "volumes:\n  - {name: a, path: /proc/x}", 4, "volumes[0].path", "under /proc"},
    {HEAD "volumes:\n  - {name: ../x, path: /a}", 4, "volumes[0].name", "no name of a volume"},
    {HEAD "volumes:\n  - {name: a, path: /a, mode: rx}", 4, "volumes[0].mode", "did you mean"},
    {HEAD "volumes:\n  - {name: a, path: /a}\n  - {name: b, path: /a/}", 5, "volumes[1].path",
     "path of another volume"},
    {HEAD "network: hots", 3, "network", "did you mean 'host'?"},
    {HEAD "timeout: soon", 3, "timeout", "write 90s, 15m, 2h or 7d"},
    {HEAD "timeout: 0s", 3, "timeout", "must be 1s to 366d"},
    {HEAD "timeout: 3000d", 3, "timeout", "must be 1s to 366d"},
    {HEAD "grace: 2h", 3, "grace", "must be 0s to 1h"},
    {HEAD "retries: many", 3, "retries", "is no whole number"},
    {HEAD "retries: 101", 3, "retries", "must be 0 to 100"},
    {"{\n \"name\": \"a\",\n \"image\": \"p/r:t\",\n \"retries\": \"x\"}", 4, "retries",
     "is no whole number"},
};

static void each_mistake_is_told_with_its_line_and_key(void **state UNUSED)
{
    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        struct parsed p = parse(str_of(broken[i].text));
        const struct err_item *it = p.mistakes.items;

        if (p.rc == 0 || p.mistakes.len != 1 || it->line != broken[i].line ||
            strcmp(it->key, broken[i].key) != 0 || strstr(it->msg, broken[i].message) == NULL) {
            fail_msg("%s\n=> %d, %zu mistakes, line %u, %s: %s (%s)", broken[i].text, p.rc,
                     p.mistakes.len, it ? it->line : 0, it ? it->key : "", it ? it->msg : "",
                     p.e.msg);
        }
        assert_int_equal(p.e.kind, ERR_INVALID);
        parsed_done(&p);
    }
}

static void all_mistakes_are_told_at_once(void **state UNUSED)
{
    struct parsed p = parse(STR("name: A\nimage: x\nretries: -1\nnetwork: wifi\ntimeout: x\n"));

    assert_int_equal(p.rc, -1);
    assert_int_equal(p.mistakes.len, 5);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(p.mistakes.items[i].line, i + 1);
    }
    assert_non_null(strstr(p.e.msg, "the job has 5 mistakes: line 1: name: 'A' is no name"));
    parsed_done(&p);
}

static void what_is_no_yaml_is_told_with_its_line(void **state UNUSED)
{
    static const struct {
        const char *text, *message;
    } texts[] = {
        {"name: a\n  image: b\n", "YAML line 2"},
        {"name: [a\n", "YAML line"},
        {"name: *x\n", "aliases"},
        {"- a\n- b\n", "a job is a map of keys"},
        {"hello", "a job is a map of keys"},
        {"", "YAML is empty"},
        {"name: a\nname: b\n", "stands twice"},
        {"\xff\xfe", "YAML"},
        {"{\"name\": \"a\",}trailing", "YAML line 1"},
    };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct parsed p = parse(str_of(texts[i].text));

        if (p.rc == 0 || strstr(p.e.msg, texts[i].message) == NULL) {
            fail_msg("%s => %d %s", texts[i].text, p.rc, p.e.msg);
        }
        parsed_done(&p);
    }
}

static void json_reads_like_yaml_also_beyond_ascii(void **state UNUSED)
{
    struct parsed p = parse(STR("{\"name\":\"a\",\"image\":\"p/r:t\",\"resources\":{\"cpu\":0.5,"
                                "\"memory\":536870912},\"env\":{\"SMILE\":\"\\ud83d\\ude00\","
                                "\"LINE\":\"a\\u2028b\"},\"command\":[\"\\/bin\\/sh\",\"-c\",1]}"));

    assert_int_equal(p.rc, 0);
    assert_string_equal(p.spec.env[0].value, "\xf0\x9f\x98\x80");
    assert_string_equal(p.spec.env[1].value, "a\xe2\x80\xa8"
                                             "b");
    assert_string_equal(p.spec.command[0], "/bin/sh");
    assert_string_equal(p.spec.command[2], "1");
    assert_int_equal(p.spec.cpu_milli, 500);
    assert_int_equal(p.spec.memory_bytes, 536870912);
    parsed_done(&p);
}

static char *json_of(const struct job_spec *s)
{
    struct buf out = BUF_MAX(LIMIT_SPEC_BYTES);
    struct jw w = JW(&out);

    job_spec_json(s, &w);
    assert_false(out.failed);
    return buf_take(&out);
}

static void the_json_of_a_spec_is_read_back_as_the_same(void **state UNUSED)
{
    static const char *const texts[] = {
        HEAD,
        HEAD "command: [\"a\\tb\\nc\", 'q\"\\', \"\\x7f\\e\", \"\\N\\L\\P\", \"\xe4\xbd\xa0\"]\n"
             "env: {A: \"\\U0001F600\", B: 'no'}\nresources: {cpu: 1500m, memory: 7Mi}\n",
        HEAD "secrets: {K: s}\nworkdir: /w\nvolumes: [{name: v, path: /v, mode: rw}]\n"
             "network: host\ntimeout: 90s\ngrace: 0s\nretries: 7\nproject: demo\nargs: []\n",
    };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct parsed p = parse(str_of(texts[i]));

        assert_int_equal(p.rc, 0);
        SCOPED(freep) char *first = json_of(&p.spec);
        struct parsed q = parse(str_of(first));

        assert_string_equal(q.e.msg, "");
        assert_int_equal(q.rc, 0);
        SCOPED(freep) char *second = json_of(&q.spec);

        assert_string_equal(first, second);
        for (size_t k = 0; p.spec.command && p.spec.command[k]; k++) {
            assert_string_equal(p.spec.command[k], q.spec.command[k]);
        }
        parsed_done(&p);
        parsed_done(&q);
    }
}

static void too_much_of_anything_is_refused(void **state UNUSED)
{
    struct buf b = BUF_MAX(2 * LIMIT_SPEC_BYTES);
    struct parsed p;

    buf_add_c(&b, HEAD "command: [x");
    for (int i = 0; i < LIMIT_JOB_ARGS; i++) {
        buf_add_c(&b, ",x");
    }
    buf_add_c(&b, "]\n");
    p = parse(buf_str(&b));
    assert_int_equal(p.rc, -1);
    assert_non_null(strstr(p.e.msg, "has 1025 items; at most 1024 are taken"));
    parsed_done(&p);
    while (b.len <= LIMIT_SPEC_BYTES) {
        buf_add_c(&b, "# much\n");
    }
    p = parse(buf_str(&b));
    assert_int_equal(p.rc, -1);
    assert_int_equal(p.e.kind, ERR_LIMIT);
    parsed_done(&p);
    buf_done(&b);
}

static void paths_come_out_as_the_runtime_takes_them(void **state UNUSED)
{
    static const char *const rows[][2] = {
        {"//", "/"}, {"/", "/"}, {"/app/", "/app"}, {"/app//x", "/app/x"}, {"///a///", "/a"}};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[200];

        (void)snprintf(text, sizeof(text), HEAD "workdir: %s\n", rows[i][0]);
        struct parsed p = parse(str_of(text));

        assert_int_equal(p.rc, 0);
        assert_string_equal(p.spec.workdir, rows[i][1]);
        assert_true(runtime_path_ok(str_of(p.spec.workdir)));
        parsed_done(&p);
    }
}

static void what_execve_takes_for_one_string_is_known(void **state UNUSED)
{
    static const struct {
        const char *form, *key;
        size_t most;
    } rows[] = {{HEAD "command: [a, %s]\n", "command[1]", LIMIT_EXEC_STRING_BYTES},
                {HEAD "args:\n- %s\n", "args[0]", LIMIT_EXEC_STRING_BYTES},
                {HEAD "env:\n  AB: %s\n", "env.AB", LIMIT_EXEC_STRING_BYTES - 3}};

    for (size_t i = 0; i < 2 * ARRAY_LEN(rows); i++) {
        size_t k = i / 2, len = rows[k].most + i % 2;
        SCOPED(freep) char *value = xcalloc(1, len + 1);

        memset(value, 'x', len);
        SCOPED(freep) char *text = xasprintf(rows[k].form, value);
        struct parsed p = parse(str_of(text));

        assert_int_equal(p.rc, i % 2 ? -1 : 0);
        assert_int_equal(p.mistakes.len, i % 2);
        if (i % 2) {
            assert_string_equal(p.mistakes.items[0].key, rows[k].key);
            assert_int_equal(p.mistakes.items[0].line, k == 0 ? 3 : 4);
            assert_string_equal(p.mistakes.items[0].msg,
                                "is 131072 bytes long; Linux takes 131071");
        }
        parsed_done(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_of_the_manual_is_read),
        cmocka_unit_test(a_job_without_a_name_is_called_like_its_image),
        cmocka_unit_test(what_is_left_out_has_the_documented_default),
        cmocka_unit_test(each_mistake_is_told_with_its_line_and_key),
        cmocka_unit_test(all_mistakes_are_told_at_once),
        cmocka_unit_test(what_is_no_yaml_is_told_with_its_line),
        cmocka_unit_test(json_reads_like_yaml_also_beyond_ascii),
        cmocka_unit_test(the_json_of_a_spec_is_read_back_as_the_same),
        cmocka_unit_test(too_much_of_anything_is_refused),
        cmocka_unit_test(paths_come_out_as_the_runtime_takes_them),
        cmocka_unit_test(what_execve_takes_for_one_string_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
