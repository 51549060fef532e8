#include "base/buf.h"
#include "scrape/sd_dns.h"
#include "scrape/sd_docker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct err e;

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

/* All targets of a group, labels sorted, "__meta_" left out. */
static void expect(const struct target_group *g, const char *want)
{
    struct buf b = BUF_MAX(65536);

    for (size_t i = 0; i < g->n_targets; i++) {
        struct labels s = g->targets[i];

        qsort(s.p, s.len, sizeof(*s.p), by_name);
        for (size_t k = 0; k < s.len; k++) {
            struct str n = s.p[k].name;

            n = str_starts(n, STR("__meta_")) ? str_from(n, 7) : n;
            (void)buf_printf(&b, "%s%.*s=%.*s", k > 0 ? " " : "", STR_ARG(n),
                             STR_ARG(s.p[k].value));
        }
        (void)buf_add_c(&b, "\n");
    }
    assert_string_equal(b.p != NULL ? b.p : "", want);
    buf_done(&b);
}

static const char question[] = "\1a\0\0\x21\0\1";

static void answers_of_dns_become_targets(void **state UNUSED)
{
    struct arena a = {0};
    struct target_group g;
    struct buf m = BUF_MAX(1000);

    (void)buf_add(&m, str_n("\0\1\x81\x80\0\1\0\2\0\0\0\0", 12));
    (void)buf_add(&m, str_n(question, 7));
    (void)buf_add(&m, str_n("\xc0\x0c\0\x21\0\1\0\0\0\5\0\x0c\0\1\0\2\x23\x8c\2n1\1x\0", 24));
    (void)buf_add(&m, str_n("\xc0\x0c\0\1\0\1\0\0\0\5\0\4\1\2\3\4", 16));
    assert_int_equal(sd_dns_read(&a, buf_str(&m), STR("a"), STR("SRV"), 0, &g, &e), 0);
    expect(&g, "__address__=n1.x:9100 dns_name=a dns_srv_record_port=9100 "
               "dns_srv_record_target=n1.x.\n");
    assert_int_equal(sd_dns_read(&a, buf_str(&m), STR("a"), STR("A"), 80, &g, &e), 0);
    expect(&g, "__address__=1.2.3.4:80 dns_name=a\n");
    assert_int_equal(sd_dns_read(&a, str_first(buf_str(&m), 40), STR("a"), STR("A"), 80, &g, &e),
                     -1);
    buf_done(&m);
    arena_done(&a);
}

static void containers_become_targets(void **state UNUSED)
{
    static const char containers[] =
        "[{\"Id\":\"c1\",\"Names\":[\"/web\"],\"Labels\":{\"com.x/y\":\"z\"},"
        "\"HostConfig\":{\"NetworkMode\":\"default\"},"
        "\"Ports\":[{\"PrivatePort\":80,\"PublicPort\":8080,\"IP\":\"0.0.0.0\",\"Type\":\"tcp\"},"
        "{\"PrivatePort\":53,\"Type\":\"udp\"}],"
        "\"NetworkSettings\":{\"Networks\":{\"bridge\":{\"NetworkID\":\"n1\",\"IPAddress\":"
        "\"172.17.0.2\"}}}},"
        "{\"Id\":\"c2\",\"Names\":[\"/side\"],\"HostConfig\":{\"NetworkMode\":\"container:c1\"},"
        "\"Ports\":[],\"NetworkSettings\":{\"Networks\":{}}},"
        "{\"Id\":\"c3\",\"Names\":[\"/h\"],\"HostConfig\":{\"NetworkMode\":\"host\"},"
        "\"NetworkSettings\":{\"Networks\":{\"host\":{\"NetworkID\":\"n2\",\"IPAddress\":\"\"}}}}]";
    static const char networks[] = "[{\"Id\":\"n1\",\"Name\":\"bridge\",\"Scope\":\"local\","
                                   "\"Internal\":false,\"Ingress\":false,\"Labels\":{}}]";
    struct sd_config c = {
        .port = 80, .host_networking_host = STR("localhost"), .match_first_network = true};
    struct arena a = {0};
    struct target_group g;

    assert_int_equal(sd_docker_read(&a, &c, str_of(containers), str_of(networks), &g, &e), 0);
    expect(&g,
           "__address__=172.17.0.2:80 docker_container_id=c1 docker_container_label_com_x_y=z "
           "docker_container_name=/web docker_container_network_mode=default "
           "docker_network_id=n1 docker_network_ingress=false docker_network_internal=false "
           "docker_network_ip=172.17.0.2 docker_network_name=bridge docker_network_scope=local "
           "docker_port_private=80 docker_port_public=8080 docker_port_public_ip=0.0.0.0\n"
           "__address__=172.17.0.2:80 docker_container_id=c2 docker_container_name=/side "
           "docker_container_network_mode=container:c1 "
           "docker_network_id=n1 docker_network_ingress=false docker_network_internal=false "
           "docker_network_ip=172.17.0.2 docker_network_name=bridge docker_network_scope=local\n"
           "__address__=localhost docker_container_id=c3 docker_container_name=/h "
           "docker_container_network_mode=host docker_network_ip=\n");
    arena_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_of_dns_become_targets),
        cmocka_unit_test(containers_become_targets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
